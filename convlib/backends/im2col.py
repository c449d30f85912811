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
from .._ext import _im2col
from ..spec import ConvSpec, PoolSpec, WindowSpec
from .base import OPERATIONS, Backend
from .slabs import ColumnSlabs, PoolGradSlabs, divisors, slabs
from .taps import lift, tap_table

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


class Im2colBackend(ColumnSlabs, PoolGradSlabs, Backend):
    """Blocked im2col and matrix products; pooling tap by tap with NumPy."""

    name = "im2col"
    operations = OPERATIONS
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
            return None, "one NumPy pass per tap of the window"
        if self.supports_algorithm("pointwise", op, spec, dtype) is None:
            return "pointwise", "the input itself is the matrix of columns"
        return "packed", f"columns packed in blocks of about {BLOCK_BYTES >> 20} MiB"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        if algorithm == "pointwise" and (spec.taps_count > 1 or spec.padded or any(s > 1 for s in spec.stride)):
            return "pointwise needs a 1x1 kernel, stride 1 and no padding"
        if algorithm == "pointwise" and dtype == dtypes.INT64:
            return "integers are packed, to be multiplied as floats"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        if not op.startswith("conv"):
            return 0
        assert isinstance(spec, ConvSpec)
        if self.supports_algorithm("pointwise", op, spec, dtype) is None:
            return 0
        together, size = _plan(spec, dtype, config.get_max_workspace())
        widest = together * size
        rows = spec.reduction + spec.ocg
        if dtype == dtypes.INT64:  # packed as they are, once more as floats, and the float weights
            return 2 * widest * rows * dtype.itemsize + spec.ocg * spec.reduction * dtype.itemsize
        return widest * rows * dtype.itemsize

    # ------------------------------------------------------------------ convolution

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not spec.reduction or not y.size:
            y[...] = 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd)
            return
        job = _Job(spec, x, y, algorithm)
        product = _exact_product(spec, x, w) if x.dtype == dtypes.INT64 else _im2col.gemm
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            weights = w[outs].reshape(spec.ocg, -1)
            for block in job.blocks:
                cols = job.columns(group, block)
                if block.images == 1 and x.dtype != dtypes.INT64:
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

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        grad_x.fill(0)
        if not grad_y.size or not grad_x.size:
            return
        job = _Job(spec, grad_x, grad_y, algorithm)
        product = _exact_product(spec, grad_y, w) if w.dtype == dtypes.INT64 else _im2col.gemm
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            weights = w[outs].reshape(spec.ocg, -1)
            for block in job.blocks:
                grads = job.gathered(outs, block)
                if job.pointwise:
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
        job = _Job(spec, x, grad_y, algorithm)
        product = _exact_product(spec, x, grad_y) if x.dtype == dtypes.INT64 else _im2col.gemm
        for group in range(spec.groups):
            outs = slice(group * spec.ocg, (group + 1) * spec.ocg)
            target = grad_w[outs].reshape(spec.ocg, -1)
            for block in job.blocks:
                product(job.gathered(outs, block), False, job.columns(group, block), True, target, True)

    # ------------------------------------------------------------------ pooling

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        if spec.kind in ("max", "min"):
            _extreme(spec, x, y, indices)
            return
        if spec.kind == "lp" and spec.norm == math.inf:
            _extreme(spec, np.abs(x), y, None)
            y[np.isneginf(y)] = 0  # empty windows
            return
        with np.errstate(invalid="ignore", over="ignore"):  # inf - inf is NaN here as elsewhere
            self._total(spec, x, y)

    def _total(self, spec: PoolSpec, x: Array, y: Array) -> None:
        total = np.zeros(y.shape, np.float64) if spec.kind == "lp" else y
        total.fill(0)
        for _, outputs, inputs in slabs(spec):
            part = x[(slice(None), slice(None), *inputs)]
            total[(slice(None), slice(None), *outputs)] += (
                np.abs(part).astype(np.float64) ** spec.norm if spec.kind == "lp" else part
            )
        if spec.kind == "lp":
            y[...] = total ** (1 / spec.norm)
        elif spec.kind == "avg":
            y /= divisors(spec).astype(y.real.dtype)

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        planes = y.reshape(spec.n * spec.c, math.prod(spec.in_size))
        places = indices.reshape(spec.n * spec.c, spec.out_count)
        values = x.reshape(places.shape)
        row, column = np.nonzero(places >= 0)
        chosen = row, places[row, column]
        if add:
            np.add.at(planes, chosen, values[row, column])
        else:
            planes[chosen] = values[row, column]


