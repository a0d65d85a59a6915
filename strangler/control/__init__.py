"""The control plane: everything that can wait (admin, metrics, reload, shadows, store, events)."""
