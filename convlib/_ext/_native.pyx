# cython: freethreading_compatible=True
"""The native engine: problems in finished integers, kernels by table.

Nothing is checked here beyond what keeps memory safe from a mistake in the backend: types, ranks and sizes of the
arrays.  The spec has refused everything else.
"""

cimport numpy as cnp

from convlib._ext._native_arrays cimport Array, Shaped, contiguous, dense_steps, fill, finish, place, readable, writable
from convlib._ext._pool cimport parallel

cnp.import_array()
cv_use_pool(parallel)

cdef enum:
    GEMM, DIRECT, WINOGRAD, BF16X3

ALGORITHMS = ("gemm", "direct", "winograd", "bf16x3")


# ------------------------------------------------------------------ instruction sets

def built_isas():
    """Return the instruction sets this build has kernels for, best first."""
    return isas(False)


def detected_isas():
    """Return those of `built_isas` that this processor can run."""
    return isas(True)


cdef tuple isas(bint detected):
    cdef int i = 0, supported = 0
    names = []
    while cv_isa(i, &supported) != NULL:
        if supported or not detected:
            names.append(cv_isa(i, &supported).decode())
        i += 1
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


def has_bf16x3():
    """Return whether the instruction set in use has a matrix unit for bfloat16, or emulates one."""
    return kernels().bf16x3_conv_f32 != NULL


def set_isa(str name):
    """Use the kernels of one instruction set from now on; "" is the best. ValueError if it cannot run here."""
    if cv_set_isa(name.encode()) != CV_OK:
        raise ValueError(f"isa {name!r} cannot run here; choose from {', '.join(detected_isas())}")


# ------------------------------------------------------------------ convolution

cdef class ConvProblem:
    """The finished integers of a convolution, without strides.

    Parameters
    ----------
    n, groups, icg, ocg : int
        Batch, groups, input and output channels of one group.
    in_size, kernel, out_size, stride, dilation, lo : sequence of int
        One entry per spatial axis (1 to 3); lo is the low zero padding.
    channels_last : bool
        Whether to pack weights for arrays whose channels are neighbours; others are then packed for with each call.
    """

    cdef cv_conv conv

    def __init__(self, Py_ssize_t n, Py_ssize_t groups, Py_ssize_t icg, Py_ssize_t ocg, in_size, kernel, out_size,
                 stride, dilation, lo, bint channels_last=False):
        self.conv.n, self.conv.groups, self.conv.icg, self.conv.ocg, self.conv.last = n, groups, icg, ocg, channels_last
        fill(self.conv.size, in_size, 1)
        fill(self.conv.k, kernel, 1)
        fill(self.conv.out, out_size, 1)
        fill(self.conv.stride, stride, 1)
        fill(self.conv.dil, dilation, 1)
        fill(self.conv.lo, lo, 0)

    cdef cv_conv dense_weights(self) noexcept:
        """Give the strides of C-contiguous weights."""
        cdef cv_conv c = self.conv
        c.ws[5] = 1
        c.ws[4] = c.k[2]
        c.ws[3] = c.k[1] * c.ws[4]
        c.ws[2] = c.k[0] * c.ws[3]
        c.ws[1] = c.icg * c.ws[2]
        c.ws[0] = c.ocg * c.ws[1]
        return c

    cdef cv_conv weighed(self, Array w) except *:
        """Give the strides of weights (OC, C / groups, *kernel) or (groups, OC / groups, C / groups, *kernel)."""
        cdef cv_conv c = self.dense_weights()
        cdef int i, nd = w.view.ndim - 3
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
        c.last = c.last and c.xs[1] == 1 and c.ys[1] == 1
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

    cdef int fits(self, int way, char code, const cv_kernels* k) except -1:
        cdef const cv_conv* c = &self.conv
        if way == BF16X3 and (code != b"f" or k.bf16x3_conv_f32 == NULL):
            raise ValueError(f"bf16x3 serves float32 on a matrix unit, not this type on {k.name.decode()}")
        if way != WINOGRAD:
            return 0
        if code != b"f" or c.k[1] != c.k[2] or c.k[2] not in (3, 5) or c.stride[1] * c.stride[2] != 1:
            raise ValueError("winograd serves float32 with windows of 3x3 or 5x5 along H and W, stride 1 there")
        return 0


cdef int algorithm_number(str algorithm) except -1:
    if algorithm in ALGORITHMS:
        return ALGORITHMS.index(algorithm)
    raise ValueError(f"algorithm {algorithm!r} is none of {', '.join(ALGORITHMS)}")


