"""HTML and XML: parsing, and the comparison of two trees of elements."""
