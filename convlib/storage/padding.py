"""Parts of an input together with the padding round them, without a padded copy of the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..backends.base.contract import Array
from ..spec import ConvSpec, runs

Piece = tuple[slice, slice]
Slices = tuple[Any, ...]


def _along(spec: ConvSpec, axis: int, start: int, stop: int) -> tuple[Piece, ...]:
    """Cut a part of a padded axis where its elements stop being neighbours: (where in the part, where in the input).

    Of constant padding only what lies inside is left.
    """
    size, lo = spec.in_size[axis], spec.pad_lo[axis]
    if spec.padding_mode == "constant":
        first, last = max(start, lo), min(stop, lo + size)
        return ((slice(first - start, last - start), slice(first - lo, last - lo)),) if first < last else ()
    found = runs(spec.padding_mode, start - lo, stop - lo, size)
    return tuple((slice(run.start + lo - start, run.stop + lo - start), run.source) for run in found)


@lru_cache(maxsize=256)
def _pieces(spec: ConvSpec, ends: tuple[tuple[Any, Any], ...]) -> tuple[tuple[Slices, Slices], ...]:
    """Cut a part of the padded input into pieces of the input: (where in the part, where in the input)."""
    sizes = spec.unpadded().in_size
    boxes = (slice(*end).indices(size) for end, size in zip(ends, sizes, strict=True))
    along = [_along(spec, axis, start, stop) for axis, (start, stop, _) in enumerate(boxes)]
    found = []
    for pieces in product(*along):
        targets, sources = zip(*pieces, strict=True)
        found.append(((..., *targets), (..., *sources)))
    return tuple(found)


def fill(
    part: Array, x: Array, spec: ConvSpec, where: tuple[slice, ...], write: Callable[[Array, Array], None]
) -> None:
    """Write a part of `x` (N, C, *spatial) and its padding to `part`; constant padding stands there already.

    where : the part, in elements of the padded input.
    write : takes a piece of `part` and what stands there.
    """
    x = x[where[:2]]
    for target, source in _pieces(spec, tuple((box.start, box.stop) for box in where[2:])):
        write(part[target], x[source])


def fold(part: Array, x: Array, spec: ConvSpec, where: tuple[slice, ...]) -> None:
    """Add a part of the padded input's gradient to `x` (N, C, *spatial): what `fill` copies, each to its origin."""
    x = x[where[:2]]
    for target, source in _pieces(spec, tuple((box.start, box.stop) for box in where[2:])):
        values, place = part[target], x[source]
        repeated = tuple(a for a, (many, one) in enumerate(zip(values.shape, place.shape, strict=True)) if many > one)
        values = values.sum(axis=repeated, keepdims=True) if repeated else values
        integers = place.dtype if place.dtype.kind == "i" else None  # which floats hold in parts
        np.add(place, values, out=place, dtype=integers, casting="unsafe")
