"""The loops that `im2col` and `fft` run: compiled, or in the pure-Python build by NumPy."""

from __future__ import annotations

from .._ext import PURE

if PURE:
    from .plain import columns, conv, gemm
else:
    from .room import ensure_room

    ensure_room()  # as the first of these loads SciPy's BLAS

    from .._ext._im2col import columns, gemm
    from .._ext._loops import conv

__all__ = ["columns", "conv", "gemm"]
