"""The short ways of gradients of plain arrays: all that does not depend on their numbers is settled once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes, registry
from ._common import Array

#: What such arrays hold.
_FLOATS = dtypes.FLOAT32, dtypes.FLOAT64


def short_gradient(
    op: str, make: Callable[..., Any], nd: int, grad_y: Any, other: Any, sizes: Any, options: tuple[Any, ...],
    backend: str | None, bias: Any = None, out: Any = None,
) -> Array | None:  # fmt: skip
    """Return the gradient of plain arrays, or None where the long way must serve; poolings have no `other` array.

    `bias`, if given, is added to the channels; `out` is where the result goes.
    ``make(nd, grad_y.shape, other.shape, sizes, *options)`` gives the spec; `sizes` are the shape of the result.
    """
    if type(grad_y) is not np.ndarray or (other is not None and type(other) is not np.ndarray):
        return None
    if sizes is not None and not (type(sizes) is tuple and all(type(size) is int for size in sizes)):
        return None  # a float may equal a size, and is none
    if out is not None and type(out) is not np.ndarray:
        return None
    dtype = grad_y.dtype
    if dtype not in _FLOATS or (other is not None and other.dtype != dtype):
        return None
    try:
        run = _settled(
            op, make, nd, dtype, grad_y.shape, None if other is None else other.shape, sizes, options,
            tuple(map(type, options)), backend, registry.state(),
        )  # fmt: skip
    except TypeError:  # the long way says which argument is wrong
        return None
    if run is None or bias is None:
        return None if run is None else run(grad_y, other, out)
    if type(bias) is not np.ndarray or bias.dtype != dtype or bias.ndim != 1:
        return None
    found = run(grad_y, other, None)
    if found is None or found.shape[1:2] != bias.shape:
        return None
    with np.errstate(all="ignore"):
        found += bias.reshape(-1, *(1,) * nd)
    return found


@lru_cache(maxsize=4096)
def _settled(
    op: str, make: Callable[..., Any], nd: int, dtype: np.dtype[Any], y_shape: tuple[int, ...],
    other_shape: tuple[int, ...] | None, sizes: tuple[int, ...] | None, options: tuple[Any, ...],
    kinds: tuple[type, ...], backend: str | None, state: tuple[Any, ...],
) -> Callable[[Array, Array | None, Array | None], Array | None] | None:  # fmt: skip
    """Return the short way of a gradient, if its backend has one.

    `kinds` and `state` tell calls apart that are alike in all else.
    """
    spec = make(nd, y_shape, other_shape, sizes, *options)
    choice = registry.select(op, spec, dtype, backend, "numpy")
    return choice.backend.quick_gradient(op, spec, dtype, choice.named)
