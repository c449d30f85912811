"""Calls of convlib from attributes: what several operators share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

import convlib

from .._ext import PURE
from ..functional.kept import PlanCache
from ..spec.sizes import check_array
from ..threads import get_num_threads
from . import rules
from .memory import PLAIN, Array, new

if not PURE:
    from .._ext import _finish

#: The options of a convolution that ONNX has not, as the public functions order them.
REST = ("constant", 0, False, "NCHW", "OIHW")


def by_rank(family: str, nd: int) -> Any:
    """Return a public function of convlib by its name without the rank, such as "conv" or "max_pool"."""
    return getattr(convlib, f"{family}{nd}d")


@lru_cache(maxsize=256)
def _options(
    given: tuple[tuple[str, Any], ...], x_shape: tuple[int, ...], w_shape: tuple[int, ...]
) -> tuple[dict[str, Any], tuple[int, ...] | None]:
    """Return the keywords of a convolution with the attributes `given`, and its size where that is empty."""
    options = rules.conv(dict(given), x_shape, w_shape)
    return options, rules.empty_size(x_shape, w_shape[2:], options)


def convolve(
    attributes: rules.Attributes, x: Array, w: Array, bias: Array | None = None, result: Any = None,
    plans: PlanCache | None = None, **more: Any,
) -> Array:  # fmt: skip
    """Return Conv, or another convolution with the rules of its attributes: of integers, which have a type `result`.

    With `plans` it runs by one of those kept if its weights cannot change.
    """
    given = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in attributes.items())
    options, empty = _options(given, x.shape, w.shape)
    if empty is not None:
        shape = x.shape[0], w.shape[0], *empty
        check_array("the result", shape)
        return np.empty(shape, result or np.result_type(x, w))
    kept = None if plans is None else plans.plan(x.ndim - 2, x, w, bias, (*options.values(), *REST), None)
    if result is None and x.dtype in PLAIN and w.dtype == x.dtype:
        result = x.dtype
    out = None
    if result is not None:
        shape = convlib.conv_output_shape(x.shape, w.shape, **options) if kept is None else kept.spec.y_shape
        out = new(shape, result)
    if kept is not None:
        return kept(x, out)
    y: Array = by_rank("conv", x.ndim - 2)(x, w, bias, **options, **more, out=out)
    return y


def result_shape(
    attributes: rules.Attributes, x_shape: tuple[int, ...], w_shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Return the shape of a Conv's result, or None where it is empty."""
    options = rules.conv(attributes, x_shape, w_shape)
    if rules.empty_size(x_shape, w_shape[2:], options) is not None:
        return None
    found: tuple[int, ...] = convlib.conv_output_shape(x_shape, w_shape, **options)
    return found


def plan(
    attributes: rules.Attributes, x_shape: tuple[int, ...], dtype: Any, w: Array, bias: Array | None, **more: Any
) -> Any:
    """Return a plan of Conv, or None where the result is empty, for which there is none."""
    options = rules.conv(attributes, x_shape, w.shape)
    if rules.empty_size(x_shape, w.shape[2:], options) is not None:
        return None
    return by_rank("plan_conv", len(x_shape) - 2)(x_shape, w, bias, dtype=dtype, **options, **more)


def finished(y: Array, x: Array, residual: Array | None, activation: str | None) -> bool:
    """Write the sum of x and `residual`, if there is one, after an activation to y, by all threads.

    Returns False, and does nothing, if the arrays are not floats of one kind without gaps, or nothing is compiled.
    """
    if PURE:
        return False
    return _finish.finish(y, residual, _finish.ACTIVATIONS[activation], get_num_threads(), x)
