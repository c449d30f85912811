"""cuDNN under the backend `cupy`: one graph of one convolution, planned once per problem and device.

NVIDIA's Python package for it, ``cudnn``, is imported on first use only.  Plans that round more than direct sums do, or
that spread a NaN beyond its windows, are left out: tensor cores for float32 (unless TF32 is allowed), sums in less than
float32, Winograd, FFT, and whatever gives other bits from run to run.
"""

from __future__ import annotations

import math
import os
import threading
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import config
from ..errors import UnsupportedError
from ..spec import ConvSpec

Array = Any

HOW = "pip install nvidia-cudnn-frontend nvidia-cudnn-cu12 (or nvidia-cudnn-cu13, as CuPy's CUDA)"
_DTYPES = {"float16": "HALF", "float32": "FLOAT", "float64": "DOUBLE"}
_UIDS = {"x": 1, "w": 2, "y": 3}
_RESULT = {"conv": "y", "conv_grad_input": "x", "conv_grad_weight": "w"}
#: Numerical notes of plans that no call may use.
_BARRED = ("WINOGRAD", "WINOGRAD_TILE_4x4", "WINOGRAD_TILE_6x6", "WINOGRAD_TILE_13x13", "FFT", "NONDETERMINISTIC",
           "REDUCED_PRECISION_REDUCTION")  # fmt: skip
#: And of those that round float32 to TF32.
_ROUNDED = ("TENSOR_CORE", "DOWN_CONVERT_INPUTS")


@lru_cache(maxsize=1)
def missing() -> str | None:
    """Return None if cuDNN and its Python package are there, else which is not, and how to get it."""
    try:
        import cudnn
    except ModuleNotFoundError as error:
        if error.name == "cudnn":
            return f"cuDNN's Python package is not installed: {HOW}"
        return f"cuDNN's Python package needs the module {error.name!r}, which is not installed: {HOW}"
    except Exception as error:  # the library of cuDNN may be missing, or of another CUDA
        return f"cuDNN's Python package cannot be imported ({type(error).__name__}: {error}): {HOW}"
    try:
        cudnn.backend_version()
    except Exception as error:
        return f"cuDNN's Python package {cudnn.__version__} is installed, but finds no cuDNN ({error}): {HOW}"
    return None


def tf32() -> bool:
    """Return whether float32 may be rounded to TF32: CuPy's own setting."""
    return os.environ.get("CUPY_TF32", "0") == "1"


def refusal(spec: ConvSpec, dtype: np.dtype[Any]) -> str | None:
    """Return None if a problem is one that cuDNN can be asked for, else the reason."""
    if dtype.name not in _DTYPES:
        return f"cuDNN serves float16, float32 and float64, not {dtype}"
    if not (spec.n and spec.reduction and spec.oc and spec.out_count and math.prod(spec.in_size)):
        return "cuDNN takes no empty arrays"
    if spec.pad_lo != spec.pad_hi:
        return f"cuDNN pads both ends of an axis alike, not {spec.pad_lo} and {spec.pad_hi}"
    if any(spec.span(axis, 1) > size for axis, size in enumerate(spec.unpadded().in_size)):
        return "cuDNN takes no window larger than the padded input"
    return None


class Key(NamedTuple):
    """What a plan depends on."""

    op: str
    spec: ConvSpec
    dtype: np.dtype[Any]
    last: bool  # channels lie next to each other
    device: int
    bound: int  # of the workspace
    tf32: bool


class Cudnn:
    """The handles and plans of a process."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp
        self._local = threading.local()  # a handle serves one thread at a time
        self._plans: dict[tuple[Key, int], Any] = {}

    def refusal(self, op: str, spec: ConvSpec, dtype: np.dtype[Any]) -> str | None:
        """Return None if cuDNN has a plan for a problem on the current device, else the reason."""
        reason = missing() or refusal(spec, dtype)
        if reason is None:
            found = self._plan(self._key(op, spec, dtype, spec.channels_last))
            reason = found if isinstance(found, str) else None
        return reason

    def workspace(self, op: str, spec: ConvSpec, dtype: np.dtype[Any]) -> int:
        """Return the bytes of scratch that the plan of a problem needs."""
        found = self._plan(self._key(op, spec, dtype, spec.channels_last))
        return 0 if isinstance(found, str) else int(found.get_workspace_size())

    def run(self, op: str, spec: ConvSpec, x: Array, w: Array, y: Array) -> None:
        """Fill the result of an operation, one of the three arrays, from the other two."""
        arrays = {"x": x, "w": w, "y": y}
        to = _RESULT[op]
        last = _last(y if op == "conv_grad_input" else x)
        key = self._key(op, spec, x.dtype, last)
        graph = self._plan(key)
        if isinstance(graph, str):
            raise UnsupportedError(graph, graph)
        result = arrays[to]
        for name, a in arrays.items():
            if not _packed(a, last):
                arrays[name] = _empty(self._xp, a, last)
                if name != to:
                    arrays[name][...] = a
        scratch = self._xp.empty(max(1, int(graph.get_workspace_size())), np.uint8)
        graph.execute({_UIDS[name]: a for name, a in arrays.items()}, scratch, handle=self._handle())
        if arrays[to] is not result:
            result[...] = arrays[to]

    def _key(self, op: str, spec: ConvSpec, dtype: np.dtype[Any], last: bool) -> Key:
        device = self._xp.cuda.runtime.getDevice()
        spec = replace(spec, batched=True, channels_last=False, flip=False)  # what does not matter here
        return Key(op, spec, dtype, last, device, config.get_max_workspace(), tf32())

    def _handle(self) -> Any:
        """Return this thread's handle of the current device, on the current stream."""
        import cudnn

        handles = self._local.__dict__.setdefault("handles", {})
        device = self._xp.cuda.runtime.getDevice()
        if device not in handles:
            handles[device] = cudnn.create_handle()
        cudnn.set_stream(handle=handles[device], stream=self._xp.cuda.get_current_stream().ptr)
        return handles[device]

    def _plan(self, key: Key) -> Any:
        """Return a graph that is ready to run, or the reason why there is none."""
        place = key, threading.get_ident()
        if place not in self._plans:
            try:
                self._plans[place] = _ready(_graph(key, self._handle()), key)
            except MemoryError:
                raise
            except Exception as error:  # cuDNN says no in many ways
                self._plans[place] = f"cuDNN has no plan for it ({type(error).__name__}: {error})"
        return self._plans[place]


