# cython: freethreading_compatible=True
"""Images together with padding that is no zeros, copied on the short way; gradients of such, folded back."""

cimport numpy as cnp
from libc.stdint cimport int64_t

from convlib._ext._native cimport active, allocate, cv_border, cv_frame, release
from convlib._ext._native_arrays cimport Shaped, fill, finish
from convlib._ext._threads cimport parallel

from numpy import ndarray

cnp.import_array()

cdef enum:
    UNIT = 1 << 14   # numbers of a unit of work
    WORTH = 1 << 16  # numbers that repay the waking of a thread

cdef const cv_border* border_of(bint doubles) except NULL:
    """Return what the instruction set in use has to copy padding."""
    return active().borders[doubles]


cdef list frame(cv_frame* f, Py_ssize_t planes, Py_ssize_t inner, size, padded, lo, source):
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
    f.first, f.run = 0, 0
    if f.lo[2] < f.padded[2] and f.source[2][f.lo[2]] >= 0:
        f.first = f.source[2][f.lo[2]]
        while f.lo[2] + f.run < f.padded[2] and f.source[2][f.lo[2] + f.run] == f.first + f.run:
            f.run += 1
    return kept


cdef struct Job:
    cv_frame frame
    const cv_border* border
    char* wide
    char* x
    double value
    Py_ssize_t planes  # of a unit
    Py_ssize_t wides, xs  # bytes of a plane
    bint folds


