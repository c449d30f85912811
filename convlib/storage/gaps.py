"""Windows that lie far apart: nothing of what is between them is read or copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.lib.stride_tricks import sliding_window_view

from ..backends.base.contract import Array


def seen(a: Array, spec: Any, axes: Sequence[int]) -> Array:
    """See what the windows of a spec hold on some axes of (N, C, *spatial): each as two axes, windows and elements."""
    places = tuple(axis + 2 for axis in axes)
    held = sliding_window_view(a, tuple(spec.extent(axis) for axis in axes), places)
    at: list[Any] = [slice(None)] * held.ndim
    for axis, place, taps in zip(axes, places, range(a.ndim, held.ndim), strict=True):
        at[place] = slice(0, (spec.out_size[axis] - 1) * spec.stride[axis] + 1, spec.stride[axis])
        at[taps] = slice(None, None, spec.dilation[axis])
    order: list[int] = []
    for place in range(a.ndim):
        order += [place, a.ndim + places.index(place)] if place in places else [place]
    return held[tuple(at)].transpose(order)
