# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: freethreading_compatible=True
"""Packing windows into columns, adding columns back, and the matrix product between: BLAS as SciPy brings it.

Every call of BLAS is in this file.  Arrays have three spatial axes, (N, C, D, H, W), and any strides.
"""

from libc.limits cimport INT_MAX
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from scipy.linalg cimport cython_blas as blas

cdef extern from "c/runtime/products.h" nogil:
    bint cv_product_begins() noexcept
    void cv_product_ends() noexcept


ctypedef fused number:
    float
    double
    float complex
    double complex

ctypedef fused element:
    float
    double
    int64_t
    float complex
    double complex


# ----------------------------------------------------------------------------------------------- BLAS

cdef void gemm_any(
    char* ta, char* tb, int* m, int* n, int* k, number* a, int* lda, number* b, int* ldb, number beta, number* c,
    int* ldc,
) noexcept nogil:
    cdef number one = 1
    if number is float:
        blas.sgemm(ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc)
    elif number is double:
        blas.dgemm(ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc)
    elif number is floatcomplex:
        blas.cgemm(ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc)
    else:
        blas.zgemm(ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc)


cdef int leading(Py_ssize_t stride, Py_ssize_t item, Py_ssize_t columns, Py_ssize_t rows) except -1:
    """Return the distance of two rows in elements, as BLAS wants it."""
    cdef Py_ssize_t step = stride // item if rows > 1 else columns
    step = max(step, columns, 1)
    if step > INT_MAX:
        raise OverflowError(f"a row of {step} elements is too long for BLAS, which counts in 32 bits")
    return <int>step


def gemm(const number[:, :] a, bint ta, const number[:, :] b, bint tb, number[:, :] c, bint add):
    """Set c to op(a) @ op(b), or add it; op transposes if asked.  Rows must be contiguous."""
    cdef Py_ssize_t m = c.shape[0], n = c.shape[1], k = a.shape[0] if ta else a.shape[1]
    if m == 0 or n == 0:
        return
    if max(m, n, k) > INT_MAX:
        raise OverflowError(f"the matrix product {m} x {k} x {n} is too large for BLAS, which counts in 32 bits")
    cdef int lda = leading(a.strides[0], sizeof(number), a.shape[1], a.shape[0])
    cdef int ldb = leading(b.strides[0], sizeof(number), b.shape[1], b.shape[0])
    cdef int ldc = leading(c.strides[0], sizeof(number), c.shape[1], c.shape[0])
    cdef int rows = <int>m, columns = <int>n, inner = <int>k
    cdef char* first = b"T" if tb else b"N"
    cdef char* second = b"T" if ta else b"N"
    cdef number beta = 1 if add else 0
    cdef bint begins
    # BLAS thinks in columns: the transposed product of the transposed factors.
    with nogil:
        begins = cv_product_begins()
        if begins:
            gemm_any(
                first, second, &columns, &rows, &inner, <number*>&b[0, 0], &ldb, <number*>&a[0, 0], &lda, beta,
                &c[0, 0], &ldc,
            )
            cv_product_ends()
    if not begins:
        raise MemoryError("the buffer of BLAS, some 32 MiB")


# ----------------------------------------------------------------------------------------------- columns

cdef struct Block:
    char* x              # first image of the block, first channel of the group
    Py_ssize_t xn        # bytes from image to image
    Py_ssize_t xc        # ... channel to channel
    Py_ssize_t xd        # ... plane to plane
    Py_ssize_t xh        # ... row to row
    Py_ssize_t xw        # ... element to element
    Py_ssize_t images
    Py_ssize_t k[3]
    Py_ssize_t s[3]
    Py_ssize_t oh
    Py_ssize_t ow
    Py_ssize_t start     # first output of each image, flat over (D, H, W)
    Py_ssize_t count     # outputs of each image
    const int64_t* taps  # (first output, end of outputs, offset) per axis and tap
    char* cols           # (rows, images * count)


cdef inline void copy_strided(
    char* to, const char* source, Py_ssize_t step, Py_ssize_t count, element* unit
) noexcept nogil:
    """Copy elements that lie `step` bytes apart."""
    cdef Py_ssize_t i
    for i in range(count):
        (<element*>to)[i] = (<const element*>(source + i * step))[0]


