"""The zero points and the result type that a call on integers asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..errors import SpecError, quote
from ..storage import Quantised
from ._common import element_type


def is_quantised(x_zero_point: Any, w_zero_point: Any, out_dtype: Any, out: Any) -> bool:
    """Return whether a call asks for something else than it gets without these arguments; `out` may be of int32."""
    if x_zero_point is None and w_zero_point is None and out_dtype is None:
        return out is not None and getattr(out, "dtype", None) == dtypes.INT32
    return True


def quantised(
    x_zero_point: Any, w_zero_point: Any, out_dtype: Any, out: Any, channels: int, result: np.dtype[Any],
    **arrays: np.dtype[Any] | None,
) -> Quantised | None:  # fmt: skip
    """Return what a convolution subtracts and returns, or None where that is what it does without being asked.

    Parameters
    ----------
    x_zero_point, w_zero_point, out_dtype, out : object
        As the caller gave them.
    channels : int
        Output channels.
    result : dtype
        What the result is without `out_dtype`.
    **arrays : dtype or None
        Types of x, w and bias.

    Raises
    ------
    SpecError
        If a zero point has a wrong shape or does not fit the type of its array.
    TypeError
        If an argument has a wrong type, or asks of other arrays what only integers have.
    """
    if result != dtypes.INT64:
        _refuse_floats(x_zero_point, w_zero_point, arrays)
    kind = result if out_dtype is None else element_type("out_dtype", out_dtype).newbyteorder("=")
    valid = (dtypes.INT64, dtypes.INT32) if result == dtypes.INT64 else (result,)
    if kind not in valid:
        raise TypeError(
            f"out_dtype={str(kind)!r} is no type that this result can have; valid: {', '.join(map(str, valid))}"
            + ("" if len(valid) > 1 else ", or write y.astype(...)")
        )
    if result != dtypes.INT64:
        return None
    if out_dtype is None and out is not None and getattr(out, "dtype", None) == dtypes.INT32:
        kind = dtypes.INT32
    x, w = (a for a in (arrays["x"], arrays["w"]) if a is not None)
    (x_zero,) = zero_point("x_zero_point", x_zero_point, "x", x, ((), (1,)))
    w_zero = zero_point("w_zero_point", w_zero_point, "w", w, ((), (1,), (channels,)))
    found = Quantised(x_zero, w_zero if any(w_zero) else (0,), kind)
    return found if found.shifted or kind != dtypes.INT64 else None


def _refuse_floats(x_zero_point: Any, w_zero_point: Any, arrays: dict[str, np.dtype[Any] | None]) -> None:
    for name, value in (("x_zero_point", x_zero_point), ("w_zero_point", w_zero_point)):
        if value is not None:
            array, kind = next((a, kind) for a, kind in arrays.items() if kind is not None and kind.kind not in "biu")
            raise TypeError(
                f"{name} needs integers, and {array} has dtype {kind}; subtract it yourself, or give integer arrays"
            )


def zero_point(
    name: str, value: Any, array: str, dtype: np.dtype[Any], shapes: tuple[tuple[int, ...], ...]
) -> tuple[int, ...]:
    """Return a zero point as integers, which has one of the `shapes`; an `array` of type `dtype` may hold it."""
    if value is None:
        return (0,)
    if dtype == dtypes.BOOL:
        raise TypeError(f"{name} needs integers, and {array} has dtype bool; leave it out")
    shape: tuple[int, ...] = ()
    if type(value) is int:
        numbers = [value]
    elif isinstance(value, (list, tuple)) and all(type(number) is int for number in value):
        numbers, shape = list(value), (len(value),)
    elif isinstance(value, (np.ndarray, np.generic)) and not isinstance(value, np.ma.MaskedArray):
        if value.dtype.newbyteorder("=") != dtype.newbyteorder("="):
            raise TypeError(
                f"{name} has dtype {value.dtype}; it must be that of {array}, {dtype}, or a Python integer"
            )
        numbers, shape = value.reshape(-1).tolist(), value.shape
    else:
        raise TypeError(
            f"{name} must be an integer or an array of {dtype}, the type of {array}, not {type(value).__name__} "
            f"({quote(value)})"
        )
    if shape not in shapes:
        each = f", or have the shape {shapes[-1]}, one per output channel" if len(shapes) > 2 else ""
        raise SpecError(f"{name} has the shape {shape}; it must be one number{each}")
    first, last = int(np.iinfo(dtype).min), min(int(np.iinfo(dtype).max), 2**63 - 1)
    outside = [number for number in numbers if not first <= number <= last]
    if outside:
        raise SpecError(f"{name}={quote(outside[0])} must be a value of {array}: {dtype} holds {first} to {last}")
    return tuple(numbers)
