"""Torch twins of `kernels.definitions`: tensors in, tensors out, on any device."""
