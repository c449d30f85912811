"""CuPy arrays, as the backend `cupy` takes them, makes them and pads them; kernels of no operator."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import SpecError, UnsupportedError
from . import cupy_device as device
from .base import Backend
from .base.checks import check_fits
from .cupy_cudnn import Cudnn
from .slabs import ColumnSlabs

Array = Any


class CupyArrays(ColumnSlabs, Backend):
    """What every operator on CuPy arrays needs: CuPy, kernels and cuDNN on first use, and arrays in usable form."""

    array_type = "cupy"
    strided = True
    any_columns = False

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

    def from_numpy(self, a: Array) -> Array:
        """See `Backend.from_numpy`."""
        if dtypes.is_bfloat16(a.dtype):
            raise UnsupportedError("backend 'cupy' has no kernels for bfloat16; convert to float32")
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
        if dtype == dtypes.INT64:
            check_fits(a)
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


class _Addresses:
    """An array interface that leads NumPy to the addresses of device memory, to compare but never to read."""

    def __init__(self, a: Array) -> None:
        self.__array_interface__ = {
            "data": (a.data.ptr, False), "shape": a.shape, "strides": a.strides, "typestr": a.dtype.str, "version": 3,
        }  # fmt: skip


def _addresses(a: Array) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = np.asarray(_Addresses(a))
    return found


@lru_cache(maxsize=256)
def _sources(size: int, lo: int, hi: int, mode: str) -> np.ndarray[Any, Any]:
    """Return where each element of a padded axis comes from."""
    found: np.ndarray[Any, Any] = np.pad(np.arange(size), (lo, hi), mode=mode)  # type: ignore[call-overload]
    return found
