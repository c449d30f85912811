# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""What padding that repeats elements adds to a gradient in the input: that of the rows and columns outside alone."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from convlib._ext._native cimport allocate, cv_frame, release
from convlib._ext._native_arrays cimport fill, finish
from convlib._ext._native_pad cimport Border
from convlib._ext._threads cimport parallel

from numpy import arange, ascontiguousarray, delete, int64, ones, where

cnp.import_array()

ctypedef fused real:
    float
    double

cdef extern from "c/border/taps.h" nogil:
    enum:
        CV_LINE_SLACK
    void cv_taps_f32(float* to, const float* y, Py_ssize_t n, const float* w, Py_ssize_t taps, Py_ssize_t step,
                     Py_ssize_t apart)
    void cv_taps_f64(double* to, const double* y, Py_ssize_t n, const double* w, Py_ssize_t taps, Py_ssize_t step,
                     Py_ssize_t apart)

cdef enum:
    WORTH = 1 << 14  # numbers outside that repay the waking of a thread

cdef struct Job:
    cv_frame frame
    Py_ssize_t out[3]
    Py_ssize_t kernel[3]
    Py_ssize_t stride[3]
    Py_ssize_t dilation[3]
    Py_ssize_t groups, icg, ocg, units
    Py_ssize_t weights  # of a group; 0: all groups share them
    Py_ssize_t near, far  # of the outputs of a row, those before and from here on reach beyond the image
    Py_ssize_t line, row, column  # room for each, zeros on its sides included
    Py_ssize_t block  # bytes of each worker
    double divisor
    # by place outside of an axis and tap, the output that reaches the place under the tap, or -1
    const int64_t* rows
    const int64_t* columns
    const char* y
    const char* w
    char* x
    char* blocks


cdef void add_products(const Job* job, int axis, bint finite, real* to, const real* y, const real* w,
                       Py_ssize_t apart) noexcept nogil:
    """Add ``w[k * apart] * y[i]`` to ``to[i * stride + k * dilation]``, along an axis of outputs."""
    cdef Py_ssize_t stride = job.stride[axis], step = job.dilation[axis], taps = job.kernel[axis], i, k
    if stride == 1 and finite:  # the zeros beside y take part
        if real is float:
            cv_taps_f32(to, y, job.out[axis] + (taps - 1) * step, w, taps, step, apart)
        else:
            cv_taps_f64(to, y, job.out[axis] + (taps - 1) * step, w, taps, step, apart)
        return
    for k in range(taps):
        for i in range(job.out[axis]):
            to[i * stride + k * step] += w[k * apart] * y[i]


cdef void divide(real* line, Py_ssize_t n, double divisor) noexcept nogil:
    cdef real by = <real>divisor
    cdef Py_ssize_t i
    if divisor != 1:
        for i in range(n):
            line[i] /= by


cdef void gather(const Job* job, const real* y, real* to) noexcept nogil:
    """Write the columns of the outputs that reach beyond the image, one after the other."""
    cdef Py_ssize_t rows = job.out[1], width = job.out[2], end, o, r
    for end in range(job.near + width - job.far):
        o = end if end < job.near else end - job.near + job.far
        for r in range(rows):
            to[r] = y[r * width + o]
        to += job.column


cdef void add_columns(const Job* job, bint finite, const real* columns, const real* w, real* x,
                      real* line) noexcept nogil:
    """Add the columns outside, beside the rows of the image, to those that they repeat."""
    cdef const cv_frame* f = &job.frame
    cdef Py_ssize_t taps = job.kernel[1] * job.kernel[2], width = f.size[2]
    cdef Py_ssize_t ends = job.near + job.out[2] - job.far, side, r, o, oc, kx
    cdef int64_t source
    for side in range(f.padded[2] - width):
        source = f.source[2][side if side < f.lo[2] else side + width]
        if source < 0:
            continue
        memset(line, 0, f.padded[1] * sizeof(real))
        for oc in range(job.ocg):
            for kx in range(job.kernel[2]):
                o = job.columns[side * job.kernel[2] + kx]
                if o >= job.far:
                    o -= job.far - job.near
                if o >= 0:
                    add_products(job, 1, finite, line, columns + (oc * ends + o) * job.column,
                                 w + oc * job.icg * taps + kx, job.kernel[2])
        divide(line + f.lo[1], f.size[1], job.divisor)
        for r in range(f.size[1]):
            x[r * width + source] += line[f.lo[1] + r]


