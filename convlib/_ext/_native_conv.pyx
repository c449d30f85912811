# cython: freethreading_compatible=True
"""Convolution and its weight gradient by the native engine; what is checked here, and why so little, says `_native`."""

cimport numpy as cnp
from libc.string cimport memcmp, memset

from convlib._ext._native cimport (
    CV_OP_CONV, CV_OP_GRAD_WEIGHT, Plan, active, allocate, cv_call, cv_conv, cv_op, cv_problem, cv_type, refuse,
    release, type_of, verdicts,
)
from convlib._ext._native_arrays cimport Array, Shaped, contiguous, dense_steps, fill, place_like, readable, writable

from ._native import OPERATIONS as _OPERATIONS

cnp.import_array()


cdef class ConvProblem(Problem):
    """The finished integers of a convolution, without strides.

    Parameters
    ----------
    n, groups, icg, ocg : int
        Batch, groups, input and output channels of one group.
    in_size, kernel, out_size, stride, dilation, lo : sequence of int
        One entry per spatial axis (1 to 3); lo is the low zero padding.
    channels_last : bool
        Whether arrays are expected whose channels are neighbours.
    """

    def __init__(self, Py_ssize_t n, Py_ssize_t groups, Py_ssize_t icg, Py_ssize_t ocg, in_size, kernel, out_size,
                 stride, dilation, lo, bint channels_last=False):
        self.plans = {}
        self.conv.n, self.conv.groups, self.conv.icg, self.conv.ocg, self.conv.last = n, groups, icg, ocg, channels_last
        fill(self.conv.size, in_size, 1)
        fill(self.conv.k, kernel, 1)
        fill(self.conv.out, out_size, 1)
        fill(self.conv.stride, stride, 1)
        fill(self.conv.dil, [d if k > 1 else 1 for d, k in zip(dilation, kernel)], 1)
        fill(self.conv.lo, lo, 0)
        self.dense()

    cdef void dense(self) noexcept:
        """Take the strides of arrays without gaps."""
        cdef cv_conv* c = &self.conv
        self.plain_weights(c)
        dense_steps(c.xs, c.size, c.groups * c.icg, c.last)
        dense_steps(c.ys, c.out, c.groups * c.ocg, c.last)

    cdef void plain_weights(self, cv_conv* c) noexcept:
        c.ws[5] = 1
        c.ws[4] = c.k[2]
        c.ws[3] = c.k[1] * c.ws[4]
        c.ws[2] = c.k[0] * c.ws[3]
        c.ws[1] = c.icg * c.ws[2]
        c.ws[0] = c.ocg * c.ws[1]

    def scatter(self, full_size, stride):
        """Expect a result whose elements lie `stride` apart in an array of `full_size` per axis."""
        cdef Py_ssize_t size[3]
        cdef Py_ssize_t step[3]
        cdef int i
        fill(size, full_size, 1)
        fill(step, stride, 1)
        dense_steps(self.conv.ys, size, self.conv.groups * self.conv.ocg, self.conv.last)
        for i in range(3):
            self.conv.ys[2 + i] *= step[i]

    def weigh(self, Py_ssize_t group, Py_ssize_t output, Py_ssize_t channel, kernel):
        """Expect weights with these strides, in elements."""
        self.conv.ws[0], self.conv.ws[1], self.conv.ws[2] = group, output, channel
        for i in range(3):
            self.conv.ws[3 + i] = 0
        fill(self.conv.ws + 3, kernel, 0)

    cdef cv_problem asked(self, cv_op op, cv_type type, bint fresh, int threads, Py_ssize_t max_workspace) noexcept:
        """Return what is asked of the engine for arrays without gaps."""
        cdef cv_problem p
        memset(&p, 0, sizeof(p))
        p.op, p.type, p.fresh, p.threads, p.max_workspace, p.conv = op, type, fresh, threads, max_workspace, self.conv
        return p

    cdef int check(self, Array w, Array bias, char code) except -1:
        if code != b"f" and code != b"d":
            raise TypeError("the engine convolves arrays of the types float32 and float64")
        return self.sized(w, code, bias, code)

    cdef int sized(self, Array w, char w_code, Array bias, char bias_code) except -1:
        cdef const cv_conv* c = &self.conv
        if w.view.len != c.groups * c.ocg * c.icg * c.k[0] * c.k[1] * c.k[2] * w.view.itemsize or w.code != w_code:
            raise ValueError("weights do not have the size or type of the problem")
        if bias is not None and (bias.view.ndim != 1 or bias.view.shape[0] != c.groups * c.ocg or bias.code != bias_code
                                 or bias.step(0) != 1 and bias.view.shape[0] > 1):
            raise ValueError("bias does not have the size or type of the problem")
        return 0

    cdef int place(self, cv_conv* c, Array x, Array y, Array w) except -1:
        """Give the strides of the arrays; weights (OC, C / groups, *kernel) or (groups, OC / groups, …, *kernel)."""
        cdef int i, axes = w.view.ndim - 3
        cdef Py_ssize_t[3] steps
        place_like(x, c.n, c.groups * c.icg, c.size, self.conv.xs, c.xs)
        place_like(y, c.n, c.groups * c.ocg, c.out, self.conv.ys, c.ys)
        c.last = c.last and c.xs[1] == 1 and c.ys[1] == 1
        if contiguous(w):
            self.plain_weights(c)
            return self.like(c)
        if (axes < 0 or axes > 3 or w.view.shape[0] != c.groups or w.view.shape[1] != c.ocg
                or w.view.shape[2] != c.icg):
            raise ValueError("strided weights must be (groups, OC / groups, C / groups, *kernel)")
        for i in range(3):
            c.ws[i] = w.step(i)
        for i in range(axes):
            steps[i] = w.step(3 + i)
        if not kernel_steps(c, axes, w.view.shape + 3, steps):
            raise ValueError("weights do not have the kernel of the problem")
        return self.like(c)

    cdef int like(self, cv_conv* c) noexcept:
        """Take the strides of weights that are expected if those of axes longer than 1 are them."""
        cdef int i
        for i in range(6):
            if self.conv.ws[i] != c.ws[i] and (i == 0 and c.groups > 1 or i == 1 and c.ocg > 1 or i == 2 and c.icg > 1
                                               or i > 2 and c.k[i - 3] > 1):
                return 0
        c.ws = self.conv.ws
        return 0

    cdef bint weighed(self, cnp.ndarray w, cv_conv* c) noexcept:
        """Give the strides of aligned weights (OC, C / groups, *kernel); whether they have that many axes."""
        cdef int i, nd = cnp.PyArray_NDIM(w) - 2
        cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(w)
        cdef Py_ssize_t[5] steps
        if nd < 1 or nd > 3 or cnp.PyArray_DIM(w, 0) != c.groups * c.ocg or cnp.PyArray_DIM(w, 1) != c.icg:
            return False
        for i in range(nd + 2):
            if cnp.PyArray_STRIDE(w, i) % size:
                return False
            steps[i] = cnp.PyArray_STRIDE(w, i) // size
        c.ws[0], c.ws[1], c.ws[2] = c.ocg * steps[0], steps[0], steps[1]
        if not kernel_steps(c, nd, <Py_ssize_t*>cnp.PyArray_DIMS(w) + 2, steps + 2):
            return False
        self.like(c)
        return True

    def chosen(self, str op, char code, names, bint exact, bint fresh, int threads, Py_ssize_t max_workspace,
               bint shifted=False, bint wide_y=False):
        """Return the plan for arrays of a type without gaps, or None if no implementation fits.

        Parameters
        ----------
        op : {"conv", "conv_int8", "conv_grad_input", "conv_grad_weight"}
        code : {"f", "d"}, or {"b", "B"} for "conv_int8": the type of x
        names : str or None
            Implementations or families, joined by "+"; None: all.
        exact : bool
            Whether none that rounds more than direct summation may serve.
        fresh : bool
            Whether weights come with each call.
        threads, max_workspace : int
        shifted, wide_y : bool
            "conv_int8": whether weights have zero points; whether the result is int64, not int32.
        """
        cdef cv_problem p = self.asked(_OPERATIONS[op], type_of(code, 1), fresh, threads, max_workspace)
        p.shifted, p.wide_y = shifted, wide_y
        return self.plan(&p, names, exact)

    def verdicts(self, str op, char code, bint fresh, int threads, Py_ssize_t max_workspace, bint shifted=False,
                 bint wide_y=False):
        """Return (name, family, refusal or None, predicted nanoseconds, scratch) of each implementation."""
        cdef cv_problem p = self.asked(_OPERATIONS[op], type_of(code, 1), fresh, threads, max_workspace)
        p.shifted, p.wide_y = shifted, wide_y
        return verdicts(&p)


