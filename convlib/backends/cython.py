"""Typed Cython loops: every operator, every spec with up to three spatial axes, every dtype.

No packing, and hardly any scratch memory; strided arrays are read where they lie.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import dtypes
from .._ext import _loops
from ..spec import ConvSpec, PoolSpec, WindowSpec
from . import pool_grads, pool_slabs
from .base import OPERATIONS, Backend
from .base.pieces import assign
from .slabs import ColumnSlabs
from .taps import FORWARD, INPUT, convolve, lift, lifted, padded_weights, tap_table

Array = NDArray[Any]

KINDS = ("max", "min", "sum", "avg")


def convolve_weights(spec: ConvSpec, x: Any, w: Any, y: Any) -> None:
    """Fill `w` with the gradient of the weights, by compiled loops."""
    if x.size and w.size and y.size:
        sums = np.empty(lifted(spec, spec.kernel), np.complex128)
        arrays = lift(x, spec), lift(w, spec), lift(y, spec)
        _loops.grad_weight(*arrays, sums, tap_table(spec), spec.groups, *lifted(spec, spec.stride))
    else:
        w[...] = 0
    padded_weights(spec, y, w)


class CythonBackend(ColumnSlabs, pool_grads.PoolGradSlabs, Backend):
    """Compiled loops over the formula."""

    name = "cython"
    determinism = "the same for any number of threads"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    strided = True

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if spec.nd > 3 and op not in ("im2col", "col2im"):
            return f"has loops for 1 to 3 spatial axes, not {spec.nd}"
        return super().supports(op, spec, dtype)

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        if not isinstance(spec, PoolSpec):
            return 0
        if op == "pool_grad_input":
            return pool_grads.scratch(spec)
        return pool_slabs.scratch(spec) if (op, spec.kind) == ("pool", "lp") else 0

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if bias is None:
            assign(y, 0)
        else:
            assign(y, bias.reshape(-1, *(1,) * spec.nd))
        convolve(FORWARD, spec, x, w, y)

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        assign(grad_x, 0)
        convolve(INPUT, spec, grad_x, w, grad_y)

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        convolve_weights(spec, x, grad_w, grad_y)

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        if not y.size:
            return
        if spec.kind == "lp":  # a power of each element, once, and not of each window's elements
            pool_slabs.pool(spec, x, y, indices)
            return
        if y.dtype.kind == "c":
            for part in ("real", "imag"):
                self._pool(spec, getattr(x, part), getattr(y, part), None, algorithm)
            return
        geometry, x, y = _geometry(spec), lift(x, spec), lift(y, spec)
        places = _NO_INDICES if indices is None else lift(indices, spec)
        start = dtypes.lowest(y.dtype, spec.kind) if spec.kind in ("max", "min") else 0
        if y.dtype == dtypes.BOOL:
            x, y, start = x.view(np.uint8), y.view(np.uint8), int(start)
        _loops.pool(
            KINDS.index(spec.kind), x, y, places, indices is not None, geometry, start,
            spec.count_include_pad, spec.divisor or 0,
        )  # fmt: skip

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        if not x.size or not y.size:
            return
        if y.dtype.kind == "c":
            for part in ("real", "imag"):
                self._unpool(spec, getattr(x, part), indices, getattr(y, part), add)
            return
        if x.dtype == dtypes.BOOL:
            x, y = x.view(np.uint8), y.view(np.uint8)
        _loops.scatter(lift(x, spec), lift(indices, spec), lift(y, spec), add)


_NO_INDICES = np.zeros((1, 1, 1, 1, 1), np.int64)


@lru_cache(maxsize=1024)
def _geometry(spec: PoolSpec) -> Array:
    """Tabulate size, kernel, stride, dilation, padding, output size and adaptivity of three axes."""
    columns = (
        lifted(spec, spec.in_size), lifted(spec, spec.kernel), lifted(spec, spec.stride), lifted(spec, spec.dilation),
        lifted(spec, spec.pad_lo, 0), lifted(spec, spec.pad_hi, 0), lifted(spec, spec.out_size),
        lifted(spec, (int(spec.adaptive),) * spec.nd, 0),
    )  # fmt: skip
    table = np.array([*zip(*columns, strict=True)], np.int64)
    table.flags.writeable = False
    return table
