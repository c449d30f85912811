"""Windows, tap by tap: for each tap of the window, one strided slab of the input lies under one slab of the outputs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from ..spec import WindowSpec

Slices = tuple[slice, ...]


def slabs(spec: WindowSpec) -> Iterator[tuple[int, Slices, Slices]]:
    """Yield (flat tap number, slices of the outputs, slices of the input) over the taps that meet the input."""
    for number, tap in enumerate(product(*map(range, spec.kernel))):
        outputs, inputs = [], []
        for axis, t in enumerate(tap):
            start, stop = spec.reach(axis, t)
            s = spec.stride[axis]
            first = start * s + t * spec.dilation[axis] - spec.pad_lo[axis]
            outputs.append(slice(start, stop))
            inputs.append(slice(first, first + (stop - start - 1) * s + 1, s) if stop > start else slice(0, 0))
        if all(o.stop > o.start for o in outputs):
            yield number, tuple(outputs), tuple(inputs)


class ColumnSlabs:
    """The im2col and col2im hooks for any number of axes, one NumPy copy per tap."""

    def _im2col(self, spec: WindowSpec, x: Any, cols: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        columns[...] = 0  # what lies in the padding
        for tap, outputs, inputs in slabs(spec):
            columns[(slice(None), slice(None), tap, *outputs)] = x[(slice(None), slice(None), *inputs)]

    def _col2im(self, spec: WindowSpec, cols: Any, x: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        for tap, outputs, inputs in slabs(spec):
            x[(slice(None), slice(None), *inputs)] += columns[(slice(None), slice(None), tap, *outputs)]
