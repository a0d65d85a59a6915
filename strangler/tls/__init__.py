"""Contexts of TLS, made of settings and of the content of the files that they name."""
