"""Personal data, secrets and credentials: how they are recognised in texts, names and requests."""