cdef Py_ssize_t packed_bytes(const cv_kernels* k, const cv_conv* c, int way, bint single) noexcept:
    if way == WINOGRAD:
        return k.wino_size_f32(c) * 4
    if way == BF16X3:
        return k.bf16x3_size_f32(c) * 4
    return k.packed_size_f32(c) * 4 if single else k.packed_size_f64(c) * 8


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
        cdef cv_exec e
        self.plain, self.k, self.way = readable(w), kernels(), algorithm_number(algorithm)
        problem.check(self.plain, None, self.plain.code)
        if self.way == DIRECT:
            return
        c = problem.weighed(self.plain)
        problem.fits(self.way, self.plain.code, self.k)
        single = self.plain.code == b"f"
        self.packed = cv_alloc(packed_bytes(self.k, &c, self.way, single))
        if self.packed == NULL:
            raise MemoryError("no memory for the packed weights")
        e.threads = threads
        with nogil:
            if self.way == WINOGRAD:
                status = self.k.wino_pack_f32(&c, &e, <float*>self.plain.view.buf, <float*>self.packed)
            elif self.way == BF16X3:
                status = self.k.bf16x3_pack_f32(&c, &e, <float*>self.plain.view.buf, <float*>self.packed)
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
    problem.fits(way, ax.code, k)
    cdef cv_conv c = problem.placed(ax, ay, aw)
    if c.last != problem.conv.last:
        packed = NULL
    if way == DIRECT and not contiguous(aw):
        raise ValueError("direct kernels take contiguous weights")
    e.threads, e.max_workspace = threads, max_workspace
    with nogil:
        status = launch(k, &c, &e, way, ax.code == b"f", ax.view.buf, aw.view.buf, packed, b, ay.view.buf)
    return finish(status)


cdef int launch(const cv_kernels* k, const cv_conv* c, const cv_exec* e, int way, bint single, const void* x,
                const void* w, const void* packed, const void* bias, void* y) noexcept nogil:
    """Run the kernel of one algorithm and type."""
    if way == WINOGRAD:
        return k.wino_conv_f32(c, e, <const float*>x, <const float*>w, <const float*>packed, <const float*>bias,
                               <float*>y)
    if way == BF16X3:
        return k.bf16x3_conv_f32(c, e, <const float*>x, <const float*>w, <const float*>packed, <const float*>bias,
                                 <float*>y)
    if way == DIRECT:
        if single:
            return k.direct_f32(c, e, <const float*>x, <const float*>w, <const float*>bias, <float*>y)
        return k.direct_f64(c, e, <const double*>x, <const double*>w, <const double*>bias, <double*>y)
    if single:
        return k.conv_f32(c, e, <const float*>x, <const float*>w, <const float*>packed, <const float*>bias, <float*>y)
    return k.conv_f64(c, e, <const double*>x, <const double*>w, <const double*>packed, <const double*>bias, <double*>y)


def grad_weight(ConvProblem problem, x, grad_y, grad_w, int threads, Py_ssize_t max_workspace):
    """Fill `grad_w`, laid out as w in `conv` and contiguous, with the adjoint in w; no array may be empty."""
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


