"""Envoy's configuration, rendered from the settings: pure functions from values to plain dicts, which become JSON."""
