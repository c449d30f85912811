# cython: freethreading_compatible=True
"""The native engine: problems in finished integers, arrays by buffer, kernels by table.

Nothing is checked here beyond what keeps memory safe from a mistake in the backend: types, ranks and sizes of the
arrays.  The spec has refused everything else.
"""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_STRIDED, PyBUF_STRIDED_RO, PyBuffer_Release, PyObject_GetBuffer,
)
from convlib._ext._pool cimport parallel, raise_pending

from numpy import empty, ndarray

cv_use_pool(parallel)

cdef enum:
    GEMM, DIRECT, WINOGRAD

ALGORITHMS = ("gemm", "direct", "winograd")


# ------------------------------------------------------------------ instruction sets

def built_isas():
    """Return the instruction sets this build has kernels for, best first."""
    cdef int i = 0, supported
    names = []
    while cv_isa(i, &supported) != NULL:
        names.append(cv_isa(i, &supported).decode())
        i += 1
    return tuple(names)


def detected_isas():
    """Return those of `built_isas` that this processor can run."""
    cdef int i, supported = 0
    names = []
    for i, name in enumerate(built_isas()):
        cv_isa(i, &supported)
        if supported:
            names.append(name)
    return tuple(names)


cdef const cv_kernels* kernels() except NULL:
    cdef const cv_kernels* k = cv_active()
    if k == NULL:
        raise ValueError(f"CONVLIB_ISA names no instruction set of this machine; it has {', '.join(detected_isas())}")
    return k


def active_isa():
    """Return the instruction set in use; ValueError if CONVLIB_ISA names one that cannot run here."""
    return kernels().name.decode()


def vector_bytes():
    """Return the width of the vectors of the instruction set in use, in bytes."""
    return kernels().vector_bytes


def set_isa(str name):
    """Use the kernels of one instruction set from now on; "" is the best. ValueError if it cannot run here."""
    if cv_set_isa(name.encode()) != CV_OK:
        raise ValueError(f"isa {name!r} cannot run here; choose from {', '.join(detected_isas())}")


# ------------------------------------------------------------------ arrays

cdef class Array:
    """A buffer held for the length of a call, and its strides in elements."""

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    cdef int take(self, object array, int flags) except -1:
        PyObject_GetBuffer(array, &self.view, flags | PyBUF_FORMAT)
        self.held = True
        self.code = self.view.format[0]
        if self.view.format[1] != 0:
            raise TypeError(f"format {self.view.format.decode()!r} is not a plain number in native byte order")
        return 0

    cdef Py_ssize_t step(self, int axis) noexcept:
        return self.view.strides[axis] // self.view.itemsize


cdef Array readable(object array):
    cdef Array a = Array.__new__(Array)
    a.take(array, PyBUF_STRIDED_RO)
    return a


cdef Array writable(object array):
    cdef Array a = Array.__new__(Array)
    a.take(array, PyBUF_STRIDED)
    return a


cdef int fill(Py_ssize_t* target, object values, Py_ssize_t missing) except -1:
    cdef Py_ssize_t i, gap = 3 - len(values)
    if gap < 0:
        raise ValueError("at most three spatial axes")
    for i in range(3):
        target[i] = missing if i < gap else values[i - gap]
    return 0


cdef int place(Array a, Py_ssize_t n, Py_ssize_t c, const Py_ssize_t* size, Py_ssize_t* steps) except -1:
    """Check that the array is (n, c, *size) and give its strides over (n, c, d, h, w)."""
    cdef int i, nd = a.view.ndim - 2
    cdef bint same = 1 <= nd <= 3 and a.view.shape[0] == n and a.view.shape[1] == c
    for i in range(3):
        steps[2 + i] = 0
        if same and i >= 3 - nd:
            same = a.view.shape[a.view.ndim - 3 + i] == size[i]
            steps[2 + i] = a.step(a.view.ndim - 3 + i)
        elif size[i] != 1:
            same = False
    if not same:
        raise ValueError("array does not have the shape of the problem")
    steps[0], steps[1] = a.step(0), a.step(1)
    # an axis of length 1 never steps: give it the stride that makes rows join
    if size[2] == 1:
        steps[4] = steps[3] if nd > 1 and size[1] > 1 else 1
    for i in range(1, -1, -1):
        if size[i] == 1:
            steps[2 + i] = steps[3 + i] * size[i + 1]
    return 0


