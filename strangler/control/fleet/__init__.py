"""Several nodes with one store: who leads, whose clock counts, what the others have changed, and who is there."""
