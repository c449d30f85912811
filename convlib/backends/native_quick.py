"""The short ways of plain calls through the native engine, which settle all that does not depend on the arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from .._ext import _native_conv, _native_pad, _native_pool
from ..spec import ConvSpec, PoolSpec, needs_padding, zero_padded
from ..threads import get_num_threads
from .base.arrays import SMALL_COPY, padding_sources
from .native_calls import conv_problem, filled, plain, pool_problem, settings, strided_weights

Run = Callable[..., Any]

#: Bytes of weights that are turned round on the short way.
_FLIPPED = 1 << 16


def quick_conv(
    spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], algorithm: str | None
) -> Run | None:
    """See `Backend.quick_conv`."""
    inner = zero_padded(spec)
    if x_dtype != w_dtype or x_dtype not in (dtypes.FLOAT32, dtypes.FLOAT64) or not plain(inner):
        return None
    if spec.flip and math.prod(spec.w_shape) * w_dtype.itemsize > _FLIPPED:
        return None
    if needs_padding(spec) and math.prod(inner.x_shape) * x_dtype.itemsize > SMALL_COPY:
        return None
    shapes = [shape if spec.batched else (1, *shape) for shape in (spec.x_shape, inner.x_shape, spec.y_shape)]
    run: Run = _native_conv.Runner(
        conv_problem(inner), None, algorithm, settings()[0], shapes[1], shapes[2], x_dtype,
        strided_weights(inner) and not spec.flip,
    )
    if needs_padding(spec):
        run = _padded(spec, inner, run, shapes[0], shapes[1], x_dtype)
    if spec.flip:
        run = _flipped(run, spec.nd)
    return run if spec.batched else _unbatched(run)


def quick_pool(spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Run | None:
    """See `Backend.quick_pool`."""
    if spec.kind == "lp" or (spec.kind == "sum" and dtype.kind != "f"):
        return None  # norms are more than a sum; whether integers fit depends on the numbers
    if not filled(spec) or dtypes.for_pool(spec.kind, dtype) != (dtype, dtype):
        return None
    inner = zero_padded(spec)
    if needs_padding(spec) and (
        spec.places or dtype.kind != "f" or math.prod(inner.x_shape) * dtype.itemsize > SMALL_COPY
    ):
        return None
    shapes = [shape if spec.batched else (1, *shape) for shape in (spec.x_shape, inner.x_shape, spec.y_shape)]
    run: Run = _native_pool.PoolRunner(pool_problem(inner), algorithm, shapes[1], shapes[2], dtype)
    if needs_padding(spec):
        run = _padded_pool(spec, inner, run, shapes[0], shapes[1], dtype)
    return run if spec.batched else _unbatched(run)


def quick_gradient(
    backend: Any, op: str, spec: Any, dtype: np.dtype[Any], algorithm: str | None
) -> Run | None:
    """See `Backend.quick_gradient`: the hooks of the backend, on a new result."""
    if not filled(spec) or needs_padding(spec) or not spec.batched or spec.channels_last:
        return None
    if isinstance(spec, ConvSpec) and (spec.flip or spec.w_memory):
        return None
    inner = zero_padded(spec) if isinstance(spec, ConvSpec) else spec
    shape = spec.w_shape if op == "conv_grad_weight" else spec.x_shape

    def call(grad_y: Any, other: Any) -> Any:
        if not all(a is None or (a.flags.c_contiguous and a.flags.aligned) for a in (grad_y, other)):
            return None
        result = np.empty(shape, dtype)
        if op == "conv_grad_input":
            backend._conv_grad_input(inner, grad_y, other, result, algorithm)
        elif op == "conv_grad_weight":
            backend._conv_grad_weight(inner, other, grad_y, result, algorithm)
        else:
            backend._pool_grad_input(inner, grad_y, None, None, result, algorithm)
        return result

    return call


def folded(spec: Any, wide: Any, x: Any) -> bool:
    """Write the gradient of a padded input to that of the input by all threads; False if these have gaps."""
    sources = [padding_sources(spec, axis) for axis in range(spec.nd)]
    sizes = spec.in_size, zero_padded(spec).in_size, spec.pad_lo
    return _native_pad.fold(wide, x, *sizes, sources, get_num_threads())


def _unbatched(run: Run) -> Run:
    """Take an image as a batch of one."""

    def call(x: Any, *rest: Any, out: Any = None) -> Any:
        found = run(x[None], *rest) if out is None else run(x[None], *rest, out=out[None])
        if out is not None:
            return None if found is None else out
        return tuple(a[0] for a in found) if isinstance(found, tuple) else None if found is None else found[0]

    return call


def _flipped(run: Run, nd: int) -> Run:
    """Turn the weights round, which are small."""
    turned = (..., *(slice(None, None, -1),) * nd)

    def call(x: Any, threads: int, max_workspace: int, w: Any, bias: Any, out: Any = None) -> Any:
        return run(x, threads, max_workspace, np.ascontiguousarray(w[turned]), bias, out)

    return call


def _padded_pool(
    spec: PoolSpec, inner: PoolSpec, run: Run, x_shape: tuple[int, ...], padded: tuple[int, ...], dtype: np.dtype[Any]
) -> Run:
    """Pool an input, which is small, that is copied together with its padding; its extremes' places are not asked."""

    def pool(x: Any, threads: int, max_workspace: int, w: Any, bias: Any, out: Any = None) -> Any:
        return run(x, threads, False, max_workspace, out)

    whole = _padded(spec, inner, pool, x_shape, padded, dtype)
    return lambda x, threads, indices, max_workspace, out=None: whole(x, threads, max_workspace, out=out)


def _padded(
    spec: Any, inner: Any, run: Run, x_shape: tuple[int, ...], padded: tuple[int, ...], dtype: np.dtype[Any]
) -> Run:
    """Copy the input, which is small, together with its padding."""
    planes, side = (spec.n, spec.c) if spec.channels_last else (spec.n * spec.c, 1)
    sources = [padding_sources(spec, axis) for axis in range(spec.nd)]
    sizes = spec.in_size, inner.in_size, spec.pad_lo
    value = spec.pad_value or 0.0
    found: Run = _native_pad.PaddedRunner(run, x_shape, padded, dtype, planes, side, *sizes, sources, value)
    return found
