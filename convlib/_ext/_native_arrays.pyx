# cython: freethreading_compatible=True
"""Arrays as the engine takes them: by buffer, checked for type, rank and size, and no further; see `_native`."""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer,
)
cimport numpy as cnp

from convlib._ext._threads cimport raise_pending

import sys

from numpy import ndarray

cnp.import_array()

cdef extern from "c/runtime/threads.h" nogil:
    enum:
        CV_NOMEM, CV_INTERRUPTED

cdef bint LITTLE = sys.byteorder == "little"


cdef class Array:
    """A buffer held for the length of a call, and its strides in elements."""

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    cdef int take(self, object array, int flags) except -1:
        cdef const char* form
        PyObject_GetBuffer(array, &self.view, flags | PyBUF_FORMAT)
        self.held = True
        form = self.view.format
        # NumPy spells a native type with its byte order if its dtype was made so, as those of files are.
        if form[0] == (c"<" if LITTLE else c">"):
            form += 1
        self.code = form[0]
        if form[0] == 0 or form[1] != 0:
            raise TypeError(f"format {self.view.format.decode()!r} is not a plain number in native byte order")
        return 0

    cdef Py_ssize_t step(self, int axis) noexcept:
        return self.view.strides[axis] // self.view.itemsize


cdef Array readable(object array):
    cdef Array a = Array.__new__(Array)
    a.take(array, PyBUF_STRIDED_RO)
    return a


cdef Array writable(object array):
    cdef Array a = Array.__new__(Array)
    a.take(array, PyBUF_STRIDED)
    return a


cdef int fill(Py_ssize_t* target, object values, Py_ssize_t missing) except -1:
    cdef Py_ssize_t i, gap = 3 - len(values)
    if gap < 0:
        raise ValueError("at most three spatial axes")
    for i in range(3):
        target[i] = missing if i < gap else values[i - gap]
    return 0


cdef int place(Array a, Py_ssize_t n, Py_ssize_t c, const Py_ssize_t* size, Py_ssize_t* steps) except -1:
    """Check that the array is (n, c, *size), but for axes of length 1, and give its strides over (n, c, d, h, w)."""
    cdef int i, axis = a.view.ndim - 1
    cdef bint same = axis > 1 and a.view.shape[0] == n and a.view.shape[1] == c
    for i in range(2, -1, -1):
        steps[2 + i] = 0
        while axis > 1 and a.view.shape[axis] == 1:
            axis -= 1
        if size[i] != 1:
            same = same and axis > 1 and a.view.shape[axis] == size[i]
            steps[2 + i] = a.step(axis)
            axis -= 1
    while axis > 1 and a.view.shape[axis] == 1:
        axis -= 1
    if not same or axis > 1:
        raise ValueError("array does not have the shape of the problem")
    steps[0], steps[1] = a.step(0), a.step(1)
    # an axis of length 1 never steps: give it the stride that makes rows join
    if size[2] == 1:
        steps[4] = steps[3] if size[1] > 1 else 1
    for i in range(1, -1, -1):
        if size[i] == 1:
            steps[2 + i] = steps[3 + i] * size[i + 1]
    return 0


cdef int place_like(Array a, Py_ssize_t n, Py_ssize_t c, const Py_ssize_t* size, const Py_ssize_t* expected,
                    Py_ssize_t* steps) except -1:
    """The same, with the strides that are expected if those of axes longer than 1 are them."""
    cdef int i
    place(a, n, c, size, steps)
    if (n > 1 and steps[0] != expected[0]) or (c > 1 and steps[1] != expected[1]):
        return 0
    for i in range(3):
        if size[i] > 1 and steps[2 + i] != expected[2 + i]:
            return 0
    for i in range(5):
        steps[i] = expected[i]
    return 0


cdef void dense_steps(Py_ssize_t* steps, const Py_ssize_t* size, Py_ssize_t channels, bint last) noexcept:
    """Give the strides over (n, c, d, h, w) of a C-contiguous array, channels first or last."""
    cdef int i
    steps[4] = channels if last else 1
    for i in range(3, 1, -1):
        steps[i] = steps[i + 1] * size[i - 1]
    steps[1] = 1 if last else steps[2] * size[0]
    steps[0] = steps[2] * size[0] * (1 if last else channels)


cdef int finish(int status) except -1:
    if status == CV_NOMEM:
        raise MemoryError("the scratch of a kernel")
    if status == CV_INTERRUPTED:
        raise_pending()
        raise KeyboardInterrupt
    return 0


cdef bint contiguous(Array a):
    cdef int i
    cdef Py_ssize_t step = a.view.itemsize
    for i in range(a.view.ndim - 1, -1, -1):
        if a.view.shape[i] > 1 and a.view.strides[i] != step:
            return False
        step *= a.view.shape[i]
    return True


cdef class Shaped:
    """Plain arrays of one shape and type, which need no other look than this one, and results for them.

    Parameters
    ----------
    x_shape, y_shape : tuple of int
        (N, C, *in) and (N, C, *out).
    dtype : numpy.dtype
        Of both.
    """

    def __init__(self, tuple x_shape, tuple y_shape, dtype):
        cdef int i
        self.nd, self.typenum, self.code = len(x_shape), dtype.num, ord(dtype.char)
        for i in range(self.nd):
            self.x_dims[i], self.y_dims[i] = x_shape[i], y_shape[i]

    cdef bint usable(self, a) noexcept:
        """Whether a is an ndarray of the type, aligned and in native byte order."""
        return (type(a) is ndarray and cnp.PyArray_TYPE(<cnp.ndarray>a) == self.typenum
                and cnp.PyArray_ISBEHAVED_RO(<cnp.ndarray>a))

    cdef bint shaped(self, x) noexcept:
        return self.has(x, self.x_dims)

    cdef bint has(self, a, const cnp.npy_intp* dims) noexcept:
        """Whether a is usable and has the shape of x, or of the result."""
        cdef int i
        if not self.usable(a) or cnp.PyArray_NDIM(<cnp.ndarray>a) != self.nd:
            return False
        for i in range(self.nd):
            if cnp.PyArray_DIM(<cnp.ndarray>a, i) != dims[i]:
                return False
        return True

    cdef bint serves(self, out) noexcept:
        """Whether out takes a result as it is."""
        return (self.has(out, self.y_dims) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>out)
                and cnp.PyArray_ISWRITEABLE(<cnp.ndarray>out))

    cdef Array accept(self, x):
        """Return the buffer, or None of anything but an ndarray of the right shape and type."""
        cdef Array a
        cdef int i
        if not self.shaped(x):
            return None
        a = readable(x)
        for i in range(self.nd):
            if a.view.strides[i] % a.view.itemsize:
                return None
        return a

    cdef cnp.ndarray result(self):
        return cnp.PyArray_EMPTY(self.nd, self.y_dims, self.typenum, 0)
