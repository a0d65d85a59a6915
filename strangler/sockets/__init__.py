"""Listening sockets, accepting connections, and the addresses of host names."""