cdef bint kernel_steps(cv_conv* c, int axes, const Py_ssize_t* sizes, const Py_ssize_t* steps) noexcept:
    """Give the strides of a kernel; axes of one element need not be the problem's. Whether the others are."""
    cdef int i, axis = axes - 1
    for i in range(2, -1, -1):
        while axis >= 0 and sizes[axis] == 1:
            axis -= 1
        if c.k[i] > 1:
            if axis < 0 or sizes[axis] != c.k[i]:
                return False
            c.ws[3 + i] = steps[axis]
            axis -= 1
    while axis >= 0 and sizes[axis] == 1:
        axis -= 1
    return axis < 0


def conv(ConvProblem problem, x, w, bias, y, names, bint exact, int threads, Py_ssize_t max_workspace):
    """Convolve `x` into `y`.

    Parameters
    ----------
    problem : ConvProblem
    x, y : buffers (N, C, *in) and (N, OC, *out), float32 or float64, any strides
    w : buffer (OC, C / groups, *kernel), C-contiguous; or any (groups, OC / groups, C / groups, *kernel)
    bias : buffer (OC,), contiguous, or None
    names, exact, threads, max_workspace
        As for `ConvProblem.chosen`.
    """
    cdef Array ax = readable(x), ay = writable(y), aw = readable(w), ab = None if bias is None else readable(bias)
    run(problem, ax, aw, ab, ay, names, exact, threads, max_workspace)


