# cython: freethreading_compatible=True
"""Images whose padding is no zeros, copied with it and served a few channels at a time, or at their borders alone."""

cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from convlib._ext._native cimport (
    CV_OK, Plan, active, allocate, cv_border, cv_call, cv_frame, cv_plan, execute, release,
)
from convlib._ext._native_arrays cimport Shaped, fill, finish
from convlib._ext._native_pad cimport Border, border_of
from convlib._ext._threads cimport parallel

cnp.import_array()


cdef struct Pieces:
    cv_frame frame
    const cv_border* border
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
    cdef cv_frame f = job.frame
    cdef cv_call call = job.call
    cdef Py_ssize_t pieces = (job.groups + job.each - 1) // job.each
    cdef Py_ssize_t group = unit % pieces * job.each, first = unit // pieces * job.groups + group
    cdef Py_ssize_t count = min(job.each, job.groups - group)
    cdef char* block = job.blocks + worker * job.block
    cdef int status
    f.planes = f.planes * count
    job.border.extend(&f, job.x + first * job.ins, block, job.value)
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
        renumber(call.indices, count * job.results, job.table)


cdef void renumber(int64_t* places, Py_ssize_t count, const int32_t* table) noexcept nogil:
    """Look places up, four before any is written; before the table stands a -1."""
    cdef Py_ssize_t i = 0
    cdef int64_t a, b, c, d
    while i + 4 <= count:
        a, b = table[places[i]], table[places[i + 1]]
        c, d = table[places[i + 2]], table[places[i + 3]]
        places[i], places[i + 1], places[i + 2], places[i + 3] = a, b, c, d
        i += 4
    while i < count:
        places[i] = table[places[i]]
        i += 1


cdef void number_places(const cv_frame* f, int32_t* to) noexcept nogil:
    """Write for each place of a padded plane which element of the input stands there, -1 for none, and before that."""
    cdef Py_ssize_t z, r, c
    cdef int64_t row
    to[-1] = -1
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
        job.images, job.groups, job.each, job.results, job.ins = images, groups, each, 1, 8 if job.doubles else 4
        size = job.ins
        for i in range(self.nd):
            self.out_dims[i] = y_shape[i]
            job.results *= y_shape[i]
            job.ins *= self.x_dims[i]
        job.results //= images * groups
        job.ins //= images * groups
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
            numbers = 1 + self.frame.padded[0] * self.frame.padded[1] * self.frame.padded[2]
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
        job.status, job.border = CV_OK, border_of(job.doubles)
        if self.placed:
            places = cnp.PyArray_EMPTY(self.nd, self.out_dims, cnp.NPY_INT64, 0)
            job.call.indices = <int64_t*>cnp.PyArray_DATA(places)
        cdef int status
        job.blocks = <char*>allocate(need)
        job.table = <int32_t*>(job.blocks + workers * job.block) + 1
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


cdef struct Strip:
    cv_frame frame  # of the input under it
    const cv_plan* plan
    Py_ssize_t start[3]  # where it lies in the result
    Py_ssize_t size[3]


cdef struct Strips:
    Strip* strips
    const cv_border* border
    bint doubles
    double value
    cv_call call  # its arrays are those of the whole
    Py_ssize_t planes, inner  # of the result, and numbers side by side in each place
    Py_ssize_t out[3]
    char* blocks  # of each worker: the input under a strip, results, places
    Py_ssize_t block, results, places
    int status


cdef void put(const Strips* job, const Strip* s, Py_ssize_t itemsize, const char* part, char* whole) noexcept nogil:
    """Write what a strip gave to its place in the result."""
    cdef Py_ssize_t plane, z, r, row, run = s.size[2] * job.inner * itemsize
    for plane in range(job.planes):
        for z in range(s.size[0]):
            for r in range(s.size[1]):
                row = (plane * job.out[0] + s.start[0] + z) * job.out[1] + s.start[1] + r
                memcpy(whole + (row * job.out[2] + s.start[2]) * job.inner * itemsize, part, run)
                part += run


