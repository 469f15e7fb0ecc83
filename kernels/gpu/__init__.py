"""Triton twins of `kernels.definitions`, for CUDA devices and for Triton's interpreter."""
