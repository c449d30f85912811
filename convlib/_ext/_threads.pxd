# The library's thread pool, for other compiled modules: one pool per process, whoever uses it.

ctypedef void (*task)(void* context, Py_ssize_t unit, int worker) noexcept nogil

cdef int parallel(task run, void* context, Py_ssize_t units, int threads) noexcept nogil

cdef int stopping() noexcept nogil

cdef void raise_pending() except *
