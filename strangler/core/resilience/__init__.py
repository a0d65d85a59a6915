"""Admission to an upstream, and what follows a failure: breaker, bulkhead, retry, fallback, limits."""
