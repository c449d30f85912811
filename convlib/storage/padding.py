"""Parts of an input together with the padding round them, without a padded copy of the whole."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

from ..backends.base.contract import Array
from ..spec import ConvSpec, origin

Run = tuple[slice, slice]
Slices = tuple[Any, ...]


def _runs(spec: ConvSpec, axis: int, start: int, stop: int) -> tuple[Run, ...]:
    """Cut a part of a padded axis where its elements stop being neighbours: (where in the part, where in the input).

    Of constant padding only what lies inside is left.
    """
    size, lo = spec.in_size[axis], spec.pad_lo[axis]
    if spec.padding_mode == "constant":
        first, last = max(start, lo), min(stop, lo + size)
        return ((slice(first - start, last - start), slice(first - lo, last - lo)),) if first < last else ()
    sources = [origin(spec.padding_mode, p - lo, size) for p in range(start, stop)]
    found, begin = [], 0
    while begin < len(sources):
        step = sources[begin + 1] - sources[begin] if begin + 1 < len(sources) else 1
        end = begin + 1
        while step in (-1, 0, 1) and end < len(sources) and sources[end] - sources[end - 1] == step:
            end += 1
        first, last = sources[begin], sources[end - 1]
        if step == 0:  # one element repeated
            taken = slice(first, first + 1)
        elif last < first:
            taken = slice(first, last - 1 if last else None, -1)
        else:
            taken = slice(first, last + 1)
        found.append((slice(begin, end), taken))
        begin = end
    return tuple(found)


@lru_cache(maxsize=256)
def _pieces(spec: ConvSpec, ends: tuple[tuple[Any, Any], ...]) -> tuple[tuple[Slices, Slices], ...]:
    """Cut a part of the padded input into pieces of the input: (where in the part, where in the input)."""
    sizes = spec.unpadded().in_size
    boxes = (slice(*end).indices(size) for end, size in zip(ends, sizes, strict=True))
    runs = [_runs(spec, axis, start, stop) for axis, (start, stop, _) in enumerate(boxes)]
    found = []
    for pieces in product(*runs):
        targets, sources = zip(*pieces, strict=True)
        found.append(((..., *targets), (..., *sources)))
    return tuple(found)


def fill(part: Array, x: Array, spec: ConvSpec, where: tuple[slice, ...]) -> None:
    """Write a part of `x` (N, C, *spatial) and its padding to `part`; constant padding stands there already.

    where : the part, in elements of the padded input.
    """
    x = x[where[:2]]
    for target, source in _pieces(spec, tuple((box.start, box.stop) for box in where[2:])):
        part[target] = x[source]
