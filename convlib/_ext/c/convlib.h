/* What the kernels of every instruction set offer, and the problems they are given.
 *
 * Every size here is final: the Python spec has checked and normalised the call, so C never refuses anything.  The only
 * failures are a missing allocation (CV_NOMEM) and a Ctrl-C noticed by the thread pool (CV_INTERRUPTED).
 */
#ifndef CONVLIB_H
#define CONVLIB_H

#include <stddef.h>
#include <stdint.h>

#include "threads.h"

enum { CV_BAD_ISA = 3, CV_BAD_INDEX = 4 }; /* beside CV_OK, CV_NOMEM and CV_INTERRUPTED */
enum { CV_MAX, CV_MIN, CV_SUM, CV_AVG };

/* A convolution.  Axes are D, H, W; an axis the call lacks has in = k = out = stride = dil = 1, lo = 0.
 * x and y are reached through element strides over (n, c, d, h, w), so NCHW and NHWC are the same code;
 * w is (groups, ocg, icg, kd, kh, kw) through its strides, so that a gradient reads the same weights the other way round;
 * direct kernels and grad_weight take it C-contiguous. */
typedef struct {
    ptrdiff_t n, groups, icg, ocg;
    ptrdiff_t in[3], k[3], out[3], stride[3], dil[3], lo[3];
    ptrdiff_t xs[5], ys[5], ws[6];
    int last; /* channels are neighbours in x and y, and packed weights may count on it */
} cv_conv;

typedef struct {
    ptrdiff_t n, c;
    ptrdiff_t in[3], k[3], out[3], stride[3], dil[3], lo[3], hi[3];
    ptrdiff_t xs[5], ys[5];
    int kind;              /* CV_MAX, CV_MIN, CV_SUM, CV_AVG */
    int count_include_pad; /* average: do padded taps count? */
    int adaptive;          /* windows share the axis out; k is the longest, stride and dil are 1, lo and hi 0 */
    double divisor;        /* average: 0 = count the taps */
} cv_pool;

/* How to run a dense convolution: threads, and the scratch limit in bytes. */
typedef struct {
    int threads;
    ptrdiff_t max_workspace;
} cv_exec;