def _extreme(spec: PoolSpec, x: Array, y: Array, indices: Array | None) -> None:
    """Keep the best value tap by tap: the first of equals, but the last NaN."""
    kind = "max" if spec.kind == "lp" else spec.kind
    y.fill(dtypes.lowest(y.dtype, kind))
    seen = np.zeros(spec.out_size, bool)
    if indices is not None:
        indices.fill(-1)
        places = np.arange(math.prod(spec.in_size)).reshape(spec.in_size)
    for _, outputs, inputs in slabs(spec):
        value, best = x[(slice(None), slice(None), *inputs)], y[(slice(None), slice(None), *outputs)]
        better = ~seen[outputs] | (value > best if kind == "max" else value < best) | (value != value)
        np.copyto(best, value, where=better)
        if indices is not None:
            np.copyto(indices[(slice(None), slice(None), *outputs)], places[inputs], where=better)
        seen[outputs] = True


# --------------------------------------------------------------------------------------------------
# Blocks
# --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _plan(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> tuple[int, int]:
    """Return (images, outputs of each) of a block whose scratch fits `bound` bytes."""
    if not spec.n:
        return 0, 0
    column = (spec.reduction + spec.ocg) * dtype.itemsize * (2 if dtype == dtypes.INT64 else 1)
    fit = max(1, min(bound, max(BLOCK_BYTES, FEW_COLUMNS * column)) // max(1, column))
    outputs = spec.out_count
    if outputs > fit:
        parts = -(-outputs // fit)
        return 1, -(-outputs // parts)
    return 1 if outputs >= FEW_COLUMNS else min(spec.n, max(1, fit // outputs)), outputs


class _Job:
    """The arrays of one call, seen block by block; scratch is allocated once."""

    def __init__(self, spec: ConvSpec, x: Array, y: Array, algorithm: str | None) -> None:
        self.spec = spec
        self.pointwise = algorithm == "pointwise"
        self.x5 = lift(x, spec.nd)
        self.x, self.y = x.reshape(spec.n, spec.c, -1), y.reshape(spec.n, spec.oc, -1)
        together, size = _plan(spec, x.dtype, config.get_max_workspace())
        self.blocks = list(_whole(spec) if self.pointwise else _blocks(spec, together, size))
        widest = max((b.images * b.outputs for b in self.blocks), default=0)
        shared = widest if any(b.images > 1 for b in self.blocks) or x.dtype == dtypes.INT64 else 0
        self.scratch = np.empty(spec.ocg * shared, x.dtype)
        self.packed = np.empty(0 if self.pointwise else spec.reduction * widest, x.dtype)
        self.taps: array[int] = tap_table(spec)
        self.kernel, self.stride = (1, 1, 1, *spec.kernel)[-3:], (1, 1, 1, *spec.stride)[-3:]
        self.oh, self.ow = (1, 1, *spec.out_size)[-2:]

    def empty_columns(self, block: Block) -> Array:
        return self.packed[: self.spec.reduction * block.images * block.outputs].reshape(self.spec.reduction, -1)

    def columns(self, group: int, block: Block) -> Array:
        """Return the packed columns of a block."""
        if self.pointwise:
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
        _im2col.columns(
            images, cols, self.taps, self.kernel, self.stride, self.oh, self.ow, block.start, block.outputs, add
        )

    def of_images(self, a: Array, channels: slice, block: Block) -> Array:
        """See channels of a block as (channels, images, outputs)."""
        part = a[block.first : block.first + block.images, channels, block.start : block.start + block.outputs]
        return part.transpose(1, 0, 2)

    def gathered(self, outs: slice, block: Block) -> Array:
        """Return a block of `y` as a matrix (channels, columns)."""
        if block.images == 1:
            return self.y[block.first, outs, block.start : block.start + block.outputs]
        target = self.scratch[: self.spec.ocg * block.images * block.outputs]
        target.reshape(self.spec.ocg, block.images, block.outputs)[...] = self.of_images(self.y, outs, block)
        return target.reshape(self.spec.ocg, -1)


def _blocks(spec: ConvSpec, together: int, size: int) -> Iterator[Block]:
    for n in range(0, spec.n, max(1, together)):
        for start in range(0, spec.out_count, size):
            yield Block(n, min(together, spec.n - n), start, min(size, spec.out_count - start))


def _whole(spec: ConvSpec) -> Iterator[Block]:
    for n in range(spec.n):
        yield Block(n, 1, 0, spec.out_count)


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
        left, right = p.T if tp else p, q.T if tq else q
        if bound < 2**53:
            kind = np.float32 if bound < 2**24 else np.float64
            result = (left.astype(kind) @ right.astype(kind)).astype(np.int64)
        else:
            result = left @ right
        if add:
            c += result
        else:
            c[...] = result

    return product
