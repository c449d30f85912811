"""Compiled parts: Cython loops, and the bridge to the C kernels."""