cdef void add_rows(const Job* job, bint finite, const real* y, const real* w, real* x, real* line,
                   real* row) noexcept nogil:
    """Add the rows outside, with their columns outside, to those that they repeat; row: room between zeros."""
    cdef const cv_frame* f = &job.frame
    cdef Py_ssize_t taps = job.kernel[1] * job.kernel[2], width = f.size[2], lo = f.lo[2], side, c, o, oc, ky, at
    cdef int64_t source
    cdef real* to
    for side in range(f.padded[1] - f.size[1]):
        source = f.source[1][side if side < f.lo[1] else side + f.size[1]]
        if source < 0:
            continue
        memset(line, 0, f.padded[2] * sizeof(real))
        for oc in range(job.ocg):
            for ky in range(job.kernel[1]):
                o = job.rows[side * job.kernel[1] + ky]
                if o >= 0:
                    memcpy(row, y + (oc * job.out[1] + o) * job.out[2], job.out[2] * sizeof(real))
                    add_products(job, 2, finite, line, row, w + oc * job.icg * taps + ky * job.kernel[2], 1)
        divide(line, f.padded[2], job.divisor)
        for at in range(f.padded[2] - width):
            c = at if at < lo else at + width
            if f.source[2][c] >= 0:
                line[lo + f.source[2][c]] += line[c]
        to = x + source * width
        for c in range(width):
            to[c] += line[lo + c]


cdef void add_outside(const Job* job, Py_ssize_t unit, real* block) noexcept nogil:
    """The same for all channels of a group of an image."""
    cdef const cv_frame* f = &job.frame
    cdef Py_ssize_t plane = job.out[1] * job.out[2], size = f.size[1] * f.size[2]
    cdef Py_ssize_t taps = job.kernel[1] * job.kernel[2], i
    cdef const real* y = <const real*>job.y + unit * job.ocg * plane
    cdef const real* w = <const real*>job.w + unit % job.groups * job.weights
    cdef real* x = <real*>job.x + unit * job.icg * size
    cdef real* row = block + job.line + (job.kernel[2] - 1) * job.dilation[2]
    cdef real* columns = block + job.line + job.row + (job.kernel[1] - 1) * job.dilation[1]
    cdef Py_ssize_t bad = 0
    for i in range(job.ocg * job.icg * taps):
        bad += w[i] - w[i] != 0
    for i in range(job.ocg):
        gather(job, y + i * plane, columns + i * (job.near + job.out[2] - job.far) * job.column)
    for i in range(job.icg):
        add_columns(job, bad == 0, columns, w + i * taps, x + i * size, block)
        add_rows(job, bad == 0, y, w + i * taps, x + i * size, block, row)


