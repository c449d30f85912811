"""Gradients of pooling for any number of axes with NumPy: along one axis after the other, part by part."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import config
from ..spec import PoolSpec
from .base.pieces import assign
from .pool_slabs import parts
from .slabs import averages, slab, slabs

#: Bytes of scratch at most, where single windows leave the choice.
_SCRATCH = 4 << 20

#: Bytes per element, of what a part covers: sums, the quotients and powers of norms.
_EACH = {"sum": 16, "avg": 16, "lp": 48}


def scratch(spec: PoolSpec) -> int:
    """Return the bytes that a gradient takes at most."""
    if min(spec.n, spec.c, *spec.out_size, *spec.in_size) == 0:
        return 0
    return next((_bytes(part) for part, _, _ in parts(spec, _bytes, _bound())), 0)  # the first is the largest


def _bytes(part: PoolSpec) -> int:
    return part.n * part.c * (math.prod(part.in_size) + part.out_count) * _EACH[part.kind]


def _bound() -> int:
    return min(_SCRATCH, config.get_max_workspace())


class PoolGradSlabs:
    """The pooling gradient hook for any number of axes.

    The adjoint of summing windows is a sum along one axis after the other, which takes ``sum(kernel)`` NumPy passes
    instead of ``prod(kernel)``.  It only adds, so a NaN stays within the windows that held it.
    """

    def _pool_grad_input(self, spec: PoolSpec, grad_y: Any, x: Any, y: Any, grad_x: Any) -> None:
        assign(grad_x, 0)
        if not grad_x.size or not grad_y.size:
            return
        for part, at, to in parts(spec, _bytes, _bound()):
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                if spec.kind == "lp":
                    _norm_grad(part, grad_y[to], x[at], y[to], grad_x[at])
                else:
                    _spread(part, grad_y[to], grad_x[at])


def _spread(spec: PoolSpec, grad_y: Any, grad_x: Any) -> None:
    """Add to each input element the gradients of all windows that hold it."""
    if spec.kind == "avg":
        grad_y = averages(spec, grad_y)
    for axis in reversed(range(spec.nd)):
        size = (*spec.out_size[:axis], *spec.in_size[axis:])
        wide = np.zeros((*grad_y.shape[:2], *size), grad_y.dtype) if axis else grad_x  # which other parts share
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
    return bool((np.log2(scale) - np.log2(least)) * abs(p - 1) < 900) and not np.isnan(y).any()
