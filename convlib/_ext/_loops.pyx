# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, embedsignature=True
# cython: freethreading_compatible=True
"""Typed loops for every operator, once for all ranks and element types.

Arrays are seen with three spatial axes, (N, C, D, H, W); lower ranks have leading axes of size 1.  Strides are free, so
that channels-last and sliced arrays need no copy.  All sizes come from the spec; `taps` holds, per axis and tap, the
half-open range of outputs that see the tap inside the input, and the tap's offset.

Sums that may be long, those of pooling and of the weights' gradient, are held in double precision.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

ctypedef fused number:
    float
    double
    int64_t
    float complex
    double complex

ctypedef fused element:
    float
    double
    int8_t
    int16_t
    int32_t
    int64_t
    uint8_t
    uint16_t
    uint32_t
    uint64_t

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef inline int listen(Py_ssize_t* work, Py_ssize_t done) except -1 nogil:
    """Count elements done, and let signal handlers run after each few million: some milliseconds."""
    work[0] += done
    if work[0] > 1 << 22:
        work[0] = 0
        with gil:
            PyErr_CheckSignals()
    return 0


cdef inline void axpy(
    number a, const char* x, Py_ssize_t x_step, char* y, Py_ssize_t y_step, Py_ssize_t count
) noexcept nogil:
    """Add a * x to y, `count` elements with steps in bytes."""
    cdef Py_ssize_t i
    if x_step == sizeof(number) and y_step == sizeof(number):
        for i in range(count):  # contiguous: the compiler vectorises this one
            (<number*>y)[i] = (<number*>y)[i] + a * (<const number*>x)[i]
    else:
        for i in range(count):
            (<number*>(y + i * y_step))[0] = (<number*>(y + i * y_step))[0] + a * (<const number*>(x + i * x_step))[0]


cdef inline void dot(
    const char* x, Py_ssize_t x_step, const char* y, Py_ssize_t y_step, Py_ssize_t count, char* sum, number* unit
) noexcept nogil:
    """Add products to a sum: a double or a double complex of floats, an int64 of integers."""
    cdef Py_ssize_t i
    cdef double real
    cdef int64_t whole
    cdef double complex both
    if number is float or number is double:
        real = (<double*>sum)[0]
        for i in range(count):
            real = real + <double>(<const number*>(x + i * x_step))[0] * <double>(<const number*>(y + i * y_step))[0]
        (<double*>sum)[0] = real
    elif number is int64_t:
        whole = (<int64_t*>sum)[0]
        for i in range(count):
            whole = whole + (<const number*>(x + i * x_step))[0] * (<const number*>(y + i * y_step))[0]
        (<int64_t*>sum)[0] = whole
    else:
        both = (<double complex*>sum)[0]
        for i in range(count):
            both = both + (
                <double complex>(<const number*>(x + i * x_step))[0]
                * <double complex>(<const number*>(y + i * y_step))[0]
            )
        (<double complex*>sum)[0] = both


cdef struct Geometry:
    Py_ssize_t groups
    Py_ssize_t sd
    Py_ssize_t sh
    Py_ssize_t sw


cdef enum Direction:
    FORWARD  # y += x * w
    INPUT    # x += y * w
    WEIGHT   # sums of w += x * y


cdef int sweep(
    Direction direction, char* x, const Py_ssize_t* xs, char* w, const Py_ssize_t* ws, char* y, const Py_ssize_t* ys,
    const Py_ssize_t* k, Py_ssize_t od, Py_ssize_t oh, const int64_t* taps, Geometry g, number* unit, Py_ssize_t* work,
) except -1 nogil:
    """Run over all (row of outputs, tap) pairs of one (image, output channel, input channel); strides in bytes.

    The roles of x, w and y decide the operator: a convolution and its two gradients are the same triple product.  The
    weights' gradient is summed into `w` in 16 bytes per tap.  `unit` only carries the element type.
    """
    cdef const int64_t* th = taps + 3 * k[0]
    cdef const int64_t* tw = th + 3 * k[1]
    cdef Py_ssize_t a, b, e, d, h, count
    cdef char* xrow
    cdef char* yrow
    cdef char* xp
    cdef char* yp
    cdef char* wp
    for d in range(od):
        for a in range(k[0]):
            if d < taps[3 * a] or d >= taps[3 * a + 1]:
                continue
            for h in range(oh):
                for b in range(k[1]):
                    if h < th[3 * b] or h >= th[3 * b + 1]:
                        continue
                    xrow = x + (d * g.sd + taps[3 * a + 2]) * xs[2] + (h * g.sh + th[3 * b + 2]) * xs[3]
                    yrow = y + d * ys[2] + h * ys[3]
                    for e in range(k[2]):
                        count = tw[3 * e + 1] - tw[3 * e]
                        if count <= 0:
                            continue
                        xp = xrow + (tw[3 * e] * g.sw + tw[3 * e + 2]) * xs[4]
                        yp = yrow + tw[3 * e] * ys[4]
                        wp = w + a * ws[2] + b * ws[3] + e * ws[4]
                        if direction == FORWARD:
                            axpy((<number*>wp)[0], xp, g.sw * xs[4], yp, ys[4], count)
                        elif direction == INPUT:
                            axpy((<number*>wp)[0], yp, ys[4], xp, g.sw * xs[4], count)
                        else:
                            dot(xp, g.sw * xs[4], yp, ys[4], count, wp, unit)
                        listen(work, count)
    return 0


def conv(
    int direction, const number[:, :, :, :, :] x, const number[:, :, :, :, :] w, const number[:, :, :, :, :] y,
    const int64_t[::1] taps, Py_ssize_t groups, Py_ssize_t sd, Py_ssize_t sh, Py_ssize_t sw,
):
    """Run a convolution (direction 0) or its gradient for the input (1).

    The array that the direction writes must hold its starting values; the others are only read.
    """
    cdef Geometry g = Geometry(groups, sd, sh, sw)
    cdef Py_ssize_t n, o, c, icg = w.shape[1], ocg = w.shape[0] // groups, work = 0
    cdef number unit = 0
    with nogil:
        for n in range(y.shape[0]):
            for o in range(y.shape[1]):
                for c in range(icg):
                    sweep(
                        <Direction>direction, <char*>&x[n, o // ocg * icg + c, 0, 0, 0], x.strides,
                        <char*>&w[o, c, 0, 0, 0], w.strides, <char*>&y[n, o, 0, 0, 0], y.strides, &w.shape[2],
                        y.shape[2], y.shape[3], &taps[0], g, &unit, &work,
                    )


def grad_weight(
    const number[:, :, :, :, :] x, number[:, :, :, :, :] w, const number[:, :, :, :, :] y,
    double complex[:, :, ::1] sums, const int64_t[::1] taps, Py_ssize_t groups, Py_ssize_t sd, Py_ssize_t sh,
    Py_ssize_t sw,
):
    """Fill `w` with the gradient of the weights, summed in `sums`, which has the shape of the kernel."""
    cdef Geometry g = Geometry(groups, sd, sh, sw)
    cdef Py_ssize_t n, o, c, a, b, e, icg = w.shape[1], ocg = w.shape[0] // groups, work = 0
    cdef Py_ssize_t steps[5]
    cdef number unit = 0
    steps[2], steps[3], steps[4] = sums.strides[0], sums.strides[1], sums.strides[2]
    with nogil:
        for o in range(w.shape[0]):
            for c in range(icg):
                memset(&sums[0, 0, 0], 0, sums.shape[0] * sums.strides[0])
                for n in range(y.shape[0]):
                    sweep(
                        WEIGHT, <char*>&x[n, o // ocg * icg + c, 0, 0, 0], x.strides, <char*>&sums[0, 0, 0], steps,
                        <char*>&y[n, o, 0, 0, 0], y.strides, &w.shape[2], y.shape[2], y.shape[3], &taps[0], g, &unit,
                        &work,
                    )
                for a in range(w.shape[2]):
                    for b in range(w.shape[3]):
                        for e in range(w.shape[4]):
                            w[o, c, a, b, e] = narrowed(<char*>&sums[a, b, e], &unit)


cdef inline number narrowed(const char* sum, number* unit) noexcept nogil:
    """Return what `dot` summed, as an element."""
    if number is float or number is double:
        return <number>(<const double*>sum)[0]
    elif number is int64_t:
        return (<const int64_t*>sum)[0]
    else:
        return <number>(<const double complex*>sum)[0]


# ----------------------------------------------------------------------------------------------- pooling

cdef struct Axis:
    Py_ssize_t size
    Py_ssize_t kernel
    Py_ssize_t stride
    Py_ssize_t dilation
    Py_ssize_t lo
    Py_ssize_t hi
    Py_ssize_t out
    Py_ssize_t adaptive


cdef struct Window:
    Py_ssize_t start    # first position inside the input
    Py_ssize_t count    # positions inside the input
    Py_ssize_t counted  # taps inside the input and its padding


cdef inline Window window(const Axis* a, Py_ssize_t o) noexcept nogil:
    """Return window `o` of an axis; `PoolSpec.taps` and `PoolSpec.counted` say the same in Python."""
    cdef Window w
    cdef Py_ssize_t first, skipped = 0
    if a.adaptive:
        w.start = o * a.size // a.out
        w.count = w.counted = ((o + 1) * a.size + a.out - 1) // a.out - w.start
        return w
    first = o * a.stride - a.lo
    if first < 0:
        skipped = (a.dilation - 1 - first) // a.dilation
    w.start = first + skipped * a.dilation
    w.count = 0
    if w.start < a.size:
        w.count = min(a.kernel - skipped, (a.size - w.start + a.dilation - 1) // a.dilation)
    w.counted = min(a.kernel, (a.size + a.hi - first + a.dilation - 1) // a.dilation)
    return w


cdef void fill_axes(Axis* axes, const int64_t[:, ::1] geometry) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(3):
        axes[i] = Axis(
            geometry[i, 0], geometry[i, 1], geometry[i, 2], geometry[i, 3], geometry[i, 4], geometry[i, 5],
            geometry[i, 6], geometry[i, 7],
        )


cdef enum Kind:
    MAXIMUM
    MINIMUM
    SUM
    AVERAGE


cdef struct Fold:
    Kind kind
    bint include_pad
    double divisor
    double sum                # of floats so far
    Py_ssize_t place          # where the extreme was found, -1 before the first element


cdef inline void fold_row(
    Fold* f, element* value, const char* row, Py_ssize_t step, Py_ssize_t count, Py_ssize_t flat, Py_ssize_t flat_step
) noexcept nogil:
    """Take one row of a window into `value`; `flat` is its place in the plane."""
    cdef Py_ssize_t e
    cdef element v
    for e in range(count):
        v = (<const element*>(row + e * step))[0]
        if f.kind == SUM or f.kind == AVERAGE:
            if element is float or element is double:
                f.sum = f.sum + v
            else:
                value[0] = value[0] + v
        elif f.place < 0 or (v > value[0] if f.kind == MAXIMUM else v < value[0]) or v != v:
            value[0], f.place = v, flat + e * flat_step


cdef inline element finish(const Fold* f, element value, Py_ssize_t taps, Py_ssize_t counted) noexcept nogil:
    cdef double divisor = 1
    if f.kind == AVERAGE and taps > 0:
        divisor = f.divisor if f.divisor != 0 else <double>(counted if f.include_pad else taps)
    if f.kind == SUM or f.kind == AVERAGE:
        if element is float or element is double:
            return <element>(f.sum / divisor)
    return value


def pool(
    int kind, const element[:, :, :, :, :] x, element[:, :, :, :, :] y, int64_t[:, :, :, :, :] indices,
    bint with_indices, const int64_t[:, ::1] geometry, element empty, bint include_pad, double divisor,
):
    """Pool each window: the first of equal extremes, but the last NaN; `empty` is where every window starts."""
    cdef Axis axes[3]
    cdef Window d, h, w
    cdef Py_ssize_t n, c, i, j, k, a, b, z, r, work = 0
    cdef element value
    cdef Fold f
    cdef const char* plane
    fill_axes(axes, geometry)
    f.kind, f.include_pad, f.divisor = <Kind>kind, include_pad, divisor
    with nogil:
        for n in range(y.shape[0]):
            for c in range(y.shape[1]):
                plane = <const char*>&x[n, c, 0, 0, 0]  # never read if x is empty: then all windows are
                for i in range(y.shape[2]):
                    d = window(&axes[0], i)
                    for j in range(y.shape[3]):
                        h = window(&axes[1], j)
                        for k in range(y.shape[4]):
                            w = window(&axes[2], k)
                            value, f.sum, f.place = empty, 0, -1
                            for a in range(d.count):
                                z = d.start + a * axes[0].dilation
                                for b in range(h.count):
                                    r = h.start + b * axes[1].dilation
                                    fold_row(
                                        &f, &value,
                                        plane + z * x.strides[2] + r * x.strides[3] + w.start * x.strides[4],
                                        axes[2].dilation * x.strides[4], w.count,
                                        (z * axes[1].size + r) * axes[2].size + w.start, axes[2].dilation,
                                    )
                                    listen(&work, w.count)
                            y[n, c, i, j, k] = finish(
                                &f, value, d.count * h.count * w.count, d.counted * h.counted * w.counted
                            )
                            if with_indices:
                                indices[n, c, i, j, k] = f.place


def scatter(
    const element[:, :, :, :, :] x, const int64_t[:, :, :, :, :] indices, element[:, :, :, :, :] y, bint add,
):
    """Write or add each element of x to the flat plane position of y that `indices` names; -1 is skipped."""
    cdef Py_ssize_t n, c, i, j, k, d, h, w, work = 0
    cdef int64_t place
    with nogil:
        for n in range(x.shape[0]):
            for c in range(x.shape[1]):
                for i in range(x.shape[2]):
                    for j in range(x.shape[3]):
                        listen(&work, x.shape[4])
                        for k in range(x.shape[4]):
                            place = indices[n, c, i, j, k]
                            if place < 0:
                                continue
                            w = place % y.shape[4]
                            h = place // y.shape[4] % y.shape[3]
                            d = place // y.shape[4] // y.shape[3]
                            if add:
                                y[n, c, d, h, w] = y[n, c, d, h, w] + x[n, c, i, j, k]
                            else:
                                y[n, c, d, h, w] = x[n, c, i, j, k]