cdef void some_planes(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Job* job = <Job*>context
    cdef cv_frame f = job.frame
    cdef Py_ssize_t first = unit * job.planes
    f.planes = min(job.planes, f.planes - first)
    if job.folds:
        job.border.fold(&f, job.wide + first * job.wides, job.x + first * job.xs)
    else:
        job.border.extend(&f, job.x + first * job.xs, job.wide + first * job.wides, job.value)


cdef int in_units(const cv_frame* f, bint doubles, bint folds, void* wide, void* x, double value,
                  int threads) except -1:
    """Copy planes together with their padding, or fold that back, some after the other."""
    cdef Job job
    cdef Py_ssize_t each = f.padded[0] * f.padded[1] * f.padded[2] * f.inner, size = 8 if doubles else 4
    cdef int status
    job.frame, job.border, job.folds = f[0], border_of(doubles), folds
    job.wide, job.x, job.value, job.planes = <char*>wide, <char*>x, value, max(1, UNIT // each)
    job.wides, job.xs = each * size, f.size[0] * f.size[1] * f.size[2] * f.inner * size
    if f.planes * each < WORTH:
        threads = 1
    with nogil:
        status = parallel(some_planes, &job, (f.planes + job.planes - 1) // job.planes, threads)
    return finish(status)


def fold(wide, x, size, padded, lo, source, int threads):
    """Write the gradient of an input, in which padding repeats elements, to x: the adjoint of the padding.

    Parameters
    ----------
    wide, x : ndarrays (N, C, *padded) and (N, C, *in)
        Not empty; `wide` is changed.
    size, padded, lo, source
        As for `PaddedRunner`.
    threads : int

    Returns
    -------
    served : bool
        Whether both are of float32 or of float64, and without gaps.
    """
    cdef cv_frame f
    cdef Py_ssize_t each, planes
    cdef int kind
    if (type(wide) is not ndarray or type(x) is not ndarray or not cnp.PyArray_ISCARRAY(<cnp.ndarray>wide)
            or not cnp.PyArray_ISCARRAY(<cnp.ndarray>x)):
        return False
    kind = cnp.PyArray_TYPE(<cnp.ndarray>x)
    if kind != cnp.PyArray_TYPE(<cnp.ndarray>wide) or (kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE):
        return False
    planes = wide.shape[0] * wide.shape[1]
    kept = frame(&f, planes, 1, size, padded, lo, source)
    each = f.padded[0] * f.padded[1] * f.padded[2]
    if (cnp.PyArray_SIZE(<cnp.ndarray>wide) != planes * each
            or cnp.PyArray_SIZE(<cnp.ndarray>x) != planes * f.size[0] * f.size[1] * f.size[2]):
        raise ValueError("wide and x do not have the sizes that were given")
    in_units(&f, kind == cnp.NPY_DOUBLE, True, cnp.PyArray_DATA(<cnp.ndarray>wide),
             cnp.PyArray_DATA(<cnp.ndarray>x), 0, threads)
    return bool(kept)  # the sources, alive up to here


cdef class Block:
    """Memory of the engine, which keeps it for the next call: fresh memory costs a page fault for every 4 KB."""

    cdef void* data

    def __dealloc__(self):
        release(self.data)


cdef class Border(Shaped):
    """The padding of contiguous inputs of one shape and type, which holds anything but zeros.

    Parameters
    ----------
    x_shape, padded_shape, dtype
        As for `Shaped`: the input, and all or a part of it with its padding, float32 or float64.
    planes, inner : int
        Images or channels, each with a border of its own, and numbers side by side in each place.
    size, padded, lo : sequence of int
        Per spatial axis; the first element that is no padding is the one at `lo`.
    source : list of int64 buffers
        Per spatial axis, the element of the input that stands at each place of the padded axis; -1: `value`.
    value : float
    """

    def __init__(self, tuple x_shape, tuple padded_shape, dtype, Py_ssize_t planes, Py_ssize_t inner, size, padded, lo,
                 source, double value):
        cdef int i
        Shaped.__init__(self, x_shape, padded_shape, dtype)
        self.value = value
        self.kept = frame(&self.frame, planes, inner, size, padded, lo, source)
        self.nbytes = dtype.itemsize
        for i in range(self.nd):
            self.nbytes *= self.y_dims[i]

    def room(self):
        """Return an array for the padded input, or its gradient."""
        cdef Block block = Block.__new__(Block)
        block.data = allocate(self.nbytes)
        wide = cnp.PyArray_SimpleNewFromData(self.nd, self.y_dims, self.typenum, block.data)
        cnp.set_array_base(wide, block)
        return wide

    def wide(self, x, int threads):
        """Return the input together with its padding, or None if it cannot be used as it is."""
        if not self.plain(x):
            return None
        wide = self.room()
        in_units(&self.frame, self.code == c"d", False, cnp.PyArray_DATA(<cnp.ndarray>wide),
                 cnp.PyArray_DATA(<cnp.ndarray>x), self.value, threads)
        return wide

    def fold(self, wide, x, int threads):
        """Write the gradient of all of the padded input to that of the input: the adjoint of the padding."""
        cdef int i
        for i in range(3):
            if self.frame.lo[i] + self.frame.size[i] > self.frame.padded[i] or self.frame.run < self.frame.size[2]:
                raise ValueError("the border is that of a part of the input")
        if not (self.plain(x) and self.has(wide, self.y_dims) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>wide)):
            raise ValueError("wide and x are not those of the border")
        in_units(&self.frame, self.code == c"d", True, cnp.PyArray_DATA(<cnp.ndarray>wide),
                 cnp.PyArray_DATA(<cnp.ndarray>x), 0, threads)

    cdef bint plain(self, x) noexcept:
        return self.shaped(x) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x)


cdef class PaddedRunner(Border):
    """A convolution or pooling of contiguous arrays of one shape and type, over a copy that holds the padding.

    Parameters
    ----------
    run : Runner
        What is done with the copy.
    args
        As for `Border`.
    """

    cdef object run

    def __init__(self, run, *args):
        Border.__init__(self, *args)
        self.run = run

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None, out=None):
        """Return the result, which is `out` if given, or None if an array cannot be used, or the copy is too large."""
        if 4 * self.nbytes > max_workspace:
            return None
        wide = self.wide(x, threads)
        return None if wide is None else self.run(wide, threads, max_workspace - self.nbytes, w, bias, out)

ZERO = cnp.PyArray_ZEROS(1, [1], cnp.NPY_INT64, 0)
