"""CuPy arrays on a GPU: dense products by cuDNN or cuBLAS, everything else by the kernels in ``cupy_kernels.cu``.

Arrays stay on the device; nothing is copied to the host but the extremes of integer arrays and of indices, which the
promises of exactness and of checked indices need.  Floats never wait for the device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import config, dtypes
from ..errors import SpecError
from ..spec import ConvSpec, PoolSpec, WindowSpec, zero_padded
from . import cupy_device as device
from .base import OPERATIONS, Backend
from .cupy_cudnn import Cudnn
from .cupy_device import THREADS, TILE, Launch, bits, element, guarded, launch_of, layout
from .slabs import ColumnSlabs

Array = Any

#: Threads that the direct gradient of the weights aims at: a few for every core of a large GPU.
_THREADS = 1 << 17

#: Matrix dimensions that cuBLAS takes.
_CUBLAS_MOST = 2**31 - 1


class Block(NamedTuple):
    """Some windows of some images."""

    first: int
    images: int
    start: int
    count: int  # type: ignore[assignment]  # the name that the kernels know; no one counts in a block


class CupyBackend(ColumnSlabs, Backend):
    """Every operator on CuPy arrays."""

    name = "cupy"
    array_type = "cupy"
    operations = OPERATIONS
    strided = True
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = {
        "conv": ("cudnn", "pointwise", "columns", "gemm", "direct"),
        "conv_grad_input": ("cudnn", "pointwise", "columns", "direct"),
        "conv_grad_weight": ("cudnn", "columns", "direct"),
    }

    def __init__(self) -> None:
        self._xp: device.Namespace | None = None
        self._ready: device.Kernels | None = None
        self._planner: Cudnn | None = None

    @property
    def xp(self) -> Any:  # type: ignore[override]
        """CuPy, imported on first use."""
        if self._xp is None:
            import cupy

            self._xp = device.Namespace(cupy)
        return self._xp

    @property
    def _run(self) -> device.Kernels:
        if self._ready is None:
            self._ready = device.Kernels(self.xp.cupy)
        return self._ready

    @property
    def _cudnn(self) -> Cudnn:
        if self._planner is None:
            self._planner = Cudnn(self.xp)
        return self._planner

    # ------------------------------------------------------------------ what it says of itself

    def available(self) -> str | None:
        """See `Backend.available`."""
        return device.missing()

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if spec.nd > 3 and op not in ("im2col", "col2im"):
            return f"its kernels know 1 to 3 spatial axes, not {spec.nd}"
        return super().supports(op, spec, dtype)

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        if not isinstance(spec, ConvSpec):
            return None, "one thread per element"
        if dtype == dtypes.INT64:
            return "direct", "integers are summed as they are"
        if spec.ocg <= 4 or (spec.groups > 1 and spec.icg <= 4):
            return "direct", "groups too narrow for a matrix product"
        if self.supports_algorithm("cudnn", op, spec, dtype) is None:
            return "cudnn", "dense, and cuDNN has a plan for it"
        if self.supports_algorithm("columns", op, spec, dtype) is not None:
            return ("gemm" if op == "conv" else "direct"), "one column is larger than the scratch may be"
        if op != "conv_grad_weight" and self.supports_algorithm("pointwise", op, spec, dtype) is None:
            return "pointwise", "the input itself is the matrix of columns"
        return "columns", "columns in batches within max_workspace, products by cuBLAS"

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        assert isinstance(spec, ConvSpec)
        if algorithm == "direct":
            return None
        if dtype == dtypes.INT64:
            return "products of 64-bit integers are made by direct alone, which is exact"
        if algorithm == "cudnn":
            return self._cudnn.refusal(op, zero_padded(spec), dtype)
        if algorithm == "columns" and _column_bytes(spec, dtype) > config.get_max_workspace():
            return f"one column needs {_column_bytes(spec, dtype)} bytes, more than max_workspace allows"
        if algorithm == "pointwise" and (spec.taps_count > 1 or spec.padded or any(s > 1 for s in spec.stride)):
            return "pointwise needs a 1x1 kernel, stride 1 and no padding"
        if algorithm == "pointwise" and max(spec.n * spec.out_count, spec.c, spec.oc) > _CUBLAS_MOST:
            return f"cuBLAS takes at most {_CUBLAS_MOST} columns"
        return None

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        algorithm = algorithm or self.choose(op, spec, dtype)[0]
        if isinstance(spec, ConvSpec) and algorithm == "cudnn":
            return self._cudnn.workspace(op, zero_padded(spec), dtype)
        if isinstance(spec, ConvSpec) and algorithm == "columns":
            blocks = _blocks(spec, dtype, config.get_max_workspace())
            return max((b.images * b.count for b in blocks), default=0) * _column_bytes(spec, dtype)
        if isinstance(spec, ConvSpec) and op == "conv_grad_weight":
            parts, _ = _weight_parts(spec, dtype, config.get_max_workspace())
            return parts * math.prod(spec.w_shape) * dtype.itemsize
        return 0

    def takes_halves(self, op: str, spec: WindowSpec, algorithm: str | None, bias: bool) -> bool:
        """See `Backend.takes_halves`."""
        if algorithm == "gemm":
            return True
        if algorithm != "cudnn" or bias or not isinstance(spec, ConvSpec):  # a bias would be added to rounded sums
            return False
        inner = zero_padded(spec)
        return (op == "conv" or inner is spec) and self._cudnn.refusal(op, inner, dtypes.FLOAT16) is None

    # ------------------------------------------------------------------ convolution

    @guarded
    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not y.size:
            return
        w = self.xp.ascontiguousarray(w)
        bias = None if bias is None else self.xp.ascontiguousarray(bias)
        if algorithm == "direct" or not spec.reduction:
            launch = launch_of(spec, y.size, w.size, x=layout(x), y=layout(y), last=_channels_fastest(y))
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
        for block in _blocks(spec, x.dtype, config.get_max_workspace()):
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
                spec, grad_x.size, w.size, x=layout(grad_x), y=layout(grad_y), last=_channels_fastest(grad_x)
            )
            self._run("conv_grad_input", (element(w.dtype),), launch, grad_y, w, grad_x)
            return
        turned = w.reshape(spec.groups, spec.ocg, -1).transpose(0, 2, 1)
        if algorithm == "pointwise" and self._product(spec, turned, grad_y, grad_x):
            return
        for block in _blocks(spec, w.dtype, config.get_max_workspace()):
            width = block.images * block.count
            columns = self.xp.empty((spec.groups, spec.reduction, width), w.dtype)
            self._matmul(turned, self._gathered(spec, block, grad_y), columns)
            launch = launch_of(
                spec, block.images * grad_x[0].size, columns.size, x=layout(grad_x), y=(block.count, width, 1, 0, 0),
                last=_channels_fastest(grad_x), add=block.start > 0, **block._asdict(),
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
            parts, chunk = _weight_parts(spec, x.dtype, config.get_max_workspace())
            partial = self.xp.empty((parts, *grad_w.shape), x.dtype)
            launch = launch_of(spec, partial.size, spec.n * spec.out_count, x=layout(x), y=layout(grad_y), chunk=chunk)
            self._run("conv_grad_weight", (element(x.dtype),), launch, x, grad_y, partial)
            grad_w[...] = partial[0] if parts == 1 else partial.sum(axis=0)
        else:
            target = grad_w.reshape(spec.groups, spec.ocg, spec.reduction)
            for number, block in enumerate(_blocks(spec, x.dtype, config.get_max_workspace())):
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

    # ------------------------------------------------------------------ pooling

    @guarded
    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        launch = launch_of(
            spec, y.size, x=layout(x), y=layout(y), last=_channels_fastest(y),
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
                spec, grad_x.size, x=layout(grad_x), y=layout(grad_y), last=_channels_fastest(grad_x)
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

    # ------------------------------------------------------------------ columns

    @guarded
    def _im2col(self, spec: WindowSpec, x: Array, cols: Array) -> None:
        if spec.nd > 3:
            super()._im2col(spec, x, cols)
            return
        launch = self._column_launch(spec, cols.size, cols, x)
        self._run("im2col", (bits(x.dtype),), launch, x, cols)

    @guarded
    def _col2im(self, spec: WindowSpec, cols: Array, x: Array) -> None:
        if spec.nd > 3:
            super()._col2im(spec, cols, x)
            return
        self._run("col2im", (element(x.dtype),), self._column_launch(spec, x.size, cols, x), cols, x)

    def _column_launch(self, spec: WindowSpec, total: int, cols: Array, x: Array) -> Launch:
        strides = (spec.c * spec.taps_count * spec.out_count, spec.out_count, 1, 0, 0)
        return launch_of(spec, total, cols.size, x=layout(x), y=strides, last=_channels_fastest(x))

    # ------------------------------------------------------------------ arrays

    def from_numpy(self, a: Array) -> Array:
        """See `Backend.from_numpy`."""
        return self.xp.asarray(np.asarray(a, a.dtype.newbyteorder("=")))

    def to_numpy(self, a: Array) -> Array:
        """See `Backend.to_numpy`."""
        return self.xp.asnumpy(a)

    def _usable(self, a: Array, dtype: np.dtype[Any], strided: bool) -> Array:
        here = self.xp.cuda.runtime.getDevice()
        if a.device.id != here:
            raise SpecError(
                f"an array of shape {a.shape} lies on GPU {a.device.id}, but the current device is GPU {here}; call "
                f"inside `with cupy.cuda.Device({a.device.id}):`, or copy it there: `with cupy.cuda.Device({here}): a "
                "= cupy.asarray(a)`"
            )
        if a.dtype == dtype and (strided or a.flags.c_contiguous):
            return a
        if dtype == dtypes.INT64 and a.dtype == np.uint64 and a.size and int(a.max()) >= 2**63:
            raise SpecError(f"the uint64 value {int(a.max())} does not fit int64; scale it down or convert to float64")
        return a.astype(dtype, order="C")

    def _aligned(self, a: Array) -> bool:
        return True

    def check_out(
        self, out: Array | None, shape: tuple[int, ...], dtype: np.dtype[Any], *inputs: Array | None
    ) -> None:
        """See `Backend.check_out`."""
        places = {a.device.id: a.shape for a in (*inputs, out) if isinstance(a, self.xp.ndarray)}
        if len(places) > 1:
            said = ", ".join(f"{shape} on GPU {number}" for number, shape in places.items())
            raise SpecError(
                f"arrays lie on different devices ({said}); copy them to one: `with cupy.cuda.Device({min(places)}): a "
                "= cupy.asarray(a)`"
            )
        super().check_out(out, shape, dtype, *inputs)

    def _writable(self, a: Array) -> bool:
        return True

    def _shares_memory(self, a: Array, b: Array) -> bool:
        return super()._shares_memory(_addresses(a), _addresses(b))

    def _padded(self, x: Array, pairs: tuple[tuple[int, int], ...], mode: str, value: float) -> Array:
        if mode == "constant":
            wide = self.xp.full([lo + size + hi for size, (lo, hi) in zip(x.shape, pairs, strict=True)], value, x.dtype)
            wide[tuple(slice(lo, lo + size) for size, (lo, _) in zip(x.shape, pairs, strict=True))] = x
            return wide
        for axis, (lo, hi) in enumerate(pairs):
            if lo or hi:
                x = self.xp.take(x, self.xp.asarray(_sources(x.shape[axis], lo, hi, mode)), axis=axis)
        return x

    def _fold_padding(self, spec: ConvSpec, wide: Array) -> Array:
        for axis, (lo, hi, size) in enumerate(zip(spec.pad_lo, spec.pad_hi, spec.in_size, strict=True), start=2):
            rows = self.xp.moveaxis(wide, axis, 0)
            narrow = rows[lo : lo + size].copy()
            if spec.padding_mode != "constant":
                sources = _sources(size, lo, hi, spec.padding_mode)
                for place in (*range(lo), *range(lo + size, len(rows))):
                    narrow[int(sources[place])] += rows[place]
            wide = self.xp.moveaxis(narrow, 0, axis)
        return wide


# --------------------------------------------------------------------------------------------------


class _Addresses:
    """An array interface that leads NumPy to the addresses of device memory, to compare but never to read."""

    def __init__(self, a: Array) -> None:
        self.__array_interface__ = {
            "data": (a.data.ptr, False), "shape": a.shape, "strides": a.strides, "typestr": a.dtype.str, "version": 3,
        }  # fmt: skip


def _addresses(a: Array) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.asarray(_Addresses(a))
    return found


def _channels_fastest(a: Array) -> bool:
    """Return whether neighbours in memory are channels rather than columns."""
    return bool(a.shape[1] > 1 and abs(a.strides[1]) < abs(a.strides[-1]))


@lru_cache(maxsize=256)
def _sources(size: int, lo: int, hi: int, mode: str) -> np.ndarray[Any, Any]:
    """Return where each element of a padded axis comes from."""
    found: np.ndarray[Any, Any] = np.pad(np.arange(size), (lo, hi), mode=mode)  # type: ignore[call-overload]
    return found


def _column_bytes(spec: ConvSpec, dtype: np.dtype[Any]) -> int:
    return (spec.c * spec.taps_count + spec.oc) * dtype.itemsize


@lru_cache(maxsize=1024)
def _blocks(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> tuple[Block, ...]:
    """Cut the windows of all images into blocks whose columns and results fit `bound` bytes."""
    if not spec.out_count or not spec.n:
        return ()
    fit = min(max(1, bound // max(1, _column_bytes(spec, dtype))), _CUBLAS_MOST)
    outputs = spec.out_count
    if outputs > fit:
        size = -(-outputs // -(-outputs // fit))  # equal parts
        starts = range(0, outputs, size)
        return tuple(Block(n, 1, start, min(size, outputs - start)) for n in range(spec.n) for start in starts)
    together = min(spec.n, fit // outputs)
    return tuple(Block(n, min(together, spec.n - n), 0, outputs) for n in range(0, spec.n, together))


@lru_cache(maxsize=1024)
def _weight_parts(spec: ConvSpec, dtype: np.dtype[Any], bound: int) -> tuple[int, int]:
    """Return how many partial sums the gradient of a weight has, and how many products are in each."""
    weights, pairs = max(1, math.prod(spec.w_shape)), max(1, spec.n * spec.out_count)
    most = min(pairs, -(-_THREADS // weights), bound // (weights * dtype.itemsize))
    chunk = -(-pairs // max(1, most))
    return -(-pairs // chunk), chunk


def _parts(spec: PoolSpec, plane_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cut the planes into parts whose scratch, `plane_bytes` per plane, fits the bound where one plane does."""
    fit = max(1, config.get_max_workspace() // max(1, plane_bytes))
    images, channels = (fit // spec.c, spec.c) if fit >= spec.c else (1, fit)
    for n in range(0, spec.n, images):
        for c in range(0, spec.c, channels):
            yield slice(n, min(n + images, spec.n)), slice(c, min(c + channels, spec.c))


def _part_of(spec: PoolSpec, part: tuple[slice, slice]) -> PoolSpec:
    from dataclasses import replace

    images, channels = part
    return replace(spec, n=images.stop - images.start, c=channels.stop - channels.start)
