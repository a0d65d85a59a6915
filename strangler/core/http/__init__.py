"""Messages of HTTP as values: heads, header lines, framing, methods, trust, problem details."""
