"""Windows, tap by tap: for each tap of the window, one strided slab of the input lies under one slab of the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from ..spec import PoolSpec, WindowSpec
from .base.pieces import add, assign

Slices = tuple[slice, ...]

#: Bytes of scratch for intermediate sums of a pooling gradient.
_SCRATCH = 4 << 20


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


class ColumnSlabs:
    """The im2col and col2im hooks for any number of axes, one NumPy copy per tap."""

    def _im2col(self, spec: WindowSpec, x: Any, cols: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        assign(columns, 0)  # what lies in the padding
        for tap, outputs, inputs in slabs(spec):
            assign(columns[(slice(None), slice(None), tap, *outputs)], x[(slice(None), slice(None), *inputs)])

    def _col2im(self, spec: WindowSpec, cols: Any, x: Any) -> None:
        columns = cols.reshape(spec.n, spec.c, spec.taps_count, *spec.out_size)
        for tap, outputs, inputs in slabs(spec):
            add(x[(slice(None), slice(None), *inputs)], columns[(slice(None), slice(None), tap, *outputs)])


class PoolGradSlabs:
    """The pooling gradient hook for any number of axes.

    The adjoint of summing windows is a sum along one axis after the other, which takes ``sum(kernel)`` NumPy passes
    instead of ``prod(kernel)``.  It only adds, so a NaN stays within the windows that held it.
    """

    def _pool_grad_input(self, spec: PoolSpec, grad_y: Any, x: Any, y: Any, grad_x: Any) -> None:
        assign(grad_x, 0)
        if not grad_x.size or not grad_y.size:
            return
        plane = 8 * 2 * max(math.prod(spec.in_size), spec.out_count)
        fit = max(1, _SCRATCH // plane)
        images, channels = (fit // spec.c, spec.c) if fit >= spec.c else (1, fit)
        for n, c in product(range(0, spec.n, images), range(0, spec.c, channels)):
            part = slice(n, n + images), slice(c, c + channels)
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                if spec.kind == "lp":
                    _norm_grad(spec, grad_y[part], x[part], y[part], grad_x[part])
                else:
                    _spread(spec, grad_y[part], grad_x[part])


def _spread(spec: PoolSpec, grad_y: Any, grad_x: Any) -> None:
    """Add to each input element the gradients of all windows that hold it."""
    if spec.kind == "avg":
        grad_y = grad_y / divisors(spec).astype(grad_y.real.dtype)
    for axis in reversed(range(spec.nd)):
        size = (*spec.out_size[:axis], *spec.in_size[axis:])
        wide = np.zeros((*grad_y.shape[:2], *size), grad_y.dtype) if axis else grad_x
        # The axis in front, so that one index reaches it.
        source, target = np.moveaxis(grad_y, axis + 2, 0), np.moveaxis(wide, axis + 2, 0)
        if spec.adaptive:
            for o in range(spec.out_size[axis]):
                taps = spec.taps(axis, o)
                target[taps.start : taps.stop] += source[o]
        else:
            for tap in spec.live_taps(axis):
                outputs, inputs = slab(spec, axis, tap)
                target[inputs] += source[outputs]
        grad_y = wide


def _norm_grad(spec: PoolSpec, grad_y: Any, x: Any, y: Any, grad_x: Any) -> None:
    """Add each window's ``grad_y * (abs(x) / y) ** (p - 1) * sign(x)``: a quotient stays small, powers do not."""
    scale = float(y.max())
    if np.isfinite(x).all() and _share_a_scale(y, scale, spec.norm):
        # One power of each element, beside the sum over its windows.
        shares = np.where(y > 0, grad_y * (scale / np.where(y > 0, y, 1).astype(float)) ** (spec.norm - 1), 0)
        total = np.zeros(x.shape)
        _spread(spec, shares, total)
        slope = (np.abs(x).astype(float) / scale) ** (spec.norm - 1) * np.sign(x)
        grad_x += np.where((x != 0) & (total != 0), total * slope, 0).astype(grad_x.dtype, copy=False)
        return
    open_ = np.ones(y.shape, bool)  # p = inf: windows whose largest element has not come yet
    for _, outputs, inputs in slabs(spec):
        here, there = (slice(None), slice(None), *outputs), (slice(None), slice(None), *inputs)
        part = x[there]
        if spec.norm == math.inf:
            slope = open_[here] & ((np.abs(part) == y[here]) | ((part != part) & (y[here] != y[here])))
            open_[here] &= ~slope
        else:
            slope = np.where(part == 0, 0, (np.abs(part) / y[here]) ** (spec.norm - 1))
        grad_x[there] += (grad_y[here] * slope * np.sign(part)).astype(grad_x.dtype, copy=False)


def _share_a_scale(y: Any, scale: float, p: float) -> bool:
    """Return whether the powers of all norms, divided by one scale, neither overflow nor vanish."""
    if not (math.isfinite(p) and math.isfinite(scale) and scale > 0):
        return False
    least = float(y.min(where=y > 0, initial=scale))
    return (math.log2(scale) - math.log2(least)) * abs(p - 1) < 900 and not np.isnan(y).any()