cdef int finish(int status) except -1:
    if status == CV_NOMEM:
        raise MemoryError("no memory for the scratch of a kernel")
    if status == CV_INTERRUPTED:
        raise_pending()
        raise KeyboardInterrupt
    return 0


# ------------------------------------------------------------------ convolution

cdef bint contiguous(Array a):
    cdef int i
    cdef Py_ssize_t step = a.view.itemsize
    for i in range(a.view.ndim - 1, -1, -1):
        if a.view.shape[i] > 1 and a.view.strides[i] != step:
            return False
        step *= a.view.shape[i]
    return True


cdef class ConvProblem:
    """The finished integers of a convolution, without strides.

    Parameters
    ----------
    n, groups, icg, ocg : int
        Batch, groups, input and output channels of one group.
    in_size, kernel, out_size, stride, dilation, lo : sequence of int
        One entry per spatial axis (1 to 3); lo is the low zero padding.
    """

    cdef cv_conv conv

    def __init__(self, Py_ssize_t n, Py_ssize_t groups, Py_ssize_t icg, Py_ssize_t ocg, in_size, kernel, out_size,
                 stride, dilation, lo):
        self.conv.n, self.conv.groups, self.conv.icg, self.conv.ocg = n, groups, icg, ocg
        fill(self.conv.size, in_size, 1)
        fill(self.conv.k, kernel, 1)
        fill(self.conv.out, out_size, 1)
        fill(self.conv.stride, stride, 1)
        fill(self.conv.dil, dilation, 1)
        fill(self.conv.lo, lo, 0)

    cdef cv_conv weighed(self, Array w) except *:
        """Give the strides of weights (OC, C / groups, *kernel) or (groups, OC / groups, C / groups, *kernel)."""
        cdef cv_conv c = self.conv
        cdef int i, nd = w.view.ndim - 3
        c.ws[5] = 1
        c.ws[4] = c.k[2]
        c.ws[3] = c.k[1] * c.ws[4]
        c.ws[2] = c.k[0] * c.ws[3]
        c.ws[1] = c.icg * c.ws[2]
        c.ws[0] = c.ocg * c.ws[1]
        if contiguous(w):
            return c
        if nd < 1 or nd > 3 or w.view.shape[0] != c.groups or w.view.shape[1] != c.ocg or w.view.shape[2] != c.icg:
            raise ValueError("strided weights must be (groups, OC / groups, C / groups, *kernel)")
        for i in range(3):
            c.ws[i] = w.step(i)
        for i in range(nd):
            if w.view.shape[3 + i] != c.k[3 - nd + i]:
                raise ValueError("weights do not have the kernel of the problem")
            c.ws[6 - nd + i] = w.step(3 + i)
        return c

    cdef cv_conv placed(self, Array x, Array y, Array w) except *:
        cdef cv_conv c = self.weighed(w)
        place(x, c.n, c.groups * c.icg, c.size, c.xs)
        place(y, c.n, c.groups * c.ocg, c.out, c.ys)
        return c

    cdef int check(self, Array w, Array bias, char code) except -1:
        cdef const cv_conv* c = &self.conv
        if w is not None and (w.view.len != c.groups * c.ocg * c.icg * c.k[0] * c.k[1] * c.k[2] * w.view.itemsize
                              or w.code != code):
            raise ValueError("weights do not have the size or type of the problem")
        if bias is not None and (bias.view.ndim != 1 or bias.view.shape[0] != c.groups * c.ocg or bias.code != code
                                 or bias.step(0) != 1 and bias.view.shape[0] > 1):
            raise ValueError("bias does not have the size or type of the problem")
        if code != b"f" and code != b"d":
            raise TypeError("the engine convolves float32 and float64")
        return 0

    cdef int fits(self, int way, char code) except -1:
        cdef const cv_conv* c = &self.conv
        if way != WINOGRAD:
            return 0
        if code != b"f" or c.size[0] * c.k[0] * c.out[0] != 1 or c.lo[0] != 0 or c.k[1] != 3 or c.k[2] != 3 \
                or c.stride[1] * c.stride[2] * c.dil[1] * c.dil[2] != 1:
            raise ValueError("winograd serves float32 with 3x3 windows over two axes, stride and dilation 1")
        return 0


