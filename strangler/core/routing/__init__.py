"""From a request's head to its plan: paths, the routing table, split, rewrite, aggregates."""
