"""The native engine: SIMD kernels in C for the processor at hand, with the library's own threads.

Algorithms of convolution: ``gemm`` packs windows into register-sized panels while it multiplies, so that no im2col
matrix exists; ``direct`` serves depthwise and few-channel filters; ``winograd`` takes 36 products where a sum of 3 x 3
windows takes 144 and one of 5 x 5 windows 100, and rounds two to six times as much (Lavin and Gray, CVPR 2016);
``bf16x3`` runs float32 on a matrix unit for bfloat16, each number in three parts, and rounds like ``gemm`` (Henry, Tang
and Heinecke, ARITH 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import config, dtypes
from .._ext import _native, _native_pool
from ..spec import ConvSpec, PoolSpec, WindowSpec
from ..threads import get_num_threads
from .base import Backend
from .taps import FORWARD, INPUT, WEIGHT, convolve

Array = NDArray[Any]

#: The instruction set whose matrix unit the automatic choice uses; others that offer ``bf16x3`` only emulate one.
MATRIX_ISA = "amx"

#: Fewer products per output than this do not repay packing panels for a GEMM.
FEW_PRODUCTS = 16

#: Fewer output channels per group than this leave a GEMM tile of 8 rows mostly empty.
FEW_OUTPUTS = 4

#: Up to so many output channels per group, the windows of several groups do not repay packing either: by vector bytes,
#: as wide vectors come with registers for tiles of 8 channels.  Groups that fill a wide vector need no packed windows:
#: 512 channels in 32 groups at 14 x 14 take the GEMM 127 us, direct summation 184.
NARROW_GROUP = {64: 11}

#: What Winograd has transforms for, along H and W.
WINOGRAD_WINDOWS = ((3, 3), (5, 5))

#: Fewer channels per group, on either side, than this leave lanes of Winograd's transforms empty.
WINOGRAD_CHANNELS = 16

#: Winograd's share of the products of direct summation, at most: its transforms cost the rest.  7 x 7 maps stand at
#: 0.58 (512 channels: 285 us, GEMM 451), full tiles at 0.25.  The matrix unit sums directly about twice as fast.
WINOGRAD_SHARE, WINOGRAD_SHARE_MATRIX = 0.6, 0.4

#: A single call transforms the weights, which takes as long as so many products for each point: 512 channels at 7 x 7
#: take the GEMM 526 us so, Winograd 674; 256 at 14 x 14 523 and 330.  The matrix unit again wants twice as many.
WINOGRAD_ONCE = 20

#: Fewer products per output, or output channels per group, than this do not repay splitting numbers in three; where a
#: window has one tap only, the split serves no other tap, and takes more outputs.
MATRIX_PRODUCTS, MATRIX_OUTPUTS, MATRIX_OUTPUTS_ONE_TAP = 128, 48, 128

#: Where channels come last, so many of either side fill half a row of the matrix unit: neither input nor result has to
#: be turned round there, as the kernels for channels first would.
MATRIX_PIXEL = 16

#: So few pixels, under 1x1 windows, are multiplied as they lie, and so are the weights: 160 to 960 channels at 7 x 7
#: take the GEMM 42 us where the matrix unit's splits take 58, and 88 with the weights' own.
MAP_PIXELS, MAP_BYTES = 256, 1000 << 10

#: The matrix unit is 15 % ahead even there (256 to 1024 channels at 14 x 14) from so many products and outputs on, if
#: outputs are as many as products; single calls want pixels too, to repay splitting the weights.
MAP_PRODUCTS, MAP_OUTPUTS, MAP_PIXELS_ONCE = 256, 512, 128


class NativeBackend(Backend):
    """SIMD kernels in C, for float32, float64 and (through exact float products) integers."""

    name = "native"
    operations = ("conv", "conv_grad_input", "conv_grad_weight", "pool", "pool_grad_input", "unpool")
    channels_last = True
    whole_unpool = True
    algorithms: ClassVar[dict[str, tuple[str, ...]]] = {"conv": ("gemm", "direct", "winograd", "bf16x3")}

    def available(self) -> str | None:
        """See `Backend.available`."""
        try:
            _native.active_isa()
        except ValueError as error:
            return str(error)
        return None

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if spec.nd > 3:
            return f"has kernels for 1 to 3 spatial axes, not {spec.nd}"
        if op.startswith("conv") and dtype.kind == "c":
            return "has no complex kernels"
        if op == "conv_grad_weight":
            need, bound = self.workspace(op, spec, dtype), config.get_max_workspace()
            if need > bound:
                return f"needs {need} bytes of scratch, more than max_workspace={bound}"
        if op in ("pool_grad_input", "unpool") and dtype.kind != "f":
            return f"spreads floats only, not {dtype}"
        if op in ("pool", "pool_grad_input"):
            assert isinstance(spec, PoolSpec)
            if spec.adaptive and op != "pool":
                return "adaptive windows differ in size, and its gradients take windows of one size"
            if spec.kind == "lp":
                return "has no kernel for p-norms"
            if dtype.kind == "c":
                return f"has no pooling kernel for {dtype}"
        return super().supports(op, spec, dtype)

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        if not op.startswith("conv"):
            return None, f"pooling kernels for {_native.active_isa()}"
        if op == "conv_grad_weight":
            return None, "one GEMM along the pixels, which reads the image in place"
        if op != "conv":
            return None, "forward convolutions over grad_y, one per phase of the stride"
        assert isinstance(spec, ConvSpec)
        return self._best(spec, dtype, once=True)

    def choose_prepared(self, spec: ConvSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose_prepared`."""
        return self._best(spec, dtype, once=False)

    def _best(self, spec: ConvSpec, dtype: np.dtype[Any], *, once: bool) -> tuple[str, str]:
        pays = _winograd_pays(_problem(spec), spec.icg, spec.ocg, spec.kernel, spec.n * spec.out_count, once)
        if pays and self.supports_algorithm("winograd", "conv", spec, dtype) is None:
            return "winograd", "small windows, stride 1, enough channels: a quarter to a half of the products"
        rows = not spec.channels_last and max(spec.stride) <= 2  # pixels of a row are lanes
        if spec.groups > 1 and rows and spec.taps_count > 1 and spec.ocg <= NARROW_GROUP.get(_native.vector_bytes(), 4):
            return "direct", "narrow groups: each packed window would serve few outputs"
        if _small_map(spec, dtype) and not _large_product(spec, once):
            return "gemm", "1x1 windows of a small map: neither image nor weights need packing"
        return _plain(spec.ocg, spec.reduction, spec.taps_count, dtype, spec.icg if spec.channels_last else 0)

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        if algorithm == "bf16x3":
            if not _native.has_bf16x3():
                return f"bf16x3 needs a matrix unit for bfloat16 (Intel AMX), which {_native.active_isa()} has not"
            return None if dtype == dtypes.FLOAT32 else f"bf16x3 serves float32, not {dtype}"
        if algorithm != "winograd":
            return None
        assert isinstance(spec, ConvSpec)
        if dtype != dtypes.FLOAT32:
            return f"winograd serves float32, not {dtype}"
        if spec.kernel[-2:] not in WINOGRAD_WINDOWS or max(spec.stride[-2:]) > 1:
            return "winograd serves windows of 3x3 or 5x5 along H and W, with stride 1 there"
        need, bound = self.workspace(op, spec, dtype, algorithm), config.get_max_workspace()
        return None if need <= bound else f"winograd needs {need} bytes of scratch, more than max_workspace={bound}"

    def integers_as_floats(self, op: str, spec: WindowSpec, algorithm: str | None) -> bool:
        """See `Backend.integers_as_floats`."""
        return True

    def exact_algorithm(self, algorithm: str) -> bool:
        """See `Backend.exact_algorithm`."""
        return algorithm != "winograd"

    def workspace(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        if op not in ("conv", "conv_grad_weight") or dtype.kind != "f":
            return 0
        assert isinstance(spec, ConvSpec)
        if op == "conv_grad_weight" and not _summable(spec):
            return 0
        code = ord("f" if dtype == dtypes.FLOAT32 else "d")
        threads, bound = get_num_threads(), config.get_max_workspace()
        if op == "conv_grad_weight":
            return int(_native.grad_weight_workspace(_problem(spec), code, threads, bound))
        chosen = algorithm or str(self.choose(op, spec, dtype)[0])
        return int(_native.workspace(_problem(spec), chosen, code, threads, bound, False))

    def prepare_conv(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None], Array]:
        """See `Backend.prepare_conv`."""
        compute = dtypes.for_sums(x=dtype, w=w.dtype)[1]
        if compute.kind != "f" or compute != dtype or not _plain_call(spec):
            return super().prepare_conv(spec, w, bias, dtype, algorithm)
        plain = self._weights(w, compute, spec)
        form = algorithm or "gemm"
        ready: Any = plain if form == "direct" else _native.Weights(_problem(spec), plain, form, get_num_threads())
        return _Prepared(self, spec, ready, None if bias is None else self._usable(bias, compute, False), compute, form)

    def quick_conv(
        self, spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[..., Array | None] | None:
        """See `Backend.quick_conv`."""
        plain = _plain_call(spec) and spec.batched and not spec.flip
        if x_dtype != w_dtype or x_dtype not in (dtypes.FLOAT32, dtypes.FLOAT64) or not plain:
            return None
        form = algorithm or "gemm"
        found: Any = _native.Runner(_problem(spec), None, None, form, spec.x_shape, spec.y_shape, x_dtype)
        return found  # type: ignore[no-any-return]

    def quick_pool(self, spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Callable[..., Any] | None:
        """See `Backend.quick_pool`."""
        plain = spec.batched and spec.n and spec.c
        if spec.kind == "sum" and dtype.kind != "f":
            return None  # whether sums fit depends on the numbers
        if not plain or dtypes.for_pool(spec.kind, dtype) != (dtype, dtype):
            return None
        return _native_pool.PoolRunner(_pool_problem(spec), spec.x_shape, spec.y_shape, dtype, spec.channels_last)

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if not y.size:
            return
        if not spec.reduction or x.dtype == dtypes.INT64:
            self._loops(spec, x, w, bias, y)
        else:
            self._run(spec, x, w, bias, y, algorithm or "gemm")

    def _run(self, spec: ConvSpec, x: Array, w: Any, bias: Array | None, y: Array, form: str) -> None:
        _native.conv(_problem(spec), x, w, bias, y, form, get_num_threads(), config.get_max_workspace())

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        """Run one convolution of stride 1 per phase of the stride, over `grad_y` with the taps that reach the phase."""
        if not (grad_x.size and grad_y.size and spec.taps_count):
            grad_x[...] = 0
            return
        if grad_x.dtype == dtypes.INT64:
            grad_x[...] = 0
            convolve(INPUT, spec, grad_x, w, grad_y)
            return
        by_group = w.reshape(spec.groups, spec.ocg, spec.icg, *spec.kernel).swapaxes(1, 2)
        for phases in product(*(_phases(spec, axis) for axis in range(spec.nd))):
            at: Any = (..., *(slice(phase.start, None, s) for phase, s in zip(phases, spec.stride, strict=True)))
            target = grad_x[at]
            if not all(phase.taps for phase in phases):
                target[...] = 0
                continue
            taps: Any = (..., *(phase.reversed() for phase in phases))
            weights = by_group[taps]
            kernel = weights.shape[3:]
            problem = _native.ConvProblem(
                spec.n, spec.groups, spec.ocg, spec.icg, spec.out_size, kernel, target.shape[2:], (1,) * spec.nd,
                tuple(phase.dilation for phase in phases), tuple(phase.lo for phase in phases), spec.channels_last,
            )  # fmt: skip
            form = self._adjoint_form(spec, kernel, target.shape[2:], grad_y.dtype, problem)
            if form == "direct":
                weights = np.ascontiguousarray(weights)
            _native.conv(problem, grad_y, weights, None, target, form, get_num_threads(), config.get_max_workspace())

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        if x.dtype == dtypes.INT64:
            grad_w[...] = 0
            convolve(WEIGHT, spec, x, grad_w, grad_y)
        elif _summable(spec):
            problem, bound = _problem(spec), config.get_max_workspace()
            _native.grad_weight(problem, x, grad_y, grad_w, get_num_threads(), bound)
        else:
            grad_w[...] = 0

    def _adjoint_form(
        self, spec: ConvSpec, kernel: tuple[int, ...], size: tuple[int, ...], dtype: Any, problem: Any
    ) -> str:
        """Choose the algorithm of one phase, of that size, as `choose` does for a forward convolution."""
        outs = spec.n * math.prod(size)
        if dtype == dtypes.FLOAT32 and _winograd_pays(problem, spec.ocg, spec.icg, kernel, outs, True):
            bound = config.get_max_workspace()
            if _native.workspace(problem, "winograd", ord("f"), get_num_threads(), bound, False) <= bound:
                return "winograd"
        taps, pixel = math.prod(kernel), spec.ocg if spec.channels_last else 0
        return _plain(spec.icg, spec.ocg * taps, taps, dtype, pixel)[0]

    def _loops(self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array) -> None:
        y[...] = 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd)
        convolve(FORWARD, spec, x, w, y)

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        if y.size:
            _native_pool.pool(_pool_problem(spec), x, y, indices, get_num_threads())

    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array
    ) -> None:
        if not (grad_x.size and grad_y.size):
            grad_x[...] = 0
            return
        adjoint = _pool_adjoint(spec)
        if adjoint is None:
            _native_pool.pool_grad(_pool_problem(spec), grad_y, None, grad_x, True, get_num_threads())
        else:
            _native_pool.pool(adjoint, grad_y, grad_x, None, get_num_threads())

    def _unpool(self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool) -> None:
        if not (x.size and y.size):
            y[...] = 0
            self._check_places(spec, indices)
        elif not _native_pool.pool_grad(_pool_problem(spec), x, indices, y, add, get_num_threads()):
            self._check_places(spec, indices)