/* The one list of kernels.  T: element type, S: its suffix. */
#define CV_DENSE_KERNELS(T, S)                                                                                        \
    /* elements that pack_##S writes for these weights */                                                            \
    ptrdiff_t (*packed_size_##S)(const cv_conv *);                                                                    \
    int (*pack_##S)(const cv_conv *, const cv_exec *, const T *w, T *packed);                                         \
    int (*conv_##S)(const cv_conv *, const cv_exec *, const T *x, const T *w, const T *packed, const T *bias, T *y); \
    /* the most scratch bytes conv_##S takes for this problem, beside weights that are packed */                     \
    ptrdiff_t (*workspace_##S)(const cv_conv *, const cv_exec *, int packed);                                         \
    int (*direct_##S)(const cv_conv *, const cv_exec *, const T *x, const T *w, const T *bias, T *y);                 \
    ptrdiff_t (*direct_workspace_##S)(const cv_conv *, const cv_exec *);                                              \
    /* the adjoint in w; needs at least one element in each array */                                                  \
    int (*grad_weight_##S)(const cv_conv *, const cv_exec *, const T *x, const T *grad_y, T *grad_w);                 \
    ptrdiff_t (*grad_weight_workspace_##S)(const cv_conv *, const cv_exec *);
/* Winograd: windows of 3x3 or 5x5 along H and W, stride 1 there; products per pair of channels and slice of the window,
 * and points; the four as above, w needed beside packed. */
#define CV_WINOGRAD_KERNELS(T, S)                                                                                     \
    double (*wino_products_##S)(const cv_conv *, int *points);                                                        \
    ptrdiff_t (*wino_size_##S)(const cv_conv *);                                                                      \
    int (*wino_pack_##S)(const cv_conv *, const cv_exec *, const T *w, T *packed);                                    \
    int (*wino_conv_##S)(const cv_conv *, const cv_exec *, const T *x, const T *w, const T *packed, const T *bias,    \
                         T *y);                                                                                       \
    ptrdiff_t (*wino_workspace_##S)(const cv_conv *, const cv_exec *, int packed);
/* Three bfloat16 for a float32, on a matrix unit; the four as above, w needed beside packed.  NULL where there is none. */
#define CV_BF16X3_KERNELS(T, S)                                                                                       \
    ptrdiff_t (*bf16x3_size_##S)(const cv_conv *);                                                                    \
    int (*bf16x3_pack_##S)(const cv_conv *, const cv_exec *, const T *w, T *packed);                                  \
    int (*bf16x3_conv_##S)(const cv_conv *, const cv_exec *, const T *x, const T *w, const T *packed, const T *bias,  \
                           T *y);                                                                                     \
    ptrdiff_t (*bf16x3_workspace_##S)(const cv_conv *, const cv_exec *);
/* The adjoint of a sum or an average (indices NULL), or y to the places that indices name, -1 skipped: added, or else
 * written.  CV_BAD_INDEX: an index lay outside its plane, and was skipped. */
#define CV_POOL_GRAD_KERNEL(T, S) \
    int (*pool_grad_##S)(const cv_pool *, const T *y, const int64_t *indices, T *x, int add, int threads);
/* Sums and averages: f32, f64 and i64 only. */
#define CV_POOL_KERNEL(T, S) int (*pool_##S)(const cv_pool *, const T *x, T *y, int64_t *indices, int threads);

typedef struct {
    const char *name;
    int vector_bytes;
    CV_DENSE_KERNELS(float, f32)
    CV_DENSE_KERNELS(double, f64)
    CV_WINOGRAD_KERNELS(float, f32)
    CV_BF16X3_KERNELS(float, f32)
    CV_POOL_GRAD_KERNEL(float, f32)
    CV_POOL_GRAD_KERNEL(double, f64)
    CV_POOL_KERNEL(float, f32)
    CV_POOL_KERNEL(double, f64)
    CV_POOL_KERNEL(int64_t, i64)
    CV_POOL_KERNEL(int32_t, i32)
    CV_POOL_KERNEL(int16_t, i16)
    CV_POOL_KERNEL(int8_t, i8)
    CV_POOL_KERNEL(uint64_t, u64)
    CV_POOL_KERNEL(uint32_t, u32)
    CV_POOL_KERNEL(uint16_t, u16)
    CV_POOL_KERNEL(uint8_t, u8)
} cv_kernels;

extern const cv_kernels cv_kernels_scalar, cv_kernels_avx2, cv_kernels_avx512, cv_kernels_amx, cv_kernels_neon;

/* Whether this build has kernels for Intel's matrix unit: its compiler knows it, and Linux hands it out. */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) || __GNUC__ >= 11)
#define CV_HAS_AMX 1
#else
#define CV_HAS_AMX 0
#endif

/* The table in use.  First call: the best the processor has, lowered by CONVLIB_ISA; NULL: CONVLIB_ISA names none. */
const cv_kernels *cv_active(void);
/* CV_OK, or CV_BAD_ISA for a name that is unknown, not built or not supported by this processor; NULL or "": automatic. */
int cv_set_isa(const char *name);
/* The i-th instruction set of this build, best first (NULL past the end); *supported: can this processor run it? */
const char *cv_isa(int i, int *supported);

/* The pool that cv_parallel runs on: one per process, whichever module owns its code.  Until told, units run serially. */
void cv_use_pool(int (*run)(cv_task, void *, ptrdiff_t, int));

/* Scratch: 64-byte aligned, NULL when it cannot be had; large blocks are kept for the next call. */
void *cv_alloc(size_t bytes);
void cv_free(void *);

#endif
