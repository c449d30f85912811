"""The part of NVIDIA's package `cudnn` that the backend `cupy` uses, on a processor, and at least as strict.

A graph accepts steps in their one order, tensors whose every property is declared, and arrays that are what was
declared; filters that come before there are plans are lost in cuDNN and refused here.  The sums are NumPy's.
"""

from __future__ import annotations

import itertools
from enum import Enum

import cupy
import numpy as np

__version__ = "1.32.0"
data_type = Enum("data_type", "HALF FLOAT DOUBLE INT32 NOT_SET")
heur_mode = Enum("heur_mode", "A B FALLBACK")
numerical_note = Enum(
    "numerical_note",
    "TENSOR_CORE DOWN_CONVERT_INPUTS REDUCED_PRECISION_REDUCTION FFT NONDETERMINISTIC WINOGRAD WINOGRAD_TILE_4x4 "
    "WINOGRAD_TILE_6x6 WINOGRAD_TILE_13x13 STRICT_NAN_PROP",
)
_TYPES = {data_type.HALF: np.float16, data_type.FLOAT: np.float32, data_type.DOUBLE: np.float64}
graphs = []  # all that were made, for tests


class cudnnGraphNotSupportedError(RuntimeError):
    """cuDNN has no plan."""


class Handle:
    """A handle knows its device, and the stream it was told last."""

    def __init__(self):
        self.device, self.stream = cupy.cuda.runtime.getDevice(), None


def backend_version():
    """Return the version of the library."""
    return 92800


def create_handle():
    """Return a handle of the current device."""
    return Handle()


def set_stream(handle, stream):
    """Set the stream of a handle."""
    assert type(handle) is Handle
    assert type(stream) is int
    handle.stream = stream


class Tensor:
    """A declared array."""

    def __init__(self, name="", dim=(), stride=(), data_type=data_type.NOT_SET, uid=-1):
        self.name, self.virtual = name, False
        self.set_dim(list(dim)).set_stride(list(stride)).set_data_type(data_type).set_uid(uid)

    def set_output(self, real):
        self.virtual = not real
        return self

    def set_data_type(self, value):
        assert isinstance(value, data_type)
        self.dtype = value
        return self

    def set_uid(self, uid):
        assert type(uid) is int
        self.uid = uid
        return self

    def set_dim(self, dim):
        assert type(dim) is list
        assert all(type(size) is int for size in dim)
        self.dim = dim
        return self

    def set_stride(self, stride):
        assert type(stride) is list
        assert all(type(step) is int for step in stride)
        self.stride = stride
        return self

    def check(self, rank):
        """Refuse what cuDNN would: gaps in a declaration, an unpacked layout, another rank than the others'."""
        if len(self.dim) != rank or len(self.stride) != rank or min(self.dim) < 1:
            raise cudnnGraphNotSupportedError(f"{self.name}: dim {self.dim} with stride {self.stride}")
        if self.dtype is data_type.NOT_SET or self.uid < 0 or self.virtual:
            raise RuntimeError(f"ATTRIBUTE_NOT_SET: {self.name}")
        step = 1
        for axis in sorted(range(rank), key=lambda axis: (self.stride[axis], self.dim[axis])):
            if self.dim[axis] > 1 and self.stride[axis] != step:
                raise cudnnGraphNotSupportedError(f"{self.name} is not packed: {self.dim}, {self.stride}")
            step *= self.dim[axis]


