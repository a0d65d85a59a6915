"""The ledger: which endpoints legacy and the candidates serve, learned from traffic, and what may be deleted."""
