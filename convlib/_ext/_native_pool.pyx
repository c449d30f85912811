# cython: freethreading_compatible=True
"""Pooling by the native engine; what is checked here, and why so little, says `_native`."""

cimport numpy as cnp
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from convlib._ext._native cimport CV_BAD_INDEX, cv_kernels, cv_pool, kernels
from convlib._ext._native_arrays cimport Array, Shaped, dense_steps, fill, finish, place, readable, writable

from numpy import empty_like, int64

cnp.import_array()

KINDS = ("max", "min", "sum", "avg")


cdef class PoolProblem:
    """The finished integers of a pooling, without strides.

    Parameters
    ----------
    n, c : int
    in_size, kernel, out_size, stride, dilation, lo, hi : sequence of int
        One entry per spatial axis (1 to 3).
    kind : {"max", "min", "sum", "avg"}
    count_include_pad : bool
    divisor : float
        Divisor of the average; 0 counts the taps.
    adaptive : bool
        Whether windows share the axes out; `kernel` is then the longest, without stride, dilation and padding.
    """

    cdef cv_pool pool

    def __init__(self, Py_ssize_t n, Py_ssize_t c, in_size, kernel, out_size, stride, dilation, lo, hi, str kind,
                 bint count_include_pad=True, double divisor=0, bint adaptive=False):
        self.pool.n, self.pool.c = n, c
        fill(self.pool.size, in_size, 1)
        fill(self.pool.k, kernel, 1)
        fill(self.pool.out, out_size, 1)
        fill(self.pool.stride, stride, 1)
        fill(self.pool.dil, dilation, 1)
        fill(self.pool.lo, lo, 0)
        fill(self.pool.hi, hi, 0)
        self.pool.kind, self.pool.count_include_pad, self.pool.divisor = KINDS.index(kind), count_include_pad, divisor
        self.pool.adaptive = adaptive


def pool(PoolProblem problem, x, y, indices, int threads):
    """Pool `x` into `y`.

    Parameters
    ----------
    problem : PoolProblem
    x, y : buffers (N, C, *in) and (N, C, *out) of one type, any strides
        float32, float64; for sums also int64, for maxima and minima any integers and bool.
    indices : buffer like `y` of int64, C-contiguous, or None
        Receives the flat position of each extreme in its plane.
    threads : int
    """
    run_pool(problem, readable(x), writable(y), None if indices is None else writable(indices), threads)


cdef int run_pool(PoolProblem problem, Array ax, Array ay, Array ai, int threads) except -1:
    cdef cv_pool p = problem.pool
    cdef int64_t* at = NULL
    cdef char code = ax.code
    place(ax, p.n, p.c, p.size, p.xs)
    place(ay, p.n, p.c, p.out, p.ys)
    if ay.code != code:
        raise TypeError("x and y differ in type")
    if ai is not None:
        if ai.view.itemsize != 8 or ai.view.len != 8 * (ay.view.len // ay.view.itemsize):
            raise ValueError("indices do not have the size of y")
        at = <int64_t*>ai.view.buf
    return launch(&p, sized(code, ax.view.itemsize), ax.view.buf, ay.view.buf, at, threads)


cdef char sized(char code, Py_ssize_t itemsize) noexcept:
    """Name a type by its size, where C names it otherwise on each system."""
    if code == b"?":
        return b"B"
    if code in (b"l", b"q"):
        return b"q" if itemsize == 8 else b"i"
    if code in (b"L", b"Q"):
        return b"Q" if itemsize == 8 else b"I"
    return code


cdef int launch(const cv_pool* p, char code, const void* x, void* y, int64_t* at, int threads) except -1:
    """Run the kernel of one type, named as `sized` does."""
    cdef const cv_kernels* k = kernels()
    cdef int status = 0
    if p.kind > 1 and code not in (b"f", b"d", b"q"):
        raise TypeError(f"the engine does not sum type {chr(code)!r}")
    with nogil:
        if code == b"f":
            status = k.pool_f32(p, <const float*>x, <float*>y, at, threads)
        elif code == b"d":
            status = k.pool_f64(p, <const double*>x, <double*>y, at, threads)
        elif code == b"q":
            status = k.pool_i64(p, <const int64_t*>x, <int64_t*>y, at, threads)
        elif code == b"i":
            status = k.pool_i32(p, <const int32_t*>x, <int32_t*>y, at, threads)
        elif code == b"h":
            status = k.pool_i16(p, <const int16_t*>x, <int16_t*>y, at, threads)
        elif code == b"b":
            status = k.pool_i8(p, <const int8_t*>x, <int8_t*>y, at, threads)
        elif code == b"Q":
            status = k.pool_u64(p, <const uint64_t*>x, <uint64_t*>y, at, threads)
        elif code == b"I":
            status = k.pool_u32(p, <const uint32_t*>x, <uint32_t*>y, at, threads)
        elif code == b"H":
            status = k.pool_u16(p, <const uint16_t*>x, <uint16_t*>y, at, threads)
        elif code == b"B":
            status = k.pool_u8(p, <const uint8_t*>x, <uint8_t*>y, at, threads)
        else:
            status = -1
    if status == -1:
        raise TypeError(f"the engine does not pool type {chr(code)!r}")
    return finish(status)


cdef class PoolRunner(Shaped):
    """A pooling of arrays of one shape and type: the short way of a plain call.

    Parameters
    ----------
    problem : PoolProblem
    x_shape, y_shape, dtype
        As for `Shaped`.
    last : bool
        Whether they are (N, *in, C) and (N, *out, C).
    """

    cdef PoolProblem problem
    cdef cv_pool dense  # with the strides of C-contiguous arrays
    cdef bint last

    def __init__(self, PoolProblem problem, tuple x_shape, tuple y_shape, dtype, bint last):
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.problem, self.last, self.dense = problem, last, problem.pool
        dense_steps(self.dense.xs, self.dense.size, self.dense.c, last)
        dense_steps(self.dense.ys, self.dense.out, self.dense.c, last)
        self.code = sized(self.code, dtype.itemsize)

    def __call__(self, x, int threads, bint indices):
        """Return the result (with `indices`, also those), or None if `x` is not usable as it is.

        With channels last that is anything but a C-contiguous array without a call for indices.
        """
        cdef cnp.ndarray out
        if self.shaped(x) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x) and not indices:
            out = self.result()
            launch(&self.dense, self.code, cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(out), NULL, threads)
            return out
        cdef Array ax = None if self.last else self.accept(x)
        if ax is None:
            return None
        y = self.result()
        if not indices:
            run_pool(self.problem, ax, writable(y), None, threads)
            return y
        places = empty_like(y, int64)
        run_pool(self.problem, ax, writable(y), writable(places), threads)
        return y, places