class pygraph:
    """One convolution."""

    def __init__(self, *, name, io_data_type, intermediate_data_type, compute_data_type, handle):
        assert type(handle) is Handle
        self.name, self.compute, self.handle = name, compute_data_type, handle
        self.step, self.operation, self.tensors, self.barred, self.bound = "made", None, [], set(), None
        graphs.append(self)

    def tensor(self, *, name, dim, stride, data_type, uid):
        assert self.step == "made"
        self.tensors.append(Tensor(name, dim, stride, data_type, uid))
        return self.tensors[-1]

    def _convolution(self, kind, x, w, y, made, windows, compute_data_type):
        assert self.operation is None
        assert compute_data_type is self.compute
        for given in (x, w, y):
            assert given is made or given in self.tensors
        self.tensors.append(made)
        self.operation = kind, x, w, y
        self.windows = {name: list(values) for name, values in windows.items()}
        assert set(windows) == {"pre_padding", "post_padding", "stride", "dilation"}
        return made

    def conv_fprop(self, *, image, weight, compute_data_type, **windows):
        made = Tensor("result")
        return self._convolution("fprop", image, weight, made, made, windows, compute_data_type)

    def conv_dgrad(self, *, loss, filter, compute_data_type, **windows):
        made = Tensor("result")
        return self._convolution("dgrad", made, filter, loss, made, windows, compute_data_type)

    def conv_wgrad(self, *, image, loss, compute_data_type, **windows):
        made = Tensor("result")
        return self._convolution("wgrad", image, made, loss, made, windows, compute_data_type)

    def _after(self, before, now):
        if self.step != before:
            raise RuntimeError(f"{now} comes after {before}, not after {self.step}")
        self.step = now

    def validate(self):
        self._after("made", "validated")
        _, x, w, y = self.operation
        rank = len(x.dim)
        if rank not in (4, 5):
            raise cudnnGraphNotSupportedError(f"{rank - 2} spatial axes")
        if len({tensor.uid for tensor in self.tensors}) != 3 or len({tensor.dtype for tensor in self.tensors}) != 1:
            raise RuntimeError("uids must differ, and types of arrays not")
        for tensor in self.tensors:
            tensor.check(rank)
        assert self.compute is (data_type.FLOAT if x.dtype is data_type.HALF else x.dtype)
        self.groups, rest = divmod(x.dim[1], w.dim[1])
        lo, hi, s, d = (self.windows[name] for name in ("pre_padding", "post_padding", "stride", "dilation"))
        if lo != hi:
            raise cudnnGraphNotSupportedError("asymmetric padding")
        out = [(i + p + q - e * (k - 1) - 1) // t + 1
               for i, p, q, e, k, t in zip(x.dim[2:], lo, hi, d, w.dim[2:], s, strict=True)]  # fmt: skip
        fits = y.dim == [x.dim[0], w.dim[0], *out] and not rest and w.dim[0] % self.groups == 0
        if not fits or min(out) < 1:
            raise RuntimeError(f"CUDNN_STATUS_BAD_PARAM: {x.dim} * {w.dim} -> {y.dim}, not {out}")

    def build_operation_graph(self):
        self._after("validated", "lowered")

    def create_execution_plans(self, modes):
        assert all(isinstance(mode, heur_mode) for mode in modes)
        self._after("lowered", "planned")

    def deselect_numeric_notes(self, notes):
        assert self.step == "planned", "there is nothing to filter yet"
        assert all(isinstance(note, numerical_note) for note in notes)
        self.barred.update(note.name for note in notes)

    def deselect_workspace_greater_than(self, limit):
        assert self.step == "planned"
        self.bound = limit

    def check_support(self):
        self._after("planned", "supported")
        if self.get_workspace_size() > self.bound:
            raise cudnnGraphNotSupportedError("no plan needs so little workspace")

    def build_plans(self):
        self._after("supported", "built")

    def get_workspace_size(self):
        assert self.step in ("supported", "built")
        return 1024

    def execute(self, arrays, workspace, handle):
        assert self.step == "built"
        assert handle.device == self.handle.device == cupy.cuda.runtime.getDevice()
        assert handle.stream == cupy.cuda.get_current_stream().ptr
        assert workspace.dtype == np.uint8
        assert workspace.size >= self.get_workspace_size()
        assert set(arrays) == {tensor.uid for tensor in self.tensors}
        kind, *tensors = self.operation
        x, w, y = (_declared(tensor, arrays[tensor.uid]) for tensor in tensors)
        _compute(self, kind, x, w, y)


def _declared(tensor, array):
    """See the memory of an array by what the graph says of it, as cuDNN does."""
    assert type(array) is cupy.ndarray
    bare = array._array
    assert bare.dtype == _TYPES[tensor.dtype]
    assert bare.size == np.prod(tensor.dim)
    steps = [step * bare.itemsize for step in tensor.stride]
    rest = [(size, step) for size, step in zip(tensor.dim, steps, strict=True) if size > 1]
    own = [(size, step) for size, step in zip(bare.shape, bare.strides, strict=True) if size > 1]
    assert rest == own, f"{tensor.name}: declared {rest}, given {own}"
    return np.lib.stride_tricks.as_strided(bare, tensor.dim, steps)


def _compute(graph, kind, x, w, y):
    lo, s, d = (graph.windows[name] for name in ("pre_padding", "stride", "dilation"))
    sums = _TYPES[graph.compute]
    wide = np.zeros([*x.shape[:2], *(i + 2 * p for i, p in zip(x.shape[2:], lo, strict=True))], sums)
    inner = (..., *(slice(p, p + i) for i, p in zip(x.shape[2:], lo, strict=True)))
    if kind != "dgrad":
        wide[inner] = x
    g, n = graph.groups, x.shape[0]
    weights = w.reshape(g, -1, *w.shape[1:]).astype(sums)
    total = np.zeros(y.shape, sums) if kind == "fprop" else y.astype(sums)
    grouped, gradient = total.reshape(n, g, -1, *y.shape[2:]), np.zeros_like(weights)
    planes = wide.reshape(n, g, -1, *wide.shape[2:])
    with np.errstate(all="ignore"):
        for tap in itertools.product(*map(range, w.shape[2:])):
            at = (..., *(slice(t * e, t * e + (o - 1) * step + 1, step)
                         for t, e, o, step in zip(tap, d, y.shape[2:], s, strict=True)))  # fmt: skip
            here = (..., *tap)
            if kind == "fprop":
                grouped += np.einsum("ngi...,goi->ngo...", planes[at], weights[here])
            elif kind == "dgrad":
                planes[at] += np.einsum("ngo...,goi->ngi...", grouped, weights[here])
            else:
                gradient[here] = np.einsum("ngixyz,ngoxyz->goi", *(
                    a.reshape(*a.shape[:3], -1, *a.shape[-2:]) for a in (planes[at], grouped)
                ))  # fmt: skip
        if kind == "fprop":
            y[...] = total
        elif kind == "dgrad":
            x[...] = wide[inner]
        else:
            w[...] = gradient.reshape(w.shape)
