"""The operator's window: pages on the admin listener."""