cdef int64_t origin(const cv_frame* f, int64_t place) noexcept nogil:
    """Return which element of the input stands at a place of a padded plane, -1 for none."""
    cdef int64_t c, r, z
    if place < 0:
        return -1
    c = f.source[2][place % f.padded[2]]
    r = f.source[1][place // f.padded[2] % f.padded[1]]
    z = f.source[0][place // f.padded[2] // f.padded[1]]
    return -1 if c < 0 or r < 0 or z < 0 else (z * f.size[1] + r) * f.size[2] + c


cdef void strip(void* context, Py_ssize_t unit, int worker) noexcept nogil:
    cdef Strips* job = <Strips*>context
    cdef Strip* s = job.strips + unit
    cdef cv_call call = job.call
    cdef char* block = job.blocks + worker * job.block
    cdef int64_t* places = <int64_t*>(block + job.places)
    cdef Py_ssize_t i
    cdef int status
    job.border.extend(&s.frame, job.call.x, block, job.value)
    call.x, call.y = block, block + job.results
    if job.call.indices != NULL:
        call.indices = places
    status = execute(s.plan, &call)
    if status != CV_OK:
        job.status = status
        return
    put(job, s, 8 if job.doubles else 4, block + job.results, <char*>job.call.y)
    if job.call.indices != NULL:
        for i in range(job.planes * job.inner * s.size[0] * s.size[1] * s.size[2]):
            places[i] = origin(&s.frame, places[i])
        put(job, s, 8, <char*>places, <char*>job.call.indices)


cdef class StripsRunner(Shaped):
    """A convolution or pooling of contiguous arrays with zeros for padding, whose borders are then served once more.

    Parameters
    ----------
    run : Runner
        What serves all with zeros.
    plans : callable
        ``plans()`` gives the plans of the borders and the scratch that each may take, or None.
    x_shape, y_shape, dtype
        As for `Shaped`.
    placed, shared : bool
        Whether the places of extremes are wanted, and whether threads share the borders out.
    planes, inner : int
        Of the result, as for `Border`.
    out : sequence of int
        Spatial sizes of the result.
    borders : list of (Border, sequence of int, sequence of int)
        What lies under each of them, where it begins in the result, and its size there.
    """

    cdef object run, plans
    cdef list kept, made  # borders, and plans for these settings
    cdef bint placed, shared
    cdef Py_ssize_t max_workspace, scratch
    cdef const void* isa
    cdef Strips job
    cdef int count, threads

    def __init__(self, run, plans, tuple x_shape, tuple y_shape, dtype, bint placed, bint shared,
                 Py_ssize_t planes, Py_ssize_t inner, out, list borders):
        cdef Strips* job = &self.job
        cdef Py_ssize_t wide = 0, outs = 0, itemsize = dtype.itemsize
        cdef Border border
        cdef Strip* s
        Shaped.__init__(self, x_shape, y_shape, dtype)
        self.run, self.plans, self.count, self.placed, self.shared = run, plans, len(borders), placed, shared
        memset(job, 0, sizeof(job[0]))
        job.doubles, job.planes, job.inner = self.code == c"d", planes, inner
        fill(job.out, out, 1)
        self.kept = [border for border, _, _ in borders]
        job.strips = <Strip*>calloc(self.count, sizeof(Strip))
        if job.strips == NULL:
            raise MemoryError("no memory for the borders of padding")
        for i, (border, start, size) in enumerate(borders):
            s = job.strips + <int>i
            s.frame, job.value = border.frame, border.value
            fill(s.start, start, 0)
            fill(s.size, size, 1)
            wide = max(wide, border.nbytes)
            outs = max(outs, planes * inner * s.size[0] * s.size[1] * s.size[2])
        job.results = (wide + 63) // 64 * 64
        job.places = job.results + (outs * itemsize + 63) // 64 * 64
        job.block = job.places + (outs * 8 + 63) // 64 * 64 * placed

    def __dealloc__(self):
        free(self.job.strips)

    @property
    def nbytes(self):
        """Bytes that are copied at once by each thread."""
        return self.job.block

    cdef list settle(self, int threads, Py_ssize_t max_workspace):
        """Return the plans, or None if there are none."""
        if (self.made is None or threads != self.threads or max_workspace != self.max_workspace
                or self.isa != <const void*>active()):
            found = self.plans()
            if found is None:
                return None
            self.threads, self.max_workspace, self.isa = threads, max_workspace, <const void*>active()
            self.made, self.scratch = found
        return self.made

    def __call__(self, x, int threads, Py_ssize_t max_workspace, w=None, bias=None, out=None):
        """Return the result, which is `out` if given, with places if `placed`; None if an array cannot be used."""
        cdef Strips job = self.job  # of this call alone
        cdef Strip* strips
        cdef int workers = min(threads, self.count) if self.shared else 1, i, status
        cdef list plans
        if not self.shaped(x) or not (out is None or self.serves(out)):
            return None
        for a in (x, w, bias):
            if a is not None and not (self.usable(a) and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>a)):
                return None
        plans = self.settle(threads, max_workspace)
        if plans is None or workers * (job.block + self.scratch) > max_workspace:
            return None
        found = self.run(x, threads, max_workspace, w, bias, out=out)
        if found is None:
            return None
        y, places = found if self.placed else (found, None)
        if not self.serves(y):
            raise ValueError("the result is not an array without gaps")
        job.call.x, job.call.y = cnp.PyArray_DATA(<cnp.ndarray>x), cnp.PyArray_DATA(<cnp.ndarray>y)
        if w is not None:  # of the size that the whole was served with
            job.call.w = cnp.PyArray_DATA(<cnp.ndarray>w)
        if bias is not None:
            job.call.bias = cnp.PyArray_DATA(<cnp.ndarray>bias)
        if places is not None:
            job.call.indices = <int64_t*>cnp.PyArray_DATA(<cnp.ndarray>places)
        job.status, job.border = CV_OK, border_of(job.doubles)
        job.blocks = <char*>allocate(workers * job.block + self.count * sizeof(Strip))
        strips = <Strip*>(job.blocks + workers * job.block)
        memcpy(strips, job.strips, self.count * sizeof(Strip))
        job.strips = strips
        for i in range(self.count):
            strips[i].plan = (<Plan>plans[i]).plan
        try:
            with nogil:
                status = parallel(strip, &job, self.count, workers)
        finally:
            release(job.blocks)
        finish(status)
        finish(job.status)
        return found
