"""The buckets by which response times are counted: in the metrics, and in the ledger."""

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The inclusive upper bounds of the buckets, as OpenTelemetry advises for `http.server.request.duration`."""
