# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""What padding adds to the gradients of zeros: that of the rows and columns outside alone."""

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
    float cv_taps_f32_dot(const float* a, const float* b, Py_ssize_t n, Py_ssize_t step)
    double cv_taps_f64_dot(const double* a, const double* b, Py_ssize_t n, Py_ssize_t step)

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
    Py_ssize_t block, ends  # bytes of a worker, and those for outputs that reach beyond the image alone
    Py_ssize_t each, size  # bytes of each worker of this call, and of a number
    Py_ssize_t lines  # numbers of a channel's lines outside, of which gradients in the weights are made
    double divisor, value
    bint weights_wanted
    # by place outside of an axis and tap, the output that reaches the place under the tap, or -1
    const int64_t* rows
    const int64_t* columns
    const char* y
    const char* w
    char* x
    char* blocks
    char* outside  # the lines of all channels of an image


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
    cdef Py_ssize_t width = job.out[2], end, o, r
    for r in range(job.out[1]):  # the ends of a row and the next one lie side by side
        for end in range(job.near + width - job.far):
            o = end if end < job.near else end - job.near + job.far
            to[end * job.column + r] = y[r * width + o]


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


cdef void write_lines(const Job* job, const real* x, real* to) noexcept nogil:
    """Write the rows outside, with their columns outside, then the columns outside, beside the rows of the image."""
    cdef const cv_frame* f = &job.frame
    cdef Py_ssize_t width = f.size[2], lo = f.lo[2], side, c, r, at
    cdef int64_t source
    cdef real value = <real>job.value
    for side in range(f.padded[1] - f.size[1]):
        source = f.source[1][side if side < f.lo[1] else side + f.size[1]]
        if source >= 0:
            memcpy(to + lo, x + source * width, width * sizeof(real))
        for at in range(f.padded[2] if source < 0 else f.padded[2] - width):
            c = at if at < lo or source < 0 else at + width
            to[c] = value if source < 0 or f.source[2][c] < 0 else x[source * width + f.source[2][c]]
        to += f.padded[2]
    for r in range(f.size[1]):
        for side in range(f.padded[2] - width):
            source = f.source[2][side if side < lo else side + width]
            to[side * f.size[1] + r] = value if source < 0 else x[r * width + source]


cdef real dot(const real* a, const real* b, Py_ssize_t n, Py_ssize_t step) noexcept nogil:
    if real is float:
        return cv_taps_f32_dot(a, b, n, step)
    else:
        return cv_taps_f64_dot(a, b, n, step)


