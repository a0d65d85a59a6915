"""Comparing JSON trees: array elements are paired, then compared."""
