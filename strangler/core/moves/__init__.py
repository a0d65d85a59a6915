"""The calls that a change of routes.yaml sends elsewhere, worked out from an access log."""
