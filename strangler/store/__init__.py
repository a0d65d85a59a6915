"""The store: its database, the connections to it, the one thread that writes, and all statements of the program."""
