"""The state of a thread that a library must leave as it found it: the control word of the vector unit, errno."""

from __future__ import annotations

import ctypes
import platform

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO, ROUNDING, MASKS = 1 << 15, 1 << 6, 3 << 13, 63 << 7
ENVIRONMENT_BYTES = 32  # of glibc's fenv_t on x86-64; the control word is its last part
X86 = platform.machine() in ("x86_64", "AMD64") and platform.libc_ver()[0] == "glibc"

if X86:
    _math = ctypes.CDLL("libm.so.6")
    _libc = ctypes.CDLL(None)
    _libc.__errno_location.restype = ctypes.POINTER(ctypes.c_int)


def control_word():
    """Return MXCSR without its flags of what happened: rounding, masks, flushing."""
    environment = (ctypes.c_uint32 * (ENVIRONMENT_BYTES // 4))()
    _math.fegetenv(environment)
    return environment[-1] & (FLUSH_TO_ZERO | DENORMALS_ARE_ZERO | ROUNDING | MASKS)


def set_control_word(bits):
    """Set MXCSR's bits that `control_word` returns."""
    environment = (ctypes.c_uint32 * (ENVIRONMENT_BYTES // 4))()
    _math.fegetenv(environment)
    environment[-1] = bits
    _math.fesetenv(environment)


def error_number():
    """Return this thread's errno as a cell that can be set."""
    return _libc.__errno_location().contents
