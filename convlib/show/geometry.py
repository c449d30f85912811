"""What meets what: the elements that each step of an operator reads and writes, asked of the spec.

A convolution and its transpose share one geometry.  Its *narrow* side has one element per window: the result of a
convolution, the input of a transposed one.  Its *wide* side is what the windows slide over, padding included.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from ..errors import SpecError, quote
from ..spec import ConvSpec, WindowSpec, origin
from ..spec.arguments import Ints

#: Of a larger grid, or of more channels, nobody sees anything.
MOST, MOST_CHANNELS = 40, 8


class Tap(NamedTuple):
    """One element of a window.

    `place` counts from the first element of the wide side, so that it is negative in the low padding; `element` is what
    stands there, which padding repeats from elsewhere, and None where it is a constant.
    """

    weight: Ints
    place: Ints
    element: Ints | None


def _mode(spec: WindowSpec) -> str:
    return spec.padding_mode if isinstance(spec, ConvSpec) else "constant"


def _stands(spec: WindowSpec, axis: int, place: int) -> int | None:
    """Return which element stands at a place of one axis, or None for a constant."""
    size = spec.in_size[axis]
    if 0 <= place < size:
        return place
    return None if _mode(spec) == "constant" else origin(_mode(spec), place, size)


def _element(parts: Sequence[int | None]) -> Ints | None:
    found = tuple(part for part in parts if part is not None)
    return found if len(found) == len(parts) else None


def taps(spec: WindowSpec, step: Sequence[int]) -> list[Tap]:
    """Return the elements of one window in the order of the input, those in the padding included."""
    flip = isinstance(spec, ConvSpec) and spec.flip
    wide, axes = spec.unpadded(), []
    for axis, window in enumerate(step):
        last = spec.kernel[axis] - 1
        places = ((tap, position - spec.pad_lo[axis]) for tap, position in wide.window(axis, window))
        axes.append([(last - tap if flip else tap, place, _stands(spec, axis, place)) for tap, place in places])
    return [
        Tap(tuple(part[0] for part in parts), tuple(part[1] for part in parts), _element([part[2] for part in parts]))
        for parts in product(*axes)
    ]


def steps(spec: WindowSpec) -> list[Ints]:
    """Return the windows in order."""
    return list(product(*map(range, spec.out_size)))


def wide_size(spec: WindowSpec) -> Ints:
    """Return the size of what windows slide over, padding included."""
    return spec.unpadded().in_size


def standing(spec: WindowSpec, row: int, column: int) -> Ints | None:
    """Return the element that stands at a place of the padded grid, counted from its corner; None for a constant."""
    corner = zip((row, column), spec.pad_lo, strict=True)
    return _element([_stands(spec, axis, place - lo) for axis, (place, lo) in enumerate(corner)])


class Given(NamedTuple):
    """An array that may be there or not: pictures of shapes have no numbers."""

    shape: Ints
    values: Any  # an array of `shape`, or None


def given(name: str, value: Any, axes: tuple[int, ...]) -> Given:
    """Take an array or, as a tuple of integers, its shape, with one of some numbers of axes."""
    if isinstance(value, tuple) and all(isinstance(size, (int, np.integer)) for size in value):
        found = Given(tuple(map(int, value)), None)
    else:
        values = dtypes.as_array(name, value)
        if values.dtype.kind not in "biufc":
            raise TypeError(f"{name} must hold numbers, or be a shape such as (4, 4), not {quote(value)}")
        if values.dtype.kind in "biu":  # sums of integers are exact here as everywhere
            values = values.astype(np.int64)
        found = Given(values.shape, values)
    if len(found.shape) not in axes:
        expected = " or ".join(map(str, axes))
        raise SpecError(f"{name} has {len(found.shape)} axes {quote(found.shape)}; a picture needs {expected}")
    return found


def check_seen(spec: WindowSpec, *channels: int) -> None:
    """Raise SpecError if there is nothing or too much to see."""
    if min(channels) < 1:
        raise SpecError("there is nothing to see: no channels; use at least 1")
    size = (*wide_size(spec), *spec.out_size)
    if max(size) > MOST or max(channels) > MOST_CHANNELS:
        raise SpecError(
            f"there is too much to see: up to {max(size)} elements in a row and {max(channels)} channels; use at most "
            f"{MOST} and {MOST_CHANNELS}, padding included"
        )
