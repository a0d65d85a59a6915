"""Accept rules: how they are written, what they cover, and what a comparison has found under them."""