def pool_grad(PoolProblem problem, y, indices, x, bint add, int threads):
    """Spread `y` over the windows of a sum or an average; with `indices`, to the places that they name.

    Parameters
    ----------
    problem : PoolProblem
    y, x : buffers (N, C, *out) and (N, C, *in), float32 or float64
        Contiguous, channels first or channels last.
    indices : buffer like `y` of int64, with the strides of `y`; or None
        A flat position in its plane for each number of `y`, -1 for none.
    add : bool
        Whether numbers that meet in one place are added; else one of them stays.
    threads : int

    Returns
    -------
    good : bool
        Whether every index lay inside its plane; `x` is of no use if one did not.
    """
    cdef Array ay = readable(y), ax = writable(x), ai = None
    cdef cv_pool p = problem.pool
    cdef const cv_kernels* k = kernels()
    cdef int64_t* at = NULL
    cdef int status, i
    place(ax, p.n, p.c, p.size, p.xs)
    place(ay, p.n, p.c, p.out, p.ys)
    if ay.code != ax.code or ax.code not in b"fd":
        raise TypeError("x and y must both be float32 or both float64")
    if p.xs[3] != p.xs[4] * p.size[2] or p.xs[2] != p.xs[3] * p.size[1] or (p.xs[4] != 1 and p.xs[1] != 1 and p.c > 1):
        raise ValueError("x is contiguous neither channels first nor channels last")
    if p.xs[4] != 1 and p.ys[1] != 1 and p.c > 1:
        raise ValueError("x and y differ in layout")
    if indices is not None:
        ai = readable(indices)
        if ai.view.itemsize != 8 or ai.view.ndim != ay.view.ndim:
            raise TypeError("indices must be int64, with the axes of y")
        for i in range(ay.view.ndim):
            if ai.view.shape[i] != ay.view.shape[i] or (ai.view.shape[i] > 1 and ai.step(i) != ay.step(i)):
                raise ValueError("indices do not have the shape and strides of y")
        at = <int64_t*>ai.view.buf
    with nogil:
        if ax.code == b"f":
            status = k.pool_grad_f32(&p, <float*>ay.view.buf, at, <float*>ax.view.buf, add, threads)
        else:
            status = k.pool_grad_f64(&p, <double*>ay.view.buf, at, <double*>ax.view.buf, add, threads)
    if status == CV_BAD_INDEX:
        return False
    finish(status)
    return True
