"""Pooling for any number of axes with NumPy: along one axis after the other, or tap by tap, part by part.

The extreme, the sum or the norm of a window is that of its rows' extremes, sums or norms: ``sum(kernel)`` passes
instead of ``prod(kernel)``.  Nothing is subtracted again, so that a NaN stays within the windows that hold it, and
sums of floats are held in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .. import config, dtypes
from ..spec import PoolSpec
from .slabs import averages, slab, slabs

Array = Any
Slices = tuple[slice, ...]
Need = Callable[[PoolSpec], int]

#: Bytes of scratch at most, where single windows leave the choice.
_SCRATCH = 4 << 20

#: Bytes per element, of what a part covers: a double and its powers, or an index, masks and copies.
_EACH = 40

#: Elements of windows searched, or of an input looked through, at once.
_PIECE = 1 << 15

#: Channels that lie side by side and are not parted for less.
_BESIDE = 16

#: Elements, of up to 8 bytes, of some rows that are copied where they have gaps.
_COPIED = 1 << 15

#: Bits between a window's largest power and the scale that its powers are computed with, at most: a double has 1022
#: below 1, and 53 are needed below the largest.
_BITS = 900

#: Powers of float32 up to this are doubles, whose precision is whole.
_PLAIN = 6

#: Scales tried before windows are scaled one by one.
_SCALES = 8


def pool(spec: PoolSpec, x: Array, y: Array, indices: Array | None) -> None:
    """Fill `y`, and `indices` if there are any; windows must be of one size."""
    for part, at, to in parts(spec, partial(_bytes, indices=indices is not None), _bound(spec)):
        with np.errstate(all="ignore"):
            if indices is not None:
                _places(spec, part, x[at], y[to], indices[to], [s.start or 0 for s in at[2:]])
            else:
                y[to] = _pooled(part, x[at])


def scratch(spec: PoolSpec) -> int:
    """Return the bytes that `pool` allocates at most."""
    ways = (False, True) if spec.kind in ("max", "min") else (False,)
    # Of each way the first part is the largest.  Norms take as much once more, for powers of some rows.
    needs = [partial(_bytes, indices=way) for way in ways]
    sizes = [next((need(part) for part, _, _ in parts(spec, need, _bound(spec))), 0) for need in needs]
    return max(sizes) * (2 if spec.kind == "lp" else 1) + 8 * _COPIED


def parts(spec: PoolSpec, need: Need, most: int) -> Iterator[tuple[PoolSpec, Slices, Slices]]:
    """Cut a pooling into parts that need `most` bytes: yield a spec, and where its input and outputs lie.

    Adaptive windows of a plane, which differ in size, stay together.
    """

    def needed(sizes: tuple[int, ...]) -> int:
        return need(_part(spec, [slice(0, size) for size in sizes])[0])

    whole = sizes = (spec.n, spec.c, *spec.out_size)
    bytes_ = needed(sizes)
    while bytes_ > most:
        axes = [a for a, size in enumerate(sizes) if size > 1 and (a < 2 or not spec.adaptive)]
        halves = [(needed(half), half) for half in ((*sizes[:a], -(-sizes[a] // 2), *sizes[a + 1 :]) for a in axes)]
        if spec.channels_last:  # channels lie side by side, and stay so where other parts hardly overlap
            others = [half for half, a in zip(halves, axes, strict=True) if a != 1]
            if others and (sizes[1] <= _BESIDE or min(others)[0] <= 0.75 * bytes_):
                halves = others
        smaller = min(halves, default=(bytes_, sizes))
        if smaller[0] >= bytes_:
            break
        bytes_, sizes = smaller
    for box in product(*(range(0, size, max(1, step)) for size, step in zip(whole, sizes, strict=True))):
        yield _part(spec, [slice(o, min(o + s, end)) for o, s, end in zip(box, sizes, whole, strict=True)])


def _part(spec: PoolSpec, box: list[slice]) -> tuple[PoolSpec, Slices, Slices]:
    part, ins, _ = spec.under(box[2:])
    n, c = box[0].stop - box[0].start, box[1].stop - box[1].start
    return replace(part, n=n, c=c, channels_last=False, batched=True), (*box[:2], *ins), tuple(box)


def _bound(spec: PoolSpec) -> int:
    """Return the bytes that a part may take; large parts of norms save powers of rows that two parts share."""
    bound = config.get_max_workspace() - 8 * _COPIED
    return bound // 2 if spec.kind == "lp" else min(_SCRATCH, bound)


def _bytes(part: PoolSpec, indices: bool) -> int:
    """Return the scratch of a part: of its outputs, and of what is left once one axis is combined.

    That is the last where indices are wanted, else the first.  Places are numbered along a whole axis of the input,
    gaps between windows included.
    """
    if indices:
        between, numbers = math.prod(part.in_size[:-1]) * part.out_size[-1], 3 * 8 * max(part.in_size)
    else:
        between, numbers = part.out_size[0] * math.prod(part.in_size[1:]), 0
    return part.n * part.c * (part.out_count + between) * _EACH + numbers


# ------------------------------------------------------------------------------- along one axis after the other


class _Power(NamedTuple):
    """What the first pass of a norm does to elements, before they are combined."""

    scale: float = 1.0
    p: float = 1.0

    def __call__(self, x: Array) -> Array:
        sizes = np.abs(x).astype(np.float64)
        if self.scale != 1:
            sizes /= self.scale
        if self.p == 1:
            return sizes
        if self.p == 3:  # what NumPy has no short way for
            return np.multiply(sizes * sizes, sizes, out=sizes)
        return np.power(sizes, self.p, out=sizes)


def _fold(spec: PoolSpec, x: Array, start: Any, dtype: Any, combine: np.ufunc, power: _Power | None = None) -> Array:
    """Combine the elements of each window, axis by axis; `start` is what an empty window gives."""
    for axis in range(spec.nd):
        size = (*spec.out_size[: axis + 1], *spec.in_size[axis + 1 :])
        total = np.full((*x.shape[:2], *size), start, dtype)
        # The axis in front, so that one index reaches it.
        source, target = np.moveaxis(x, axis + 2, 0), np.moveaxis(total, axis + 2, 0)
        gaps = x.shape[-1] > 1 and x.strides[-1] != x.itemsize  # which NumPy's fast loops do not take
        if axis or not (power or (gaps and source[:1].size <= _COPIED)):
            _along(spec, axis, 0, source, target, combine)
        else:
            most = _bound(spec) // _EACH if power else _COPIED
            rows, change = max(1, most // max(1, source[:1].size)), power or np.ascontiguousarray
            for first in range(0, len(source), rows):
                _along(spec, axis, first, change(source[first : first + rows]), target, combine)
        x = total
    return x


def _along(spec: PoolSpec, axis: int, first: int, values: Array, target: Array, combine: np.ufunc) -> None:
    """Combine the elements of an axis from `first` on into the windows that hold them."""
    end, s = first + len(values), spec.stride[axis]
    if spec.out_size[axis] < spec.kernel[axis]:
        for o in range(spec.out_size[axis]):
            taps = spec.taps(axis, o)
            taps = taps[max(0, -((taps.start - first) // taps.step)) : max(0, -((taps.start - end) // taps.step))]
            if taps:
                window = values[taps[0] - first : taps[-1] - first + 1 : taps.step]
                combine(target[o], combine.reduce(window, axis=0, dtype=target.dtype), out=target[o])
        return
    for tap in range(spec.kernel[axis]):
        (start, stop), offset = spec.reach(axis, tap), tap * spec.dilation[axis] - spec.pad_lo[axis]
        start, stop = max(start, -((offset - first) // s)), min(stop, -((offset - end) // s))
        if stop > start:
            place = start * s + offset - first
            part = values[place : place + (stop - start - 1) * s + 1 : s]
            combine(target[start:stop], part, out=target[start:stop])


def _pooled(spec: PoolSpec, x: Array) -> Array:
    if spec.kind in ("max", "min"):
        combine = np.maximum if spec.kind == "max" else np.minimum
        return _fold(spec, x, dtypes.lowest(x.dtype, spec.kind), x.dtype, combine)
    if spec.kind == "lp":
        return _norms(spec, x)
    total = _fold(spec, x, 0, wide(x.dtype), np.add)
    return averages(spec, total) if spec.kind == "avg" else total


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that long sums of elements of `dtype` are held in."""
    return np.result_type(dtype, np.float64) if dtype.kind in "fc" else dtypes.INT64


