"""From the text of routes.yaml to settings, or to all of its problems with line and column."""
