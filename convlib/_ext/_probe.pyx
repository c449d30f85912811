# cython: freethreading_compatible=True
"""What this machine can do at most."""


cdef extern from "c/runtime/probe.h" nogil:
    double cv_fma_peak(double seconds, int threads, int widest) noexcept
    double cv_copy_rate(double seconds, size_t nbytes) noexcept
    const char* CV_COMPILER


def compiler():
    """Return which compiler made the compiled parts."""
    return CV_COMPILER.decode()


def fma_peak(double seconds, int threads, int widest=64):
    """Return float32 operations per second of multiply-adds that never leave registers of at most `widest` bytes."""
    cdef double rate
    with nogil:
        rate = cv_fma_peak(seconds, threads, widest)
    return rate


def copy_rate(double seconds, size_t nbytes):
    """Return bytes per second, read and written, of one copying thread."""
    cdef double rate
    with nogil:
        rate = cv_copy_rate(seconds, nbytes)
    return rate
