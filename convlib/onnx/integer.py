"""ConvInteger and QLinearConv: integer sums, exact, and their scaling.

Zero points are subtracted in int16, which holds every difference of 8-bit integers, and convlib sums integers exactly.
`integer_sums` is the one place where a convolution that takes zero points itself goes in.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import SpecError
from . import rules
from .calls import convolve
from .memory import Array

INT32 = np.iinfo(np.int32)


def integer_sums(
    attributes: rules.Attributes, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None, bias: Array | None
) -> Array:
    """Return the int32 sums of ``(x - x_zero) * (w - w_zero)``, plus `bias`; raise SpecError if they do not fit."""
    taps = math.prod(w.shape[1:])
    x, w = _shifted("x", x, x_zero, ()), _shifted("w", w, w_zero, (w.shape[0],))
    y = convolve(attributes, x, w, bias)
    reach = taps * dtypes.magnitude(x) * dtypes.magnitude(w) + (0 if bias is None else dtypes.magnitude(bias))
    if reach > INT32.max and y.size and not INT32.min <= int(y.min()) <= int(y.max()) <= INT32.max:
        raise SpecError(f"sums of {taps} products reach {dtypes.magnitude(y)}, more than int32 holds")
    return y.astype(np.int32)


def requantized(y: Array, scale: Array, zero: Array) -> Array:
    """Return ``y * scale + zero`` in the type of `zero`: rounded half to even, then clipped."""
    limits = np.iinfo(zero.dtype)
    scaled = np.rint(y * _per_channel(scale.astype(np.float64), y.ndim, 1))
    result: Array = np.clip(scaled + float(zero.item()), limits.min, limits.max).astype(zero.dtype)
    return result


def qlinear_conv(
    attributes: rules.Attributes, x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array,
    y_scale: Array, y_zero: Array, bias: Array | None = None,
) -> Array:  # fmt: skip
    """Return QLinearConv: integer sums, scaled by ``x_scale * w_scale / y_scale`` in float32, as that is their type."""
    for name, scale, shapes in (("x", x_scale, ()), ("w", w_scale, (w.shape[0],)), ("y", y_scale, ())):
        _checked(f"{name}_scale", scale, shapes)
    _checked("y_zero_point", y_zero, ())
    sums = integer_sums(attributes, x, w, x_zero, w_zero, bias)
    return requantized(sums, x_scale.reshape(()) * w_scale / y_scale.reshape(()), y_zero)


def _shifted(name: str, a: Array, zero: Array | None, per_channel: tuple[int, ...]) -> Array:
    """Return an array less its zero point."""
    if zero is None or not zero.any():
        return a
    if zero.dtype != a.dtype:
        raise SpecError(f"{name}_zero_point has dtype {zero.dtype}; it must be that of {name}, {a.dtype}")
    _checked(f"{name}_zero_point", zero, per_channel)
    shifted: Array = np.subtract(a, _per_channel(zero, a.ndim, 0), dtype=np.int16)
    return shifted


def _checked(name: str, value: Array, per_channel: tuple[int, ...]) -> None:
    """Refuse a scale or zero point that is neither one number nor one per channel, where that may be."""
    if value.size != 1 and value.shape != per_channel:
        more = f" or have the shape {per_channel}, one per output channel" if per_channel else ""
        raise SpecError(f"{name} has the shape {value.shape}; it must be one number{more}")


def _per_channel(value: Array, ndim: int, axis: int) -> Any:
    """Return one number, or one per channel, as it broadcasts over an array with the channels on `axis`."""
    return value.reshape(()) if value.size == 1 else value.reshape((1,) * axis + (-1,) + (1,) * (ndim - axis - 1))
