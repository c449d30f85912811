# The C interface of the engine, and the plans that its bridges share.

from libc.stdint cimport int32_t, int64_t, uint64_t

from convlib._ext._threads cimport task

cdef extern from "c/border/border.h" nogil:
    ctypedef struct cv_frame:
        Py_ssize_t planes, inner
        Py_ssize_t size "in"[3]
        Py_ssize_t padded[3]
        Py_ssize_t lo[3]
        Py_ssize_t first, run
        const int64_t* source[3]
    ctypedef struct cv_border:
        void (*extend)(const cv_frame*, const void* x, void* wide, double value) noexcept nogil
        void (*fold)(const cv_frame*, void* wide, void* x) noexcept nogil

cdef extern from "c/engine.h" nogil:
    enum:
        CV_OK, CV_NOMEM, CV_INTERRUPTED, CV_BAD_INDEX, CV_TYPES, CV_ROWS
    ctypedef enum cv_op:
        CV_OP_CONV, CV_OP_CONV_INT8, CV_OP_GRAD_INPUT, CV_OP_GRAD_WEIGHT, CV_OP_POOL, CV_OP_SPREAD
    ctypedef enum cv_type:
        CV_F32, CV_F64, CV_I64, CV_I32, CV_I16, CV_I8, CV_U64, CV_U32, CV_U16, CV_U8
    ctypedef struct cv_conv:
        Py_ssize_t n, groups, icg, ocg
        Py_ssize_t k[3]
        Py_ssize_t out[3]
        Py_ssize_t stride[3]
        Py_ssize_t dil[3]
        Py_ssize_t lo[3]
        Py_ssize_t xs[5]
        Py_ssize_t ys[5]
        Py_ssize_t ws[6]
        int last
        Py_ssize_t size "in"[3]
    ctypedef struct cv_pool:
        Py_ssize_t n, c
        Py_ssize_t k[3]
        Py_ssize_t out[3]
        Py_ssize_t stride[3]
        Py_ssize_t dil[3]
        Py_ssize_t lo[3]
        Py_ssize_t hi[3]
        Py_ssize_t xs[5]
        Py_ssize_t ys[5]
        Py_ssize_t size "in"[3]
        int kind, count_include_pad, adaptive
        double divisor
    ctypedef struct cv_problem:
        cv_op op
        cv_type type
        int fresh, indices, add, shifted, wide_y, threads
        Py_ssize_t max_workspace
        cv_conv conv
        cv_pool pool
    ctypedef struct cv_call:
        const void* x
        const void* w
        const void* packed
        const void* bias
        void* y
        const void* residual
        int activation
        int64_t* indices
        int zero, padding
        const int32_t* w_zeros
        const cv_frame* frame
        double value
    ctypedef struct cv_impl:
        pass
    ctypedef struct cv_row:
        const char* name
        const char* family
        const char* why
        cv_op op
        int number, rounds
        const char* lacks
    ctypedef struct cv_plan:
        const cv_row* row
        cv_problem problem
        Py_ssize_t packed
        int threads, ends, frames
    ctypedef struct cv_isa:
        const char* name
        const cv_border* borders[2]
        int vector_bytes
        int (*supported)()
        cv_row rows[1]
    const char* cv_refusal(const cv_row*, const cv_problem*, Py_ssize_t*)
    double cv_cost(const cv_row*, const cv_problem*)
    const cv_row* cv_choose(const cv_isa*, const cv_problem*, uint64_t, int)
    cv_plan* cv_plan_new(const cv_row*, const cv_problem*)
    void cv_plan_free(cv_plan*)
    Py_ssize_t cv_plan_scratch(const cv_plan*)
    int cv_plan_pack(const cv_plan*, const void*, void*)
    int cv_plan_run(const cv_plan*, const cv_call*)
    const cv_isa* cv_active()
    int cv_set_isa(const char*)
    const cv_isa* cv_isa_at(int)
    void* cv_alloc(size_t)
    void cv_free(void*)
    void cv_trace(int)
    size_t cv_trace_peak()
    uint64_t cv_trace_rows()
    void cv_use_pool(int (*run)(task, void*, Py_ssize_t, int) noexcept nogil, int (*asked)() noexcept nogil)


cdef class Plan:
    cdef cv_plan* plan
    cdef const cv_isa* isa

    cdef int run(self, const cv_call* call) except -1
    cdef int pack(self, const void* w, void* packed) except -1
    cdef Plan like(self, const cv_problem* p)


cdef class Problem:
    cdef dict plans

    cdef Plan plan(self, const cv_problem* p, names, bint exact)


cdef const cv_isa* active() except NULL
cdef int execute(const cv_plan* plan, const cv_call* call) noexcept nogil
cdef int refuse(names, Py_ssize_t max_workspace, said=*) except -1
cdef void* allocate(Py_ssize_t size) except NULL
cdef void release(void* block) noexcept
cdef cv_type type_of(char code, Py_ssize_t itemsize) except *
cdef object verdicts(const cv_problem* p)
