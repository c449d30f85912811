"""Large arrays written piece by piece: between two calls of NumPy, Python lets signal handlers run.

Memory that is new to the process costs a second or more for a few GB, and NumPy answers no Ctrl-C meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

#: Elements written by one call: some tens of milliseconds.
MOST = 1 << 22

#: Elements that are copied to be looked at: beside the scratch of a call they do not count.
_COPIED = 1 << 14


def pieces(target: Any, in_order: bool = False, most: int | None = None) -> Iterator[tuple[slice, ...]]:
    """Yield slices that cut an array into pieces of at most `most` elements: as they lie in memory, or by index."""
    most = MOST if most is None else most
    if target.size <= most:
        yield (slice(None),) * target.ndim
        return
    long = [axis for axis, size in enumerate(target.shape) if size > 1]
    axis = long[0] if in_order else max(long, key=lambda a: abs(target.strides[a]))
    size = target.shape[axis]
    step = max(1, most * size // target.size)
    for start in range(0, size, step):
        at = (*(slice(None),) * axis, slice(start, min(start + step, size)))
        for inner in pieces(target[at], in_order, most):
            yield (*inner[:axis], _within(at[-1], inner[axis]), *inner[axis + 1 :])


def _within(outer: slice, inner: slice) -> slice:
    """Return the slice of the whole axis that is `inner` of its part `outer`."""
    if inner.start is None:
        return outer
    return slice(outer.start + inner.start, outer.start + inner.stop)


def assign(target: Any, source: Any) -> None:
    """Write a number, or an array that broadcasts to the shape of `target`, to all of it."""
    if target.size <= MOST:
        target[...] = source
        return
    spread = np.ndim(source) > 0
    if spread and source.shape != target.shape:
        source = np.broadcast_to(source, target.shape)
    for at in pieces(target):
        target[at] = source[at] if spread else source


def finite(a: Any) -> bool:
    """Return whether all numbers are finite, without as many answers at once."""
    # As lines, for what `marks` says; those of arrays with gaps are copies.
    return all(np.isfinite(a[at].ravel("K")).all() for at in pieces(a, most=None if a.flags.forc else _COPIED))


def marks(a: Any) -> Any:
    """Return which numbers are not finite, made of an array without gaps.

    Over others NumPy's ufuncs take buffers, and crash if there is no memory for these.
    """
    found = np.isfinite(np.ascontiguousarray(a))
    return np.logical_not(found, out=found)


def add(target: Any, source: Any) -> None:
    """Add an array of the shape of `target` to it."""
    for at in pieces(target):
        target[at] += source[at]
