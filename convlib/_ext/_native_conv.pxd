# The problem of a convolution, which the modules over the engine share.

from convlib._ext._native cimport Problem, cv_conv, cv_op, cv_problem, cv_type
from convlib._ext._native_arrays cimport Array

cimport numpy as cnp


cdef class ConvProblem(Problem):
    cdef cv_conv conv

    cdef void dense(self) noexcept
    cdef void plain_weights(self, cv_conv* c) noexcept
    cdef cv_problem asked(self, cv_op op, cv_type type, bint fresh, int threads, Py_ssize_t max_workspace) noexcept
    cdef int check(self, Array w, Array bias, char code) except -1
    cdef int sized(self, Array w, char w_code, Array bias, char bias_code) except -1
    cdef int place(self, cv_conv* c, Array x, Array y, Array w) except -1
    cdef int like(self, cv_conv* c) noexcept
    cdef bint weighed(self, cnp.ndarray w, cv_conv* c) noexcept
