"""SciPy's transforms, which load its BLAS, once there is room for it, and axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..threads import get_num_threads
from .room import ensure_room

ensure_room()

from scipy import fft as scipy_fft  # noqa: E402

__all__ = ["back", "in_place", "scipy_fft", "there"]

Array = Any  # numpy.ndarray, indexed by computed tuples that its stubs cannot follow

_THREADS_FROM = 1 << 19  # bytes: smaller arrays do not repay the waking of threads


def _workers(a: Array) -> int:
    return get_num_threads() if a.nbytes >= _THREADS_FROM else 1


def in_place(transform: Any, a: Array, axis: int) -> None:
    """Transform an array along an axis where it lies."""
    result = transform(a, axis=axis, overwrite_x=True, workers=_workers(a))
    if not np.may_share_memory(result, a):  # SciPy may, but need not, overwrite its argument
        a[...] = result


def there(a: Array, lengths: Sequence[int]) -> Array:
    """Transform the last axes, each as if zeros followed up to its length; `a` is lost.

    From the last axis on: lines of nothing but zeros are not transformed.
    """
    for axis, length in zip(range(-1, -len(lengths) - 1, -1), reversed(lengths), strict=True):
        transform = scipy_fft.rfft if a.dtype.kind == "f" else scipy_fft.fft
        a = transform(a, length, axis, overwrite_x=True, workers=_workers(a))
    return a


def back(a: Array, lengths: Sequence[int], counts: Sequence[int], strides: Sequence[int], real: bool) -> Array:
    """Transform the last axes back, and keep of each `counts` elements in steps of `strides`; `a` is lost.

    From the first axis on: lines that are not kept are not transformed.
    """
    nd = len(lengths)
    for axis, (length, count, stride) in enumerate(zip(lengths, counts, strides, strict=True), -nd):
        transform = scipy_fft.irfft if real and axis == -1 else scipy_fft.ifft
        a = transform(a, length, axis, overwrite_x=True, workers=_workers(a))
        a = a[(..., slice(0, (count - 1) * stride + 1, stride), *(slice(None),) * (-1 - axis))]
    return a