cdef int run(ConvProblem problem, Array ax, Array aw, Array ab, Array ay, names, bint exact, int threads,
             Py_ssize_t max_workspace) except -1:
    cdef cv_call call
    cdef cv_problem p
    cdef Plan plan
    problem.check(aw, ab, ax.code)
    if ay.code != ax.code:
        raise TypeError("x and y differ in type")
    p = problem.asked(CV_OP_CONV, type_of(ax.code, ax.view.itemsize), True, threads, max_workspace)
    problem.place(&p.conv, ax, ay, aw)
    plan = problem.plan(&p, names, exact)
    if plan is None:
        refuse(names, max_workspace, verdicts(&p))
    memset(&call, 0, sizeof(call))
    call.x, call.w, call.y, call.bias = ax.view.buf, aw.view.buf, ay.view.buf, NULL if ab is None else ab.view.buf
    return plan.run(&call)


def gradient(str op, ConvProblem problem, x, w, grad_y, names, int threads, Py_ssize_t max_workspace):
    """Fill `x` ("conv_grad_input") or `w` ("conv_grad_weight") with the adjoint; return whether `x` is served.

    Arrays are laid out as in `conv`, a gradient of weights contiguous; none may be empty.
    """
    cdef cv_op number = _OPERATIONS[op]
    cdef bint of_w = number == CV_OP_GRAD_WEIGHT
    cdef Array ax = readable(x) if of_w else writable(x), aw = writable(w) if of_w else readable(w)
    cdef Array ay = readable(grad_y)
    cdef cv_call call
    problem.check(aw, None, ax.code)
    if ay.code != ax.code:
        raise TypeError("x and grad_y differ in type")
    if of_w and not contiguous(aw):
        raise ValueError("grad_w must be contiguous")
    cdef cv_problem p = problem.asked(number, type_of(ax.code, 0), True, threads, max_workspace)
    problem.place(&p.conv, ax, ay, aw)
    cdef Plan plan = problem.plan(&p, names, False)
    if plan is None:
        return refuse(names, max_workspace, verdicts(&p)) if of_w else False
    memset(&call, 0, sizeof(call))
    call.x, call.y, call.w = ax.view.buf, ay.view.buf, aw.view.buf
    plan.run(&call)
    return True


cdef class Packed:
    """Weights packed once, by the implementation and the instruction set that a plan was made for."""

    cdef Array plain, bias
    cdef Plan plan
    cdef void* packed

    def __init__(self, ConvProblem problem, w, bias, names, bint exact, int threads, Py_ssize_t max_workspace):
        self.plain, self.bias = readable(w), None if bias is None else readable(bias)
        problem.check(self.plain, self.bias, self.plain.code)
        if not contiguous(self.plain):
            raise ValueError("weights to be packed must be contiguous")
        self.plan = problem.chosen("conv", self.plain.code, names, exact, False, threads, max_workspace)
        if self.plan is None:
            refuse(names, max_workspace)
        if self.plan.plan.packed:
            self.packed = allocate(self.plan.plan.packed)
            self.plan.pack(self.plain.view.buf, self.packed)

    def __dealloc__(self):
        release(self.packed)

    @property
    def name(self):
        """Name of the implementation."""
        return self.plan.name


