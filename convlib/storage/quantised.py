"""Convolutions of integers with zero points: what types alone say of their sums, and arrays that hold no numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..backends.base import Backend, Implementation
from ..backends.base.checks import Quantised, padding_value
from ..backends.base.contract import Array
from ..backends.base.pieces import pieces
from ..errors import UnsupportedError
from ..spec import ConvSpec, needs_padding
from .scratch import terms

#: What a convolution of integers does that is asked for nothing.
UNSHIFTED = Quantised(0, (0,), dtypes.INT64)


def way(
    backend: Backend, spec: ConvSpec, kinds: tuple[np.dtype[Any], np.dtype[Any]], bias: Array | None,
    quantised: Quantised | None, algorithm: str | None, prepared: bool = False,
) -> Implementation | None:  # fmt: skip
    """Return the way of a backend for 8-bit integers as they are, if a call is served by one.

    That is where the types of x and w say that no sum leaves int32, together with the numbers of the bias.
    """
    x, w = kinds
    if x.itemsize != 1 or w.itemsize != 1 or "b" in x.kind + w.kind:
        return None
    found = backend.quantised_way(spec, x, w, quantised or UNSHIFTED, algorithm, prepared)
    if found is None:
        return None
    start = 0 if bias is None else dtypes.magnitude(bias)
    fits = _reach(spec, x, w, quantised or UNSHIFTED) + start <= np.iinfo(np.int32).max
    return found if fits else None


@lru_cache(maxsize=1024)
def _reach(spec: ConvSpec, x: np.dtype[Any], w: np.dtype[Any], quantised: Quantised) -> int:
    """Return what no sum of products of integers of these types exceeds."""
    pads = needs_padding(spec) and spec.padding_mode == "constant"
    first = max(_widest(x, (quantised.x_zero,)), abs(int(padding_value(spec, dtypes.INT64))) if pads else 0)
    return terms("conv", spec) * first * _widest(w, quantised.w_zero)


def _widest(dtype: np.dtype[Any], zeros: tuple[int, ...]) -> int:
    if dtype == dtypes.BOOL:
        return 1
    info = np.iinfo(dtype)
    ends = min(zeros, default=0), max(zeros, default=0)
    return max(abs(int(end) - zero) for end in (info.min, info.max) for zero in ends)


def requantise(x: Array, scale: Array, zero: int, dtype: np.dtype[Any], out: Array | None) -> Array:
    """Return ``round(x * scale) + zero``, clipped to what `dtype` holds, made in parts that stay in a cache."""
    Backend().check_out(out, x.shape, dtype, x)
    y, limits = np.empty(x.shape, dtype) if out is None else out, np.iinfo(dtype)
    scales = np.broadcast_to(scale, x.shape)
    for at in pieces(y, most=1 << 15):
        part = np.multiply(x[at], scales[at], dtype=np.float64)
        np.rint(part, out=part)
        part += zero
        np.clip(part, limits.min, limits.max, out=part)
        np.copyto(y[at], part, casting="unsafe")
    return y


def lazily(
    backend: Backend, spec: ConvSpec, x: Array, w: Array, bias: Array | None, out: Array | None, algorithm: str | None,
    quantised: Quantised,
) -> Array:  # fmt: skip
    """Serve arrays that hold no numbers yet: their differences are taken lazily, too.

    Raises
    ------
    UnsupportedError
        If the types alone do not say that no sum leaves the type of the result.
    """
    start = 0 if bias is None else dtypes.magnitude(bias) if isinstance(bias, np.ndarray) else _widest(bias.dtype, (0,))
    reach = _reach(spec, x.dtype, w.dtype, quantised) + start
    if quantised.result != dtypes.INT64 and reach > np.iinfo(quantised.result).max:
        raise UnsupportedError(
            f"out_dtype={str(quantised.result)!r}: by the types of x {x.dtype}, w {w.dtype} and the bias sums can "
            f"reach {reach}, and the numbers of Dask arrays are not there yet to say less; use out_dtype='int64'"
        )
    for name, a in (("x", x), ("w", w)):
        if name in quantised.shifted and a.dtype.itemsize > 4:
            raise UnsupportedError(
                f"{name}_zero_point: differences of {a.dtype} may leave int64, and the numbers of Dask arrays are not "
                f"there yet to say they do not; give {name} in a type of at most 32 bits, or without a zero point"
            )
    if quantised.x_zero:
        x = x.astype(dtypes.INT64) - quantised.x_zero
    if any(quantised.w_zero):
        zero = np.asarray(quantised.w_zero, dtypes.INT64).reshape(-1, *(1,) * (w.ndim - 1))
        w = w.astype(dtypes.INT64) - zero
    return backend.conv(spec, x, w, bias, out, algorithm).astype(quantised.result)
