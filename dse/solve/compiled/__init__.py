"""Loops of the optimiser, compiled by Numba at first use and kept on disk."""
