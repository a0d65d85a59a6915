"""The communication between the proxy's own processes: messages, links, start-up, metrics."""
