"""Listening sockets, accepted connections, and the addresses of names."""
