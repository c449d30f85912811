# Arrays as the modules over the engine take them.

cimport numpy as cnp

cdef class Array:
    cdef Py_buffer view
    cdef char code
    cdef bint held
    cdef int take(self, object array, int flags) except -1
    cdef Py_ssize_t step(self, int axis) noexcept

cdef class Shaped:
    cdef char code
    cdef int nd, typenum
    cdef cnp.npy_intp x_dims[5]
    cdef cnp.npy_intp y_dims[5]
    cdef bint usable(self, object a) noexcept
    cdef bint shaped(self, object x) noexcept
    cdef bint has(self, object a, const cnp.npy_intp* dims) noexcept
    cdef bint serves(self, object out) noexcept
    cdef Array accept(self, object x)
    cdef cnp.ndarray result(self)

cdef Array readable(object array)
cdef Array writable(object array)
cdef int fill(Py_ssize_t* target, object values, Py_ssize_t missing) except -1
cdef int place(Array a, Py_ssize_t n, Py_ssize_t c, const Py_ssize_t* size, Py_ssize_t* steps) except -1
cdef int place_like(Array a, Py_ssize_t n, Py_ssize_t c, const Py_ssize_t* size, const Py_ssize_t* expected,
                    Py_ssize_t* steps) except -1
cdef void dense_steps(Py_ssize_t* steps, const Py_ssize_t* size, Py_ssize_t channels, bint last) noexcept
cdef int finish(int status) except -1
cdef bint contiguous(Array a)
