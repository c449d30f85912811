"""Integer sums back to integers of few bits, by a scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import storage
from ..errors import SpecError, quote
from ..spec.arguments import integer
from ._common import Array, ArrayLike, element_type, plain, take
from ._quantised import zero_point as taken_zero_point
from ._words import hinting

#: Types whose limits doubles hold.
TYPES = tuple(np.dtype(name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32"))


@hinting
def requantize(
    x: ArrayLike, scale: ArrayLike, zero_point: ArrayLike = 0, *, dtype: Any = None, axis: int = 1,
    out: Array | None = None,
) -> Array:  # fmt: skip
    """Scale the integer sums of a convolution to integers of few bits: the end of a quantised layer.

    Parameters
    ----------
    x : array_like of integers
        Sums, such as those of `conv2d` with zero points.
    scale : array_like
        What they are multiplied by, ``x_scale * w_scale / y_scale`` of a layer: one number, or one per channel.
    zero_point : int or array_like, default 0
        What is added to the rounded products: one number of the type of the result.
    dtype : dtype, optional
        Type of the result, integers of at most 32 bits; by default that of `zero_point`, or int8 if that has none.
    axis : int, default 1
        The channels of `x`, which a scale per channel belongs to.
    out : ndarray, optional
        Array for the result; it is returned.

    Returns
    -------
    y : ndarray, shape of `x`
        ``clip(round(x * scale) + zero_point)`` to what the type holds.  Ties round to the even neighbour.

    Raises
    ------
    SpecError
        If a shape breaks a rule, `scale` is negative or not finite, or `zero_point` does not fit.
    TypeError
        If an argument has a wrong type.

    Notes
    -----
    The rule is that of ONNX's QLinearConv and QuantizeLinear.  Products are made in double precision, in which sums of
    int32 are exact; those of int64 are rounded to doubles first.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import conv1d, requantize
    >>> x, w = np.array([[[10, 12, 7, 255]]], np.uint8), np.array([[[3, -1]]], np.int8)
    >>> sums = conv1d(x, w, x_zero_point=10, w_zero_point=1, out_dtype=np.int32)
    >>> requantize(sums, 0.25, np.uint8(128))
    array([[[127, 130,   4]]], dtype=uint8)
    """
    kind, (x, scale) = take(x=x, scale=scale)
    if kind != "numpy":
        raise TypeError(f"x or scale is a {kind} array; requantize takes NumPy arrays, map it over the blocks")
    if x.dtype.kind not in "iu":
        raise TypeError(f"x has dtype {x.dtype}; it must be sums of integers, such as int32")
    typed = isinstance(zero_point, (np.ndarray, np.generic))
    result = element_type("dtype", dtype if dtype is not None else zero_point.dtype if typed else np.int8)
    result = result.newbyteorder("=")
    if result not in TYPES:
        raise TypeError(f"dtype={str(result)!r} must be one of {', '.join(map(str, TYPES))}")
    (zero,) = taken_zero_point("zero_point", zero_point, "the result", result, ((), (1,)))
    factor = _factor(x, scale, axis)
    y: Array = storage.requantise(x, factor, zero, result, plain(out))
    return y if out is None else out


def _factor(x: Array, scale: Array, axis: Any) -> Array:
    """Return the scale as doubles that broadcast to `x`."""
    if scale.dtype.kind not in "iuf":
        raise TypeError(f"scale has dtype {scale.dtype}; it must be real numbers")
    if scale.size != 1:
        at = integer("axis", axis)
        if not -x.ndim <= at < x.ndim:
            raise SpecError(f"axis={at} is none of x {x.shape}; valid: {-x.ndim} to {x.ndim - 1}")
        if scale.shape != (x.shape[at],):
            raise SpecError(
                f"scale has the shape {scale.shape}; it must be one number, or have the shape ({x.shape[at]},), one "
                f"per entry of axis {at} of x {x.shape}"
            )
        scale = scale.reshape(-1, *(1,) * (x.ndim - 1 - at % x.ndim))
    factor: Array = scale.reshape(()).astype(np.float64) if scale.size == 1 else scale.astype(np.float64)
    if not (np.isfinite(factor) & (factor >= 0)).all():
        wrong = factor[~(np.isfinite(factor) & (factor >= 0))]
        raise SpecError(f"scale holds {quote(float(wrong.flat[0]))}; it must be finite and not negative")
    return factor
