"""The store: its database, the connections to it, and the one thread that writes. SQLite is its only engine."""
