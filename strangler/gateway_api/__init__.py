"""Gateway API's HTTPRoutes, rendered from the settings: pure functions to plain dicts, which become YAML."""
