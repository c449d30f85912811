"""Parts of an input together with the padding round them, without a padded copy of the whole."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..backends.base.contract import Array
from ..spec import ConvSpec

Run = tuple[slice, slice]


@lru_cache(maxsize=256)
def _sources(size: int, lo: int, hi: int, mode: str) -> np.ndarray[Any, Any]:
    """Return where each element of a padded axis comes from."""
    found: np.ndarray[Any, Any] = np.pad(np.arange(size), (lo, hi), mode=mode)  # type: ignore[call-overload]
    return found


@lru_cache(maxsize=1024)
def _runs(spec: ConvSpec, axis: int, start: int, stop: int) -> tuple[Run, ...]:
    """Cut a part of a padded axis where its elements stop being neighbours: (where in the part, where in the input).

    Of constant padding only what lies inside is left.
    """
    size, lo = spec.in_size[axis], spec.pad_lo[axis]
    if spec.padding_mode == "constant":
        first, last = max(start, lo), min(stop, lo + size)
        return ((slice(first - start, last - start), slice(first - lo, last - lo)),) if first < last else ()
    sources = _sources(size, lo, spec.pad_hi[axis], spec.padding_mode)[start:stop]
    found, begin = [], 0
    while begin < len(sources):
        step = int(sources[begin + 1] - sources[begin]) if begin + 1 < len(sources) else 1
        end = begin + 1
        while step in (-1, 0, 1) and end < len(sources) and sources[end] - sources[end - 1] == step:
            end += 1
        first, last = int(sources[begin]), int(sources[end - 1])
        if step == 0:  # one element repeated
            taken = slice(first, first + 1)
        elif last < first:
            taken = slice(first, last - 1 if last else None, -1)
        else:
            taken = slice(first, last + 1)
        found.append((slice(begin, end), taken))
        begin = end
    return tuple(found)


def fill(part: Array, x: Array, spec: ConvSpec, where: tuple[slice, ...]) -> None:
    """Write a part of `x` (N, C, *spatial) and its padding to `part`; constant padding stands there already.

    where : the part, in elements of the padded input.
    """
    x = x[where[:2]]
    ends = (box.indices(size) for box, size in zip(where[2:], spec.unpadded().in_size, strict=True))
    runs = (_runs(spec, axis, start, stop) for axis, (start, stop, _) in enumerate(ends))
    for pieces in product(*runs):
        targets, sources = zip(*pieces, strict=True)
        part[(..., *targets)] = x[(..., *sources)]
