"""Pooling, its gradients and unpooling on CuPy arrays, by the kernels of ``cupy_pool.cu`` and ``cupy_gradients.cu``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import config, dtypes
from ..spec import PoolSpec
from .cupy_arrays import CupyArrays
from .cupy_device import bits, channels_fastest, element, guarded, launch_of, layout

Array = Any


class CupyPooling(CupyArrays):
    """The hooks of pooling."""

    @guarded
    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        launch = launch_of(
            spec, y.size, x=layout(x), y=layout(y), last=channels_fastest(y),
            **({} if indices is None else {"z": layout(indices)}),
        )  # fmt: skip
        kind = element(x.dtype)
        if spec.kind in ("max", "min"):
            empty = np.array([dtypes.lowest(x.dtype, spec.kind)], x.dtype)
            self._run("pool_extreme", (kind, spec.kind.upper()), launch, x, y, indices, empty)
        elif spec.kind != "lp":
            self._run("pool_sum", (kind, spec.kind.upper()), launch, x, y)
        elif spec.norm == math.inf:
            self._run("pool_extreme", (kind, "LP_INF"), launch, x, y, None, np.zeros(1, x.dtype))
        else:
            self._run("pool_norm", (kind,), launch, x, y, float(spec.norm))

    @guarded
    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array
    ) -> None:
        kind = element(grad_x.dtype)
        if x is None or y is None:
            launch = launch_of(
                spec, grad_x.size, x=layout(grad_x), y=layout(grad_y), last=channels_fastest(grad_x)
            )
            self._run("pool_grad", (kind, spec.kind.upper()), launch, grad_y, grad_x)
            return
        for part in _parts(spec, 8 * spec.out_count if spec.norm == math.inf else 0):
            few, g, a, b = _part_of(spec, part), *(self.xp.ascontiguousarray(v[part]) for v in (grad_y, x, y))
            result = self.xp.empty(a.shape, a.dtype)
            found = None
            if spec.norm == math.inf:
                found = self.xp.empty(b.shape, np.int64)
                launch = launch_of(few, b.size, x=layout(a), z=layout(found))
                self._run("pool_extreme", (kind, "LP_INF"), launch, a, None, found, np.zeros(1, a.dtype))
            launch = launch_of(few, a.size, x=layout(a), y=layout(b), z=layout(b))
            self._run("pool_norm_grad", (kind,), launch, g, a, b, found, result, float(spec.norm))
            grad_x[part] = result

    @guarded
    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        if not y.size or not x.size:
            return
        if add:
            launch = launch_of(spec, x.size, x=layout(x), y=layout(y), z=layout(indices))
            self._run("unpool_add", (element(x.dtype),), launch, x, indices, y)
            return
        plane = math.prod(spec.in_size)
        for part in _parts(spec, 8 * plane):
            few, source, places, target = _part_of(spec, part), x[part], indices[part], y[part]
            winner = self.xp.full((few.n, few.c, plane), -1, np.int64)
            launch = launch_of(
                few, source.size, winner.size, x=layout(source), y=layout(target), z=layout(places)
            )
            self._run("unpool_mark", (), launch, places, winner)
            self._run("unpool_write", (bits(x.dtype),), launch, source, places, winner, target)


def _parts(spec: PoolSpec, plane_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cut the planes into parts whose scratch, `plane_bytes` per plane, fits the bound where one plane does."""
    fit = max(1, config.get_max_workspace() // max(1, plane_bytes))
    images, channels = (fit // spec.c, spec.c) if fit >= spec.c else (1, fit)
    for n in range(0, spec.n, images):
        for c in range(0, spec.c, channels):
            yield slice(n, min(n + images, spec.n)), slice(c, min(c + channels, spec.c))


def _part_of(spec: PoolSpec, part: tuple[slice, slice]) -> PoolSpec:
    images, channels = part
    return replace(spec, n=images.stop - images.start, c=channels.stop - channels.start)
