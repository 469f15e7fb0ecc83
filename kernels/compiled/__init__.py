"""Numba and BLAS twins of `kernels.definitions`: NumPy arrays in, NumPy arrays out."""
