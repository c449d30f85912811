# cython: freethreading_compatible=True
"""Small images together with padding that is no zeros, copied on the short way; gradients of such, folded back."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from convlib._ext._native cimport allocate, release
from convlib._ext._native_arrays cimport Shaped, fill, finish
from convlib._ext._threads cimport parallel

from numpy import ndarray

cnp.import_array()

cdef enum:
    UNIT = 1 << 14   # numbers of a unit of work
    WORTH = 1 << 16  # numbers that repay the waking of a thread

ctypedef fused number:
    float
    double


cdef struct Frame:
    Py_ssize_t planes, inner  # numbers side by side in each place: channels, if they come last
    Py_ssize_t size[3]
    Py_ssize_t padded[3]
    Py_ssize_t lo[3]
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
                    memcpy(to + f.lo[2] * f.inner, row, width * sizeof(number))
                    for c in range(f.padded[2] - f.size[2]):  # the columns on either side
                        low = c if c < f.lo[2] else c + f.size[2]
                        for i in range(f.inner):
                            to[low * f.inner + i] = (value if f.source[2][low] < 0
                                                     else row[f.source[2][low] * f.inner + i])
                to = to + f.padded[2] * f.inner


cdef list frame(Frame* f, Py_ssize_t planes, Py_ssize_t inner, size, padded, lo, source):
    """Fill in a frame; return the arrays that it points into."""
    cdef const int64_t[::1] places
    cdef int i
    f.planes, f.inner = planes, inner
    fill(f.size, size, 1)
    fill(f.padded, padded, 1)
    fill(f.lo, lo, 0)
    kept = [ZERO] * (3 - len(source)) + list(source)
    for i in range(3):
        places = kept[i]
        if places.shape[0] != f.padded[i]:
            raise ValueError("sources do not have the padded size")
        f.source[i] = &places[0]
    return kept


cdef struct Folding:
    Frame frame
    const char* wide
    char* x
    Py_ssize_t planes  # of a unit


cdef void fold_row(const Frame* f, const number* wide, number* row, bint own) noexcept nogil:
    """Write the elements of a row, or add them, if another row is repeated; add its padding to what that repeats."""
    cdef Py_ssize_t c, i, low, width = f.size[2] * f.inner
    cdef const number* middle = wide + f.lo[2] * f.inner
    if own:
        memcpy(row, middle, width * sizeof(number))
    else:
        for i in range(width):
            row[i] += middle[i]
    for c in range(f.padded[2] - f.size[2]):
        low = c if c < f.lo[2] else c + f.size[2]
        if f.source[2][low] >= 0:
            for i in range(f.inner):
                row[f.source[2][low] * f.inner + i] += wide[low * f.inner + i]


cdef void fold_unit(void* context, Py_ssize_t unit, const number* wide, number* x) noexcept nogil:
    cdef Folding* job = <Folding*>context
    cdef const Frame* f = &job.frame
    cdef Py_ssize_t plane, z, r, line = f.padded[2] * f.inner
    cdef bint own
    cdef int turn
    for plane in range(unit * job.planes, min(f.planes, (unit + 1) * job.planes)):
        for turn in range(2):  # the rows that stand where they belong come first
            for z in range(f.padded[0]):
                for r in range(f.padded[1]):
                    own = 0 <= z - f.lo[0] < f.size[0] and 0 <= r - f.lo[1] < f.size[1]
                    if own != turn and f.source[0][z] >= 0 and f.source[1][r] >= 0:
                        fold_row(f, wide + ((plane * f.padded[0] + z) * f.padded[1] + r) * line,
                                 x + ((plane * f.size[0] + f.source[0][z]) * f.size[1] + f.source[1][r])
                                 * f.size[2] * f.inner, own)


cdef void unit_of_floats(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    fold_unit(context, unit, <const float*>job.wide, <float*>job.x)


cdef void unit_of_doubles(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    fold_unit(context, unit, <const double*>job.wide, <double*>job.x)


def fold(wide, x, size, padded, lo, source, int threads):
    """Write the gradient of an input, in which padding repeats elements, to x: the adjoint of the padding.

    Parameters
    ----------
    wide, x : ndarrays (N, C, *padded) and (N, C, *in)
        Not empty.
    size, padded, lo, source
        As for `PaddedRunner`.
    threads : int

    Returns
    -------
    served : bool
        Whether both are of float32 or of float64, and without gaps.
    """
    cdef Folding job
    cdef Py_ssize_t each, planes
    cdef int status, kind
    if (type(wide) is not ndarray or type(x) is not ndarray or not cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>wide)
            or not cnp.PyArray_ISCARRAY(<cnp.ndarray>x)):
        return False
    kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if kind != cnp.PyArray_TYPE(<cnp.ndarray>wide) or (kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE):
        return False
    planes = wide.shape[0] * wide.shape[1]
    kept = frame(&job.frame, planes, 1, size, padded, lo, source)
    each = job.frame.padded[0] * job.frame.padded[1] * job.frame.padded[2]
    if (cnp.PyArray_SIZE(<cnp.ndarray>wide) != planes * each or cnp.PyArray_SIZE(<cnp.ndarray>x)
            != planes * job.frame.size[0] * job.frame.size[1] * job.frame.size[2]):
        raise ValueError("wide and x do not have the sizes that were given")
    job.wide, job.x = <const char*>cnp.PyArray_DATA(<cnp.ndarray>wide), <char*>cnp.PyArray_DATA(<cnp.ndarray>x)
    job.planes = max(1, UNIT // each)
    if planes * each < WORTH:
        threads = 1
    with nogil:
        status = parallel(unit_of_floats if kind == cnp.NPY_FLOAT else unit_of_doubles, &job,
                          (planes + job.planes - 1) // job.planes, threads)
    finish(status)
    return bool(kept)  # the sources, alive up to here


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
        cdef int i
        Shaped.__init__(self, x_shape, padded_shape, dtype)
        self.run, self.value = run, value
        self.kept = frame(&self.frame, planes, inner, size, padded, lo, source)
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
