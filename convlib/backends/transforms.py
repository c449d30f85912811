"""SciPy's transforms, which load its BLAS, once there is room for it."""

from .room import ensure_room

ensure_room()

from scipy import fft as scipy_fft  # noqa: E402

__all__ = ["scipy_fft"]
