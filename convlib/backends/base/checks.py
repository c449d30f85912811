"""What is refused because of the arrays themselves: a wrong `out`, sums that leave int64, indices outside a plane."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ... import dtypes
from ...errors import SpecError
from ...spec import PoolSpec, WindowSpec, check_bias
from .contract import Array, Contract


class Types(NamedTuple):
    """Element types of a call."""

    result: np.dtype[Any]
    compute: np.dtype[Any]


def sum_types(x: np.dtype[Any], w: np.dtype[Any], bias: Array | None, channels: int) -> Types:
    """Return the types of a convolution; refuse a bias that does not have one number per output channel."""
    if bias is None:
        return Types(*dtypes.for_sums(x=x, w=w))
    check_bias(bias.shape, channels)
    return Types(*dtypes.for_sums(x=x, w=w, bias=bias.dtype))


def check_finish(y: Array, residual: Array | None, activation: str | None) -> None:
    """Refuse what has no meaning for a result that is no real float, or may overflow integers."""
    kind = y.dtype.kind
    if kind == "c" and activation is not None:
        raise TypeError(f"activation={activation!r} compares numbers, and the result is {y.dtype}, which has no order")
    if kind == "i" and activation not in (None, "relu", "relu6"):
        raise TypeError(f"activation={activation!r} makes fractions of {y.dtype}; valid: 'relu', 'relu6'")
    if kind == "i" and residual is not None:
        largest = dtypes.magnitude(y) + dtypes.magnitude(residual)
        if largest > np.iinfo(y.dtype).max:
            raise SpecError(
                f"integer overflow is possible: result and residual together can reach {largest}, more than {y.dtype} "
                "holds; scale the integers down or convert them to float64"
            )


def check_residual_type(residual: np.dtype[Any], result: np.dtype[Any]) -> None:
    """Refuse a residual whose sum with the result would have another type than the result."""
    try:
        both = np.result_type(residual, result)
    except TypeError:
        both = None
    if both != result:
        raise TypeError(
            f"residual has dtype {residual}, which cannot be added to a result of {result} without changing its type; "
            f"write residual.astype({str(result)!r})"
        )


def padding_value(spec: Any, dtype: np.dtype[Any]) -> float:
    """Return what constant padding holds in an array that computes in `dtype`; refuse what integers cannot hold."""
    return dtypes.whole("pad_value", spec.pad_value, dtype) if dtype.kind in "biu" else float(spec.pad_value)


class Quantised(NamedTuple):
    """What a convolution of integers subtracts from them, and the type of its result.

    Constant padding counts from the zero point of the input: its 0 stands for `x_zero`, which adds nothing.
    """

    x_zero: int
    w_zero: tuple[int, ...]  # one, or one per output channel
    result: np.dtype[Any]

    @property
    def shifted(self) -> str:
        """Which of x and w have zero points other than 0."""
        return "x" * (self.x_zero != 0) + "w" * any(self.w_zero)

    def check(self, terms: int, largest: int) -> None:
        """Refuse sums of `terms` products that may leave the type of the result, if `largest` is what they reach."""
        if largest > np.iinfo(self.result).max:
            raise SpecError(
                f"out_dtype={str(self.result)!r}: sums of {terms} products with these magnitudes can reach {largest}, "
                f"more than {self.result} holds ({np.iinfo(self.result).max}); use out_dtype='int64'"
            )


def bound(
    terms: int, x: Array, w: Array | None = None, bias: Array | None = None, padding: float = 0,
    quantised: Quantised | None = None,
) -> int:  # fmt: skip
    """Return what no partial sum of `terms` integer products exceeds; `padding` stands among the elements of `x`.

    Raises
    ------
    SpecError
        If it could leave int64: results are exact or there is none.
    """
    zeros = ((0,), (0,)) if quantised is None else ((quantised.x_zero,), quantised.w_zero)
    first, second, start = (
        0 if a is None else _magnitude(a, zero) for a, zero in zip((x, w, bias), (*zeros, (0,)), strict=True)
    )
    if x.size == 0 or (w is not None and w.size == 0):
        return start
    found = terms * max(first, abs(int(padding))) * (1 if w is None else second) + start
    if found >= 2**63:
        raise SpecError(
            f"integer overflow is possible: {terms} terms with these magnitudes can reach {found}, more than int64 "
            "holds; scale the integers down or convert them to float64"
        )
    return found


def _magnitude(a: Array, zeros: tuple[int, ...]) -> int:
    check_fits(a)
    return dtypes.magnitude(a, zeros)


def check_fits(a: Array) -> None:
    """Refuse integers without a sign, of any byte order, that int64 does not hold."""
    if a.dtype.kind == "u" and a.dtype.itemsize == 8 and a.size and int(a.max()) >= 2**63:
        raise SpecError(f"the uint64 value {int(a.max())} does not fit int64; scale it down or convert to float64")


def check_indices(spec: PoolSpec, indices: Array) -> None:
    """Refuse indices that are no integers, or not one per pooled element."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, not {indices.dtype}")
    if indices.shape != spec.y_shape:
        raise SpecError(f"indices has the shape {indices.shape}; expected {spec.y_shape}, that of the pooled array")


def check_places(spec: WindowSpec, indices: Array) -> None:
    """Refuse indices outside the plane that they point into."""
    plane = math.prod(spec.in_size)
    if indices.size and not (int(indices.min()) >= -1 and int(indices.max()) < plane):
        raise SpecError(
            f"indices must lie between -1 (empty window) and {plane - 1}, the last position of the plane "
            f"{spec.in_size}; found {int(indices.min())} to {int(indices.max())}"
        )


class Checks(Contract):
    """What is refused of `out`, and may differ with the type of the arrays."""

    def check_out(
        self, out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any], *inputs: Array | None
    ) -> None:
        """Refuse an `out` that cannot take the result, or shares memory with an input."""
        if out is None:
            return
        if not isinstance(out, self.xp.ndarray):
            raise TypeError(f"out must be a {self.xp.__name__} array, not {type(out).__name__}")
        if out.shape != shape:
            raise SpecError(f"out has the shape {out.shape}; the result has {shape}")
        if out.dtype != dtype:
            raise TypeError(f"out has dtype {out.dtype}; the result has {dtype}")
        self._check_memory(out, *inputs)

    def _check_memory(self, out: Array, *inputs: Array | None) -> None:
        if not self._writable(out):
            raise SpecError("out is read-only; give a writable array of the result's shape, or none")
        steps = () if out.flags.c_contiguous else zip(out.strides, out.shape, strict=True)
        if any(stride == 0 and size > 1 for stride, size in steps):
            raise SpecError(f"out has stride 0 on an axis (strides {out.strides}); its elements must not share memory")
        for a in inputs:
            if a is not None and self._shares_memory(out, a):
                raise SpecError("out overlaps an input in memory; give an array of its own, or none")

    def _aligned(self, a: Array) -> bool:
        return bool(a.flags.aligned)

    def _writable(self, a: Array) -> bool:
        return bool(a.flags.writeable)

    def _shares_memory(self, a: Array, b: Array) -> bool:
        if not np.may_share_memory(a, b):
            return False
        try:
            return np.shares_memory(a, b, max_work=10_000)  # type: ignore[arg-type]  # stubs: only -1 and 0
        except np.exceptions.TooHardError:
            return True

    def _check_places(self, spec: WindowSpec, indices: Array) -> None:
        """Do what `check_places` does; for the hooks of those whose `whole_unpool` is set."""
        check_places(spec, indices)
