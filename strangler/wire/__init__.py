"""Bytes: connections to clients and upstreams, bodies, tunnels, and the link between processes."""
