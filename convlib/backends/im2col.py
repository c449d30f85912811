"""Windows packed into columns, block by block, and multiplied by BLAS.

The matrix of all columns never exists: a block holds as many columns as fit a scratch array of a few MiB.  BLAS is
called from one thread and uses its own.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import config, dtypes
from ..spec import ConvSpec, PoolSpec, WindowSpec
from . import loops, pool_grads, pool_slabs
from .base import OPERATIONS, Backend
from .base.pieces import assign, pieces
from .slabs import ColumnSlabs
from .taps import lift, lifted, tap_table

Array = NDArray[Any]

#: Bytes of packed columns per block.  Large blocks make few, efficient matrix products; they need not fit the
#: second-level cache because BLAS copies its operands into blocks of its own.
BLOCK_BYTES = 8 << 20

#: Fewer columns than this make BLAS slow; images with fewer outputs share a block.
FEW_COLUMNS = 512


class Block(NamedTuple):
    """Some outputs of some images."""

    first: int  # first image
    images: int
    start: int  # first output of each, flat over the output's axes
    outputs: int  # outputs of each


class Im2colBackend(ColumnSlabs, pool_grads.PoolGradSlabs, Backend):
    """Blocked im2col and matrix products; pooling tap by tap with NumPy."""

    name = "im2col"
    determinism = "the same for the same number of threads of the BLAS"
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    strided = True
    flat = True
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("conv", "conv_grad_input", "conv_grad_weight"), ("packed", "pointwise")
    )

    # ------------------------------------------------------------------ what it says of itself

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if op.startswith("conv"):
            if spec.nd > 3:
                return f"packs 1 to 3 spatial axes, not {spec.nd}"
            need, bound = self.workspace(op, spec, dtype), config.get_max_workspace()
            if need > bound:
                return f"one column per image needs {need} bytes of scratch, more than max_workspace={bound}"
        if op == "pool" and isinstance(spec, PoolSpec) and spec.adaptive:
            return "adaptive windows differ in size, and it works tap by tap over windows of one size"
        return super().supports(op, spec, dtype)

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        if not op.startswith("conv"):
            return None, "NumPy passes along one axis after the other"
        if self.supports_algorithm("pointwise", op, spec, dtype) is None:
            return "pointwise", "the input itself is the matrix of columns"
        return "packed", f"columns packed in blocks of about {BLOCK_BYTES >> 20} MiB"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        if algorithm == "pointwise" and not spec.pointwise:
            return "pointwise needs a 1x1 kernel, no padding, and a result of the input's size"
        if algorithm == "pointwise" and spec.channels_last:
            return "pointwise needs the pixels of a channel side by side"
        if algorithm == "pointwise" and dtype == dtypes.INT64:
            return "integers are packed, to be multiplied as floats"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        if isinstance(spec, PoolSpec):
            if op == "unpool":
                return _EACH * min(_SCATTERED, spec.n * spec.c * spec.out_count)
            module = {"pool": pool_slabs, "pool_grad_input": pool_grads}.get(op)
            return 0 if module is None else module.scratch(spec)
        if isinstance(spec, ConvSpec):
            return _workspace(op, spec, dtype, self.supports_algorithm("pointwise", op, spec, dtype) is None)
        return 0

    # ------------------------------------------------------------------ convolution

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not spec.reduction or not y.size:
            assign(y, 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd))
            return
        job = _Job("conv", spec, x, y, algorithm)
        product = _exact_product(spec, x, w) if x.dtype == dtypes.INT64 else loops.gemm
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            weights = np.ascontiguousarray(w[outs]).reshape(spec.ocg, -1)
            for block in job.blocks:
                cols = job.columns(group, block)
                if block.images == 1 and job.rows and x.dtype != dtypes.INT64:
                    target = job.y[block.first, outs, block.start : block.start + block.outputs]
                    product(weights, False, cols, False, target, False)
                    if bias is not None:
                        target += bias[outs, None]
                else:
                    target = job.scratch[: spec.ocg * cols.shape[1]].reshape(spec.ocg, -1)
                    product(weights, False, cols, False, target, False)
                    if bias is not None:
                        target += bias[outs, None]
                    job.of_images(job.y, outs, block)[...] = target.reshape(spec.ocg, block.images, block.outputs)
        if job.copied:
            assign(y, job.y.reshape(y.shape))

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        assign(grad_x, 0)
        if not grad_y.size or not grad_x.size:
            return
        job = _Job("conv_grad_input", spec, grad_x, grad_y, algorithm)
        product = _exact_product(spec, grad_y, w) if w.dtype == dtypes.INT64 else loops.gemm
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            weights = np.ascontiguousarray(w[outs]).reshape(spec.ocg, -1)
            for block in job.blocks:
                grads = job.gathered(outs, block)
                if job.pointwise and job.x is not None:
                    target = job.x[block.first, group * spec.icg : (group + 1) * spec.icg]
                    product(weights, True, grads, False, target[:, block.start : block.start + block.outputs], False)
                else:
                    cols = job.empty_columns(block)
                    product(weights, True, grads, False, cols, False)
                    job.move(group, block, cols, add=True)

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        grad_w.fill(0)
        if not grad_y.size or not grad_w.size:
            return
        job = _Job("conv_grad_weight", spec, x, grad_y, algorithm)
        wide = pool_slabs.wide(x.dtype)  # the sums are as long as all outputs together
        product = _exact_product(spec, x, grad_y) if x.dtype == dtypes.INT64 else loops.gemm
        total = np.empty((spec.ocg, spec.reduction), wide)
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            total.fill(0)
            for block in job.blocks:
                grads, columns = job.gathered(outs, block), job.columns(group, block)
                product(grads.astype(wide, copy=False), False, columns.astype(wide, copy=False), True, total, True)
            grad_w[outs] = total.reshape(spec.ocg, spec.icg, *spec.kernel)

    # ------------------------------------------------------------------ pooling

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        pool_slabs.pool(spec, x, y, indices)

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        for at in pieces(indices, in_order=True, most=_SCATTERED):  # of equal places, the last stays
            values, places = x[at], indices[at]
            chosen = places >= 0
            n, c = np.nonzero(chosen)[:2]
            target = (n + (at[0].start or 0), c + (at[1].start or 0), *np.unravel_index(places[chosen], spec.in_size))
            if add:
                np.add.at(y, target, values[chosen])
            else:
                y[target] = values[chosen]


#: Indices looked at at once, and the bytes that each takes: of axes, places and values.
_SCATTERED, _EACH = 1 << 12, 96


# --------------------------------------------------------------------------------------------------
# Blocks
# --------------------------------------------------------------------------------------------------


def _each(op: str, dtype: np.dtype[Any]) -> int:
    """Return the bytes that an element of a block takes: as it is, and in the type that blocks are multiplied in."""
    if dtype == dtypes.INT64:  # floats
        return 2 * dtype.itemsize
    if op == "conv_grad_weight" and pool_slabs.wide(dtype) != dtype:
        return 3 * dtype.itemsize
    return dtype.itemsize


def _workspace(op: str, spec: ConvSpec, dtype: np.dtype[Any], pointwise: bool) -> int:
    each = _each(op, dtype)
    images, outputs = _plan(spec, each, config.get_max_workspace())
    widest = outputs if pointwise else images * outputs
    need = 0 if pointwise else widest * (spec.reduction + spec.ocg) * dtype.itemsize
    if each > dtype.itemsize:  # once more in another type, and what is multiplied by or added to in it
        need += widest * (spec.reduction + spec.ocg) * (each - dtype.itemsize)
        need += spec.ocg * spec.reduction * (each - dtype.itemsize)
    return need


def _blocks(op: str, spec: ConvSpec, dtype: np.dtype[Any], pointwise: bool) -> Iterator[Block]:
    each = _each(op, dtype)
    images, outputs = _plan(spec, each, config.get_max_workspace())
    if pointwise:
        images, outputs = 1, spec.out_count if each == dtype.itemsize else outputs  # else nothing is copied
    for n in range(0, spec.n, max(1, images)):
        for start in range(0, spec.out_count, max(1, outputs)):
            yield Block(n, min(images, spec.n - n), start, min(outputs, spec.out_count - start))


@lru_cache(maxsize=1024)
def _plan(spec: ConvSpec, each: int, bound: int) -> tuple[int, int]:
    """Return (images, outputs of each) of a block whose scratch, `each` bytes per element, fits `bound` bytes."""
    if not spec.n:
        return 0, 0
    column = (spec.reduction + spec.ocg) * each
    fit = max(1, min(bound, max(BLOCK_BYTES, FEW_COLUMNS * column)) // max(1, column))
    outputs = spec.out_count
    if outputs > fit:
        parts = -(-outputs // fit)
        return 1, -(-outputs // parts)
    return 1 if outputs >= FEW_COLUMNS else min(spec.n, max(1, fit // outputs)), outputs


class _Job:
    """The arrays of one call, seen block by block; scratch is allocated once."""

    def __init__(self, op: str, spec: ConvSpec, x: Array, y: Array, algorithm: str | None) -> None:
        self.spec = spec
        self.x5, self.x = lift(x, spec), _rows(x)
        self.pointwise = algorithm == "pointwise" and self.x is not None
        self.y = y.reshape(spec.n, spec.oc, -1)
        self.copied = not np.may_share_memory(self.y, y)  # where outputs have gaps of several sizes
        self.rows = self.copied or _rows(y) is not None  # whether BLAS can take them as they lie
        self.blocks = list(_blocks(op, spec, x.dtype, self.pointwise))
        widest = max((b.images * b.outputs for b in self.blocks), default=0)
        shared = widest if not self.rows or any(b.images > 1 for b in self.blocks) or x.dtype == dtypes.INT64 else 0
        self.scratch = np.empty(spec.ocg * shared, x.dtype)
        self.packed = np.empty(0 if self.pointwise else spec.reduction * widest, x.dtype)
        self.taps: array[int] = tap_table(spec)
        self.kernel, self.stride = lifted(spec, spec.kernel), lifted(spec, spec.stride)
        _, self.oh, self.ow = lifted(spec, spec.out_size)

    def empty_columns(self, block: Block) -> Array:
        return self.packed[: self.spec.reduction * block.images * block.outputs].reshape(self.spec.reduction, -1)

    def columns(self, group: int, block: Block) -> Array:
        """Return the packed columns of a block."""
        if self.pointwise and self.x is not None:
            channels = slice(group * self.spec.icg, (group + 1) * self.spec.icg)
            return self.x[block.first, channels, block.start : block.start + block.outputs]
        cols = self.empty_columns(block)
        self.move(group, block, cols, add=False)
        return cols

    def move(self, group: int, block: Block, cols: Array, add: bool) -> None:
        if not cols.size or not self.x5.size:
            cols.fill(0)  # nothing but padding
            return
        channels = slice(group * self.spec.icg, (group + 1) * self.spec.icg)
        images = self.x5[block.first : block.first + block.images, channels]
        loops.columns(
            images, cols, self.taps, self.kernel, self.stride, self.oh, self.ow, block.start, block.outputs, add
        )

    def of_images(self, a: Array, channels: slice, block: Block) -> Array:
        """See channels of a block as (channels, images, outputs)."""
        part = a[block.first : block.first + block.images, channels, block.start : block.start + block.outputs]
        return part.transpose(1, 0, 2)

    def gathered(self, outs: slice, block: Block) -> Array:
        """Return a block of `y` as a matrix (channels, columns)."""
        if block.images == 1 and self.rows:
            return self.y[block.first, outs, block.start : block.start + block.outputs]
        target = self.scratch[: self.spec.ocg * block.images * block.outputs]
        target.reshape(self.spec.ocg, block.images, block.outputs)[...] = self.of_images(self.y, outs, block)
        return target.reshape(self.spec.ocg, -1)


def _rows(a: Array) -> Array | None:
    """See (N, C, *spatial) as (N, C, L), if BLAS can take the rows as they lie; else return None."""
    length = math.prod(a.shape[2:])
    step, least = a.strides[1], length * a.itemsize
    if not a[0, 0].flags.c_contiguous or (a.shape[1] > 1 and (step % a.itemsize or step < least)):
        return None
    return a.reshape(*a.shape[:2], length)


def _exact_product(spec: ConvSpec, a: Array, b: Array) -> Any:
    """Return a matrix product that is exact for the values of integer arrays.

    Floats hold integers exactly below 2**24 or 2**53; a product whose every partial sum stays below is exact in any
    order.  Beyond, NumPy multiplies in int64.
    """
    if not a.size or not b.size:
        bound = 0
    else:
        terms = max(spec.reduction, spec.ocg, spec.n * spec.out_count)
        bound = terms * dtypes.magnitude(a) * dtypes.magnitude(b)

    def product(p: Array, tp: bool, q: Array, tq: bool, c: Array, add: bool) -> None:
        if bound < 2**53:
            kind = np.float32 if bound < 2**24 else np.float64
            result = np.empty(c.shape, kind)
            loops.gemm(p.astype(kind, "C"), tp, q.astype(kind, "C"), tq, result, False)
            result = result.astype(np.int64)
        else:
            result = (p.T if tp else p) @ (q.T if tq else q)
        if add:
            c += result
        else:
            c[...] = result

    return product
