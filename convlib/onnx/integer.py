"""ConvInteger and QLinearConv: exact sums of integers less their zero points, and their scaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

import convlib

from .. import dtypes
from ..errors import SpecError
from . import rules
from .calls import convolve, plan
from .memory import Array

#: Inputs of a node behind the first, None where one is left out.
Constants: TypeAlias = Sequence[Any]

INT32 = np.iinfo(np.int32)
#: What a difference of 8-bit integers is at most.
WIDEST = 255


def fits(w: Array, bias: Array | None) -> bool:
    """Return whether int32 holds the sums of any 8-bit integers with weights of this shape."""
    start = 0 if bias is None else dtypes.magnitude(bias)
    return bool(math.prod(w.shape[1:]) * WIDEST**2 + start <= INT32.max)


def integer_sums(
    attributes: rules.Attributes, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None, bias: Array | None
) -> Array:
    """Return the int32 sums of ``(x - x_zero) * (w - w_zero)``, plus `bias`; raise SpecError if they do not fit."""
    kind = dtypes.INT32 if fits(w, bias) else dtypes.INT64
    y = convolve(attributes, x, w, bias, kind, x_zero_point=x_zero, w_zero_point=w_zero)
    if kind == dtypes.INT64 and y.size and not INT32.min <= int(y.min()) <= int(y.max()) <= INT32.max:
        count = math.prod(w.shape[1:])
        raise SpecError(f"sums of {count} products reach {dtypes.magnitude(y)}, more than int32 holds")
    return y.astype(np.int32, copy=False)


def scale_of(w: Array, x_scale: Array, w_scale: Array, y_scale: Array, y_zero: Array) -> Array:
    """Return ``x_scale * w_scale / y_scale`` in float32, as that is their type."""
    single = {"x_scale": x_scale, "y_scale": y_scale, "y_zero_point": y_zero}
    for name, value in {**single, "w_scale": w_scale}.items():
        if value.size != 1 and (name in single or value.shape != (w.shape[0],)):
            more = "" if name in single else f" or have the shape ({w.shape[0]},), one per output channel"
            raise SpecError(f"{name} has the shape {value.shape}; it must be one number{more}")
    with np.errstate(all="ignore"):  # requantize refuses what is not finite
        scale: Array = x_scale.reshape(()) * w_scale / y_scale.reshape(())
    return scale


def qlinear_conv(
    attributes: rules.Attributes, x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array,
    y_scale: Array, y_zero: Array, bias: Array | None = None,
) -> Array:  # fmt: skip
    """Return QLinearConv: integer sums, scaled."""
    scale = scale_of(w, x_scale, w_scale, y_scale, y_zero)
    sums = integer_sums(attributes, x, w, x_zero, w_zero, bias)
    y: Array = convlib.requantize(sums, scale, y_zero.reshape(()))
    return y


def planned(node: str, attributes: rules.Attributes, shape: tuple[int, ...], dtype: Any, constants: Constants) -> Any:
    """Return a plan of a node whose inputs but the first are constant, None where there is none; see `calls.plan`."""
    bias: Array | None = None
    if node == "ConvInteger":
        w, x_zero, w_zero = (*constants, None, None)[:3]
    else:
        x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, *rest = constants
        bias, scale = (rest or [None])[0], scale_of(w, x_scale, w_scale, y_scale, y_zero)
    if not fits(w, bias):
        return None
    sums = plan(attributes, shape, dtype, w, bias, x_zero_point=x_zero, w_zero_point=w_zero, out_dtype=np.int32)
    if sums is None or node == "ConvInteger":
        return sums
    return lambda x: convlib.requantize(sums(x), scale, y_zero.reshape(()))