cdef void add_dots(const Job* job, const real* y, const real* columns, const real* lines, real* w) noexcept nogil:
    """Add to the weights between two channels the products of outputs with the lines outside."""
    cdef const cv_frame* f = &job.frame
    cdef Py_ssize_t side, o, ky, kx, first, last, at, stride = job.stride[1]
    for side in range(f.padded[1] - f.size[1]):
        for ky in range(job.kernel[1]):
            o = job.rows[side * job.kernel[1] + ky]
            for kx in range(job.kernel[2] if o >= 0 else 0):
                w[ky * job.kernel[2] + kx] += dot(y + o * job.out[2], lines + kx * job.dilation[2], job.out[2],
                                                  job.stride[2])
        lines += f.padded[2]
    for side in range(f.padded[2] - f.size[2]):
        for kx in range(job.kernel[2]):
            o = job.columns[side * job.kernel[2] + kx]
            if o >= job.far:
                o -= job.far - job.near
            for ky in range(job.kernel[1] if o >= 0 else 0):
                at = ky * job.dilation[1] - f.lo[1]  # the row of the image under the first output
                first = 0 if at >= 0 else (stride - 1 - at) // stride
                last = 0 if at >= f.size[1] else min(job.out[1], (f.size[1] - 1 - at) // stride + 1)
                if first < last:
                    w[ky * job.kernel[2] + kx] += dot(columns + o * job.column + first, lines + first * stride + at,
                                                      last - first, stride)
        lines += f.size[1]


cdef void weights_of(const Job* job, Py_ssize_t unit, real* columns) noexcept nogil:
    """Add to the weights of a channel of the result what the lines outside have."""
    cdef Py_ssize_t taps = job.kernel[1] * job.kernel[2], i
    cdef const real* y = <const real*>job.y + unit * job.out[1] * job.out[2]
    cdef const real* lines = <const real*>job.outside + unit // job.ocg * job.icg * job.lines
    cdef real* w = <real*>job.w + unit * job.icg * taps
    gather(job, y, columns)
    for i in range(job.icg):
        add_dots(job, y, columns, lines + i * job.lines, w + i * taps)


cdef void some_lines(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Job* job = <Job*>context
    cdef Py_ssize_t size = job.frame.size[1] * job.frame.size[2]
    if job.size == 8:
        write_lines[double](job, <const double*>job.x + unit * size, <double*>job.outside + unit * job.lines)
    else:
        write_lines[float](job, <const float*>job.x + unit * size, <float*>job.outside + unit * job.lines)


cdef void add_unit(const Job* job, Py_ssize_t unit, real* block) noexcept nogil:
    if job.weights_wanted:
        weights_of(job, unit, block)
    else:
        add_outside(job, unit, block)


cdef void some_outside(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Job* job = <Job*>context
    if job.size == 8:
        add_unit[double](job, unit, <double*>(job.blocks + worker * job.each))
    else:
        add_unit[float](job, unit, <float*>(job.blocks + worker * job.each))


cdef class Outside(Border):
    """What the padding of contiguous inputs adds to gradients, beside those of padding with zeros.

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

    To gradients in the input the columns outside are added from left to right, then the rows, each with its columns:
    the order of `Border.fold`.
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
        job.size, ends = 8 if self.code == c"d" else 4, (job.near + job.out[2] - job.far) * job.column
        job.block = ((job.line + job.row + ocg * ends) * job.size + 63) // 64 * 64
        job.ends = (ends * job.size + 63) // 64 * 64
        job.lines = (f.padded[1] - f.size[1]) * f.padded[2] + (f.padded[2] - f.size[2]) * f.size[1]
        job.value = self.value
        if divisor:
            self.ones = ones(job.kernel[1] * job.kernel[2], args[2])
        else:
            job.weights = ocg * icg * job.kernel[1] * job.kernel[2]

    def scratch(self, int threads, bint weights):
        """Return the bytes that a call takes, for the gradient in the weights or in the input."""
        cdef const Job* job = &self.job
        if not weights:
            return max(1, min(threads, job.units)) * job.block
        return self.nbytes_of_lines() + max(1, min(threads, job.groups * job.ocg)) * job.ends

    cdef Py_ssize_t nbytes_of_lines(self):
        cdef const Job* job = &self.job
        return (job.groups * job.icg * job.lines * job.size + 63) // 64 * 64

    def add(self, grad_y, w, x, int threads):
        """Add it to `x`, the gradient that padding with zeros has; `w` are the weights, if there are such."""
        cdef Job job = self.job  # of this call alone
        cdef int status
        if w is None:
            w = self.ones
        self.check_all(grad_y, w, x, x)
        threads = self.threads_for(threads, job.units)
        job.y, job.w = <const char*>cnp.PyArray_DATA(<cnp.ndarray>grad_y), <const char*>cnp.PyArray_DATA(<cnp.ndarray>w)
        job.x = <char*>cnp.PyArray_DATA(<cnp.ndarray>x)
        job.blocks, job.each = <char*>allocate(threads * job.block), job.block
        try:
            with nogil:
                memset(job.blocks, 0, threads * job.block)
                status = parallel(some_outside, &job, job.units, threads)
        finally:
            release(job.blocks)
        finish(status)

    def add_weights(self, grad_y, x, w, int threads):
        """Add it to `w`, the gradient in the weights that padding with zeros has; `x` is the input."""
        cdef Job job = self.job
        cdef Py_ssize_t channels = job.groups * job.icg, outs = job.groups * job.ocg
        cdef int status = 0
        self.check_all(grad_y, w, x, w)
        threads = self.threads_for(threads, outs)
        job.y, job.w = <const char*>cnp.PyArray_DATA(<cnp.ndarray>grad_y), <const char*>cnp.PyArray_DATA(<cnp.ndarray>w)
        job.x = <char*>cnp.PyArray_DATA(<cnp.ndarray>x)
        job.outside = <char*>allocate(self.nbytes_of_lines() + threads * job.ends)
        job.blocks, job.each, job.weights_wanted = job.outside + self.nbytes_of_lines(), job.ends, True
        try:
            for _ in range(job.units // job.groups):
                with nogil:
                    status = parallel(some_lines, &job, channels, threads)
                finish(status)
                with nogil:
                    status = parallel(some_outside, &job, outs, threads)
                finish(status)
                job.x += channels * job.frame.size[1] * job.frame.size[2] * job.size
                job.y += outs * job.out[1] * job.out[2] * job.size
        finally:
            release(job.outside)

    cdef int threads_for(self, int threads, Py_ssize_t units):
        cdef const Job* job = &self.job
        if job.lines * job.units * job.icg * job.ocg < WORTH:
            return 1
        return max(1, min(threads, units))

    cdef int check_all(self, grad_y, w, x, result) except -1:
        cdef const Job* job = &self.job
        self.check(grad_y, job.units * job.ocg * job.out[1] * job.out[2])
        self.check(w, job.groups * job.weights or job.kernel[1] * job.kernel[2])
        if not self.plain(x):
            raise ValueError("x is not that of the border")
        if not cnp.PyArray_ISWRITEABLE(<cnp.ndarray>result):
            raise ValueError("the result is read-only")
        return 0

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