cdef void floats_outside(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Job* job = <Job*>context
    add_outside[float](job, unit, <float*>(job.blocks + worker * job.block))


cdef void doubles_outside(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Job* job = <Job*>context
    add_outside[double](job, unit, <double*>(job.blocks + worker * job.block))


cdef class Outside(Border):
    """What the padding of contiguous inputs adds to their gradient, beside that of padding with zeros.

    Parameters
    ----------
    out, kernel, stride, dilation : sequence of int
        Per spatial axis, of which there are one or two.
    images, groups, icg, ocg : int
        Images, the groups of channels of each, and the channels of a group in the input and the result.
    divisor : float
        What sums of windows are divided by; 0 for convolutions, which have weights.
    args
        As for `Border`.

    The columns outside are added from left to right, then the rows, each with its columns: the order of `Border.fold`.
    """

    cdef Job job
    cdef object ones, tables

    def __init__(self, out, kernel, stride, dilation, Py_ssize_t images, Py_ssize_t groups, Py_ssize_t icg,
                 Py_ssize_t ocg, double divisor, *args):
        cdef Job* job = &self.job
        cdef const cv_frame* f = &job.frame
        cdef const int64_t[:, ::1] rows
        cdef const int64_t[:, ::1] columns
        cdef int axis
        Border.__init__(self, *args)
        memset(job, 0, sizeof(job[0]))
        job.frame = self.frame
        fill(job.out, out, 1)
        fill(job.kernel, kernel, 1)
        fill(job.stride, stride, 1)
        fill(job.dilation, dilation, 1)
        job.groups, job.icg, job.ocg, job.divisor, job.units = groups, icg, ocg, divisor or 1, images * groups
        for axis in range(3):
            if (f.lo[axis] + f.size[axis] > f.padded[axis] or (job.out[axis] - 1) * job.stride[axis]
                    + (job.kernel[axis] - 1) * job.dilation[axis] >= f.padded[axis]):
                raise ValueError("windows reach beyond the padding")
        if (f.padded[0] != 1 or job.units * icg * f.size[1] * f.size[2]
                != cnp.PyArray_MultiplyList(self.x_dims, self.nd)):
            raise ValueError("the sizes are not those of the input")
        rows, columns = self.tables = [reaching(self, axis) for axis in (1, 2)]
        job.rows, job.columns = NULL if rows.size == 0 else &rows[0, 0], NULL if columns.size == 0 else &columns[0, 0]
        job.near = min(job.out[2], (f.lo[2] + job.stride[2] - 1) // job.stride[2])
        job.far = f.lo[2] + f.size[2] - (job.kernel[2] - 1) * job.dilation[2]
        job.far = max(job.near, (max(job.far, 0) + job.stride[2] - 1) // job.stride[2])
        job.far = min(job.far, job.out[2])
        job.line = max(f.padded[1], f.padded[2]) + CV_LINE_SLACK
        job.row = job.out[2] + 2 * (job.kernel[2] - 1) * job.dilation[2] + CV_LINE_SLACK
        job.column = job.out[1] + 2 * (job.kernel[1] - 1) * job.dilation[1] + CV_LINE_SLACK
        job.block = job.line + job.row + ocg * (job.near + job.out[2] - job.far) * job.column
        job.block = (job.block * (8 if self.code == c"d" else 4) + 63) // 64 * 64
        if divisor:
            self.ones = ones(job.kernel[1] * job.kernel[2], args[2])
        else:
            job.weights = ocg * icg * job.kernel[1] * job.kernel[2]

    @property
    def scratch(self):
        """Bytes that each thread takes."""
        return self.job.block

    def add(self, grad_y, w, x, int threads):
        """Add it to `x`, the gradient that padding with zeros has; `w` are the weights, if there are such."""
        cdef Job job = self.job  # of this call alone
        cdef int status
        cdef Py_ssize_t outside = self.frame.padded[1] * self.frame.padded[2] - self.frame.size[1] * self.frame.size[2]
        if w is None:
            w = self.ones
        self.check(grad_y, job.units * job.ocg * job.out[1] * job.out[2])
        self.check(w, job.groups * job.weights or job.kernel[1] * job.kernel[2])
        if not self.plain(x) or not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>x):
            raise ValueError("x is not that of the border")
        if outside * job.units * job.icg * job.ocg < WORTH:
            threads = 1
        threads = max(1, min(threads, job.units))
        job.y, job.w = <const char*>cnp.PyArray_DATA(<cnp.ndarray>grad_y), <const char*>cnp.PyArray_DATA(<cnp.ndarray>w)
        job.x = <char*>cnp.PyArray_DATA(<cnp.ndarray>x)
        job.blocks = <char*>allocate(threads * job.block)
        try:
            with nogil:
                memset(job.blocks, 0, threads * job.block)
                status = parallel(doubles_outside if self.code == c"d" else floats_outside, &job, job.units, threads)
        finally:
            release(job.blocks)
        finish(status)

    cdef int check(self, a, Py_ssize_t size) except -1:
        if not (self.usable(a) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>a)
                and cnp.PyArray_SIZE(<cnp.ndarray>a) == size):
            raise ValueError("an array does not have the type and size of the border")
        return 0


cdef object reaching(Outside border, int axis):
    """Return, by place outside and tap, the output that reaches the place under the tap, or -1."""
    cdef const Job* job = &border.job
    cdef Py_ssize_t lo = job.frame.lo[axis], size = job.frame.size[axis]
    places = delete(arange(job.frame.padded[axis]), slice(lo, lo + size))
    rest = places[:, None] - job.dilation[axis] * arange(job.kernel[axis])
    outputs = rest // job.stride[axis]
    reached = (rest >= 0) & (rest % job.stride[axis] == 0) & (outputs < job.out[axis])
    return ascontiguousarray(where(reached, outputs, -1), int64)
