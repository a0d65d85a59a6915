"""The findings of comparisons in the store: written by control, read by control and commands."""
