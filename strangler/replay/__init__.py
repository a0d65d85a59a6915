"""Sending the requests of a recording again, and comparing what comes back."""
