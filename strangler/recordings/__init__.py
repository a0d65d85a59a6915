"""Recordings: pairs of a request and its response in a file, from other tools' files or read again."""
