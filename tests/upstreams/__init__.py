"""Every party that connects to an upstream, against the same real servers."""
