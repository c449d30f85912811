# The C interface of the engine.

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from convlib._ext._pool cimport task

cdef extern from "c/convlib.h" nogil:
    enum:
        CV_OK, CV_NOMEM, CV_INTERRUPTED, CV_BAD_INDEX
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
    ctypedef struct cv_exec:
        int threads
        Py_ssize_t max_workspace
    ctypedef struct cv_kernels:
        const char* name
        int vector_bytes
        Py_ssize_t (*packed_size_f32)(const cv_conv*) noexcept nogil
        Py_ssize_t (*packed_size_f64)(const cv_conv*) noexcept nogil
        int (*pack_f32)(const cv_conv*, const cv_exec*, const float*, float*) noexcept nogil
        int (*pack_f64)(const cv_conv*, const cv_exec*, const double*, double*) noexcept nogil
        int (*conv_f32)(const cv_conv*, const cv_exec*, const float*, const float*, const float*, const float*,
                        float*) noexcept nogil
        int (*conv_f64)(const cv_conv*, const cv_exec*, const double*, const double*, const double*, const double*,
                        double*) noexcept nogil
        Py_ssize_t (*workspace_f32)(const cv_conv*, const cv_exec*, int) noexcept nogil
        Py_ssize_t (*workspace_f64)(const cv_conv*, const cv_exec*, int) noexcept nogil
        int (*direct_f32)(const cv_conv*, const cv_exec*, const float*, const float*, const float*,
                          float*) noexcept nogil
        int (*direct_f64)(const cv_conv*, const cv_exec*, const double*, const double*, const double*,
                          double*) noexcept nogil
        Py_ssize_t (*direct_workspace_f32)(const cv_conv*, const cv_exec*) noexcept nogil
        Py_ssize_t (*direct_workspace_f64)(const cv_conv*, const cv_exec*) noexcept nogil
        int (*grad_weight_f32)(const cv_conv*, const cv_exec*, const float*, const float*, float*) noexcept nogil
        int (*grad_weight_f64)(const cv_conv*, const cv_exec*, const double*, const double*, double*) noexcept nogil
        Py_ssize_t (*grad_weight_workspace_f32)(const cv_conv*, const cv_exec*) noexcept nogil
        Py_ssize_t (*grad_weight_workspace_f64)(const cv_conv*, const cv_exec*) noexcept nogil
        double (*wino_products_f32)(const cv_conv*, int*) noexcept nogil
        Py_ssize_t (*wino_size_f32)(const cv_conv*) noexcept nogil
        int (*wino_pack_f32)(const cv_conv*, const cv_exec*, const float*, float*) noexcept nogil
        int (*wino_conv_f32)(const cv_conv*, const cv_exec*, const float*, const float*, const float*, const float*,
                             float*) noexcept nogil
        Py_ssize_t (*wino_workspace_f32)(const cv_conv*, const cv_exec*, int) noexcept nogil
        Py_ssize_t (*bf16x3_size_f32)(const cv_conv*) noexcept nogil
        int (*bf16x3_pack_f32)(const cv_conv*, const cv_exec*, const float*, float*) noexcept nogil
        int (*bf16x3_conv_f32)(const cv_conv*, const cv_exec*, const float*, const float*, const float*, const float*,
                               float*) noexcept nogil
        Py_ssize_t (*bf16x3_workspace_f32)(const cv_conv*, const cv_exec*) noexcept nogil
        int (*pool_grad_f32)(const cv_pool*, const float*, const int64_t*, float*, int, int) noexcept nogil
        int (*pool_grad_f64)(const cv_pool*, const double*, const int64_t*, double*, int, int) noexcept nogil
        int (*pool_f32)(const cv_pool*, const float*, float*, int64_t*, int) noexcept nogil
        int (*pool_f64)(const cv_pool*, const double*, double*, int64_t*, int) noexcept nogil
        int (*pool_i64)(const cv_pool*, const int64_t*, int64_t*, int64_t*, int) noexcept nogil
        int (*pool_i32)(const cv_pool*, const int32_t*, int32_t*, int64_t*, int) noexcept nogil
        int (*pool_i16)(const cv_pool*, const int16_t*, int16_t*, int64_t*, int) noexcept nogil
        int (*pool_i8)(const cv_pool*, const int8_t*, int8_t*, int64_t*, int) noexcept nogil
        int (*pool_u64)(const cv_pool*, const uint64_t*, uint64_t*, int64_t*, int) noexcept nogil
        int (*pool_u32)(const cv_pool*, const uint32_t*, uint32_t*, int64_t*, int) noexcept nogil
        int (*pool_u16)(const cv_pool*, const uint16_t*, uint16_t*, int64_t*, int) noexcept nogil
        int (*pool_u8)(const cv_pool*, const uint8_t*, uint8_t*, int64_t*, int) noexcept nogil
    const cv_kernels* cv_active()
    int cv_set_isa(const char*)
    const char* cv_isa(int, int*)
    void* cv_alloc(size_t)
    void cv_free(void*)
    void cv_use_pool(int (*run)(task, void*, Py_ssize_t, int) noexcept nogil)


cdef const cv_kernels* kernels() except NULL
