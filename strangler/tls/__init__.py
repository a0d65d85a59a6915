"""TLS contexts, made of the settings and of the file contents that they carry; nothing here reads those files."""