def _one_scale(x: Array, p: float) -> float | None:
    """Return what all elements may be divided by, so that no power of a quotient overflows or vanishes."""
    if x.dtype == dtypes.FLOAT32 and p <= _PLAIN:
        return 1.0
    least, most = math.inf, 0.0
    rows = max(1, _PIECE // max(1, x[:, :, :1].size))
    for first in range(0, x.shape[2], rows):
        sizes = np.abs(x[:, :, first : first + rows])
        most = max(most, float(sizes.max(where=np.isfinite(sizes), initial=0)))
        least = min(least, float(sizes.min(where=sizes > 0, initial=math.inf)))
    if not most:
        return 1.0
    return most if (np.log2(most) - np.log2(least)) * p < _BITS else None  # those of math clear errno


def _root(total: Array, p: float) -> Array:
    if p == 1:
        return total
    return np.sqrt(total) if p == 2 else np.cbrt(total) if p == 3 else total ** (1 / p)


def _norms(spec: PoolSpec, x: Array) -> Array:
    """Return each window's p-norm; powers of quotients by a scale neither overflow nor vanish."""
    p = spec.norm
    scale = None if p == math.inf else _one_scale(x, p)
    if scale is not None:
        total = _fold(spec, x, 0, np.float64, np.add, _Power(scale, p))
        return _root(total, p) * scale if scale != 1 else _root(total, p)
    tops = _fold(spec, x, 0, np.float64, np.maximum, _Power())
    if p == math.inf:
        return tops
    y, left = tops.copy(), np.isfinite(tops) & (tops > 0)  # NaN and infinity of a window are its norm
    for _ in range(_SCALES):
        if not left.any():
            return y
        scale = float(tops[left].max())
        # The windows whose largest power does not vanish beside this scale.
        now = left & (np.log2(tops / scale) * p >= -_BITS)
        total = _fold(spec, x, 0, np.float64, np.add, _Power(scale, p))
        y[now] = scale * total[now] ** (1 / p)
        left &= ~now
    total, safe = np.zeros(y.shape), np.where(left, tops, 1)
    for _, outputs, inputs in slabs(spec):
        here = (slice(None), slice(None), *outputs)
        total[here] += (np.abs(x[(slice(None), slice(None), *inputs)]) / safe[here]) ** p
    y[left] = (safe * total ** (1 / p))[left]
    return y


# ------------------------------------------------------------------------------- where extremes lie


def _places(
    spec: PoolSpec, part: PoolSpec, x: Array, y: Array, indices: Array, starts: list[int]
) -> None:
    """Keep the best values of windows and their places in the plane: the first of equals, but the last NaN.

    Along the last axis first: the first of the best rows, and in it the first of the best elements, is the first.
    """
    values, places = x, np.zeros((1,) * x.ndim, np.int64)
    for axis in reversed(range(spec.nd)):
        size = (*x.shape[:2], *part.in_size[:axis], *part.out_size[axis:])
        best, where = np.full(size, dtypes.lowest(x.dtype, spec.kind), x.dtype), np.full(size, -1)
        along = (np.arange(part.in_size[axis]) + starts[axis]) * math.prod(spec.in_size[axis + 1 :])
        places = places + along.reshape(-1, *(1,) * (spec.nd - 1 - axis))
        moved = [np.moveaxis(a, axis + 2, 0) for a in (values, places, best, where)]
        if part.out_size[axis] < part.kernel[axis]:
            _search(part, axis, *moved)
        else:
            _compare(part, axis, *moved)
        values, places = best, where
    y[...], indices[...] = values, places
    for axis in range(spec.nd):
        if spec.dilation[axis] <= spec.in_size[axis]:
            continue  # no window is without an element
        for o in range(part.out_size[axis]):
            if not part.taps(axis, o):
                at = (slice(None), slice(None), *(slice(None),) * axis, o)
                y[at], indices[at] = dtypes.lowest(y.dtype, spec.kind), -1


def _search(part: PoolSpec, axis: int, values: Array, places: Array, best: Array, where: Array) -> None:
    """Find the best of each window at once, some windows at a time: NumPy copies them."""
    find = np.argmax if part.kind == "max" else np.argmin
    places = np.broadcast_to(places, values.shape)
    for o in range(part.out_size[axis]):
        taps = part.taps(axis, o)
        if not taps:
            continue
        inside = slice(taps.start, taps.stop, taps.step)
        some = max(1, _PIECE // max(1, len(taps) * math.prod(values.shape[1:-1])))
        for first in range(0, values.shape[-1], some):
            at = (..., slice(first, first + some))
            window, top = values[inside][at], best[o][at]
            winner = find(window, axis=0)[None]
            top[...] = np.take_along_axis(window, winner, axis=0)[0]
            wild = top != top
            if wild.any():
                last = len(taps) - 1 - np.argmax(window[::-1] != window[::-1], axis=0)
                winner = np.where(wild, last, winner)
            where[o][at] = np.take_along_axis(places[inside][at], winner, axis=0)[0]


def _compare(part: PoolSpec, axis: int, values: Array, places: Array, best: Array, where: Array) -> None:
    """Find the best of all windows tap by tap."""
    better_than = np.greater if part.kind == "max" else np.less
    for tap in range(part.kernel[axis]):
        outputs, inputs = slab(part, axis, tap)
        if outputs.stop > outputs.start:
            value = values[inputs]
            better = better_than(value, best[outputs])
            better |= where[outputs] < 0
            better |= value != value
            np.copyto(best[outputs], value, where=better)
            np.copyto(where[outputs], places[inputs], where=better)
