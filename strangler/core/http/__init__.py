"""HTTP messages as values: heads, header lines, framing, methods, trust, problem details."""
