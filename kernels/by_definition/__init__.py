"""The definitions applied to NumPy arrays, one number or block at a time: slow, and what all twins must equal."""
