"""The part of CuPy that the backend `cupy` uses, on a processor: a stand-in that lets its tests run without a GPU.

It is as strict as CuPy: an array does not turn into a NumPy array unless it is asked to, and no function takes a NumPy
array.  Kernels come from a library that `build.py` beside this package makes of their CUDA source.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np

__version__ = "14.0.0"
_DEVICES = 2
_current = [0]
_FLAGS = ("c_contiguous", "f_contiguous", "owndata")


class ndarray:
    """An array on a device."""

    __hash__ = None

    def __init__(self, array, device=None):
        self._array = array
        self.device = SimpleNamespace(id=_current[0] if device is None else device)

    flags = property(lambda self: SimpleNamespace(**{name: getattr(self._array.flags, name) for name in _FLAGS}))
    data = property(lambda self: SimpleNamespace(ptr=self._array.ctypes.data))

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct one.")

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        return _host(getattr(ufunc, method))(*args, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return globals()["__getattr__"](function.__name__)(*args, **kwargs)

    def __len__(self):
        return len(self._array)

    def get(self):
        """Return a NumPy array."""
        return self._array.copy()


def _bare(value):
    if isinstance(value, ndarray):
        if value.device.id != _current[0]:
            raise ValueError(f"array device {value.device.id} differs from the current device {_current[0]}")
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(_bare(item) for item in value)
    return value


def _dressed(value):
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    return tuple(_dressed(item) for item in value) if isinstance(value, tuple) else value


def _host(function):
    def call(*args, **kwargs):
        with np.errstate(all="ignore"):  # a GPU raises no flags
            result = function(*_bare(args), **{name: _bare(value) for name, value in kwargs.items()})
        return kwargs["out"] if isinstance(kwargs.get("out"), ndarray) else _dressed(result)

    return call


def _method(name):
    def call(self, *args, **kwargs):
        return _host(getattr(self._array, name))(*args, **kwargs)

    return call


def _changing(name):
    def call(self, *args):
        with np.errstate(all="ignore"):
            getattr(self._array, name)(*_bare(args))
        return self

    return call


for _name in ("shape", "dtype", "strides", "size", "ndim", "nbytes", "itemsize"):
    setattr(ndarray, _name, property(lambda self, _name=_name: getattr(self._array, _name)))
for _name in ("T", "real", "imag"):
    setattr(ndarray, _name, property(lambda self, _name=_name: ndarray(getattr(self._array, _name))))
for _name in ("int", "float", "bool", "complex"):
    setattr(ndarray, f"__{_name}__", lambda self, _name=_name: getattr(self._array, f"__{_name}__")())
for _name in ("reshape", "transpose", "astype", "copy", "sum", "max", "min", "any", "all", "ravel", "squeeze",
    "tolist"):
    setattr(ndarray, _name, _method(_name))
for _name in ("getitem", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "floordiv", "mod", "neg", "invert",
    "and", "or", "abs"):
    setattr(ndarray, f"__{_name}__", _method(f"__{_name}__"))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(ndarray, f"__{_name}__", _method(f"__{_name}__"))
for _name in ("setitem", "iadd", "isub", "imul", "itruediv", "ior"):
    setattr(ndarray, f"__{_name}__", _changing(f"__{_name}__"))
ndarray.fill = _changing("fill")


def __getattr__(name):
    value = getattr(np, name)
    if isinstance(value, type) or not callable(value):
        return value
    return _host(value)


def asarray(a, dtype=None):
    """Copy a NumPy array to the device; an array that is there stays."""
    return a if isinstance(a, ndarray) else ndarray(np.array(a, dtype, order="C"))


def asnumpy(a):
    """Copy an array from the device."""
    return a.get()


array = asarray


# ------------------------------------------------------------------ device


class CUDARuntimeError(RuntimeError):
    """What the runtime raises."""


class OutOfMemoryError(MemoryError):
    """What the pool raises."""


class Device:
    """A device as a context."""

    def __init__(self, number):
        self.id = number

    def __enter__(self):
        self._before = _current[0]
        _current[0] = self.id

    def __exit__(self, *error):
        _current[0] = self._before


runtime = SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError, getDevice=lambda: _current[0], getDeviceCount=lambda: _DEVICES,
    memGetInfo=lambda: (1 << 30, 2 << 30),
)  # fmt: skip
cuda = SimpleNamespace(
    runtime=runtime, Device=Device, get_current_stream=lambda: SimpleNamespace(ptr=16 + _current[0])
)


def get_default_memory_pool():
    """Return the pool."""
    return SimpleNamespace(free_bytes=lambda: 0)


def _allocates(name):
    def call(shape, *args, **kwargs):
        limit = int(os.environ.get("CONVLIB_SHIM_MEMORY", 1 << 40))
        made = getattr(np, name)(shape, *args, **kwargs)
        if made.nbytes > limit:
            raise OutOfMemoryError(f"Out of memory allocating {made.nbytes:,} bytes")
        return ndarray(made)

    return call


empty, zeros, full = (_allocates(_name) for _name in ("empty", "zeros", "full"))


# ------------------------------------------------------------------ kernels


class RawModule:
    """The kernels of the library that was built from the same text."""

    def __init__(self, code, options, name_expressions):
        folder = Path(os.environ["CONVLIB_SHIM"])
        self._names = (folder / "names").read_text("utf-8").splitlines()
        assert code == (folder / "source.cu").read_text("utf-8")
        self._library = ctypes.CDLL(str(folder / "kernels.so"))

    def get_function(self, expression):
        """Return a kernel by its C++ name."""
        function = self._library[f"kernel{self._names.index(expression)}"]

        def launch(grid, block, arguments):
            keep, places = [], []
            for argument in arguments:
                if argument is None or isinstance(argument, ndarray):
                    value = np.array([0 if argument is None else _bare(argument).ctypes.data], np.uintp)
                else:  # by value
                    value = np.atleast_1d(np.ascontiguousarray(argument))
                keep.append(value)
                places.append(value.ctypes.data)
            function(grid[0], block[0], (ctypes.c_void_p * len(places))(*places))

        return launch