cdef class Runner(Shaped):
    """A convolution for arrays of one shape and type: the short way of a plan, and of a plain call.

    Parameters
    ----------
    problem, w, bias, algorithm
        As for `conv`; `w` None: weights and bias come with each call.
    x_shape, y_shape, dtype
        As for `Shaped`; float32 or float64.  (N, *in, C) and (N, *out, OC) if channels come last in the problem.
    """

    cdef ConvProblem problem
    cdef object w, bias
    cdef str algorithm
    cdef cv_conv dense            # with the strides of C-contiguous arrays
    cdef int way
    cdef Array plain, plain_bias  # held for as long as the runner lives

    def __init__(self, ConvProblem problem, w, bias, str algorithm, tuple x_shape, tuple y_shape, dtype):
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.problem, self.w, self.bias, self.algorithm = problem, w, bias, algorithm
        self.way = algorithm_number(algorithm)
        if w is not None:
            self.plain = (<Weights>w).plain if isinstance(w, Weights) else readable(w)
            self.plain_bias = None if bias is None else readable(bias)
            self.dense = problem.weighed(self.plain)
        else:
            self.dense = problem.dense_weights()
        problem.check(self.plain, self.plain_bias, self.code)
        problem.fits(self.way, self.code, kernels())
        dense(&self.dense)

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None):
        """Return the result, or None if an array cannot be used as it is; any strides serve if channels come first."""
        cdef const cv_kernels* k
        cdef const void* packed = NULL
        cdef const void* pw
        cdef const void* pb = NULL
        cdef cv_exec e
        cdef int status
        if not self.shaped(x):
            return None
        if self.w is not None:
            k, pw = kernels(), self.plain.view.buf
            if isinstance(self.w, Weights):
                k, packed = (<Weights>self.w).k, (<Weights>self.w).packed
            if self.plain_bias is not None:
                pb = self.plain_bias.view.buf
        else:
            if not self.fitting(w, bias):
                return None
            k, pw = kernels(), cnp.PyArray_DATA(<cnp.ndarray>w)
            if bias is not None:
                pb = cnp.PyArray_DATA(<cnp.ndarray>bias)
        if not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>x):
            return None if self.dense.last else self.strided(x, threads, max_workspace, w, bias)
        cdef cnp.ndarray y = self.result()
        cdef const void* px = cnp.PyArray_DATA(<cnp.ndarray>x)
        cdef void* py = cnp.PyArray_DATA(y)
        e.threads, e.max_workspace = threads, max_workspace
        if self.way == BF16X3:
            self.problem.fits(self.way, self.code, k)  # another instruction set may be in use by now
        with nogil:
            status = launch(k, &self.dense, &e, self.way, self.code == b"f", px, pw, packed, pb, py)
        finish(status)
        return y

    cdef strided(self, x, int threads, Py_ssize_t max_workspace, w, bias):
        cdef Array ax = self.accept(x)
        if ax is None:
            return None
        if self.w is not None:
            w, bias = self.w, self.bias
        y = self.result()
        run_conv(self.problem, ax, w, bias, writable(y), self.algorithm, threads, max_workspace)
        return y

    cdef bint sized(self, a, Py_ssize_t size) noexcept:
        return (self.usable(a) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>a)
                and cnp.PyArray_SIZE(<cnp.ndarray>a) == size)

    cdef bint fitting(self, w, bias) noexcept:
        """Whether weights and bias can be used as they are."""
        cdef const cv_conv* c = &self.problem.conv
        if not self.sized(w, c.groups * c.ocg * c.icg * c.k[0] * c.k[1] * c.k[2]):
            return False
        return bias is None or (self.sized(bias, c.groups * c.ocg) and cnp.PyArray_NDIM(<cnp.ndarray>bias) == 1)


cdef void dense(cv_conv* c) noexcept:
    dense_steps(c.xs, c.size, c.groups * c.icg, c.last)
    dense_steps(c.ys, c.out, c.groups * c.ocg, c.last)


def workspace(ConvProblem problem, str algorithm, char code, int threads, Py_ssize_t max_workspace, bint packed):
    """Return the most scratch in bytes of `conv` for C-contiguous arrays of type `code`; weights: `packed` or not."""
    cdef cv_exec e
    cdef const cv_kernels* k = kernels()
    cdef cv_conv c = problem.dense_weights()
    cdef Py_ssize_t weights
    e.threads, e.max_workspace = threads, max_workspace
    cdef int way = algorithm_number(algorithm)
    problem.fits(way, code, k)
    dense(&c)
    if way == DIRECT:
        return k.direct_workspace_f32(&c, &e) if code == b"f" else k.direct_workspace_f64(&c, &e)
    if way == WINOGRAD:
        return k.wino_workspace_f32(&c, &e, packed)
    if way == GEMM:
        return k.workspace_f32(&c, &e, packed) if code == b"f" else k.workspace_f64(&c, &e, packed)
    weights = 0 if packed else packed_bytes(k, &c, way, True)
    return k.bf16x3_workspace_f32(&c, &e) + min(weights, max_workspace // 2)


def grad_weight_workspace(ConvProblem problem, char code, int threads, Py_ssize_t max_workspace):
    """Return the scratch in bytes that `grad_weight` takes for C-contiguous arrays of type `code`."""
    cdef cv_exec e
    cdef const cv_kernels* k = kernels()
    cdef cv_conv c = problem.conv
    e.threads, e.max_workspace = threads, max_workspace
    dense(&c)
    return k.grad_weight_workspace_f32(&c, &e) if code == b"f" else k.grad_weight_workspace_f64(&c, &e)


def winograd_products(ConvProblem problem):
    """Return Winograd's products per pair of channels and slice of the window, for the batch, and its points."""
    cdef int points = 0
    cdef double products = kernels().wino_products_f32(&problem.conv, &points)
    return products, points
