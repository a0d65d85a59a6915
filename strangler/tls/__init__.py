"""Certificates, and the TLS contexts made of them, for listeners and towards upstreams."""
