/* The engine: problems in finished integers, implementations that serve them, and plans.
 *
 * Every size here is final: the Python spec has checked and normalised the call, so C never refuses
 * a size.  The only failures are a missing allocation (CV_NOMEM), a Ctrl-C noticed by the thread
 * pool (CV_INTERRUPTED) and an index outside its plane (CV_BAD_INDEX).
 */
#ifndef CV_ENGINE_H
#define CV_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/threads.h"

/* beside CV_OK, CV_NOMEM and CV_INTERRUPTED; CV_UNFIT: the numbers of the call want an
 * implementation that sums directly */
enum { CV_BAD_ISA = 3, CV_BAD_INDEX = 4, CV_UNFIT = 5 };

/* ---- problems */

typedef enum {
    CV_OP_CONV,
    CV_OP_CONV_INT8,
    CV_OP_GRAD_INPUT,
    CV_OP_GRAD_WEIGHT,
    CV_OP_POOL,
    CV_OP_SPREAD,
    CV_OPS
} cv_op;
typedef enum {
    CV_F32,
    CV_F64,
    CV_I64,
    CV_I32,
    CV_I16,
    CV_I8,
    CV_U64,
    CV_U32,
    CV_U16,
    CV_U8,
    CV_TYPES
} cv_type;
enum { CV_MAX, CV_MIN, CV_SUM, CV_AVG };

/* A convolution.  Axes are D, H, W; an axis the call lacks has in = k = out = stride = dil = 1, lo
 * = 0.
 * x and y are reached through element strides over (n, c, d, h, w), so NCHW and NHWC are the same
 * code;
 * w is (groups, ocg, icg, kd, kh, kw) through its strides, so that a gradient reads the same
 * weights the other way round. */
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
    /* windows share the axis out; k is the longest, stride and dil 1, lo and hi 0 */
    int adaptive;
    double divisor; /* average: 0 = count the taps */
} cv_pool;

/* What is asked of the engine: an operation on arrays of one type, sizes, and what it may use.
 *   CV_OP_CONV         y = conv(x, w) + bias
 *   CV_OP_CONV_INT8    the same with x - zero in place of x, modulo 2^32: x of the type, int8 or
 *                      uint8; and w - w_zeros in place of w, which is int8; bias int32; y int32, or
 *                      int64 that holds the same
 *   CV_OP_GRAD_INPUT   x = the adjoint in x, of w and y; what few strides have, others are
 *                      convolutions, one for each phase
 *   CV_OP_GRAD_WEIGHT  w = the adjoint in w, of x and y
 *   CV_OP_POOL         y = pool(x)
 *   CV_OP_SPREAD       x = y spread over its windows, or to the places that indices name */
typedef struct {
    cv_op op;
    cv_type type;
    int fresh;   /* convolution: weights come with each call, so that packing them is part of it */
    int indices; /* pooling: places are wanted, or given */
    int add;     /* spreading to places: numbers that meet are added, else one of them stays */
    int shifted, wide_y; /* CONV_INT8: w has zero points; y is int64 */
    int threads;
    ptrdiff_t max_workspace; /* bytes of scratch at most */
    cv_conv conv;
    cv_pool pool;
} cv_problem;

/* The arrays of one call; w as it lies, packed as `pack` made it (NULL: not packed). */
typedef struct {
    const void *x, *w, *packed, *bias;
    void *y;
    const void *residual; /* added to the sums; laid out as y, both without gaps; may be NULL */
    int activation;       /* applied then, CV_RELU or CV_RELU6; or 0 */
    int64_t *indices;
    char *scratch; /* of the plan's size, 64-byte aligned */
    int insist;    /* nothing else serves the call: CV_UNFIT is no answer */
    int zero, padding; /* CONV_INT8: the zero point of x; what pads x, a number of its type */
    const int32_t *w_zeros; /* CONV_INT8: the zero points of w, one for each output channel */
    const struct cv_frame *frame; /* pooling: what pads x; NULL: zeros, or for extremes nothing */
    double value;                 /* what stands there where the frame repeats nothing */
} cv_call;

/* What ends a convolution. */
enum { CV_RELU = 1, CV_RELU6 };

/* ---- implementations */

/* Every line of the list has a number. */
#define CV_IMPL(op, name, family, types, needs, rounding, why) CV_ROW_##name,
enum {
#include "impls.def"
    CV_ROWS
};
#undef CV_IMPL

typedef struct cv_row cv_row;

/* All that depends on the problem alone: blocks, splits, tables, sizes.  Immutable once made: any
 * number of threads may run it at once. */
