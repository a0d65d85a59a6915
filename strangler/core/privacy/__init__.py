"""Recognising personal data, secrets and credentials in texts, names and requests."""
