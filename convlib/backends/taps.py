"""The spec as tables for compiled loops, which know three spatial axes."""

from __future__ import annotations

from array import array
from functools import lru_cache
from typing import Any

from .._ext import _loops
from ..spec import ConvSpec, WindowSpec

#: Which array `convolve` adds to: y, x or w.
FORWARD, INPUT, WEIGHT = range(3)


def lift(a: Any, nd: int) -> Any:
    """See (N, C, *spatial) as (N, C, D, H, W)."""
    return a if nd == 3 else a[:, :, None] if nd == 2 else a[:, :, None, None]


@lru_cache(maxsize=1024)
def tap_table(spec: WindowSpec) -> array[int]:
    """List (first output, end of outputs, offset) of each tap, axis by axis, for three axes.

    Output ``o`` meets the tap inside the input for first <= o < end, at position ``o * stride + offset``.
    """
    rows: list[int] = [0, 1, 0] * (3 - spec.nd)
    for axis in range(spec.nd):
        for tap in range(spec.kernel[axis]):
            rows += [*spec.reach(axis, tap), tap * spec.dilation[axis] - spec.pad_lo[axis]]
    return array("q", rows)


def convolve(direction: int, spec: ConvSpec, x: Any, w: Any, y: Any) -> None:
    """Add the sums over all windows to `y`, or their adjoints to `x` or `w`, by compiled loops."""
    if x.size and w.size and y.size:
        nd = spec.nd
        strides = (1, 1, 1, *spec.stride)[-3:]
        _loops.conv(direction, lift(x, nd), lift(w, nd), lift(y, nd), tap_table(spec), spec.groups, *strides)
