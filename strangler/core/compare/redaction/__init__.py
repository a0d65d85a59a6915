"""Redaction: secrets become keyed hashes before anything is kept."""
