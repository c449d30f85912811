"""Which element type a result has, and in which one it is computed.

The rules, for every backend: floats compute in their own type, but float16 and bfloat16 in float32; integers and
booleans are exact: they compute and return int64, keep their type in max and min pooling, and average to float64.
Mixed types follow `numpy.result_type`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SpecError

DType = np.dtype[Any]

BOOL, INT32, INT64, FLOAT16, FLOAT32, FLOAT64 = (
    np.dtype(t) for t in ("bool", "int32", "int64", "float16", "float32", "float64")
)
_KINDS = {"b": "bool", "i": "signed integers", "u": "unsigned integers", "f": "floats", "c": "complex numbers"}
_LONG = (np.dtype(np.longdouble), np.dtype(np.clongdouble))


def as_array(name: str, value: Any) -> NDArray[Any]:
    """Return `value`, which the caller calls `name`, as an array of NumPy."""
    try:
        return np.asarray(value)
    except (MemoryError, TypeError):
        raise
    except Exception as error:  # an object may fail in any way while it is turned into an array
        raise SpecError(f"{name} is no array: {error}") from None


def is_bfloat16(dtype: DType) -> bool:
    """Return whether a type is the bfloat16 of the package ml_dtypes, which NumPy itself has not."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def is_number(dtype: DType) -> bool:
    """Return whether elements of a type are numbers."""
    return dtype.kind in _KINDS or is_bfloat16(dtype)


def _compute(dtype: DType) -> DType:
    """Return what results of a type are computed in."""
    return FLOAT32 if dtype == FLOAT16 or is_bfloat16(dtype) else dtype


def real_type(dtype: DType) -> DType:
    """Return the type of the parts of complex numbers."""
    return np.empty(0, dtype).real.dtype


def check(name: str, dtype: DType) -> None:
    """Raise TypeError if elements of `dtype` are not numbers that convlib computes with."""
    if not is_number(dtype) or (dtype in _LONG and dtype.itemsize > (8 if dtype.kind == "f" else 16)):
        raise TypeError(
            f"{name} has dtype {dtype}; valid: float16, bfloat16 (of ml_dtypes), float32, float64, complex64, "
            "complex128, integers and bool"
        )


@lru_cache(maxsize=256)
def for_sums(**arrays: DType) -> tuple[DType, DType]:
    """Return (result type, compute type) of a convolution or a sum over arrays, given as ``name=dtype``."""
    for name, dtype in arrays.items():
        check(name, dtype)
    # Not by result_type alone: int64 and uint64 have no common integer type and would promote to float64.
    if all(dtype.kind in "biu" for dtype in arrays.values()):
        return INT64, INT64
    result = _common(arrays)
    return result, _compute(result)


def _common(arrays: dict[str, DType]) -> DType:
    try:
        return np.result_type(*arrays.values()).newbyteorder("=")
    except TypeError:  # NumPy joins bfloat16 with wider floats and with integers of 8 bits only
        if all(dtype == FLOAT16 or is_bfloat16(dtype) for dtype in arrays.values()):
            return FLOAT32  # which holds both
        said = ", ".join(f"{name}: {dtype}" for name, dtype in arrays.items())
        raise TypeError(f"these types have no common one ({said}); convert the integers to float32") from None


@lru_cache(maxsize=256)
def for_pool(kind: str, dtype: DType) -> tuple[DType, DType]:
    """Return (result type, compute type) of a pooling of `kind` over elements of `dtype`."""
    check("x", dtype)
    native = dtype.newbyteorder("=")
    if kind in ("max", "min"):
        if dtype.kind == "c":
            raise TypeError(f"x has dtype {dtype}, and complex numbers have no order; pool the absolute value instead")
        return native, _compute(native)
    if kind == "sum":
        return for_sums(x=native)
    if dtype.kind in "biu":
        return FLOAT64, FLOAT64
    if kind == "lp" and dtype.kind == "c":
        raise TypeError(f"x has dtype {dtype}; lp pooling needs real numbers: pool the absolute value instead")
    return for_sums(x=native)


def whole(name: str, value: float, dtype: DType) -> int:
    """Return a number that stands among integers of `dtype` as one of them, or refuse it."""
    if not float(value).is_integer():
        raise TypeError(f"{name}={value} is not an integer, but the arrays are; use an integer or float arrays")
    first, last = (0, 1) if dtype == BOOL else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if not first <= value <= last:
        first, last = max(first, -(2**53)), min(last, 2**53)  # of larger integers only some are doubles
        raise SpecError(f"{name}={value} does not fit {dtype}; use {first} to {last}, or arrays of another type")
    return int(value)


def lowest(dtype: DType, kind: str) -> float | int:
    """Return the value of an empty window: minus infinity or the type's minimum for "max", the opposite for "min"."""
    if dtype.kind == "f":
        return -np.inf if kind == "max" else np.inf
    if dtype == BOOL:
        return kind == "min"
    info = np.iinfo(dtype)
    return int(info.min if kind == "max" else info.max)


def magnitude(a: Any, zeros: tuple[int, ...] = (0,)) -> int:
    """Return the largest distance of an integer array from zero, exactly; 0 if it is empty.

    `zeros` holds what counts as zero: one number, or one per entry of the first axis.
    """
    if not a.size:
        return 0
    if len(zeros) == 1:
        return max(abs(int(a.min()) - zeros[0]), abs(int(a.max()) - zeros[0]))
    rest = tuple(range(1, a.ndim))
    ends = (a.min(axis=rest).tolist(), a.max(axis=rest).tolist())
    return max(abs(int(number) - zero) for end in ends for number, zero in zip(end, zeros, strict=True))


def exact_float(largest: int) -> DType | None:
    """Return the narrowest float that holds all integers up to the largest partial sum, or None."""
    return FLOAT32 if largest < 2**24 else FLOAT64 if largest < 2**53 else None


def error_bound(terms: int, dtype: DType) -> float:
    """Return the relative error of a sum of `terms` products: a share of the largest sum of absolute products."""
    return (terms + 16) * float(np.finfo(dtype).eps)
