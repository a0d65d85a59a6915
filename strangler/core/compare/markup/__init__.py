"""HTML and XML: parsing, and comparing two trees of elements."""
