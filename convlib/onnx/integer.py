"""ConvInteger and QLinearConv: exact sums of integers less their zero points, and their scaling."""

from __future__ import annotations

import math

import numpy as np

import convlib

from .. import dtypes
from ..errors import SpecError
from . import rules
from .calls import convolve
from .memory import Array

INT32 = np.iinfo(np.int32)
#: What a difference of 8-bit integers is at most.
WIDEST = 255


def integer_sums(
    attributes: rules.Attributes, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None, bias: Array | None
) -> Array:
    """Return the int32 sums of ``(x - x_zero) * (w - w_zero)``, plus `bias`; raise SpecError if they do not fit."""
    taps = math.prod(w.shape[1:])
    reach = taps * WIDEST**2 + (0 if bias is None else dtypes.magnitude(bias))
    kind = np.dtype(np.int32 if reach <= INT32.max else np.int64)
    y = convolve(attributes, x, w, bias, kind, x_zero_point=x_zero, w_zero_point=w_zero)
    if reach > INT32.max and y.size and not INT32.min <= int(y.min()) <= int(y.max()) <= INT32.max:
        raise SpecError(f"sums of {taps} products reach {dtypes.magnitude(y)}, more than int32 holds")
    return y.astype(np.int32, copy=False)


def qlinear_conv(
    attributes: rules.Attributes, x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array,
    y_scale: Array, y_zero: Array, bias: Array | None = None,
) -> Array:  # fmt: skip
    """Return QLinearConv: integer sums, scaled by ``x_scale * w_scale / y_scale`` in float32, as that is their type."""
    single = {"x_scale": x_scale, "y_scale": y_scale, "y_zero_point": y_zero}
    for name, value in {**single, "w_scale": w_scale}.items():
        if value.size != 1 and (name in single or value.shape != (w.shape[0],)):
            more = "" if name in single else f" or have the shape ({w.shape[0]},), one per output channel"
            raise SpecError(f"{name} has the shape {value.shape}; it must be one number{more}")
    sums = integer_sums(attributes, x, w, x_zero, w_zero, bias)
    with np.errstate(all="ignore"):  # a scale that is not finite is refused below
        scale = x_scale.reshape(()) * w_scale / y_scale.reshape(())
    y: Array = convlib.requantize(sums, scale, y_zero.reshape(()))
    return y
