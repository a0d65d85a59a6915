"""Two JSON trees: array elements are paired, then the trees are compared."""
