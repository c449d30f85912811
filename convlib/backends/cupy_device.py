"""The GPU as the backend `cupy` sees it: whether there is one, its memory, and kernels compiled once each.

CuPy is imported on first use only.  Everything runs on the current device and stream, with memory of CuPy's pool;
nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache, wraps
from importlib import resources
from itertools import product
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from ..errors import BackendError
from ..spec import ConvSpec, PoolSpec, WindowSpec

Array = Any
F = TypeVar("F", bound=Callable[..., Any])

OLDEST = 14  # CuPy's first release without cuDNN inside; older ones want another NumPy
THREADS = 256  # per block
TILE = 64  # output channels, and positions, of a block of `conv_gemm`
OPTIONS = ("--std=c++17",)  # of NVRTC

#: The files of the kernels, in the order in which one uses what another defines.
SOURCES = ("cupy_base.cu", "cupy_columns.cu", "cupy_conv.cu", "cupy_pool.cu", "cupy_gradients.cu")

BLOCKS = 1 << 16  # at most; threads then take more than one element each

#: Sizes and offsets below this fit 32-bit arithmetic with room for one more step of the grid.
NARROW = 1 << 30

_TYPES = {
    "bool": "unsigned char", "int8": "signed char", "uint8": "unsigned char", "int16": "short",
    "uint16": "unsigned short", "int32": "int", "uint32": "unsigned int", "int64": "long long",
    "uint64": "unsigned long long", "float16": "Half", "float32": "float", "float64": "double",
    "complex64": "Complex<float>", "complex128": "Complex<double>",
}  # fmt: skip
_BITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long", 16: "Bits128"}
_SUMS = ("int64", "float32", "float64", "complex64", "complex128")
_REALS = ("float32", "float64")
_PRODUCTS = ("float16", "float32", "float64", "complex64", "complex128")
_AXES = ("in", "out", "kernel", "stride", "dilation", "lo", "hi")
_WORDS = (
    "first", "images", "start", "count", "total", "x", "y", "z", "divisor", "count_pad", "adaptive", "last", "add",
    "chunk",
)  # fmt: skip

#: ``struct Call`` of the kernels: 64-bit integers only, so that no compiler puts gaps into it.
CALL = np.dtype(
    [(name, "<i8") for name in ("n", "c", "oc", "groups")]
    + [(name, "<i8", (3,)) for name in _AXES]
    + [(name, "<i8", (5,)) if name in "xyz" else (name, "<i8") for name in _WORDS]
)


# --------------------------------------------------------------------------------------------------
# Is there a GPU?
# --------------------------------------------------------------------------------------------------


def missing() -> str | None:
    """Return None if CuPy and a GPU are there, else which of the two is not, and how to get it."""
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            return f"CuPy is installed but cannot be imported ({error}); install it again: {_HOW}"
        return f"CuPy is not installed; {_HOW}"
    except Exception as error:  # a broken installation can fail in any way
        return f"CuPy is installed but cannot be imported ({type(error).__name__}: {error}); install it again: {_HOW}"
    version = str(cupy.__version__)
    if int(version.partition(".")[0]) < OLDEST:
        return f"CuPy {version} is too old, convlib needs {OLDEST} or later; {_HOW}"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "NoDevice" in str(error):
            return _NO_GPU.format(version=version, error=error)
        return (
            f"CuPy {version} is installed, but the NVIDIA driver is missing or too old for its CUDA ({error}); install "
            "or update the driver (nvidia-smi must list a GPU); in a container start it with the GPU, as in "
            "docker run --gpus all"
        )
    return None if count else _NO_GPU.format(version=version, error="0 devices")


_HOW = (
    "pip install '.[cuda12]' in convlib's checkout, or '.[cuda13]' if nvidia-smi shows CUDA 13 "
    "(both also need an NVIDIA GPU and its driver)"
)
_NO_GPU = (
    "CuPy {version} is installed, but it finds no GPU ({error}); run on a machine with an NVIDIA GPU, and check that "
    "CUDA_VISIBLE_DEVICES does not hide it"
)


# --------------------------------------------------------------------------------------------------
# Memory
# --------------------------------------------------------------------------------------------------


class Namespace:
    """CuPy's functions; where one finds no device memory, the error says how much there is and what helps."""

    ndarray: Any
    empty: Any
    zeros: Any
    full: Any

    def __init__(self, cupy: Any) -> None:
        self.cupy = cupy
        self.ndarray = cupy.ndarray
        self.empty = guarded(cupy.empty)
        self.zeros = guarded(cupy.zeros)
        self.full = guarded(cupy.full)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cupy, name)


