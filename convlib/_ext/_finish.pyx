# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""What follows a sum, in one pass over its result: a residual that is added, then an activation."""

from libc.string cimport memcpy

cimport numpy as cnp

from convlib._ext._threads cimport parallel, raise_pending

from numpy import ndarray

cnp.import_array()

ctypedef fused real:
    float
    double

cdef enum:
    PART = 4096      # elements at a time: they stay in the first-level cache from the sum to the activation
    UNIT = 2         # parts of a unit of work
    WORTH = 1 << 16  # elements that repay the waking of a thread

#: The activations served here, by the numbers that `finish` takes.
ACTIVATIONS = {None: 0, "relu": 1, "relu6": 2}

cdef struct Job:
    char* y
    const char* x
    const char* residual
    Py_ssize_t size
    int activation


cdef void finish_part(real* y, const real* residual, Py_ssize_t count, int activation) noexcept nogil:
    cdef Py_ssize_t i
    cdef real v
    if residual != NULL:
        for i in range(count):
            y[i] = y[i] + residual[i]
    if activation == 1:
        for i in range(count):
            v = y[i]
            y[i] = 0 if v <= 0 else v  # NaN stays
    elif activation == 2:
        for i in range(count):
            v = y[i]
            v = 0 if v <= 0 else v
            y[i] = 6 if v > 6 else v


cdef void finish_unit(void* context, Py_ssize_t unit, real* y) noexcept nogil:
    cdef Job* job = <Job*>context
    cdef const real* x = <const real*>job.x
    cdef const real* residual = <const real*>job.residual
    cdef Py_ssize_t at = unit * UNIT * PART, end = min(job.size, at + UNIT * PART)
    while at < end:
        if x != NULL:
            memcpy(y + at, x + at, min(PART, end - at) * sizeof(real))
        finish_part(y + at, NULL if residual == NULL else residual + at, min(PART, end - at), job.activation)
        at += PART


cdef void unit_of_floats(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    finish_unit[float](context, unit, <float*>(<Job*>context).y)


cdef void unit_of_doubles(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    finish_unit[double](context, unit, <double*>(<Job*>context).y)


cdef bint alike(object a, cnp.ndarray y) noexcept:
    """Whether `a` is an array without gaps of the shape and type of `y`."""
    return (type(a) is ndarray and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray>a)
            and cnp.PyArray_TYPE(<cnp.ndarray>a) == cnp.PyArray_TYPE(y)
            and cnp.PyArray_SAMESHAPE(<cnp.ndarray>a, y))


def finish(y, residual, int activation, int threads, x=None):
    """Add `residual`, if it is not None, to y, and apply an activation; False if the arrays are not served.

    They are ndarrays of float32 or float64 without gaps, and alike.  In place, or of `x`, if it is not None.
    """
    cdef Job job
    cdef Py_ssize_t units
    cdef int status, kind
    if type(y) is not ndarray or not cnp.PyArray_ISCARRAY(<cnp.ndarray>y):
        return False
    kind = cnp.PyArray_TYPE(<cnp.ndarray>y)
    if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE:
        return False
    job = Job(<char*>cnp.PyArray_DATA(<cnp.ndarray>y), NULL, NULL, cnp.PyArray_SIZE(<cnp.ndarray>y), activation)
    if residual is not None:
        if not alike(residual, <cnp.ndarray>y):
            return False
        job.residual = <const char*>cnp.PyArray_DATA(<cnp.ndarray>residual)
    if x is not None:
        if not alike(x, <cnp.ndarray>y):
            return False
        job.x = <const char*>cnp.PyArray_DATA(<cnp.ndarray>x)
    units = (job.size + UNIT * PART - 1) // (UNIT * PART)
    if job.size < WORTH:
        threads = 1
    with nogil:
        status = parallel(unit_of_floats if kind == cnp.NPY_FLOAT else unit_of_doubles, &job, units, threads)
    if status:
        raise_pending()
        raise KeyboardInterrupt
    return True
