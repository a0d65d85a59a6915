"""Turn the text of routes.yaml into settings, or into all of its problems with line and column."""
