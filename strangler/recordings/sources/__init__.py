"""Pairs of other tools' files: GoReplay, HAR, access logs."""
