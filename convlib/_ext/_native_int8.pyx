# cython: freethreading_compatible=True
"""Convolution of 8-bit integers by the native engine; what is checked here, and why so little, says `_native`."""

from libc.stdint cimport int32_t
from libc.string cimport memset

from convlib._ext._native cimport (
    CV_OP_CONV_INT8, Plan, allocate, cv_call, cv_problem, refuse, release, type_of,
)
from convlib._ext._native_arrays cimport Array, contiguous, readable, writable
from convlib._ext._native_conv cimport ConvProblem


cdef int check(ConvProblem problem, Array w, Array each) except -1:
    if w.code != b"b" or each is not None and each.view.itemsize != 4:
        raise TypeError("weights of integer kernels are int8, their zero points and bias are int32")
    return problem.sized(w, w.code, each, b"i" if each is None else each.code)


def conv_int8(ConvProblem problem, x, int zero, int padding, w, w_zeros, bias, y, names, int threads,
              Py_ssize_t max_workspace, PackedInt8 packed=None):
    """Fill `y` with the sums of (x - zero) times (w - w_zeros), and the bias, modulo 2**32.

    Parameters
    ----------
    problem : ConvProblem
    x : buffer (N, C, *in), int8 or uint8, any strides
    zero, padding : int
        The zero point of x, and what pads x; both are numbers of its type.
    w : buffer, int8; shapes as for `conv`
    w_zeros, bias : buffer (OC,), int32, contiguous, or None
    y : buffer (N, OC, *out), int32 or int64, any strides
    names, threads, max_workspace
        As for `ConvProblem.chosen`.
    packed : PackedInt8 or None
        The same weights, packed: its implementation serves, `names` is not read.
    """
    cdef Array ax = readable(x), ay = writable(y), aw = readable(w), ab = None if bias is None else readable(bias)
    cdef Array az = None if w_zeros is None else readable(w_zeros)
    cdef cv_call call
    cdef Plan plan
    check(problem, aw, ab)
    check(problem, aw, az)
    if ax.view.itemsize != 1 or ay.view.itemsize < 4 or ay.code not in b"ilq":
        raise TypeError("integer kernels take int8 and uint8, and fill int32 and int64")
    cdef cv_problem p = problem.asked(CV_OP_CONV_INT8, type_of(ax.code, 1), packed is None, threads, max_workspace)
    p.shifted, p.wide_y = az is not None, ay.view.itemsize == 8
    problem.place(&p.conv, ax, ay, aw)
    plan = problem.plan(&p, names, True) if packed is None else packed.like(&p)
    if plan is None:
        refuse(names, max_workspace)
    memset(&call, 0, sizeof(call))
    call.x, call.w, call.y, call.bias = ax.view.buf, aw.view.buf, ay.view.buf, NULL if ab is None else ab.view.buf
    call.zero, call.padding, call.packed = zero, padding, NULL if packed is None else packed.packed
    call.w_zeros = NULL if az is None else <const int32_t*>az.view.buf
    plan.run(&call)


cdef class PackedInt8:
    """Weights of `conv_int8` packed once, for inputs of one type."""

    cdef Plan plan
    cdef dict plans  # by the same implementation, for other strides and settings
    cdef void* packed

    def __init__(self, ConvProblem problem, char code, w, bint shifted, bint wide_y, names, int threads,
                 Py_ssize_t max_workspace):
        cdef Array aw = readable(w)
        check(problem, aw, None)
        if not contiguous(aw):
            raise ValueError("weights to be packed must be contiguous")
        self.plan = problem.chosen("conv_int8", code, names, True, False, threads, max_workspace,
                                   shifted, wide_y)
        if self.plan is None:
            refuse(names, max_workspace)
        self.packed, self.plans = allocate(self.plan.plan.packed), {}
        self.plan.pack(aw.view.buf, self.packed)

    def __dealloc__(self):
        release(self.packed)

    cdef Plan like(self, const cv_problem* p):
        key = (<const char*>p)[:sizeof(cv_problem)]
        found = self.plans.get(key)
        if found is None:
            found = self.plan.like(p)
            if len(self.plans) >= 8:
                self.plans = {}
            self.plans[key] = found
        return found

    @property
    def name(self):
        """Name of the implementation."""
        return self.plan.name
