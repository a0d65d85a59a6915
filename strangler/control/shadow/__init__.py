"""Shadows: copies of requests to the other arm, compared, and what they show kept as evidence."""
