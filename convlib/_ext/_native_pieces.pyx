# cython: freethreading_compatible=True
"""Images whose padding is no zeros, of which a few channels at a time are copied with it, and served."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from convlib._ext._native cimport CV_OK, Plan, active, allocate, cv_call, cv_plan, execute, release
from convlib._ext._native_arrays cimport finish
from convlib._ext._native_pad cimport Border, Frame, extend_planes
from convlib._ext._threads cimport parallel

cnp.import_array()


cdef struct Pieces:
    Frame frame
    double value
    bint doubles
    const char* x
    cv_call call  # its arrays are those of the first piece
    const cv_plan* some  # of a piece, and of the last one of each image
    const cv_plan* last
    char* blocks  # of each worker a copy; behind them a table of where padded elements stand in the input
    const int32_t* table
    Py_ssize_t block
    Py_ssize_t images, groups, each  # groups of an image, and of a piece
    Py_ssize_t results, ins, outs, weights, biases  # of a group: results, and bytes
    int status


cdef void piece(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Pieces* job = <Pieces*>context
    cdef Frame f = job.frame
    cdef cv_call call = job.call
    cdef Py_ssize_t pieces = (job.groups + job.each - 1) // job.each
    cdef Py_ssize_t group = unit % pieces * job.each, first = unit // pieces * job.groups + group
    cdef Py_ssize_t count = min(job.each, job.groups - group), i
    cdef void* block = job.blocks + worker * job.block
    cdef int status
    f.planes = f.planes * count
    extend_planes(&f, job.doubles, job.x + first * job.ins, block, job.value)
    call.x, call.y = block, <char*>job.call.y + first * job.outs
    if call.w != NULL:
        call.w = <const char*>call.w + group * job.weights
    if call.bias != NULL:
        call.bias = <const char*>call.bias + group * job.biases
    if call.indices != NULL:
        call.indices += first * job.results
    status = execute(job.some if count == job.each else job.last, &call)
    if status != CV_OK:
        job.status = status
    elif call.indices != NULL:
        for i in range(count * job.results):
            if call.indices[i] >= 0:
                call.indices[i] = job.table[call.indices[i]]


cdef void number_places(const Frame* f, int32_t* to) noexcept nogil:
    """Write for each place of a padded plane which element of the input stands there, -1 for none."""
    cdef Py_ssize_t z, r, c
    cdef int64_t row
    for z in range(f.padded[0]):
        for r in range(f.padded[1]):
            row = (f.source[0][z] * f.size[1] + f.source[1][r]) * f.size[2]
            for c in range(f.padded[2]):
                to[c] = <int32_t>(row + f.source[2][c])
                if f.source[0][z] < 0 or f.source[1][r] < 0 or f.source[2][c] < 0:
                    to[c] = -1
            to += f.padded[2]


cdef class PiecesRunner(Border):
    """A pooling, or a convolution of few channels, of which a few groups of channels are copied with their padding.

    Parameters
    ----------
    plans : callable
        ``plans(count, threads, max_workspace)`` gives the plan of so many groups, without padding, or None.
    y_shape : tuple of int
    placed, shared : bool
        Whether the places of extremes are wanted, and whether threads share the pieces out.
    images, groups, each : int
        Images, the groups of each, and how many of them are served at once.
    weights, outs : int
        Numbers of the weights of a group, 0 for poolings, and its output channels.
    args
        As for `Border`; the planes are those of a group.
    """

    cdef object plans
    cdef Plan some, last  # for these settings
    cdef int threads
    cdef bint placed, shared
    cdef Py_ssize_t max_workspace, scratch
    cdef cnp.npy_intp out_dims[5]
    cdef Pieces job
    cdef Py_ssize_t weights, outs

    def __init__(self, plans, tuple y_shape, bint placed, bint shared, Py_ssize_t images, Py_ssize_t groups,
                 Py_ssize_t each, Py_ssize_t weights, Py_ssize_t outs, *args):
        cdef Pieces* job = &self.job
        cdef Py_ssize_t size
        cdef int i
        Border.__init__(self, *args)
        self.plans, self.weights, self.outs = plans, weights, outs
        self.placed, self.shared = placed, shared
        memset(job, 0, sizeof(job[0]))
        job.frame, job.value, job.doubles = self.frame, self.value, self.code == c"d"
        job.images, job.groups, job.each, job.results = images, groups, each, outs
        for i in range(self.nd):
            self.out_dims[i] = y_shape[i]
            if i > 1:
                job.results *= y_shape[i]
        size = 8 if job.doubles else 4
        job.ins = self.frame.planes * self.frame.size[0] * self.frame.size[1] * self.frame.size[2] * size
        job.outs, job.weights, job.biases = job.results * size, weights * size, outs * size
        job.block = (self.nbytes // (images * groups) * each + 63) // 64 * 64

    cdef int settle(self, int threads, Py_ssize_t max_workspace) except -1:
        """Make the plans; whether there are such."""
        cdef Py_ssize_t rest = self.job.groups % self.job.each
        cdef Plan some = self.plans(self.job.each, threads, max_workspace)
        cdef Plan last = None if some is None or not rest else self.plans(rest, threads, max_workspace)
        if some is None or (rest and last is None):
            return False
        self.some, self.last = some, last
        self.threads, self.max_workspace, self.scratch = threads, max_workspace, some.scratch
        return True

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None, out=None):
        """Return the result, which is `out` if given, with places if `placed`; None if an array cannot be used."""
        cdef Pieces job = self.job  # of this call alone
        cdef Py_ssize_t units = job.images * ((job.groups + job.each - 1) // job.each), numbers = 0, need
        cdef cnp.ndarray y, places = None
        cdef int workers = min(threads, units) if self.shared else 1
        if not self.plain(x) or (out is not None and not (
            self.has(out, self.out_dims) and cnp.PyArray_ISCARRAY(<cnp.ndarray>out)
        )):
            return None
        if self.weights and not (self.dense(w, job.groups * self.weights)
                                 and (bias is None or self.dense(bias, job.groups * self.outs))):
            return None
        if (self.some is None or threads != self.threads or max_workspace != self.max_workspace
                or self.some.isa != active()):
            if not self.settle(threads, max_workspace):
                return None
        if self.placed:
            numbers = self.frame.padded[0] * self.frame.padded[1] * self.frame.padded[2]
        need = workers * job.block + 4 * numbers
        if need + workers * self.scratch > max_workspace:
            return None
        y = cnp.PyArray_EMPTY(self.nd, self.out_dims, self.typenum, 0) if out is None else <cnp.ndarray>out
        job.x, job.call.y = <const char*>cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(y)
        if self.weights:
            job.call.w = cnp.PyArray_DATA(<cnp.ndarray>w)
            if bias is not None:
                job.call.bias = cnp.PyArray_DATA(<cnp.ndarray>bias)
        cdef Plan some = self.some, last = self.last  # alive, whatever another thread does with the runner
        job.some, job.last = some.plan, NULL if last is None else last.plan
        job.status = CV_OK
        if self.placed:
            places = cnp.PyArray_EMPTY(self.nd, self.out_dims, cnp.NPY_INT64, 0)
            job.call.indices = <int64_t*>cnp.PyArray_DATA(places)
        cdef int status
        job.blocks = <char*>allocate(need)
        job.table = <int32_t*>(job.blocks + workers * job.block)
        try:
            with nogil:
                if self.placed:
                    number_places(&job.frame, <int32_t*>job.table)
                status = parallel(piece, &job, units, workers)
        finally:
            release(job.blocks)
        finish(status)
        finish(job.status)
        return (y, places) if self.placed else y

    cdef bint dense(self, a, Py_ssize_t size) noexcept:
        return (self.usable(a) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>a)
                and cnp.PyArray_SIZE(<cnp.ndarray>a) == size)
