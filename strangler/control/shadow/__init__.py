"""Shadows: copies of requests to the other arm, whose responses are compared and kept as evidence."""
