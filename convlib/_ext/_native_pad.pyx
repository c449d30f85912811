# cython: freethreading_compatible=True
"""Images together with padding that is no zeros, copied on the short way; gradients of such, folded back."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from convlib._ext._native cimport allocate, release
from convlib._ext._native_arrays cimport Shaped, fill, finish
from convlib._ext._threads cimport parallel, task

from numpy import ndarray

cnp.import_array()

cdef enum:
    UNIT = 1 << 14   # numbers of a unit of work
    WORTH = 1 << 16  # numbers that repay the waking of a thread

ctypedef fused number:
    float
    double


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
                    memcpy(to + f.lo[2] * f.inner, row + f.first * f.inner, f.run * f.inner * sizeof(number))
                    for c in range(f.padded[2] - f.run):  # the columns on either side
                        low = c if c < f.lo[2] else c + f.run
                        for i in range(f.inner):
                            to[low * f.inner + i] = (value if f.source[2][low] < 0
                                                     else row[f.source[2][low] * f.inner + i])
                to = to + f.padded[2] * f.inner


cdef void extend_planes(const Frame* f, bint doubles, const void* x, void* to, double value) noexcept nogil:
    """Write planes together with their padding, which holds the value where no element is repeated."""
    if doubles:
        extend(f, <const double*>x, <double*>to, value)
    else:
        extend(f, <const float*>x, <float*>to, <float>value)


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
    f.first, f.run = 0, 0
    if f.lo[2] < f.padded[2] and f.source[2][f.lo[2]] >= 0:
        f.first = f.source[2][f.lo[2]]
        while f.lo[2] + f.run < f.padded[2] and f.source[2][f.lo[2] + f.run] == f.first + f.run:
            f.run += 1
    return kept


cdef struct Folding:
    Frame frame
    char* wide
    char* x
    double value
    Py_ssize_t planes  # of a unit


cdef void fold_columns(const Frame* f, number* row) noexcept nogil:
    """Add the padding of a row to what it repeats, in place."""
    cdef Py_ssize_t c, i, low, to
    for c in range(f.padded[2] - f.size[2]):
        low = c if c < f.lo[2] else c + f.size[2]
        if f.source[2][low] >= 0:
            to = f.lo[2] + f.source[2][low]
            for i in range(f.inner):
                row[to * f.inner + i] += row[low * f.inner + i]


cdef void fold_plane(const Frame* f, number* wide, number* x) noexcept nogil:
    """Fold columns, then copy rows, then add those that are repeated.

    One after the other over the whole plane: a row that is read right after it was written in parts waits for these.
    """
    cdef Py_ssize_t z, r, i, line = f.padded[2] * f.inner, width = f.size[2] * f.inner
    cdef bint own
    cdef number* row
    cdef const number* middle
    for r in range(f.padded[0] * f.padded[1]):
        fold_columns(f, wide + r * line)
    wide += f.lo[2] * f.inner
    for z in range(f.size[0]):
        for r in range(f.size[1]):
            memcpy(x + (z * f.size[1] + r) * width, wide + ((z + f.lo[0]) * f.padded[1] + r + f.lo[1]) * line,
                   width * sizeof(number))
    for z in range(f.padded[0]):
        for r in range(f.padded[1]):
            own = 0 <= z - f.lo[0] < f.size[0] and 0 <= r - f.lo[1] < f.size[1]
            if not own and f.source[0][z] >= 0 and f.source[1][r] >= 0:
                row = x + (f.source[0][z] * f.size[1] + f.source[1][r]) * width
                middle = wide + (z * f.padded[1] + r) * line
                for i in range(width):
                    row[i] += middle[i]


cdef void fold_unit(void* context, Py_ssize_t unit, number* wide, number* x) noexcept nogil:
    cdef Folding* job = <Folding*>context
    cdef const Frame* f = &job.frame
    cdef Py_ssize_t plane
    for plane in range(unit * job.planes, min(f.planes, (unit + 1) * job.planes)):
        fold_plane(f, wide + plane * f.padded[0] * f.padded[1] * f.padded[2] * f.inner,
                   x + plane * f.size[0] * f.size[1] * f.size[2] * f.inner)


cdef void fold_floats(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    fold_unit(context, unit, <float*>job.wide, <float*>job.x)


cdef void fold_doubles(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    fold_unit(context, unit, <double*>job.wide, <double*>job.x)


cdef void extend_unit(void* context, Py_ssize_t unit, const number* x, number* wide) noexcept nogil:
    cdef Folding* job = <Folding*>context
    cdef Frame f = job.frame
    cdef Py_ssize_t first = unit * job.planes
    f.planes = min(job.planes, f.planes - first)
    extend(&f, x + first * f.size[0] * f.size[1] * f.size[2] * f.inner,
           wide + first * f.padded[0] * f.padded[1] * f.padded[2] * f.inner, <number>job.value)


cdef void extend_floats(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    extend_unit(context, unit, <const float*>job.x, <float*>job.wide)


cdef void extend_doubles(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Folding* job = <Folding*>context
    extend_unit(context, unit, <const double*>job.x, <double*>job.wide)


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
    cdef Frame f
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
    in_units(&f, fold_floats if kind == cnp.NPY_FLOAT else fold_doubles, cnp.PyArray_DATA(<cnp.ndarray>wide),
             cnp.PyArray_DATA(<cnp.ndarray>x), 0, threads)
    return bool(kept)  # the sources, alive up to here


cdef int in_units(const Frame* f, task run, void* wide, void* x, double value, int threads) except -1:
    """Do with some planes after the other what is done with each of them."""
    cdef Folding job
    cdef Py_ssize_t each = f.padded[0] * f.padded[1] * f.padded[2] * f.inner
    cdef int status
    job.frame, job.wide, job.x, job.value, job.planes = f[0], <char*>wide, <char*>x, value, max(1, UNIT // each)
    if f.planes * each < WORTH:
        threads = 1
    with nogil:
        status = parallel(run, &job, (f.planes + job.planes - 1) // job.planes, threads)
    return finish(status)


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
        in_units(&self.frame, extend_floats if self.code == c"f" else extend_doubles,
                 cnp.PyArray_DATA(<cnp.ndarray>wide), cnp.PyArray_DATA(<cnp.ndarray>x), self.value, threads)
        return wide

    def fold(self, wide, x, int threads):
        """Write the gradient of all of the padded input to that of the input: the adjoint of the padding."""
        cdef int i
        for i in range(3):
            if self.frame.lo[i] + self.frame.size[i] > self.frame.padded[i] or self.frame.run < self.frame.size[2]:
                raise ValueError("the border is that of a part of the input")
        if not (self.plain(x) and self.has(wide, self.y_dims) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>wide)):
            raise ValueError("wide and x are not those of the border")
        in_units(&self.frame, fold_floats if self.code == c"f" else fold_doubles,
                 cnp.PyArray_DATA(<cnp.ndarray>wide), cnp.PyArray_DATA(<cnp.ndarray>x), 0, threads)

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
