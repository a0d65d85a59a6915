"""Events of a migration in the store, and their form on the wire."""