cdef int algorithm_number(str algorithm) except -1:
    if algorithm in ALGORITHMS:
        return ALGORITHMS.index(algorithm)
    raise ValueError(f"algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}")


cdef class Weights:
    """Weights packed for one problem, usable from any thread; keeps the instruction set it was packed for."""

    cdef int way
    cdef Array plain
    cdef const cv_kernels* k
    cdef void* packed

    def __init__(self, ConvProblem problem, w, str algorithm, int threads):
        cdef cv_conv c
        cdef int status = 0
        cdef bint single
        cdef Py_ssize_t size
        cdef cv_exec e
        self.plain, self.k, self.way = readable(w), kernels(), algorithm_number(algorithm)
        problem.check(self.plain, None, self.plain.code)
        if self.way == DIRECT:
            return
        c = problem.weighed(self.plain)
        problem.fits(self.way, self.plain.code)
        single = self.plain.code == b"f"
        if self.way == WINOGRAD:
            size = self.k.wino_size_f32(&c) * 4
        elif single:
            size = self.k.packed_size_f32(&c) * 4
        else:
            size = self.k.packed_size_f64(&c) * 8
        self.packed = cv_alloc(size)
        if self.packed == NULL:
            raise MemoryError("no memory for the packed weights")
        e.threads = threads
        with nogil:
            if self.way == WINOGRAD:
                status = self.k.wino_pack_f32(&c, &e, <float*>self.plain.view.buf, <float*>self.packed)
            elif single:
                status = self.k.pack_f32(&c, &e, <float*>self.plain.view.buf, <float*>self.packed)
            else:
                status = self.k.pack_f64(&c, &e, <double*>self.plain.view.buf, <double*>self.packed)
        finish(status)

    def __dealloc__(self):
        cv_free(self.packed)


def conv(ConvProblem problem, x, w, bias, y, str algorithm, int threads, Py_ssize_t max_workspace):
    """Convolve `x` into `y`.

    Parameters
    ----------
    problem : ConvProblem
    x, y : buffers (N, C, *in) and (N, OC, *out), float32 or float64, any strides
    w : buffer (OC, C / groups, *kernel), C-contiguous; or any (groups, OC / groups, C / groups, *kernel); or Weights
    bias : buffer (OC,), contiguous, or None
    algorithm : {"gemm", "direct", "winograd"}
        Ignored where `w` is Weights.
    threads : int
    max_workspace : int
        Bytes of scratch.
    """
    run_conv(problem, readable(x), w, bias, writable(y), algorithm, threads, max_workspace)


