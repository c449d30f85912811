"""The short ways of plain calls through the native engine, which settle all that does not depend on the arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .. import dtypes
from .._ext import _native_conv, _native_pool
from ..spec import ConvSpec, PoolSpec, needs_padding, zero_padded
from . import native_apart
from .native_calls import conv_problem, filled, plain, pool_problem, settings, strided_weights
from .native_folding import padded_gradient
from .native_padding import norms, padded

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
    shapes = [shape if spec.batched else (1, *shape) for shape in (spec.x_shape, inner.x_shape, spec.y_shape)]

    def runner(inner: ConvSpec, x_shape: tuple[int, ...]) -> Run:
        strided = strided_weights(inner) and not spec.flip
        return _native_conv.Runner(
            conv_problem(inner), None, algorithm, settings()[0], x_shape, shapes[2], x_dtype, strided
        )  # fmt: skip

    run = padded(spec, shapes, x_dtype, algorithm, runner) if needs_padding(spec) else runner(spec, shapes[0])
    if run is None:
        return None
    if spec.flip:
        run = _flipped(run, spec.nd)
    return run if spec.batched else _unbatched(run)


def quick_pool(spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Run | None:
    """See `Backend.quick_pool`."""
    if spec.kind == "sum" and dtype.kind != "f":
        return None  # whether integers fit depends on the numbers
    if not filled(spec) or dtypes.for_pool(spec.kind, dtype) != (dtype, dtype):
        return None
    inner = zero_padded(spec)
    if native_apart.pays(inner, dtype.itemsize):
        return None
    shapes = [shape if spec.batched else (1, *shape) for shape in (spec.x_shape, inner.x_shape, spec.y_shape)]

    def runner(inner: PoolSpec, x_shape: tuple[int, ...]) -> Run:
        pool = _native_pool.PoolRunner(pool_problem(inner), algorithm, x_shape, shapes[2], dtype)
        return lambda x, threads, max_workspace, w, bias, out=None: pool(x, threads, spec.places, max_workspace, out)

    if not needs_padding(spec):
        if spec.kind != "lp":
            plain = _native_pool.PoolRunner(pool_problem(spec), algorithm, shapes[0], shapes[2], dtype)
            return plain if spec.batched else _unbatched(plain)
        found = norms(spec, shapes[2], dtype, algorithm)
    else:
        found = padded(spec, shapes, dtype, algorithm, runner)
    if found is None:
        return None
    whole = found if spec.batched else _unbatched(found)
    return lambda x, threads, indices, max_workspace, out=None: whole(x, threads, max_workspace, None, None, out=out)


def quick_gradient(
    backend: Any, op: str, spec: Any, dtype: np.dtype[Any], algorithm: str | None
) -> Run | None:
    """See `Backend.quick_gradient`: the hooks of the backend, on a new result or `out`."""
    if not filled(spec) or spec.channels_last:
        return None
    if isinstance(spec, ConvSpec) and (spec.flip or spec.w_memory):
        return None
    shape = spec.w_shape if op == "conv_grad_weight" else spec.x_shape
    batched, images = spec.batched, (True, op == "conv_grad_weight", op != "conv_grad_weight")
    spec = replace(spec, batched=True)
    inner, fill = zero_padded(spec) if isinstance(spec, ConvSpec) else spec, partial(_gradient, backend, op, algorithm)
    if needs_padding(spec):
        found = padded_gradient(backend, op, spec, dtype, algorithm, fill)
        if found is None:
            return None
        run = found
    else:

        def run(grad_y: Any, other: Any, result: Any) -> bool:
            fill(inner, grad_y, other, result)
            return True

    def call(grad_y: Any, other: Any, out: Any) -> Any:
        if out is not None:
            backend.check_out(out, shape, dtype, grad_y, other)
        if not all(a is None or (a.flags.c_contiguous and a.flags.aligned) for a in (grad_y, other, out)):
            return None
        result = np.empty(shape, dtype) if out is None else out
        arrays = grad_y, other, result
        if not batched:
            arrays = tuple(a[None] if image else a for a, image in zip(arrays, images, strict=True))
        return result if run(*arrays) else None

    return call


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


def _gradient(
    backend: Any, op: str, algorithm: str | None, spec: Any, grad_y: Any, other: Any, result: Any
) -> None:
    if op == "conv_grad_input":
        backend._conv_grad_input(spec, grad_y, other, result, algorithm)
    elif op == "conv_grad_weight":
        backend._conv_grad_weight(spec, other, grad_y, result, algorithm)
    else:
        backend._pool_grad_input(spec, grad_y, None, None, result, algorithm)
