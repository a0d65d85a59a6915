"""Exports of recordings: HAR, GoReplay's `.gor`, Hurl, and a shell script of curl commands."""
