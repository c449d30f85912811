# cython: freethreading_compatible=True
"""Small images together with padding that is no zeros, copied on the short way of a plain convolution."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from convlib._ext._native cimport allocate, release
from convlib._ext._native_arrays cimport Shaped, fill

cnp.import_array()

ctypedef fused number:
    float
    double


cdef struct Frame:
    Py_ssize_t planes, inner  # numbers side by side in each place: channels, if they come last
    Py_ssize_t size[3]
    Py_ssize_t padded[3]
    Py_ssize_t lo
    const int64_t* source[3]  # the element that stands at each place of a padded axis; -1: the value


cdef void extend(const Frame* f, const number* x, number* to, number value) noexcept nogil:
    cdef Py_ssize_t plane, z, r, c, i, low, width = f.size[2] * f.inner
    cdef const number* row
    for plane in range(f.planes):
        for z in range(f.padded[0]):
            for r in range(f.padded[1]):
                if f.source[0][z] < 0 or f.source[1][r] < 0:
                    for i in range(f.padded[2] * f.inner):
                        to[i] = value
                else:
                    row = x + ((plane * f.size[0] + f.source[0][z]) * f.size[1] + f.source[1][r]) * width
                    memcpy(to + f.lo * f.inner, row, width * sizeof(number))
                    for c in range(f.padded[2] - f.size[2]):  # the columns on either side
                        low = c if c < f.lo else c + f.size[2]
                        for i in range(f.inner):
                            to[low * f.inner + i] = (value if f.source[2][low] < 0
                                                     else row[f.source[2][low] * f.inner + i])
                to = to + f.padded[2] * f.inner


cdef class PaddedRunner(Shaped):
    """A convolution of contiguous arrays of one shape and type, over a copy that holds the padding.

    Parameters
    ----------
    run : Runner
        The convolution of the copy.
    x_shape, padded_shape, dtype
        As for `Shaped`: the input without and with its padding, float32 or float64.
    planes, inner : int
        Images or channels, each with a border of its own, and numbers side by side in each place.
    size, padded, lo : sequence of int
        Per spatial axis.
    source : list of int64 buffers
        Per spatial axis, the element of the input that stands at each place of the padded axis; -1: `value`.
    value : float
    """

    cdef object run, kept
    cdef Frame frame
    cdef Py_ssize_t nbytes
    cdef double value

    def __init__(self, run, tuple x_shape, tuple padded_shape, dtype, Py_ssize_t planes, Py_ssize_t inner, size, padded,
                 lo, source, double value):
        cdef const int64_t[::1] places
        cdef Py_ssize_t first[3]
        cdef int i, missing = 3 - len(source)
        Shaped.__init__(self, x_shape, padded_shape, dtype)
        self.run, self.value, self.frame.planes, self.frame.inner = run, value, planes, inner
        fill(self.frame.size, size, 1)
        fill(self.frame.padded, padded, 1)
        fill(first, lo, 0)
        self.frame.lo = first[2]
        self.kept = [ZERO] * missing + list(source)
        for i in range(3):
            places = self.kept[i]
            if places.shape[0] != self.frame.padded[i]:
                raise ValueError("sources do not have the padded size")
            self.frame.source[i] = &places[0]
        self.nbytes = dtype.itemsize
        for i in range(self.nd):
            self.nbytes *= self.y_dims[i]

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None, out=None):
        """Return the result, which is `out` if given, or None if an array cannot be used, or the copy is too large."""
        cdef void* block  # of those that the engine keeps: a fresh one costs a page fault for every 4 KB
        if not self.shaped(x) or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x) or 4 * self.nbytes > max_workspace:
            return None
        block = allocate(self.nbytes)
        try:
            if self.code == c"f":
                with nogil:
                    extend(&self.frame, <const float*>cnp.PyArray_DATA(<cnp.ndarray>x), <float*>block,
                           <float>self.value)
            else:
                with nogil:
                    extend(&self.frame, <const double*>cnp.PyArray_DATA(<cnp.ndarray>x), <double*>block, self.value)
            wide = cnp.PyArray_SimpleNewFromData(self.nd, self.y_dims, self.typenum, block)
            return self.run(wide, threads, max_workspace - self.nbytes, w, bias, out)
        finally:
            release(block)


ZERO = cnp.PyArray_ZEROS(1, [1], cnp.NPY_INT64, 0)
