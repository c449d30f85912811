"""Pooling of large windows along one axis after the other, each time by the engine.

The extreme, sum or norm of a window is that of its rows' extremes, sums or norms.  A window of a row or a column fits a
near cache where the whole window does not, and what one axis gives is smaller than the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import config, dtypes
from ..spec import PoolSpec
from . import pool_slabs
from .base.arrays import shifted
from .base.pieces import pieces

Array = Any
Hook = Callable[[PoolSpec, Array, Array, Array | None], None]

#: Bytes that a window spans from which on its axes may be served apart.
_LARGE = 1 << 17

#: How often windows hold each element of the input, on average, from which on that may save work.
_OFTEN = 4


#: Places that are looked up at once, and the bytes that this takes.
_PIECE = 1 << 11
_FOLLOWED = 64 * _PIECE


def serves(spec: PoolSpec) -> bool:
    """Return whether axes can be served apart: there are several, and windows are of one size."""
    return not spec.adaptive and sum(k > 1 for k in spec.kernel) > 1


def pays(spec: PoolSpec, itemsize: int) -> bool:
    """Return whether that may save work, as windows are large and overlap."""
    large = math.prod(map(spec.extent, range(spec.nd))) * itemsize > _LARGE
    return large and serves(spec) and spec.out_count * spec.taps_count > _OFTEN * math.prod(spec.in_size)


def passes(spec: PoolSpec) -> tuple[PoolSpec, ...]:
    """Return the poolings along the last axis, the one before it, and so on: so the first place of equals is found."""
    one, zero, kind = (1,) * spec.nd, (0,) * spec.nd, spec.kind
    found, size = [], spec.in_size
    for axis in reversed(range(spec.nd)):

        def only(values: tuple[int, ...], others: tuple[int, ...], axis: int = axis) -> tuple[int, ...]:
            return (*others[:axis], values[axis], *others[axis + 1 :])

        out = only(spec.out_size, size)
        if spec.kernel[axis] == 1 and out == size:
            continue
        found.append(replace(
            spec, kind="sum" if kind == "avg" else kind, batched=True, divisor=None, in_size=size, out_size=out,
            kernel=only(spec.kernel, one), stride=only(spec.stride, one), dilation=only(spec.dilation, one),
            pad_lo=only(spec.pad_lo, zero), pad_hi=only(spec.pad_hi, zero),
        ))  # fmt: skip
        size = out
    return tuple(found)


def share() -> int:
    """Return the scratch that the engine may take in a pass; what is between two of them takes the rest."""
    return config.get_max_workspace() // 2


def scratch(spec: PoolSpec, itemsize: int, taken: Callable[[PoolSpec], int]) -> int:
    """Return the bytes that `pool` takes; ``taken(spec)`` is what a pass takes."""
    most = 0
    for part in {part: None for part, _, _ in _parts(spec, itemsize)}:
        with config.scratch(share()):
            own = max(taken(one) for one in passes(part))
        most = max(most, own + _nbytes(part, itemsize))
    return most


def pool(spec: PoolSpec, x: Array, y: Array, indices: Array | None, hook: Hook) -> None:
    """Fill `y` (N, C, *out), and `indices` if there are any, from `x` (N, C, *in); ``hook`` serves a pass."""
    for part, at, to in _parts(spec, x.itemsize):
        _pool(part, x[at], y[to], None if indices is None else indices[to], hook)
        if spec.kind == "avg":
            _divide(part, y[to])
        if indices is not None and part.in_size != spec.in_size:
            for some in pieces(indices[to], most=_PIECE):
                found, starts = indices[to][some], [cut.start or 0 for cut in at[2:]]
                found[...] = shifted(found, part.in_size, starts, spec.in_size)


def _pool(part: PoolSpec, x: Array, y: Array, indices: Array | None, hook: Hook) -> None:
    values, places = x, None
    *inner, last = passes(part)
    with config.scratch(share()):
        for one in inner:
            found = _room(one, x.dtype)
            where = None if indices is None else _room(one, dtypes.INT64)
            hook(one, values, found, where)
            if where is not None:
                _follow(places, where)
            values, places = found, where
        hook(last, values, y, indices)
    if indices is not None:
        _follow(places, indices)


def _room(spec: PoolSpec, dtype: np.dtype[Any]) -> Array:
    """Return an array for a result, (N, C, *out), whose channels lie as those of the call."""
    if spec.channels_last:
        return np.moveaxis(np.empty((spec.n, *spec.out_size, spec.c), dtype), -1, 1)
    return np.empty((spec.n, spec.c, *spec.out_size), dtype)


def _parts(spec: PoolSpec, itemsize: int) -> Iterator[Any]:
    for part, at, to in pool_slabs.parts(spec, lambda part: _nbytes(part, itemsize), share()):
        yield replace(part, channels_last=spec.channels_last), at, to


def _nbytes(part: PoolSpec, itemsize: int) -> int:
    """Return the bytes of what is between passes, and of the divisors of a slice of averages."""
    each = itemsize + (8 if part.places else 0)
    between = sum(part.n * part.c * math.prod(one.out_size) * each for one in passes(part)[:-1])
    return between + (16 * math.prod(part.out_size[1:]) if part.kind == "avg" else _FOLLOWED if part.places else 0)


def _follow(places: Array | None, where: Array) -> None:
    """Put the places of the elements found in a pass, which `where` numbers, in place of these numbers."""
    if places is None:  # of the first pass, they are those of the input
        return
    for plane in np.ndindex(where.shape[:2]):
        origins = places[plane].reshape(-1)  # a view, whatever the order of the axes
        for at in pieces(where[plane], most=_PIECE):
            found = where[plane][at]
            found[...] = np.where(found < 0, -1, origins.take(found, mode="clip"))


def _divide(part: PoolSpec, y: Array) -> None:
    """Divide the sums of windows by their counts: once, as one pooling does."""
    count = part.counted if part.count_include_pad else lambda axis, o: len(part.taps(axis, o))
    counts = [np.array([float(count(a, o)) for o in range(size)]) for a, size in enumerate(part.out_size)]
    rest = math.prod(np.ix_(*counts[1:]))
    for o, first in enumerate(counts[0]):
        y[:, :, o] /= np.maximum(1, first * rest) if part.divisor is None else np.full(1, float(part.divisor))
