"""Arrays and integers in, arrays out: rounding, casts, exact products and requantisation.

Each rule is defined once on Python integers (`kernels.rounding`, `requantise_scalar`, `cast_scalar`); the compiled and
BLAS versions beside them are tested against those definitions. This package knows none of the others.
"""