typedef struct cv_plan {
    const cv_row *row;
    cv_problem problem;
    ptrdiff_t scratch; /* bytes that each call takes */
    ptrdiff_t packed;  /* bytes of packed weights; 0: weights are read as they lie */
    ptrdiff_t tables;  /* bytes of tables */
    char *table;       /* the tables */
    int threads;       /* that a call uses at most */
    int ends;          /* adds residuals and applies activations to sums that are still near */
    int frames;        /* heeds the frame of a call */
    /* weights are packed in the call, for so many outputs at a time; 0: not so */
    ptrdiff_t part_outputs;
    struct cv_plan *part, *rest; /* the plan for so many, and for those that are left in a group */
    _Alignas(64) char job[1024]; /* the implementation's own */
} cv_plan;

/* The job of a plan, of its implementation's type. */
#define CV_JOB(plan, type)                                                             \
    ({                                                                                 \
        _Static_assert(sizeof(type) <= sizeof(plan)->job, "a job must fit in a plan"); \
        (type *)(plan)->job;                                                           \
    })

/* The functions of one implementation for one instruction set and one type. */
typedef struct {
    const char *(*fits)(const cv_problem *); /* NULL, or why the implementation cannot serve */
    double (*cost)(const cv_problem *);      /* predicted nanoseconds on one thread */
    void (*plan)(const cv_problem *, cv_plan *);
    void (*fill)(cv_plan *);                                   /* its tables; NULL: it has none */
    int (*pack)(const cv_plan *, const void *w, void *packed); /* NULL: it never packs */
    int (*run)(const cv_plan *, const cv_call *);
} cv_impl;

/* A line of impls.def, for one instruction set. */
struct cv_row {
    const char *name, *family, *why;
    cv_op op;
    int number;        /* of its line in the list */
    int rounds;        /* rounds more than direct summation: accuracy="strict" forbids it */
    const char *lacks; /* what the instruction set lacks for it, or NULL */
    const cv_impl *by_type[CV_TYPES]; /* NULL: not this type */
};

typedef struct {
    const char *name;
    int vector_bytes;
    int (*supported)(void);
    const struct cv_border *borders[2]; /* of float32 and float64 */
    cv_row rows[CV_ROWS];
} cv_isa;

/* Why the row cannot serve, or NULL; *scratch: what it takes, where it could but for
 * max_workspace. */
const char *cv_refusal(const cv_row *, const cv_problem *, ptrdiff_t *scratch);

/* Predicted nanoseconds of a row that fits. */
double cv_cost(const cv_row *, const cv_problem *);

/* The one decision: of the rows that fit, the one with the least predicted time; NULL where none
 * fits.
 * only: bits of rows by their numbers; exact: none that rounds more. */
const cv_row *cv_choose(const cv_isa *, const cv_problem *, uint64_t only, int exact);

/* NULL: no memory. */
cv_plan *cv_plan_new(const cv_row *, const cv_problem *);
void cv_plan_free(cv_plan *);

/* Bytes of scratch of a call, its tables included. */
ptrdiff_t cv_plan_scratch(const cv_plan *);

/* Pack weights once, for plans of problems that are not fresh, into plan->packed bytes. */
int cv_plan_pack(const cv_plan *, const void *w, void *packed);

/* Run; call->scratch is allocated here. */
int cv_plan_run(const cv_plan *, const cv_call *);

/* ---- instruction sets */

/* Whether this build has kernels for Intel's matrix unit: its compiler knows it, and Linux hands it
 * out. */
#if defined(__x86_64__) && defined(__linux__) && (defined(__clang__) || __GNUC__ >= 11)
#define CV_HAS_AMX 1
#else
#define CV_HAS_AMX 0
#endif

/* The one in use.  First call: the best the processor has, lowered by CONVLIB_ISA; NULL: it names
 * none. */
const cv_isa *cv_active(void);
/* CV_OK, or CV_BAD_ISA for a name that is unknown, not built or not supported by this processor;
 * NULL or "": automatic. */
int cv_set_isa(const char *name);
/* The i-th instruction set of this build, best first; NULL past the end. */
const cv_isa *cv_isa_at(int i);

/* ---- memory and threads */

/* The pool that cv_parallel runs on, and its cv_stopping: one per process, whichever module owns
 * its code.  Until told, units run serially, to their end. */
void cv_use_pool(int (*run)(cv_task, void *, ptrdiff_t, int), int (*asked)(void));

/* Scratch: 64-byte aligned, NULL when it cannot be had; large blocks are kept for the next call. */
void *cv_alloc(size_t bytes);
void cv_free(void *);

/* What tests see: while tracing, the largest sum of bytes that cv_alloc had handed out at once, and
 * the rows that ran, a bit for each by its number. */
void cv_trace(int on);
size_t cv_trace_peak(void);
uint64_t cv_trace_rows(void);
void cv_trace_run(int row); /* called where rows are run */

#endif
