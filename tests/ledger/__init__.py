"""The ledger as it is kept and read."""
