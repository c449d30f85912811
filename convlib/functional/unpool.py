"""Maxima put back where they were found, over one, two and three spatial axes."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes, registry, storage
from ..errors import SpecError
from ..spec import frozen, make_unpool
from ._common import Array, ArrayLike, per_rank, take


def _max_unpoolnd(
    nd: int, x: ArrayLike, indices: ArrayLike, kernel_size: Any, *, stride: Any = None, padding: Any = 0,
    output_size: Any = None, layout: str = "NCHW", out: Array | None = None, backend: str | None = None,
) -> Array:  # fmt: skip
    """Put maxima back where `max_pool<nd>d` found them, with zeros elsewhere.

    Parameters
    ----------
    <x>
    indices : array_like of int, shape of `x`
        What `max_pool<nd>d` returned; -1 is skipped.
    <kernel_size>
    <pool_stride>
    <padding>
    output_size : int or sequence of <nd> int, optional
        Spatial size of the result, less than one stride from the default.
    <layout>
    <out>
    <backend>

    Returns
    -------
    y : ndarray, shape (N, C, <out_axes>), dtype of `x`
        ``(i - 1) * stride - lo - hi + k`` elements per axis by default.  Where an index occurs more than once, the
        last one stays.

    Raises
    ------
    <errors>

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import max_pool<nd>d, max_unpool<nd>d
    >>> y, indices = max_pool<nd>d(np.ones((1, 1, <four>)), 2, return_indices=True)
    >>> max_unpool<nd>d(y, indices, 2).sum().item() == 2**<nd>
    True
    """
    array_type, (x, indices) = take(x=x, indices=indices)
    spec = make_unpool(
        nd, x.shape, frozen(kernel_size), frozen(stride), frozen(padding), frozen(output_size), layout
    )
    dtype = dtypes.for_pool("max", x.dtype)[1]
    choice = registry.select("unpool", spec, dtype, backend, array_type)
    try:
        y: Array = storage.unpool(choice.backend, spec, x, indices, out, False, choice.named)
    except SpecError as error:
        guessed = output_size is None and array_type == "numpy" and indices.size
        if guessed and int(indices.max()) >= math.prod(spec.in_size):
            raise SpecError(
                f"{error}; the size {spec.in_size} is a guess: give that of the array that was pooled as output_size"
            ) from None
        raise
    return y


max_unpool1d, max_unpool2d, max_unpool3d = per_rank(_max_unpoolnd)
