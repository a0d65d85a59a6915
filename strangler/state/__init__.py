"""The state folder, used by all processes and commands: file names, lock, kill switch, backup."""
