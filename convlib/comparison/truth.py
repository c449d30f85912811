"""The float64 truth of a problem, apart from every backend: a sum over kernel positions of matrix products."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem

Array = NDArray[Any]


def inputs(problem: Problem, dtype: str) -> list[Array]:
    """Return the arrays of a problem, always the same: normal numbers, seeded by the problem's text."""
    rng = np.random.default_rng(list(str(problem).encode()))
    if problem.is_pool:
        shapes: list[tuple[int, ...]] = [problem.x_shape]
    else:
        shapes = [problem.x_shape, problem.w_shape]
        if problem.op == "gradx":
            shapes[0] = problem.conv_spec.y_shape
        elif problem.op == "gradw":
            shapes = [problem.conv_spec.y_shape, problem.x_shape]
        if "bias" in problem.options:
            shapes.append((problem.oc,))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def truth(problem: Problem, arrays: list[Array]) -> tuple[Array, float]:
    """Return the result in float64, and the size that errors are measured by.

    Parameters
    ----------
    problem : Problem
        What to compute.
    arrays : list of ndarray
        As `inputs` makes them.

    Returns
    -------
    y : ndarray of float64
        The result.
    size : float
        The largest sum of absolute products over the windows (for pooling: of absolute values).
    """
    wide = [a.astype(np.float64) for a in arrays]
    value = _evaluate(problem, wide)
    size = float(np.abs(_evaluate(problem, [np.abs(a) for a in wide])).max(initial=1e-300))
    return value, size


def _evaluate(problem: Problem, arrays: list[Array]) -> Array:
    last = "nhwc" in problem.options
    first = [np.moveaxis(a, -1, 1) if last and a.ndim == problem.nd + 2 else a for a in arrays[:1]]
    if problem.is_pool:
        y = _pool(problem, first[0])
    elif problem.op == "conv":
        y = _conv(problem, first[0], arrays[1])
        if len(arrays) == 3:
            y += arrays[2].reshape(-1, *(1,) * problem.nd)
    elif problem.op == "gradx":
        y = _grad_input(problem, first[0], arrays[1])
    else:
        x = np.moveaxis(arrays[1], -1, 1) if last else arrays[1]
        return _grad_weight(problem, first[0], x)
    return np.moveaxis(y, 1, -1) if last else y


def _slabs(problem: Problem, padded: Array) -> list[tuple[tuple[int, ...], Array]]:
    """Return (kernel position, what every window holds there) over a padded input; the slabs are views."""
    out = problem.spec.out_size
    found = []
    for tap in product(*map(range, problem.k)):
        at = tuple(
            slice(t * d, t * d + (o - 1) * s + 1, s)
            for t, d, o, s in zip(tap, problem.d, out, problem.s, strict=True)
        )
        found.append((tap, padded[(slice(None), slice(None), *at)]))
    return found


def _padded(problem: Problem, x: Array, value: float = 0.0) -> Array:
    # A window of ceil_mode may reach behind the padding.
    axes = zip(problem.spec.out_size, problem.s, problem.k, problem.d, strict=True)
    reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in axes]
    high = [max(h, r - i - lo) for h, r, i, lo in zip(problem.hi, reach, problem.i, problem.lo, strict=True)]
    return np.pad(x, ((0, 0), (0, 0), *zip(problem.lo, high, strict=True)), constant_values=value)


def _grouped(problem: Problem, a: Array, channels: int) -> Array:
    return a.reshape(problem.n, problem.g, channels // problem.g, -1)


def _at(w: Array, tap: tuple[int, ...]) -> Array:
    """See the weights of one kernel position."""
    place: Any = (slice(None), slice(None), *tap)
    weights: Array = w[place]
    return weights


def _conv(problem: Problem, x: Array, w: Array) -> Array:
    g, out = problem.g, problem.spec.out_size
    total = np.zeros((problem.n, g, problem.oc // g, int(np.prod(out))))
    for tap, slab in _slabs(problem, _padded(problem, x)):
        weights = _at(w, tap).reshape(1, g, problem.oc // g, problem.ic // g)
        total += weights @ _grouped(problem, slab, problem.ic)
    return total.reshape(problem.n, problem.oc, *out)


def _grad_input(problem: Problem, grad_y: Array, w: Array) -> Array:
    g = problem.g
    wide = _padded(problem, np.zeros((problem.n, problem.ic, *problem.i)))
    grads = _grouped(problem, grad_y, problem.oc)
    for tap, slab in _slabs(problem, wide):
        weights = _at(w, tap).reshape(1, g, problem.oc // g, problem.ic // g)
        slab += (weights.swapaxes(2, 3) @ grads).reshape(slab.shape)
    inside = tuple(slice(lo, lo + i) for lo, i in zip(problem.lo, problem.i, strict=True))
    return wide[(slice(None), slice(None), *inside)]


def _grad_weight(problem: Problem, grad_y: Array, x: Array) -> Array:
    grad_w = np.zeros(problem.w_shape)
    grads = _grouped(problem, grad_y, problem.oc)
    for tap, slab in _slabs(problem, _padded(problem, x)):
        part = (grads @ _grouped(problem, slab, problem.ic).swapaxes(2, 3)).sum(axis=0)
        _at(grad_w, tap)[...] = part.reshape(problem.oc, problem.ic // problem.g)
    return grad_w


def _pool(problem: Problem, x: Array) -> Array:
    kind = problem.op.removesuffix("pool")
    empty = {"max": -np.inf, "min": np.inf}.get(kind, 0.0)
    slabs = [slab for _, slab in _slabs(problem, _padded(problem, x, empty))]
    if kind in ("max", "min"):
        combine: Any = np.maximum if kind == "max" else np.minimum
        return np.array(combine.reduce(slabs))
    total = np.sum(slabs, axis=0)
    if kind == "sum":
        return np.array(total)
    # What counts: the input alone, or the input and its padding, but nothing behind.
    ones = np.ones((1, 1, *problem.i))
    if "nopad" not in problem.options:
        pairs = zip(problem.lo, problem.hi, strict=True)
        counted = np.pad(ones, ((0, 0), (0, 0), *pairs), constant_values=1.0)
        whole = _padded(problem, ones)
        inside: Any = tuple(slice(0, size) for size in counted.shape)
        whole[inside] = counted
    else:
        whole = _padded(problem, ones)
    counts = np.sum([slab for _, slab in _slabs(problem, whole)], axis=0)
    return np.array(total / np.maximum(counts, 1))
