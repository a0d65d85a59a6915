"""The ledger as it is kept and read: endpoints, their calls and callers, and what may be deleted."""