cdef int run_conv(ConvProblem problem, Array ax, w, bias, Array ay, str algorithm, int threads,
                  Py_ssize_t max_workspace) except -1:
    cdef Array aw = None, ab = None
    cdef Weights weights = None
    cdef cv_exec e
    cdef const cv_kernels* k
    cdef void* packed = NULL
    cdef void* b = NULL
    cdef int status, way
    if isinstance(w, Weights):
        weights = <Weights>w
        aw, k, packed, way = weights.plain, weights.k, weights.packed, weights.way
    else:
        aw, k, way = readable(w), kernels(), algorithm_number(algorithm)
    if bias is not None:
        ab = readable(bias)
        b = ab.view.buf
    problem.check(aw, ab, ax.code)
    if ay.code != ax.code:
        raise TypeError("x and y differ in type")
    problem.fits(way, ax.code)
    cdef cv_conv c = problem.placed(ax, ay, aw)
    if way == DIRECT and not contiguous(aw):
        raise ValueError("direct kernels take contiguous weights")
    e.threads, e.max_workspace = threads, max_workspace
    with nogil:
        if way == DIRECT:
            if ax.code == b"f":
                status = k.direct_f32(&c, <float*>ax.view.buf, <float*>aw.view.buf, <float*>b, <float*>ay.view.buf,
                                      threads)
            else:
                status = k.direct_f64(&c, <double*>ax.view.buf, <double*>aw.view.buf, <double*>b,
                                      <double*>ay.view.buf, threads)
        elif way == WINOGRAD:
            status = k.wino_conv_f32(&c, &e, <float*>ax.view.buf, <float*>aw.view.buf, <float*>packed, <float*>b,
                                     <float*>ay.view.buf)
        elif ax.code == b"f":
            status = k.conv_f32(&c, &e, <float*>ax.view.buf, <float*>aw.view.buf, <float*>packed, <float*>b,
                                <float*>ay.view.buf)
        else:
            status = k.conv_f64(&c, &e, <double*>ax.view.buf, <double*>aw.view.buf, <double*>packed, <double*>b,
                                <double*>ay.view.buf)
    return finish(status)


def grad_weight(ConvProblem problem, x, grad_y, grad_w, int threads, Py_ssize_t max_workspace):
    """Fill `grad_w` with the adjoint in w of the convolution; no array may be empty.

    Parameters
    ----------
    problem : ConvProblem
    x, grad_y : buffers (N, C, *in) and (N, OC, *out), float32 or float64, any strides
    grad_w : buffer (OC, C / groups, *kernel), C-contiguous
    threads : int
    max_workspace : int
        Bytes of scratch.
    """
    cdef Array ax = readable(x), ay = readable(grad_y), aw = writable(grad_w)
    cdef const cv_kernels* k = kernels()
    cdef cv_exec e
    cdef int status
    problem.check(aw, None, ax.code)
    if ay.code != ax.code:
        raise TypeError("x and grad_y differ in type")
    if not (ax.view.len and ay.view.len and aw.view.len):  # no product: it could overflow
        raise ValueError("an array is empty")
    cdef cv_conv c = problem.placed(ax, ay, aw)
    if not contiguous(aw):
        raise ValueError("grad_w must be contiguous")
    e.threads, e.max_workspace = threads, max_workspace
    with nogil:
        if ax.code == b"f":
            status = k.grad_weight_f32(&c, &e, <float*>ax.view.buf, <float*>ay.view.buf, <float*>aw.view.buf)
        else:
            status = k.grad_weight_f64(&c, &e, <double*>ax.view.buf, <double*>ay.view.buf, <double*>aw.view.buf)
    finish(status)


cdef class Shaped:
    """Plain arrays of one shape and type, which need no other look than this one, and results for them.

    Parameters
    ----------
    x_shape, y_shape : tuple of int
        (N, C, *in) and (N, C, *out).
    dtype : numpy.dtype
        Of both.
    """

    def __init__(self, tuple x_shape, tuple y_shape, dtype):
        self.x_shape, self.y_shape, self.dtype, self.code = x_shape, y_shape, dtype, ord(dtype.char)

    cdef Array accept(self, x):
        """Return the buffer, or None of anything but an ndarray of the right shape and type."""
        cdef Array a
        cdef int i
        if type(x) is not ndarray:
            return None
        try:
            a = readable(x)
        except (BufferError, TypeError, ValueError):
            return None
        if a.view.ndim != len(self.x_shape) or not self.usable(a):
            return None
        for i in range(a.view.ndim):
            if a.view.shape[i] != <Py_ssize_t>self.x_shape[i] or a.view.strides[i] % a.view.itemsize:
                return None
        return a

    cdef bint usable(self, Array a):
        return a.code == self.code and <size_t>a.view.buf % <size_t>a.view.itemsize == 0


