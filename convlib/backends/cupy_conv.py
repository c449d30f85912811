"""Convolution and its gradients on CuPy arrays: dense products by cuDNN or cuBLAS, or the kernels of our own."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import config
from ..spec import ConvSpec
from .cupy_arrays import CupyArrays
from .cupy_device import THREADS, TILE, bits, channels_fastest, element, guarded, launch_of, layout

Array = Any

#: Threads that the direct gradient of the weights aims at: a few for every core of a large GPU.
_THREADS = 1 << 17

#: Matrix dimensions that cuBLAS takes.
CUBLAS_MOST = 2**31 - 1


class Block(NamedTuple):
    """Some windows of some images."""

    first: int
    images: int
    start: int
    count: int  # type: ignore[assignment]  # the name that the kernels know; no one counts in a block


class CupyConvolution(CupyArrays):
    """The hooks of convolution."""

    @guarded
    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not y.size:
            return
        w = self.xp.ascontiguousarray(w)
        bias = None if bias is None else self.xp.ascontiguousarray(bias)
        if algorithm == "direct" or not spec.reduction:
            launch = launch_of(spec, y.size, w.size, x=layout(x), y=layout(y), last=channels_fastest(y))
            self._run("conv", (element(x.dtype),), launch, x, w, bias, y)
        elif algorithm == "gemm":
            tiles = spec.groups * -(-spec.ocg // TILE) * -(-spec.n * spec.out_count // TILE)
            launch = launch_of(spec, tiles * THREADS, w.size, x=layout(x), y=layout(y))
            self._run("conv_gemm", (element(x.dtype),), launch, x, w, bias, y)
        elif algorithm == "cudnn":
            self._cudnn.run("conv", spec, x, w, y)
            if bias is not None:
                y += bias.reshape(-1, *(1,) * spec.nd)
        elif algorithm == "pointwise" and self._product(spec, w, x, y):
            if bias is not None:
                y += bias.reshape(-1, *(1,) * spec.nd)
        else:
            self._conv_columns(spec, x, w.reshape(spec.groups, spec.ocg, -1), bias, y)

    def _conv_columns(self, spec: ConvSpec, x: Array, weights: Array, bias: Array | None, y: Array) -> None:
        for block in column_blocks(spec, x.dtype, config.get_max_workspace()):
            columns = self._columns(spec, block, x)
            result = self.xp.empty((spec.groups, spec.ocg, block.images * block.count), y.dtype)
            self._matmul(weights, columns, result)
            launch = launch_of(spec, result.size, y=layout(y), **block._asdict())
            self._run("store", (element(y.dtype),), launch, result, bias, y)

    @guarded
    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        if not grad_x.size:
            return
        if not grad_y.size:
            grad_x[...] = 0
            return
        if algorithm == "cudnn":
            self._cudnn.run("conv_grad_input", spec, grad_x, w, grad_y)
            return
        w = self.xp.ascontiguousarray(w)
        if algorithm == "direct":
            launch = launch_of(
                spec, grad_x.size, w.size, x=layout(grad_x), y=layout(grad_y), last=channels_fastest(grad_x)
            )
            self._run("conv_grad_input", (element(w.dtype),), launch, grad_y, w, grad_x)
            return
        turned = w.reshape(spec.groups, spec.ocg, -1).transpose(0, 2, 1)
        if algorithm == "pointwise" and self._product(spec, turned, grad_y, grad_x):
            return
        for block in column_blocks(spec, w.dtype, config.get_max_workspace()):
            width = block.images * block.count
            columns = self.xp.empty((spec.groups, spec.reduction, width), w.dtype)
            self._matmul(turned, self._gathered(spec, block, grad_y), columns)
            launch = launch_of(
                spec, block.images * grad_x[0].size, columns.size, x=layout(grad_x), y=(block.count, width, 1, 0, 0),
                last=channels_fastest(grad_x), add=block.start > 0, **block._asdict(),
            )  # fmt: skip
            self._run("col2im", (element(w.dtype),), launch, columns, grad_x)

    @guarded
    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        if not grad_w.size:
            return
        if not grad_y.size or not x.size:
            grad_w[...] = 0
        elif algorithm == "cudnn":
            self._cudnn.run("conv_grad_weight", spec, x, grad_w, grad_y)
        elif algorithm == "direct":
            parts, chunk = weight_parts(spec, x.dtype, config.get_max_workspace())
            partial = self.xp.empty((parts, *grad_w.shape), x.dtype)
            launch = launch_of(spec, partial.size, spec.n * spec.out_count, x=layout(x), y=layout(grad_y), chunk=chunk)
            self._run("conv_grad_weight", (element(x.dtype),), launch, x, grad_y, partial)
            grad_w[...] = partial[0] if parts == 1 else partial.sum(axis=0)
        else:
            target = grad_w.reshape(spec.groups, spec.ocg, spec.reduction)
            for number, block in enumerate(column_blocks(spec, x.dtype, config.get_max_workspace())):
                columns = self._columns(spec, block, x).transpose(0, 2, 1)
                part = self.xp.empty(target.shape, x.dtype) if number else target
                self._matmul(self._gathered(spec, block, grad_y), columns, part)
                if number:
                    target += part

    def _columns(self, spec: ConvSpec, block: Block, x: Array) -> Array:
        """Return the columns of a block, (groups, reduction, images * windows)."""
        width = block.images * block.count
        columns = self.xp.empty((spec.groups, spec.reduction, width), x.dtype)
        launch = launch_of(
            spec, columns.size, columns.size, x=layout(x), y=(block.count, width, 1, 0, 0), **block._asdict()
        )
        self._run("im2col", (bits(x.dtype),), launch, x, columns)
        return columns

    def _gathered(self, spec: ConvSpec, block: Block, y: Array) -> Array:
        """Return a block of `y` as matrices (groups, channels, images * windows)."""
        block_y = self.xp.empty((spec.groups, spec.ocg, block.images * block.count), y.dtype)
        launch = launch_of(spec, block_y.size, y=layout(y), **block._asdict())
        self._run("gather", (bits(y.dtype),), launch, y, block_y)
        return block_y

    def _matmul(self, a: Array, b: Array, out: Array) -> None:
        """Multiply matrices, group by group; a single group is a plain product, which cuBLAS knows best."""
        if len(out) == 1:
            self.xp.matmul(a[0], b[0], out=out[0])
        else:
            self.xp.matmul(a, b, out=out)

    def _product(self, spec: ConvSpec, weights: Array, x: Array, y: Array) -> bool:
        """Multiply the channels of `x` by `weights` into `y` if both lie alike in memory; say whether they did."""
        weights = weights.reshape(spec.groups, -1, weights.shape[-1 if weights.ndim == 3 else 1])
        if x.flags.c_contiguous and y.flags.c_contiguous:
            left, right = (a.reshape(spec.n, spec.groups, -1, spec.out_count) for a in (x, y))
            if spec.groups == 1:
                self.xp.matmul(weights[0], left[:, 0], out=right[:, 0])
            else:
                self.xp.matmul(weights, left, out=right)
            return True
        x, y = (self.xp.moveaxis(a, 1, -1) for a in (x, y))
        if spec.groups == 1 and x.flags.c_contiguous and y.flags.c_contiguous:
            rows = spec.n * spec.out_count
            self.xp.matmul(x.reshape(rows, -1), weights[0].T, out=y.reshape(rows, -1))
            return True
        return False


def column_bytes(spec: ConvSpec, dtype: np.dtype[Any]) -> int:
    """Return what one window's column and results take."""
    return (spec.c * spec.taps_count + spec.oc) * dtype.itemsize


@lru_cache(maxsize=1024)
def column_blocks(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> tuple[Block, ...]:
    """Cut the windows of all images into blocks whose columns and results fit `bound` bytes."""
    if not spec.out_count or not spec.n:
        return ()
    fit = min(max(1, bound // max(1, column_bytes(spec, dtype))), CUBLAS_MOST)
    outputs = spec.out_count
    if outputs > fit:
        size = -(-outputs // -(-outputs // fit))  # equal parts
        starts = range(0, outputs, size)
        return tuple(Block(n, 1, start, min(size, outputs - start)) for n in range(spec.n) for start in starts)
    together = min(spec.n, fit // outputs)
    return tuple(Block(n, min(together, spec.n - n), 0, outputs) for n in range(0, spec.n, together))


@lru_cache(maxsize=1024)
def weight_parts(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> tuple[int, int]:
    """Return how many partial sums the gradient of a weight has, and how many products are in each."""
    weights, pairs = max(1, math.prod(spec.w_shape)), max(1, spec.n * spec.out_count)
    most = min(pairs, -(-_THREADS // weights), bound // (weights * dtype.itemsize))
    chunk = -(-pairs // max(1, most))
    return -(-pairs // chunk), chunk