def guarded(function: F) -> F:
    """Wrap a function so that a lack of device memory is explained."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except MemoryError as error:
            if getattr(error, "explained", False):
                raise
            raise _explained(error) from error

    return cast(F, call)


def _explained(error: MemoryError) -> MemoryError:
    import cupy

    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool()
    said = (
        f"device {cupy.cuda.runtime.getDevice()} is out of memory ({error}): {free} of its {total} bytes are free, and "
        f"CuPy's pool keeps {pool.free_bytes()} unused; delete arrays, use a smaller batch, lower the scratch bound "
        "with convlib.config.max_workspace, or call cupy.get_default_memory_pool().free_all_blocks()"
    )
    better = MemoryError(said)
    better.explained = said  # type: ignore[attr-defined]
    return better


# --------------------------------------------------------------------------------------------------
# Kernels
# --------------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """Where the elements of an array (N, C, D, H, W) lie: strides in elements, and the largest offset."""

    strides: tuple[int, ...]
    span: int


class Launch(NamedTuple):
    """What a kernel gets first, and the type of its index arithmetic."""

    call: Any
    integer: str
    total: int


def source() -> str:
    """Return the CUDA C++ text of all kernels; what a compiler says of it names the file and line."""
    folder = resources.files("convlib.backends")
    return "".join(f'#line 1 "{name}"\n{folder.joinpath(name).read_text("utf-8")}' for name in SOURCES)


def element(dtype: np.dtype[Any]) -> str:
    """Return the C++ type of an element."""
    return _TYPES[dtype.name]


def bits(dtype: np.dtype[Any]) -> str:
    """Return a C++ type of the size of an element, for kernels that only move elements."""
    return _BITS[dtype.itemsize]


def layout(a: Array) -> Layout:
    """Return the strides of an array (N, C, *spatial) of up to three spatial axes."""
    itemsize = a.dtype.itemsize
    strides = [stride // itemsize for stride in a.strides]
    span = sum((size - 1) * abs(stride) for size, stride in zip(a.shape, strides, strict=True) if size > 1)
    return Layout((*strides[:2], *(0,) * (5 - len(strides)), *strides[2:]), span)


def channels_fastest(a: Array) -> bool:
    """Return whether neighbours in memory are channels rather than columns."""
    return bool(a.shape[1] > 1 and abs(a.strides[1]) < abs(a.strides[-1]))


@lru_cache(maxsize=4096)
def launch_of(spec: WindowSpec, total: int, span: int = 0, **fields: Any) -> Launch:
    """Return the first argument of a kernel over `total` threads.

    `span` is the largest offset into an array without a `Layout`; `fields` fill those of ``struct Call``.
    """
    call = np.zeros(1, CALL)
    ones, zeros = (1,) * (3 - spec.nd), (0,) * (3 - spec.nd)
    sizes = (spec.in_size, spec.out_size, spec.kernel, spec.stride, spec.dilation, spec.pad_lo, spec.pad_hi)
    for name, values in zip(_AXES, sizes, strict=True):
        call[name] = (*(zeros if name in ("lo", "hi") else ones), *values)
    call["n"] = call["images"] = spec.n
    call["c"] = spec.c
    call["count"] = spec.out_count
    call["total"] = total
    if isinstance(spec, ConvSpec):
        call["oc"], call["groups"] = spec.oc, spec.groups
    if isinstance(spec, PoolSpec):
        call["divisor"], call["count_pad"] = spec.divisor or 0, spec.count_include_pad
        call["adaptive"] = spec.adaptive
    for name, value in fields.items():
        if isinstance(value, Layout):
            span = max(span, value.span)
            value = value.strides
        call[name] = value
    reach = max(i + lo + hi for i, lo, hi in zip(spec.in_size, spec.pad_lo, spec.pad_hi, strict=True))
    largest = max(span, reach, *(abs(int(v)) for v in call.view(np.int64)))
    return Launch(call, "int" if largest < NARROW else "long long", total)


class Kernels:
    """The compiled kernels of a process, one per name, element type and device."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._ready: dict[tuple[str, int], Any] = {}

    def __call__(self, name: str, types: tuple[str, ...], launch: Launch, *args: Any) -> None:
        """Start a kernel on the current stream; `types` are its template arguments without that of the index."""
        if launch.total <= 0:
            return
        expression = expression_of(name, types, launch.integer)
        key = expression, self._cupy.cuda.runtime.getDevice()
        kernel = self._ready.get(key) or self._ready.setdefault(key, self._compile(expression))
        kernel((min(-(-launch.total // THREADS), BLOCKS),), (THREADS,), (launch.call, *args))

    def _compile(self, expression: str) -> Any:
        try:
            module = self._cupy.RawModule(code=source(), options=OPTIONS, name_expressions=(expression,))
            return module.get_function(expression)
        except MemoryError:
            raise
        except Exception as error:  # NVRTC may be missing, too old for the GPU, or refuse the text
            raise BackendError(
                f"the kernel {expression} could not be compiled ({type(error).__name__}: {error}); CuPy needs NVRTC "
                "for it: pip install 'cupy-cuda12x[ctk]' (or cupy-cuda13x), whichever of the two is installed"
            ) from error


@cache
def expression_of(name: str, types: tuple[str, ...], index: str) -> str:
    """Return the C++ name of an instance of a kernel: the index type is the second template argument, or the only."""
    return f"{name}<{', '.join((*types[:1], index, *types[1:]))}>"


def expressions() -> Iterator[str]:
    """Yield every instance of every kernel that the backend can ask for."""
    for index in ("int", "long long"):
        for name, types in _instances():
            yield expression_of(name, types, index)


def _instances() -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in ("im2col", "gather", "unpool_write"):
        yield from ((name, (kind,)) for kind in _BITS.values())
    for name in ("col2im", "store", "conv", "conv_grad_input", "conv_grad_weight", "unpool_add"):
        yield from ((name, (_TYPES[kind],)) for kind in _SUMS)
    yield from (("conv_gemm", (_TYPES[kind],)) for kind in _PRODUCTS)
    ordered = dict.fromkeys(kind for name, kind in _TYPES.items() if not name.startswith(("complex", "float16")))
    yield from (("pool_extreme", pair) for pair in product(ordered, ("MAX", "MIN")))
    for name in ("pool_sum", "pool_grad"):
        yield from ((name, (_TYPES[kind], "SUM")) for kind in _SUMS)
        yield from ((name, (_TYPES[kind], "AVG")) for kind in _SUMS[1:])
    for kind in _REALS:
        yield "pool_extreme", (_TYPES[kind], "LP_INF")
        yield from ((name, (_TYPES[kind],)) for name in ("pool_norm", "pool_norm_grad"))
    yield "unpool_mark", ()