cdef inline void add_strided(
    char* to, const char* source, Py_ssize_t step, Py_ssize_t count, element* unit
) noexcept nogil:
    """Add to elements that lie `step` bytes apart."""
    cdef Py_ssize_t i
    if step == sizeof(element):
        for i in range(count):
            (<element*>to)[i] = (<element*>to)[i] + (<const element*>source)[i]
    else:
        for i in range(count):
            (<element*>(to + i * step))[0] = (<element*>(to + i * step))[0] + (<const element*>source)[i]


cdef void one_row(const Block* b, Py_ssize_t row, bint add, element* unit) noexcept nogil:
    """Copy one row of the columns from the images, or add it to them."""
    cdef Py_ssize_t kw = row % b.k[2], kh = row // b.k[2] % b.k[1], kd = row // (b.k[2] * b.k[1]) % b.k[0]
    cdef Py_ssize_t c = row // (b.k[2] * b.k[1] * b.k[0])
    cdef const int64_t* td = b.taps + 3 * kd
    cdef const int64_t* th = b.taps + 3 * (b.k[0] + kh)
    cdef const int64_t* tw = b.taps + 3 * (b.k[0] + b.k[1] + kw)
    cdef char* to = b.cols + row * b.images * b.count * sizeof(element)
    cdef char* line
    cdef Py_ssize_t image, done, d, h, w, segment, low, high, flat, step = b.s[2] * b.xw
    for image in range(b.images):
        done = 0
        while done < b.count:
            flat = b.start + done
            w = flat % b.ow
            h = flat // b.ow % b.oh
            d = flat // b.ow // b.oh
            segment = min(b.ow - w, b.count - done)  # outputs of one image row
            low = high = w + segment
            if td[0] <= d < td[1] and th[0] <= h < th[1]:
                low = min(max(w, tw[0]), w + segment)
                high = max(low, min(w + segment, tw[1]))
            if not add and low > w:
                memset(to, 0, (low - w) * sizeof(element))
            if high > low:
                line = b.x + image * b.xn + c * b.xc + (d * b.s[0] + td[2]) * b.xd + (h * b.s[1] + th[2]) * b.xh
                line = line + (low * b.s[2] + tw[2]) * b.xw
                if add:
                    add_strided(line, to + (low - w) * sizeof(element), step, high - low, unit)
                elif step == sizeof(element):
                    memcpy(to + (low - w) * sizeof(element), line, (high - low) * sizeof(element))
                else:
                    copy_strided(to + (low - w) * sizeof(element), line, step, high - low, unit)
            if not add and high < w + segment:
                memset(to + (high - w) * sizeof(element), 0, (w + segment - high) * sizeof(element))
            to = to + segment * sizeof(element)
            done = done + segment


def columns(
    const element[:, :, :, :, :] x, element[:, ::1] cols, const int64_t[::1] taps, tuple kernel, tuple stride,
    Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t start, Py_ssize_t count, bint add,
):
    """Copy windows of the images `x` (N, C, D, H, W) into `cols` (C * taps, N * count), or add `cols` to them.

    The columns are the outputs `start` to ``start + count`` of each image, flat over the output's axes.  One thread:
    between two products the threads of BLAS still look for work, and a second packing thread only takes their core.
    """
    cdef Block b
    cdef Py_ssize_t i
    cdef element unit = 0
    b.x = <char*>&x[0, 0, 0, 0, 0]
    b.xn, b.xc, b.xd, b.xh, b.xw = x.strides[0], x.strides[1], x.strides[2], x.strides[3], x.strides[4]
    b.images, b.oh, b.ow, b.start, b.count = x.shape[0], oh, ow, start, count
    for i in range(3):
        b.k[i], b.s[i] = kernel[i], stride[i]
    b.taps, b.cols = &taps[0], <char*>&cols[0, 0]
    with nogil:
        for i in range(cols.shape[0]):
            one_row(&b, i, add, &unit)
