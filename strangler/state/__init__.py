"""The state folder on disk, as every process and command uses it: names, lock, kill switch, database, backup."""
