"""Convolutions of 8-bit integers by the native engine, which takes them as they are: sums are int32, and exact.

Asked only where no sum of numbers of these types can leave int32, so that sums modulo 2**32 are the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import dtypes
from .._ext import _native, _native_int8
from ..spec import ConvSpec, needs_padding, plain_padded
from .base.arrays import channels_first
from .base.checks import Quantised
from .base.contract import Array, Implementation
from .native_calls import Call, conv_problem, filled, settings

#: Nanoseconds of converting to floats and back, which is what else would be done: of a call, of an element of x, of y.
CONVERTING, CONVERTING_X, CONVERTING_Y = 1e5, 0.25, 0.45


class Way(NamedTuple):
    """How a call is served."""

    problem: Any
    plan: Any  # for arrays without gaps
    zero: int  # of x
    padding: int
    copied: int  # bytes of a copy of the weights

    @property
    def scratch(self) -> int:
        """Bytes that a call takes."""
        return int(self.plan.scratch) + self.copied


def way_of(
    spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], quantised: Quantised, algorithm: str | None,
    prepared: bool,
) -> Way | None:  # fmt: skip
    """Return how the engine serves a call, or None where floats, which other implementations take, are better."""
    if algorithm is not None:
        return None
    return _way_of(spec, x_dtype, w_dtype, quantised, prepared, settings(), _native.active_isa())


@lru_cache(maxsize=1024)
def _way_of(
    spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], quantised: Quantised, prepared: bool,
    settled: tuple[bool, int, int], isa: str,
) -> Way | None:  # fmt: skip
    """Return the way under these settings and this instruction set."""
    padding = _padding(spec, x_dtype, quantised)
    if spec.nd > 3 or not filled(spec) or padding is None:
        return None
    _, threads, bound = settled
    problem = conv_problem(plain_padded(spec))
    shifted, wide_y = _zeros(w_dtype, quantised) is not None, quantised.result == dtypes.INT64
    copied = 0 if prepared or (w_dtype == np.int8 and not spec.flip) else int(np.prod(spec.w_shape))
    code = ord(x_dtype.char)
    plan = problem.chosen("conv_int8", code, None, True, not prepared, threads, bound - copied, shifted, wide_y)
    if plan is None or plan.nanoseconds > _as_floats(spec, prepared):
        return None
    return Way(problem, plan, quantised.x_zero, padding, copied)


def prepare(
    spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], quantised: Quantised, prepared: bool
) -> Callable[[Array, Array | None], Array]:
    """See `Backend.prepare_quantised`; `way_of` named a way."""
    way = way_of(spec, dtype, w.dtype, quantised, None, prepared)
    assert way is not None
    weights, zeros = _weights(spec, w), _zeros(w.dtype, quantised, spec.oc)
    if bias is not None:
        bias = np.require(bias, np.int32, ["A", "C"])
    packed = None
    if prepared:
        weights = np.ascontiguousarray(weights)
        wide_y = quantised.result == dtypes.INT64
        packed = _native_int8.PackedInt8(
            way.problem, ord(dtype.char), weights, zeros is not None, wide_y, None, *settings()[1:]
        )

    def run(x: Array, out: Array | None) -> Array:
        fits = out is not None and out.flags.aligned and all(step % out.itemsize == 0 for step in out.strides)
        y = out if fits else np.empty(spec.y_shape, quantised.result)
        threads, bound = settings()[1:]
        _native_int8.conv_int8(
            way.problem, channels_first(x, spec), way.zero, way.padding, weights, zeros, bias, channels_first(y, spec),
            None, threads, bound - way.copied, packed,
        )  # fmt: skip
        if out is None or fits:
            return y
        out[...] = y
        return out

    return run


def said(way: Way) -> Implementation:
    """Return what is said of it."""
    return Implementation(way.plan.name, None, way.plan.nanoseconds * 1e-9, way.scratch)


def _padding(spec: ConvSpec, dtype: np.dtype[Any], quantised: Quantised) -> int | None:
    """Return what pads x, in its own numbers; None where that is no number of its type."""
    if not needs_padding(spec):
        return quantised.x_zero
    value = quantised.x_zero + spec.pad_value
    known = spec.padding_mode == "constant" and float(value).is_integer()
    return int(value) if known and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max else None


def _zeros(dtype: np.dtype[Any], quantised: Quantised, channels: int = 1) -> Array | None:
    """Return the zero points of `_weights`, int32, one for each output channel; None where all are 0."""
    zeros = np.asarray(quantised.w_zero, np.int32) - (0 if dtype == np.int8 else 128)
    return np.ascontiguousarray(np.broadcast_to(zeros, max(channels, zeros.size))) if zeros.any() else None


def _weights(spec: ConvSpec, w: Array) -> Array:
    """Return the weights as int8, those of uint8 less 128, (groups, OC / groups, C / groups, *kernel)."""
    if w.dtype != np.int8:
        w = (w ^ np.uint8(128)).view(np.int8)
    if spec.flip:
        w = np.ascontiguousarray(w[(..., *(slice(None, None, -1),) * spec.nd)])
    return w.reshape(spec.groups, spec.ocg, spec.icg, *spec.kernel)


def _as_floats(spec: ConvSpec, prepared: bool) -> float:
    """Return the nanoseconds that the engine predicts where integers become floats and sums become integers again."""
    element = dtypes.exact_float(spec.icg * int(np.prod(spec.kernel)) * 255**2)
    if element is None:
        return np.inf
    plan = Call(conv_problem(plain_padded(spec)), "conv", element).plan(None, not prepared, True)
    if plan is None:
        return np.inf
    images = spec.n * spec.c * float(np.prod(spec.in_size)), spec.n * spec.oc * float(np.prod(spec.out_size))
    return CONVERTING + CONVERTING_X * images[0] + CONVERTING_Y * images[1] + float(plan.nanoseconds)
