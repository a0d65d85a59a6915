"""Decisions about shadows: which are sent, which get a second look, and at what cost."""
