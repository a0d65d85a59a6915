"""The values of a comparison and the operations on plain values, texts and trees."""
