"""Accept rules: their syntax, what they cover, and what a comparison finds under them."""
