"""Readable scalar definitions on exact rationals and Python integers: what every fast twin must equal."""