cdef class Runner(Shaped):
    """A convolution for arrays of one shape and type: the short way of a plan, and of a plain call.

    Parameters
    ----------
    problem, w, bias, algorithm
        As for `conv`; `w` None: weights and bias come with each call.
    x_shape, y_shape, dtype
        As for `Shaped`; float32 or float64.
    """

    cdef ConvProblem problem
    cdef object w, bias
    cdef str algorithm

    def __init__(self, ConvProblem problem, w, bias, str algorithm, tuple x_shape, tuple y_shape, dtype):
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.problem, self.w, self.bias, self.algorithm = problem, w, bias, algorithm

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None):
        """Return the result, or None if an array is anything but an ndarray of the right shape and type."""
        cdef Array ax = self.accept(x)
        if ax is None:
            return None
        if self.w is not None:
            w, bias = self.w, self.bias
        elif not self.fitting(w, bias):
            return None
        y = empty(self.y_shape, self.dtype)
        run_conv(self.problem, ax, w, bias, writable(y), self.algorithm, threads, max_workspace)
        return y

    cdef bint fitting(self, w, bias) except -1:
        """Whether weights and bias can be used as they are."""
        cdef Array aw, ab
        try:
            aw = readable(w)
            ab = None if bias is None else readable(bias)
        except (BufferError, TypeError, ValueError):
            return False
        if not (self.usable(aw) and contiguous(aw)):
            return False
        return ab is None or (type(bias) is ndarray and self.usable(ab) and contiguous(ab) and ab.view.ndim == 1
                              and ab.view.shape[0] == self.problem.conv.groups * self.problem.conv.ocg)


cdef void dense(cv_conv* c) noexcept:
    """Give both arrays C-contiguous strides."""
    cdef int i
    c.xs[4] = c.ys[4] = 1
    for i in range(3, 0, -1):
        c.xs[i] = c.xs[i + 1] * c.size[i - 1]
        c.ys[i] = c.ys[i + 1] * c.out[i - 1]
    c.xs[0], c.ys[0] = c.xs[1] * c.groups * c.icg, c.ys[1] * c.groups * c.ocg


def workspace(ConvProblem problem, str algorithm, char code, int threads, Py_ssize_t max_workspace, bint packed):
    """Return the most scratch in bytes that `conv` takes for C-contiguous arrays of type `code` (102 "f", 100 "d").

    packed : whether the weights come as Weights, which are not counted.
    """
    cdef cv_exec e
    cdef const cv_kernels* k = kernels()
    cdef cv_conv c = problem.conv
    cdef Py_ssize_t weights
    e.threads, e.max_workspace = threads, max_workspace
    cdef int way = algorithm_number(algorithm)
    if way == DIRECT:
        return 0
    problem.fits(way, code)
    dense(&c)
    if way == WINOGRAD:
        return k.wino_workspace_f32(&c, &e) + (0 if packed else k.wino_size_f32(&c) * 4)
    weights = k.packed_size_f32(&c) * 4 if code == b"f" else k.packed_size_f64(&c) * 8
    scratch = k.workspace_f32(&c, &e) if code == b"f" else k.workspace_f64(&c, &e)
    return scratch + (0 if packed else min(weights, max_workspace // 2))


def grad_weight_workspace(ConvProblem problem, char code, int threads, Py_ssize_t max_workspace):
    """Return the scratch in bytes that `grad_weight` takes for C-contiguous arrays of type `code`."""
    cdef cv_exec e
    cdef const cv_kernels* k = kernels()
    cdef cv_conv c = problem.conv
    e.threads, e.max_workspace = threads, max_workspace
    dense(&c)
    return k.grad_weight_workspace_f32(&c, &e) if code == b"f" else k.grad_weight_workspace_f64(&c, &e)
