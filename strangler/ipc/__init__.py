"""The exchange between our own processes: messages, links, start-up, metrics."""