# --------------------------------------------------------------------------------------------------


def shapes(spec: ConvSpec) -> dict[str, tuple[int, ...]]:
    """Return the shapes of x, w and y with at least two spatial axes, which cuDNN wants."""
    lifted = _lifted(spec)
    return {
        "x": (spec.n, spec.c, *lifted["in"]), "w": (spec.oc, spec.icg, *lifted["kernel"]),
        "y": (spec.n, spec.oc, *lifted["out"]),
    }  # fmt: skip


def strides(shape: tuple[int, ...], last: bool) -> list[int]:
    """Return the strides of a packed array in elements, with channels last or not."""
    order = [0, *range(2, len(shape)), 1] if last else list(range(len(shape)))
    found, step = [0] * len(shape), 1
    for axis in reversed(order):
        found[axis] = step
        step *= shape[axis]
    return found


def _lifted(spec: ConvSpec) -> dict[str, list[int]]:
    ones, zeros = [1] * (2 - spec.nd), [0] * (2 - spec.nd)
    return {
        "in": [*ones, *spec.in_size], "out": [*ones, *spec.out_size], "kernel": [*ones, *spec.kernel],
        "stride": [*ones, *spec.stride], "dilation": [*ones, *spec.dilation], "padding": [*zeros, *spec.pad_lo],
    }  # fmt: skip


def _graph(key: Key, handle: Any) -> Any:
    """Declare the convolution of a problem."""
    import cudnn

    element = getattr(cudnn.data_type, _DTYPES[key.dtype.name])
    sums = cudnn.data_type.FLOAT if key.dtype == np.float16 else element
    graph = cudnn.pygraph(
        name=key.op, handle=handle, io_data_type=element, intermediate_data_type=sums, compute_data_type=sums
    )
    to, sizes = _RESULT[key.op], shapes(key.spec)
    given = {
        name: graph.tensor(
            name=name, dim=list(shape), stride=strides(shape, key.last), data_type=element, uid=_UIDS[name]
        )
        for name, shape in sizes.items() if name != to
    }  # fmt: skip
    lifted = _lifted(key.spec)
    windows = {
        "pre_padding": lifted["padding"], "post_padding": lifted["padding"], "stride": lifted["stride"],
        "dilation": lifted["dilation"], "compute_data_type": sums,
    }  # fmt: skip
    if to == "y":
        result = graph.conv_fprop(image=given["x"], weight=given["w"], **windows)
    elif to == "x":
        result = graph.conv_dgrad(loss=given["y"], filter=given["w"], **windows)
    else:
        result = graph.conv_wgrad(image=given["x"], loss=given["y"], **windows)
    result.set_output(True).set_data_type(element).set_uid(_UIDS[to])
    result.set_dim(list(sizes[to])).set_stride(strides(sizes[to], key.last))
    return graph


def _ready(graph: Any, key: Key) -> Any:
    """Choose and build the plan of a graph."""
    import cudnn

    graph.validate()
    graph.build_operation_graph()
    graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    exact = _ROUNDED if key.dtype == np.float32 and not key.tf32 else ()
    graph.deselect_numeric_notes([getattr(cudnn.numerical_note, note) for note in (*_BARRED, *exact)])
    graph.deselect_workspace_greater_than(key.bound)
    graph.check_support()
    graph.build_plans()
    return graph


def _last(a: Array) -> bool:
    """Return whether an array lies with its channels last rather than first."""
    return not a.flags.c_contiguous and bool(_packed(a, True))


def _packed(a: Array, last: bool) -> bool:
    own = [stride // a.dtype.itemsize for stride in a.strides]
    return all(s == t or size == 1 for s, t, size in zip(own, strides(a.shape, last), a.shape, strict=True))


def _empty(xp: Any, like: Array, last: bool) -> Array:
    """Return a packed array of a shape."""
    if not last:
        return xp.empty(like.shape, like.dtype)
    turned = xp.empty((like.shape[0], *like.shape[2:], like.shape[1]), like.dtype)
    return turned.transpose(0, turned.ndim - 1, *range(1, turned.ndim - 1))
