"""Admission to an upstream, and the reaction to a failure: breaker, bulkhead, retry, fallback, limits."""
