# cython: freethreading_compatible=True
"""The thread pool of the compiled parts."""

from libc.stdint cimport int64_t

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept  # the exception it sets is left for `raise_pending`


cdef extern from "c/runtime/threads.h" nogil:
    ctypedef void (*cv_task)(void* context, Py_ssize_t unit, int worker) noexcept nogil
    int cv_parallel(cv_task run, void* context, Py_ssize_t units, int threads) noexcept
    int cv_stopping() noexcept
    void cv_set_interrupt(int (*check)() noexcept nogil, int64_t nanoseconds) noexcept
    int cv_live_workers() noexcept


cdef int parallel(task run, void* context, Py_ssize_t units, int threads) noexcept nogil:
    """Run the units on the pool; 0 if all ran, 2 if a signal handler asked to stop (its exception is set)."""
    return cv_parallel(<cv_task>run, context, units, threads)


cdef int stopping() noexcept nogil:
    """Return whether the running region is to stop; long units ask, and let signal handlers run so."""
    return cv_stopping()


cdef int asked_to_stop() noexcept nogil:
    with gil:
        return PyErr_CheckSignals() != 0


cdef void raise_pending() except *:
    """Let the exception of a signal handler, set while the pool ran, go on to the caller."""


def ask_for_signals(double milliseconds=50):
    """Let handlers of signals run during a call at most once in so long; tests ask more often."""
    cv_set_interrupt(asked_to_stop, <int64_t>(milliseconds * 1e6))


ask_for_signals()


def live_workers():
    """Return how many worker threads this process has started."""
    return cv_live_workers()