class _Phase(NamedTuple):
    """The inputs ``start, start + stride, …`` of one axis: a convolution of stride 1 over the outputs gives them."""

    start: int
    taps: range  # of the kernel, that reach these inputs
    dilation: int  # between them, in outputs
    lo: int  # padding of the outputs

    def reversed(self) -> slice:
        """Return the taps, last first, as a slice of a kernel's axis."""
        end = self.taps.start - self.taps.step
        return slice(self.taps[-1], end if end >= 0 else None, -self.taps.step)


@lru_cache(maxsize=4096)
def _phases(spec: ConvSpec, axis: int) -> tuple[_Phase, ...]:
    """Cut one axis of the input by the residue modulo the stride: tap k of output o lies on input ``o s + k d - p``."""
    s, d, p = spec.stride[axis], spec.dilation[axis], spec.pad_lo[axis]
    every = s // math.gcd(s, d)  # taps that reach the same residue
    found = []
    for start in range(min(s, spec.in_size[axis])):
        first = next((k for k in range(every) if (start + p - k * d) % s == 0), spec.kernel[axis])
        taps = range(first, spec.kernel[axis], every)
        gap = every * d // s
        found.append(_Phase(start, taps, gap, (len(taps) - 1) * gap - (start + p - first * d) // s))
    return tuple(found)


class _Prepared:
    """A convolution whose weights are packed."""

    def __init__(
        self, backend: NativeBackend, spec: ConvSpec, w: Any, bias: Array | None, dtype: np.dtype[Any], form: str
    ) -> None:
        self._backend, self._spec, self._w, self._bias, self._dtype, self._form = backend, spec, w, bias, dtype, form
        self._runner: Any = None
        if spec.batched:
            self._runner = _native.Runner(_problem(spec), w, bias, form, spec.x_shape, spec.y_shape, dtype)

    def __call__(self, x: Array, out: Array | None) -> Array:
        backend, spec = self._backend, self._spec
        backend.check_out(out, spec.y_shape, self._dtype, x)
        y, finish = backend._result(spec.y_shape, self._dtype, self._dtype, spec, out)
        backend._run(spec, backend._input(x, self._dtype, spec), self._w, self._bias, y, self._form)
        return finish()  # type: ignore[no-any-return]

    def quick(self, x: Any) -> Array | None:
        """Return the result for an array of the plan's very shape and dtype, None for anything else."""
        if self._runner is None:
            return None
        return self._runner(x, get_num_threads(), config.get_max_workspace())  # type: ignore[no-any-return]


def _plain_call(spec: ConvSpec) -> bool:
    """Return whether nothing but zeros pads the input, and no array is empty."""
    zeros = spec.padding_mode == "constant" and not spec.pad_value
    return bool(zeros and spec.reduction and spec.oc and spec.n)


def _winograd_pays(problem: Any, icg: int, ocg: int, kernel: tuple[int, ...], outs: int, once: bool) -> bool:
    """Return whether Winograd may, and repays its transforms, `once`: that of the weights, too; outs: of the batch."""
    if kernel[-2:] not in WINOGRAD_WINDOWS or min(icg, ocg) < WINOGRAD_CHANNELS or config.get_accuracy() == "strict":
        return False
    products, points = _native.winograd_products(problem)
    direct = kernel[-1] ** 2 * outs  # each slice of the window, and pair of channels
    matrix = _native.active_isa() == MATRIX_ISA and _matrix_pays(ocg, icg * math.prod(kernel), math.prod(kernel))
    if products > (WINOGRAD_SHARE_MATRIX if matrix else WINOGRAD_SHARE) * direct:
        return False
    return not once or direct - products >= WINOGRAD_ONCE * points * (2 if matrix else 1)


def _small_map(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    plain = spec.taps_count == 1 and max(spec.stride) == 1 and spec.in_size == spec.out_size and not spec.channels_last
    pixels = math.prod(spec.out_size)
    few = spec.n * pixels <= MAP_PIXELS and spec.icg * pixels * dtype.itemsize <= MAP_BYTES
    return plain and few and spec.ocg >= FEW_OUTPUTS


def _large_product(spec: ConvSpec, once: bool) -> bool:
    large = spec.reduction >= MAP_PRODUCTS and spec.ocg >= max(MAP_OUTPUTS, spec.reduction)
    return large and (not once or math.prod(spec.out_size) >= MAP_PIXELS_ONCE)


def _matrix_pays(outputs: int, products: int, taps: int) -> bool:
    return outputs >= (MATRIX_OUTPUTS if taps > 1 else MATRIX_OUTPUTS_ONE_TAP) and products >= MATRIX_PRODUCTS


def _summable(spec: ConvSpec) -> bool:
    """Return whether a weight gradient has terms: none of its arrays is empty."""
    return bool(spec.n and spec.c and spec.oc and spec.taps_count and spec.out_count and math.prod(spec.in_size))


def _plain(outputs: int, products: int, taps: int, dtype: np.dtype[Any], pixel: int) -> tuple[str, str]:
    """Choose for so many output channels per group and products per output, Winograd apart.

    pixel : channels of a group that lie side by side, if they come last, else 0.
    """
    pays = min(pixel, outputs) >= MATRIX_PIXEL if pixel else _matrix_pays(outputs, products, taps)
    if pays and dtype == dtypes.FLOAT32 and _native.active_isa() == MATRIX_ISA:
        return "bf16x3", "dense, and there is a matrix unit: six products in bfloat16 outrun one in float32"
    if outputs < FEW_OUTPUTS or products < FEW_PRODUCTS:
        return "direct", "few channels per group: a packed panel would serve too few outputs"
    return "gemm", "dense: panels of windows are packed while they are multiplied"


@lru_cache(maxsize=4096)
def _problem(spec: ConvSpec) -> Any:
    return _native.ConvProblem(
        spec.n, spec.groups, spec.icg, spec.ocg, spec.in_size, spec.kernel, spec.out_size, spec.stride, spec.dilation,
        spec.pad_lo, spec.channels_last,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _pool_problem(spec: PoolSpec) -> Any:
    kernel = spec.kernel  # the longest window, which in an adaptive pooling may be one element longer
    if spec.adaptive:
        kernel = tuple(min(k + 1, size) for k, size in zip(kernel, spec.in_size, strict=True))
    return _native_pool.PoolProblem(
        spec.n, spec.c, spec.in_size, kernel, spec.out_size, spec.stride, spec.dilation, spec.pad_lo, spec.pad_hi,
        spec.kind, spec.count_include_pad, spec.divisor or 0, spec.adaptive,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _pool_adjoint(spec: PoolSpec) -> Any:
    """Return the pooling that is the adjoint: with stride 1 and one divisor, an input averages the windows round it."""
    reach = [d * (k - 1) for d, k in zip(spec.dilation, spec.kernel, strict=True)]
    lo = tuple(r - p for r, p in zip(reach, spec.pad_lo, strict=True))
    hi = tuple(i + r - left - o for i, r, left, o in zip(spec.in_size, reach, lo, spec.out_size, strict=True))
    even = spec.kind == "sum" or spec.divisor or spec.count_include_pad or not spec.padded
    if max(spec.stride) > 1 or not even or min(*lo, *hi) < 0:
        return None
    return _native_pool.PoolProblem(
        spec.n, spec.c, spec.out_size, spec.kernel, spec.in_size, spec.stride, spec.dilation, lo, hi, spec.kind, True,
        spec.divisor or spec.taps_count,
    )  # fmt: skip
