"""Decisions about shadows: which are sent, which are asked again, and at what cost."""
