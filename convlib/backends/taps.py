"""The spec as tables for compiled loops, which know three spatial axes."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..spec import ConvSpec, WindowSpec
from . import loops
from .base.pieces import finite, marks

Places = tuple[Any, ...]  # indices, one after the other

#: Places that are looked at one by one: a look takes microseconds.
_PLACES = 64

#: Which array `convolve` adds to: y or x.
FORWARD, INPUT = range(2)


def lift(a: Any, spec: WindowSpec) -> Any:
    """See (N, C, *spatial) as (N, C, D, H, W); the axes that do not matter come first, so that rows are long."""
    live = spec.live_axes
    kept = tuple(slice(None) if axis in live else 0 for axis in range(spec.nd))
    return a[(slice(None), slice(None), *(None,) * (3 - len(live)), *kept)]


def lifted(spec: WindowSpec, values: Sequence[int], missing: int = 1) -> tuple[int, ...]:
    """Return one value for each of three axes, in the order of `lift`."""
    live = spec.live_axes
    return (*(missing,) * (3 - len(live)), *(values[axis] for axis in live))


@lru_cache(maxsize=1024)
def tap_table(spec: WindowSpec) -> array[int]:
    """List (first output, end of outputs, offset) of each tap, axis by axis, for three axes.

    Output ``o`` meets the tap inside the input for first <= o < end, at position ``o * stride + offset``.
    """
    live = spec.live_axes
    rows: list[int] = [0, 1, 0] * (3 - len(live))
    for axis in live:
        for tap in range(spec.kernel[axis]):
            rows += [*spec.reach(axis, tap), tap * spec.dilation[axis] - spec.pad_lo[axis]]
    return array("q", rows)


def convolve(direction: int, spec: ConvSpec, x: Any, w: Any, y: Any) -> None:
    """Add the sums over all windows to `y`, or their adjoint to `x`, by loops.

    These skip the zeros of the padding; where these meet a factor that is not finite, they count as well.
    """
    if x.size and w.size and y.size:
        x, weights, sums = lift(x, spec), lift(w, spec), lift(y, spec)
        loops.conv(direction, x, weights, sums, tap_table(spec), spec.groups, *lifted(spec, spec.stride))
    if direction == FORWARD:
        padded_sums(spec, w, y)


def padded_sums(spec: ConvSpec, w: Any, y: Any) -> None:
    """Make NaN of the outputs in which a weight that is not finite meets a zero of the padding.

    For sums that skip the padding.  Of each output channel, the outputs whose windows lie right are a box.
    """
    if not spec.padded or w.dtype.kind not in "fc" or finite(w):
        return
    wild = marks(w).any(axis=1)
    for o in np.nonzero(wild.reshape(len(w), -1).any(axis=1))[0]:
        inside = []
        for axis, taps in enumerate(_extents(wild[o])):
            reaches = [spec.reach(axis, tap) for tap in taps]
            inside.append(slice(max(start for start, _ in reaches), min(stop for _, stop in reaches)))
        _spoil(y[:, o], tuple(inside))


def padded_weights(spec: ConvSpec, grad_y: Any, grad_w: Any) -> None:
    """Make NaN of the weights' gradients in which a gradient that is not finite meets a zero of the padding."""
    if not spec.padded or grad_y.dtype.kind not in "fc" or _all_finite(spec, grad_y, grad_w):
        return
    for o in range(spec.oc):
        wild = marks(grad_y[:, o]).any(axis=0)
        if not wild.any():
            continue
        inside = []
        for axis, outputs in enumerate(_extents(wild)):
            taps = [t for t in range(spec.kernel[axis]) if _covers(spec.reach(axis, t), outputs)]
            inside.append(slice(taps[0], taps[-1] + 1) if taps else slice(0, 0))
        _spoil(grad_w[o], tuple(inside))


def seeing(size: int, kernel: int, out: int, dilation: int, lo: int) -> list[int]:
    """Return outputs of an axis, of stride 1, that between them see inside the input each tap that any output does.

    They are few: the last tap's last output sees many more taps; next comes the last tap that it does not see.
    """
    outputs, tap = [], min(kernel - 1, (lo + size - 1) // dilation)
    while tap >= 0 and tap * dilation > lo - out:
        outputs.append(min(out, size + lo - tap * dilation) - 1)
        tap = -((outputs[-1] - lo) // dilation) - 1
    return outputs


def _extents(marked: Any) -> list[tuple[int, int]]:
    """Return, per axis, the first and the last marked place."""
    places = np.nonzero(marked)
    return [(int(axis.min()), int(axis.max())) for axis in places]


def _all_finite(spec: ConvSpec, grad_y: Any, grad_w: Any) -> bool:
    """Return whether all of a gradient is finite, by as few numbers as tell, and without a copy."""
    places = _telling(spec)
    return finite(grad_y.sum()) if places is None else finite_at(grad_w[:, 0], places)


@lru_cache(maxsize=1024)
def _telling(spec: ConvSpec) -> Places | None:
    """Return taps in whose gradients, of any input channel, each element of `grad_y` counts, or None."""
    taps = [_showing(spec, axis) for axis in range(spec.nd)]
    return places_of(taps) if spec.icg and all(taps) else None


def places_of(axes: Sequence[Sequence[int]]) -> Places:
    """Return indices into (C, *spatial) of all combinations of places along the axes; none if they are many."""
    few = math.prod(map(len, axes)) <= _PLACES
    return tuple((slice(None), *at) for at in product(*axes)) if few else ()


def finite_at(a: Any, places: Places) -> bool:
    """Return whether numbers (C, *spatial) are finite at some places; without places, all of them.

    By slices: where there is no memory for what an index of several places needs, NumPy raises no MemoryError.
    """
    if not places:
        return finite(a)
    seen = np.empty((len(places), len(a)), a.dtype)
    for line, at in zip(seen, places, strict=True):
        line[...] = a[at]
    return bool(np.isfinite(seen).all())


def _showing(spec: ConvSpec, axis: int) -> list[int]:
    """Return taps that lie inside the input in all windows of an axis between them; none if some window has no tap."""
    taps, first = [], 0
    while first < spec.out_size[axis]:
        if not (inside := spec.window(axis, first)):
            return []
        taps.append(inside[0][0])
        first = spec.reach(axis, taps[-1])[1]
    return taps


def _covers(reach: tuple[int, int], outputs: tuple[int, int]) -> bool:
    return reach[0] <= outputs[0] and outputs[1] < reach[1]


def _spoil(a: Any, inside: tuple[slice, ...]) -> None:
    """Make NaN of all of an array but a box of its last axes."""
    outside = np.ones(a.shape[1:], bool)
    outside[inside] = False
    np.copyto(a, a.dtype.type(complex(np.nan, np.nan) if a.dtype.kind == "c" else np.nan), where=outside)
