"""Which elements of a tile a transform may take: its error is one for all outputs, so the large would ruin the small.

A transform rounds by a few units in the last place of the tile's root mean square.  Where that is much more than the
typical magnitude of the elements, the largest are left out, and the outputs that see them are summed directly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

Array = Any

#: Bits between the root mean square of what a transform takes and the lower eighth of its elements, at most ...
SPREAD = 6

#: ... and its few smallest elements, which may fill a window of their own.
REACH = 16

#: Elements looked at to judge tiles, but from `_FEWEST` to `_MOST` of each; the largest is looked for among all.
_SAMPLE, _FEWEST, _MOST = 1 << 13, 16, 1 << 11

#: Larger and smaller exponents are scaled away, so that no sum or product of a transform leaves the range of floats.
_SAFE = 32

_PIECE = 1 << 13  # elements inspected at once

_OFFSET = 2200  # above the exponents of all floats


class Range(NamedTuple):
    """What a tile holds."""

    limit: float | None  # elements from here on, and what is not finite, are left out; None leaves out none
    shift: int  # power of two to divide by
    sign: int  # 1 or -1 if no element has the other sign, else 0


def judge(values: Array, few: int) -> list[Range]:
    """Judge tiles (T, ...); `few` elements of one, if small, could fill a window."""
    if not values.size:
        return [Range(None, 0, 0)] * len(values)
    axes = tuple(range(1, values.ndim))
    parts = (values.real, values.imag) if values.dtype.kind == "c" else (values,)
    with np.errstate(invalid="ignore"):
        lows = reduce(np.minimum, (part.min(axis=axes, initial=0) for part in parts))  # NaN if there is one
        highs = reduce(np.maximum, (part.max(axis=axes, initial=0) for part in parts))
    sample = values[(slice(None), *(slice(None, None, step) for step in _steps(values.shape)))]
    bounds = _bounds(sample.reshape(len(values), -1), few * sample.size // values.size)
    found = []
    for tile, low, high, bound in zip(values, lows.tolist(), highs.tolist(), bounds, strict=True):
        top = max(high, -low)
        sign = sign_of(low, high) if len(parts) == 1 else 0
        if top == 0 or (math.isfinite(top) and math.frexp(top)[1] <= bound):
            found.append(Range(None, shift_of(top), sign))
        else:
            found.append(_cut(tile, few, sign))
    return found


def shift_of(top: float) -> int:
    """Return the power of two to divide by where the largest magnitude is `top`."""
    e = math.frexp(top)[1]
    return e if abs(e) > _SAFE else 0


def sign_of(low: float, high: float) -> int:
    """Return 1 if no element is negative, -1 if none is positive, 0 if there are both or a NaN."""
    return 1 if low >= 0 else -1 if high <= 0 else 0


def left_out(values: Array, limit: float) -> Array:
    """Return where elements are too large or not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return ~(np.abs(values) < limit)


def clear(tile: Array, limit: float) -> None:
    """Make zeros of the elements that are left out."""
    for piece in _pieces(tile):
        np.copyto(piece, 0, where=left_out(piece, limit))


def scale(a: Array, power: int) -> None:
    """Multiply a contiguous array by a power of two, in place."""
    if power:
        parts = a.view(a.real.dtype)
        np.ldexp(parts, np.int32(power), out=parts)


def scaled(a: Array, powers: Array) -> Array:
    """Return an array multiplied by powers of two."""
    powers = powers.astype(np.int32)
    if a.dtype.kind == "f":
        return np.ldexp(a, powers)
    return np.ldexp(a.real, powers) + 1j * np.ldexp(a.imag, powers)


def _steps(shape: tuple[int, ...]) -> list[int]:
    """Return steps along all axes but the first that leave a sample; odd ones, so that few patterns go unseen."""
    rest, steps = math.prod(shape[1:]) / min(_MOST, max(_FEWEST, _SAMPLE // shape[0])), []
    for size in reversed(shape[1:]):  # the last axis first: neighbours in memory are alike
        step = 1 if rest < 2 else min(int(rest), size // 4) | 1  # four places at least: the first may be padding
        steps.append(step)
        rest /= step
    return steps[::-1]


def _bounds(sample: Array, few: int) -> list[int]:
    """Return, per row, the exponent up to which elements are surely no larger than the rules allow, if all are finite.

    By few calls of NumPy: each finds the caches full of what was transformed before.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.abs(sample)
        exponents = np.where(sizes > 0, np.frexp(sizes)[1], _OFFSET).astype(np.int16)  # zeros last
    exponents.sort(axis=1, kind="stable")  # by digits, without a guess at each comparison
    bounds = []
    for row, count in zip(exponents, np.count_nonzero(sizes, axis=1).tolist(), strict=True):
        eighth = max(0, count // 8 - 1)
        # An element with the exponent e is at least 2**(e - 1).
        bound = min(int(row[eighth]) + SPREAD, int(row[min(few // 4, eighth)]) + REACH) - 1
        bounds.append(bound if count else -_OFFSET)
    return bounds


def _exponents(values: Array) -> Array:
    """Return e with ``2**(e - 1) <= abs(v) < 2**e``; of zeros and of what is not finite ``-_OFFSET``."""
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.abs(values)
        exponents = np.frexp(sizes)[1]
        exponents[~((sizes > 0) & (sizes < np.inf))] = -_OFFSET
    return exponents


def _cut(tile: Array, few: int, sign: int) -> Range:
    """Judge one tile exactly, by the histogram of its exponents."""
    counts, infinite = np.zeros(2 * _OFFSET, np.int64), False
    for piece in _pieces(tile):
        counts += np.bincount((_exponents(piece) + _OFFSET).ravel(), minlength=2 * _OFFSET)
        infinite = infinite or not np.isfinite(piece).all()
    counts[0] = 0
    total = int(counts.sum())
    if not total:
        return Range(1.0 if infinite else None, 0, sign)
    ranks, e = counts.cumsum(), np.nonzero(counts)[0]
    eighth, least = np.searchsorted(ranks, [max(1, total // 8), max(1, min(few // 4, total // 8))])
    bound = min(eighth + SPREAD, least + REACH)
    energy = np.cumsum(counts[e] * 4.0 ** np.clip(e - bound, -500, 500))
    kept = max(0, int(np.searchsorted(energy, float(total), side="right")) - 1)
    top = int(e[kept]) - _OFFSET
    shift = top if abs(top) > _SAFE else 0
    if not infinite and top + _OFFSET == e[-1]:
        return Range(None, shift, sign)
    return Range(float(np.ldexp(1.0, top)) if top < 1024 else math.inf, shift, sign)


def _pieces(tile: Array) -> Iterator[Array]:
    """Yield a tile piece by piece, so that what is computed of it stays small."""
    if tile.size <= _PIECE or tile.ndim == 0:
        yield tile
    elif tile.ndim == 1:
        for start in range(0, tile.size, _PIECE):
            yield tile[start : start + _PIECE]
    elif tile[0].size > _PIECE // 2:
        for part in tile:
            yield from _pieces(part)
    else:
        rows = max(1, _PIECE // max(1, tile[0].size))
        for start in range(0, len(tile), rows):
            yield tile[start : start + rows]
