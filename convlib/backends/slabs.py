"""Windows, tap by tap: for each tap of the window, one strided slab of the input lies under one slab of the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np

from ..spec import PoolSpec, WindowSpec
from .base.pieces import add, assign

Slices = tuple[slice, ...]


def slab(spec: WindowSpec, axis: int, tap: int) -> tuple[slice, slice]:
    """Return the outputs on `axis` whose tap lies inside the input, and the input elements it lies on."""
    start, stop = spec.reach(axis, tap)
    s = spec.stride[axis]
    first = start * s + tap * spec.dilation[axis] - spec.pad_lo[axis]
    return slice(start, stop), slice(first, first + (stop - start - 1) * s + 1, s) if stop > start else slice(0, 0)


def slabs(spec: WindowSpec) -> Iterator[tuple[int, Slices, Slices]]:
    """Yield (flat tap number, slices of the outputs, slices of the input) over the taps that meet the input."""
    for taps in (product(*map(spec.live_taps, range(spec.nd)))):
        pairs = [slab(spec, axis, tap) for axis, tap in enumerate(taps)]
        if all(outputs.stop > outputs.start for outputs, _ in pairs):
            yield spec.tap_number(taps), tuple(outputs for outputs, _ in pairs), tuple(inputs for _, inputs in pairs)


@lru_cache(maxsize=8)
def divisors(spec: PoolSpec) -> Any:
    """Return what each window's sum is divided by; 1 for empty windows, whose average is 0."""
    axes = range(spec.nd)
    real = [np.array([len(spec.taps(a, o)) for o in range(spec.out_size[a])]) for a in axes]
    wide = [np.array([spec.counted(a, o) for o in range(spec.out_size[a])]) for a in axes]
    inside, counted = (np.array(math.prod(np.ix_(*sizes)) if sizes else 1) for sizes in (real, wide))
    if spec.divisor is not None:
        counted = np.full(inside.shape, spec.divisor)
    elif not spec.count_include_pad:
        counted = inside
    return np.where(inside > 0, counted, 1)


def averages(spec: PoolSpec, sums: Any) -> Any:
    """Return the averages of windows, of whose elements these are the sums.

    Complex numbers part by part: a quotient of two complex numbers would make NaN beside an infinite part.
    """
    by = divisors(spec).astype(sums.real.dtype)
    if sums.dtype.kind != "c":
        return sums / by
    result = np.empty_like(sums)
    for total, average in ((sums.real, result.real), (sums.imag, result.imag)):
        np.divide(total, by, out=average)
    return result


class ColumnSlabs:
    """The im2col and col2im hooks for any number of axes, one NumPy copy per tap."""

    any_columns: ClassVar[bool] = True

    def _im2col(self, spec: WindowSpec, x: Any, cols: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        assign(columns, 0)  # what lies in the padding
        for tap, outputs, inputs in slabs(spec):
            assign(columns[(slice(None), slice(None), tap, *outputs)], x[(slice(None), slice(None), *inputs)])

    def _col2im(self, spec: WindowSpec, cols: Any, x: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        for tap, outputs, inputs in slabs(spec):
            add(x[(slice(None), slice(None), *inputs)], columns[(slice(None), slice(None), tap, *outputs)])
