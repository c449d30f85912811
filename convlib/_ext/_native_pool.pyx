# cython: freethreading_compatible=True
"""Pooling by the native engine; what is checked here, and why so little, says `_native`."""

cimport numpy as cnp
from libc.stdint cimport int64_t
from libc.string cimport memset

from convlib._ext._native cimport (
    CV_OP_POOL, CV_OP_SPREAD, Plan, Problem, active, cv_call, cv_op, cv_pool, cv_problem, cv_type, refuse, type_of,
    verdicts,
)
from convlib._ext._native_arrays cimport Array, Shaped, dense_steps, fill, place_like, readable, writable
from convlib._ext._native_pad cimport Border

from numpy import empty_like, int64

cnp.import_array()

KINDS = ("max", "min", "sum", "avg")

cdef enum:
    UNFIT = 2  # no implementation that is named fits


cdef class PoolProblem(Problem):
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
    channels_last : bool
        Whether arrays are expected whose channels are neighbours.
    """

    cdef cv_pool pool
    cdef bint last

    def __init__(self, Py_ssize_t n, Py_ssize_t c, in_size, kernel, out_size, stride, dilation, lo, hi, str kind,
                 bint count_include_pad=True, double divisor=0, bint adaptive=False, bint channels_last=False):
        self.plans, self.last = {}, channels_last
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
        dense_steps(self.pool.xs, self.pool.size, c, channels_last)
        dense_steps(self.pool.ys, self.pool.out, c, channels_last)

    cdef cv_problem asked(self, cv_op op, cv_type type, bint indices, bint add, int threads,
                          Py_ssize_t max_workspace) noexcept:
        """Return what is asked of the engine for arrays without gaps."""
        cdef cv_problem p
        memset(&p, 0, sizeof(p))
        p.op, p.type, p.indices, p.add, p.threads, p.max_workspace = op, type, indices, add, threads, max_workspace
        p.pool = self.pool
        return p

    cdef int place(self, cv_pool* c, Array x, Array y) except -1:
        place_like(x, c.n, c.c, c.size, self.pool.xs, c.xs)
        place_like(y, c.n, c.c, c.out, self.pool.ys, c.ys)
        if x.code != y.code:
            raise TypeError("x and y differ in type")
        return 0

    def chosen(self, str op, char code, Py_ssize_t itemsize, names, bint indices, bint add, int threads,
               Py_ssize_t max_workspace):
        """Return the plan for arrays of a type without gaps, or None if no implementation fits.

        Parameters
        ----------
        op : {"pool", "spread"}
        code, itemsize : int
            Character and size of the type.
        names : str or None
            Implementations or families, joined by "+"; None: all.
        indices, add : bool
            Whether places are wanted or given; whether numbers that meet in one are added.
        threads, max_workspace : int
        """
        cdef cv_problem p = self.asked(op_of(op), type_of(code, itemsize), indices, add, threads, max_workspace)
        return self.plan(&p, names, False)

    def verdicts(self, str op, char code, Py_ssize_t itemsize, bint indices, int threads, Py_ssize_t max_workspace):
        """Return (name, family, refusal or None, predicted nanoseconds, scratch) of each implementation."""
        cdef cv_problem p = self.asked(op_of(op), type_of(code, itemsize), indices, False, threads, max_workspace)
        return verdicts(&p)


cdef cv_op op_of(str op) noexcept:
    return CV_OP_SPREAD if op == "spread" else CV_OP_POOL


def pool(PoolProblem problem, x, y, indices, names, int threads, Py_ssize_t max_workspace):
    """Pool `x` into `y`.

    Parameters
    ----------
    problem : PoolProblem
    x, y : buffers (N, C, *in) and (N, C, *out) of one type, any strides
        float32, float64; for sums also int64, for maxima and minima any integers and bool.
    indices : buffer like `y` of int64, with the strides of `y`; or None
        Receives the flat position of each extreme in its plane.
    names, threads, max_workspace
        As for `PoolProblem.chosen`.
    """
    cdef Array ai = None if indices is None else writable(indices)
    if run(problem, CV_OP_POOL, readable(x), writable(y), ai, False, names, threads, max_workspace) == UNFIT:
        refuse(names, max_workspace)


cdef int run(PoolProblem problem, cv_op op, Array ax, Array ay, Array ai, bint add, names, int threads,
             Py_ssize_t max_workspace) except -1:
    """Run one of the named implementations; return 1, 0 if an index was wrong, UNFIT if none of them fits."""
    cdef cv_problem p = problem.asked(op, type_of(ax.code, ax.view.itemsize), ai is not None, add, threads,
                                      max_workspace)
    cdef cv_call call
    cdef Plan plan
    problem.place(&p.pool, ax, ay)
    memset(&call, 0, sizeof(call))
    if ai is not None:
        same_places(ay, ai)
        call.indices = <int64_t*>ai.view.buf
    plan = problem.plan(&p, names, False)
    if plan is None:
        return UNFIT
    call.x, call.y = ax.view.buf, ay.view.buf
    return plan.run(&call)


cdef int same_places(Array y, Array places) except -1:
    cdef int i
    if places.view.itemsize != 8 or places.view.ndim != y.view.ndim:
        raise TypeError("indices must be int64, with the axes of y")
    for i in range(y.view.ndim):
        if places.view.shape[i] != y.view.shape[i] or (y.view.shape[i] > 1 and places.step(i) != y.step(i)):
            raise ValueError("indices do not have the shape and strides of y")
    return 0


cdef class PoolRunner(Shaped):
    """A pooling of arrays of one shape and type: the short way of a plain call.

    Parameters
    ----------
    problem : PoolProblem
    name : str or None
        The implementation; None: the one that is chosen.
    x_shape, y_shape, dtype
        As for `Shaped`.  (N, *in, C) and (N, *out, C) if channels come last in the problem.
    border : Border or None
        What pads the input, if that is no zeros; it then serves arrays without gaps alone.
    """

    cdef PoolProblem problem
    cdef Border border
    cdef object name
    cdef Plan plan, placed  # for arrays without gaps and these settings: without places, and with
    cdef int threads
    cdef Py_ssize_t max_workspace

    def __init__(self, PoolProblem problem, name, tuple x_shape, tuple y_shape, dtype, Border border=None):
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.problem, self.name, self.border = problem, name, border

    def __call__(self, x, int threads, bint indices, Py_ssize_t max_workspace, out=None):
        """Return the result (with `indices`, also those), or None if `x` is not usable as it is, or `out`, if given.

        With channels last that is anything but a C-contiguous array, else one whose rows have gaps.
        """
        cdef cv_call call
        cdef cv_problem p
        cdef Plan plan
        cdef cnp.ndarray y, places = None
        if not self.shaped(x) or out is not None and not self.serves(out):
            return None
        if not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x):
            if self.problem.last or out is not None or self.border is not None:
                return None
            return self.strided(x, threads, indices, max_workspace)
        if threads != self.threads or max_workspace != self.max_workspace:
            self.threads, self.max_workspace, self.plan, self.placed = threads, max_workspace, None, None
        plan = self.placed if indices else self.plan
        if plan is None or plan.isa != active():
            p = self.problem.asked(CV_OP_POOL, type_of(self.code, cnp.PyArray_ITEMSIZE(<cnp.ndarray>x)), indices,
                                   False, threads, max_workspace)
            plan = self.problem.plan(&p, self.name, False)
            if plan is None:
                return None
            if indices:
                self.placed = plan
            else:
                self.plan = plan
        if self.border is not None and not plan.plan.frames:
            return None
        y = self.result() if out is None else <cnp.ndarray>out
        memset(&call, 0, sizeof(call))
        if self.border is not None:
            call.frame, call.value = &self.border.frame, self.border.value
        call.x, call.y = cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
        if indices:
            places = cnp.PyArray_EMPTY(self.nd, self.y_dims, cnp.NPY_INT64, 0)
            call.indices = <int64_t*>cnp.PyArray_DATA(places)
        plan.run(&call)
        return (y, places) if indices else y

    cdef strided(self, x, int threads, bint indices, Py_ssize_t max_workspace):
        cdef Array ax = self.accept(x)
        cdef cv_pool c = self.problem.pool
        if ax is None:
            return None
        place_like(ax, c.n, c.c, c.size, self.problem.pool.xs, c.xs)
        if c.xs[4] != 1:  # a copy, block by block, is sooner made than elements are gathered for each window
            return None
        y = self.result()
        places = empty_like(y, int64) if indices else None
        if run(self.problem, CV_OP_POOL, ax, writable(y), writable(places) if indices else None, False, self.name,
               threads, max_workspace) == UNFIT:
            return None
        return (y, places) if indices else y


def spread(PoolProblem problem, y, indices, x, bint add, names, int threads, Py_ssize_t max_workspace):
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
    names, threads, max_workspace
        As for `PoolProblem.chosen`.

    Returns
    -------
    good : bool
        Whether every index lay inside its plane; `x` is of no use if one did not.
    """
    cdef Array ay = readable(y), ax = writable(x), ai = None if indices is None else readable(indices)
    cdef int good = run(problem, CV_OP_SPREAD, ax, ay, ai, add, names, threads, max_workspace)
    if good == UNFIT:
        refuse(names, max_workspace)
    return bool(good)
