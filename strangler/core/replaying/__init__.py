"""Learned values of a replay and the order of its requests: values that one side made, put where the other's stood."""
