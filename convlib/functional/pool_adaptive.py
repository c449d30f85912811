"""Pooling to a given size, and over whole channels, over one, two and three spatial axes."""

from __future__ import annotations

from typing import Any

from ..spec import frozen, make_adaptive
from ._common import Array, ArrayLike, per_rank
from .pool import pool


def _adaptive_avg_poolnd(
    nd: int, x: ArrayLike, output_size: Any, *, layout: str = "NCHW", out: Array | None = None,
    backend: str | None = None,
) -> Array:  # fmt: skip
    """Average windows chosen so that the result has a given size, over <over>.

    Parameters
    ----------
    <x>
    output_size : int or sequence of <nd> int
        Spatial size of the result; None on an axis keeps its size.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>)
        Window ``j`` runs from ``floor(j * i / o)`` to ``ceil((j + 1) * i / o)`` (PyTorch's rule).

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import adaptive_avg_pool<nd>d
    >>> adaptive_avg_pool<nd>d(np.ones((1, 1, <four>)), 3).shape
    (1, 1, <three>)
    """
    y: Array = pool(make_adaptive, nd, "avg", x, (frozen(output_size), layout), False, out, backend)
    return y


def _adaptive_max_poolnd(
    nd: int, x: ArrayLike, output_size: Any, *, return_indices: bool = False, layout: str = "NCHW",
    out: Array | None = None, backend: str | None = None,
) -> Any:  # fmt: skip
    """Take maxima of windows chosen so that the result has a given size, over <over>.

    Parameters
    ----------
    <x>
    output_size : int or sequence of <nd> int
        Spatial size of the result; None on an axis keeps its size.
    return_indices : bool, default False
        Also return where each maximum was found.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>), dtype of `x`
        Window ``j`` runs from ``floor(j * i / o)`` to ``ceil((j + 1) * i / o)`` (PyTorch's rule).
    indices : ndarray of int64, shape of `y`
        Only with `return_indices`; as in `max_pool<nd>d`.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import adaptive_max_pool<nd>d
    >>> adaptive_max_pool<nd>d(np.ones((1, 1, <four>)), 3).shape
    (1, 1, <three>)
    """
    return pool(make_adaptive, nd, "max", x, (frozen(output_size), layout), return_indices, out, backend)


def _global_avg_poolnd(
    nd: int, x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None
) -> Array:
    """Average each channel over all <nd> spatial axes, which keep the size 1.

    Parameters
    ----------
    <x>
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C) and <nd> axes of size 1
        Floats keep their type; integers and bool give float64.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import global_avg_pool<nd>d
    >>> global_avg_pool<nd>d(np.ones((1, 1, <four>))).item()
    1.0
    """
    y: Array = pool(make_adaptive, nd, "avg", x, (1, layout), False, out, backend)
    return y


def _global_max_poolnd(
    nd: int, x: ArrayLike, *, layout: str = "NCHW", out: Array | None = None, backend: str | None = None
) -> Array:
    """Take the maximum of each channel over all <nd> spatial axes, which keep the size 1.

    Parameters
    ----------
    <x>
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C) and <nd> axes of size 1, dtype of `x`
        NaN wins always.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import global_max_pool<nd>d
    >>> global_max_pool<nd>d(np.ones((1, 1, <four>))).item()
    1.0
    """
    y: Array = pool(make_adaptive, nd, "max", x, (1, layout), False, out, backend)
    return y


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = per_rank(_adaptive_avg_poolnd)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = per_rank(_adaptive_max_poolnd)
global_avg_pool1d, global_avg_pool2d, global_avg_pool3d = per_rank(_global_avg_poolnd)
global_max_pool1d, global_max_pool2d, global_max_pool3d = per_rank(_global_max_poolnd)
