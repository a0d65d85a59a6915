"""Asking an arm for its response to a copy of a request, comparing both responses, and what is kept of that."""
