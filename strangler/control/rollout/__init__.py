"""Rollouts in control: it keeps their positions, moves them, and shows where they stand."""
