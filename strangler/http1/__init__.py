"""HTTP/1 on both sides of a worker: connections, bodies, parsing, tunnels."""
