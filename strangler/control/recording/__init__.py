"""Recording what the proxy serves: one recording at a time, which nobody waits for."""