cdef class Runner(Shaped):
    """A convolution of arrays of one shape and type: the short way of a plan, and of a plain call.

    Parameters
    ----------
    problem : ConvProblem
    packed : Packed or None
        None: weights and bias come with each call.
    names, exact
        As for `ConvProblem.chosen`, where weights come with the call.
    x_shape, y_shape, dtype
        As for `Shaped`; float32 or float64.  (N, *in, C) and (N, *out, OC) if channels come last in the problem.
    strided_weights : bool
        Whether weights that come with a call may have any strides.
    """

    cdef ConvProblem problem
    cdef Packed packed
    cdef object names
    cdef bint exact, strided_weights
    cdef Plan plan               # for arrays without gaps, and these settings
    cdef int threads
    cdef Py_ssize_t max_workspace

    def __init__(self, ConvProblem problem, Packed packed, names, bint exact, tuple x_shape, tuple y_shape, dtype,
                 bint strided_weights=False):
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.problem, self.packed, self.names, self.exact = problem, packed, names, exact
        self.strided_weights = strided_weights

    cdef Plan settled(self, const cv_conv* c, int threads, Py_ssize_t max_workspace):
        """Return the plan for these strides and settings, or None."""
        cdef cv_problem p = self.problem.asked(CV_OP_CONV, type_of(self.code, 0), self.packed is None, threads,
                                               max_workspace)
        p.conv = c[0]
        if self.packed is None:
            return self.problem.plan(&p, self.names, self.exact)
        return self.packed.plan.like(&p)

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None, out=None, residual=None,
                 int activation=0):
        """Return the result, or None if an array cannot be used as it is; any strides serve if channels come first.

        `out` and `residual`, if given, have the shape and type of the result.  With `residual` or `activation`, a
        number of `_finish.ACTIVATIONS`, None is returned as well where the plan does not end calls.
        """
        cdef cv_call call
        cdef cv_conv c = self.problem.conv
        cdef Plan plan = self.plan
        if not self.shaped(x):
            return None
        memset(&call, 0, sizeof(call))
        if self.packed is not None:
            call.w, call.packed = self.packed.plain.view.buf, self.packed.packed
            if self.packed.bias is not None:
                call.bias = self.packed.bias.view.buf
        elif self.fitting(w, bias, &c):
            call.w = cnp.PyArray_DATA(<cnp.ndarray>w)
            if bias is not None:
                call.bias = cnp.PyArray_DATA(<cnp.ndarray>bias)
        else:
            return None
        cdef bint ending = residual is not None or activation
        if residual is not None:
            if not self.has(residual, self.y_dims) or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>residual):
                return None
            call.residual = cnp.PyArray_DATA(<cnp.ndarray>residual)
        call.activation = activation
        if ending and not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x):
            return None
        if not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x) or memcmp(c.ws, self.problem.conv.ws, sizeof(c.ws)):
            return None if out is not None else self.strided(x, &c, &call, threads, max_workspace)
        if (plan is None or threads != self.threads or max_workspace != self.max_workspace
                or self.packed is None and plan.isa != active()):
            plan = self.settled(&self.problem.conv, threads, max_workspace)
            if plan is None:
                return None
            self.threads, self.max_workspace, self.plan = threads, max_workspace, plan
        if ending and not plan.plan.ends:
            return None
        cdef bint usable = out is not None and self.usable(out) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>out)
        cdef cnp.ndarray y = <cnp.ndarray>out if usable else self.result()
        call.x, call.y = cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
        plan.run(&call)
        if out is None or usable:
            return y
        out[...] = y
        return out

    cdef strided(self, x, cv_conv* c, cv_call* call, int threads, Py_ssize_t max_workspace):
        cdef Array ax
        cdef Plan plan
        if not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x):
            ax = None if c.last else self.accept(x)
            if ax is None:
                return None
            place_like(ax, c.n, c.groups * c.icg, c.size, self.problem.conv.xs, c.xs)
        plan = self.settled(c, threads, max_workspace)
        if plan is None:
            return None
        cdef cnp.ndarray y = self.result()
        call.x, call.y = cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
        plan.run(call)
        return y

    cdef bint sized(self, a, Py_ssize_t size) noexcept:
        return (self.usable(a) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>a)
                and cnp.PyArray_SIZE(<cnp.ndarray>a) == size)

    cdef bint fitting(self, w, bias, cv_conv* c) noexcept:
        """Whether weights and bias can be used as they are; give the strides of the weights."""
        if bias is not None and not (self.sized(bias, c.groups * c.ocg) and cnp.PyArray_NDIM(<cnp.ndarray>bias) == 1):
            return False
        if self.sized(w, c.groups * c.ocg * c.icg * c.k[0] * c.k[1] * c.k[2]):
            self.problem.plain_weights(c)
            self.problem.like(c)
            return True
        return self.strided_weights and self.usable(w) and self.problem.weighed(<cnp.ndarray>w, c)
