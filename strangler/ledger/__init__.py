"""The ledger as it is stored and read: endpoints, their calls and callers, and what may be deleted."""
