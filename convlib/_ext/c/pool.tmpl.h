/* Pooling: maximum, minimum, sum and average, with or without the place of the extreme.
 *
 *   windows  (small windows, NCHW)       one vector of outputs at a time, every tap loaded straight from the image
 *   channels (small windows, NHWC)       the same with channels in the lanes
 *   whole    (the window is the plane)   one pass over the plane
 *   sweep    (stride 1, NCHW)            padded planes, rows and then columns by whole vectors
 *   uneven   (adaptive windows)          rows joined by whole vectors, then element by element
 *   doubling (everything else)           windows of 1, 2, 4, … elements by repeated shifts, O(log k) per axis
 * The first three serve floating-point types only.
 *
 * A maximum lets NaN win and of equals the first; the place of several NaNs is the last one's.
 *
 * Included after simd.h with CV_FLOAT 1 for floating-point types and 0 for integers.
 */
#include "pool.h"

#undef CV_MM
#undef CV_MMT
#if CV_FLOAT && CV_VB == 64
#if CV_BITS == 32
#define CV_MM(op, tail) _mm512_##op##_ps##tail
#define CV_MMT __m512
#else
#define CV_MM(op, tail) _mm512_##op##_pd##tail
#define CV_MMT __m512d
#endif
#elif CV_FLOAT && CV_VB == 32 && defined(__AVX2__)
#if CV_BITS == 32
#define CV_MM(op, tail) _mm256_##op##_ps##tail
#define CV_MMT __m256
#else
#define CV_MM(op, tail) _mm256_##op##_pd##tail
#define CV_MMT __m256d
#endif
#endif
#undef CV_NAN_LANES
#if CV_FLOAT
#define CV_NAN_LANES(v) ((ivec)((v) != (v)))
#else
#define CV_NAN_LANES(v) ((ivec){0})
#endif

typedef struct {
    cv_pool p;
    const T *x;
    T *y;
    int64_t *indices;
    ptrdiff_t items, pieces, scratch_each; /* scratch_each in bytes */
    char *scratch;
    const T *divide;                 /* [out[2]]: taps counted along W, at least 1; NULL where nothing is divided */
    const cv_window *windows[3];     /* of each axis */
    const cv_span *spans;            /* [vectors][k[2]] of a row */
    ptrdiff_t size[3], inner, blocks; /* doubling: padded scratch, channels side by side, blocks of channels */
    ptrdiff_t step[3], cuts[3];      /* outputs per item, items along D, H and W */
    ptrdiff_t batch;                 /* doubling: planes per item */
    int whole;                       /* the window is the plane */
    cv_ladder down, along;           /* sweep */
    ptrdiff_t lead;
    cv_shares *shares;
} CV_(pool_job);

#undef CV_LOWEST
#undef CV_IS_NAN
#if CV_FLOAT
#define CV_LOWEST(kind) ((kind) == CV_MAX ? (T)-INFINITY : (T)INFINITY)
#define CV_IS_NAN(a) ((a) != (a))
#else
#define CV_LEAST ((T)-1 > 0 ? (T)0 : (T)((uint64_t)1 << (CV_BITS - 1)))
#define CV_LOWEST(kind) ((kind) == CV_MAX ? CV_LEAST : (T)~CV_LEAST)
#define CV_IS_NAN(a) 0
#endif
#define CV_START(kind) ((kind) <= CV_MIN ? CV_LOWEST(kind) : (T)0)

/* Where b, the later one, takes the place of a. */
CV_INLINE int CV_(wins)(const int kind, T a, T b) { return (kind == CV_MAX ? b > a : b < a) || CV_IS_NAN(b); }
CV_INLINE T CV_(join)(const int kind, T a, T b) {
    if (kind > CV_MIN) return (T)(a + b);
    return CV_(wins)(kind, a, b) ? b : a;
}
/* Which lanes hold a NaN. */
#undef CV_FLAGS
#if CV_FLOAT && CV_VB == 64
#define CV_FLAGS CV_GLUE(CV_MASK, CV_BITS)
CV_INLINE CV_FLAGS CV_(nans)(vec v) { return CV_MM(cmp, _mask)((CV_MMT)v, (CV_MMT)v, _CMP_UNORD_Q); }
CV_INLINE int CV_(any_flag)(CV_FLAGS m) { return m != 0; }
#else
#define CV_FLAGS ivec
CV_INLINE CV_FLAGS CV_(nans)(vec v) { return CV_NAN_LANES(v); }
CV_INLINE int CV_(any_flag)(CV_FLAGS m) {
    int any = 0;
    for (int i = 0; i < VL; i++) any |= m[i] != 0;
    return any;
}
#endif

/* tame: neither a nor b holds a NaN. */
CV_INLINE vec CV_(meet)(const int kind, const int tame, vec a, vec b) {
    if (kind > CV_MIN) return a + b;
#ifdef CV_MM
    /* max and min give their second operand if either is NaN or both are equal */
    if (tame) return (vec)(kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a) : CV_MM(min, )((CV_MMT)b, (CV_MMT)a));
#if CV_VB == 64
    /* a NaN in b is kept by the mask */
    const CV_GLUE(CV_MASK, CV_BITS) ordered = CV_MM(cmp, _mask)((CV_MMT)b, (CV_MMT)b, _CMP_ORD_Q);
    return (vec)(kind == CV_MAX ? CV_MM(mask_max, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a)
                                : CV_MM(mask_min, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a));
#else
    const CV_MMT m = kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a) : CV_MM(min, )((CV_MMT)b, (CV_MMT)a);
    return (vec)CV_MM(blendv, )(m, (CV_MMT)b, CV_MM(cmp, )((CV_MMT)b, (CV_MMT)b, _CMP_UNORD_Q));
#endif
#else
    const ivec wins = (ivec)(kind == CV_MAX ? b > a : b < a);
    return CV_(select)(tame ? wins : wins | CV_NAN_LANES(b), b, a);
#endif
}
CV_INLINE vec CV_(vjoin)(const int kind, vec a, vec b) { return CV_(meet)(kind, 0, a, b); }

/* Input elements per axis under `count` neighbouring windows. */
static ptrdiff_t CV_(reach)(const cv_pool *p, int a, ptrdiff_t count) {
    return (count - 1) * p->stride[a] + (p->k[a] - 1) * p->dil[a] + 1;
}

#include "pool_divide.tmpl.h"
#include "pool_double.tmpl.h"
#include "pool_sweep.tmpl.h"
#include "pool_uneven.tmpl.h"
#if CV_FLOAT
#include "pool_windows.tmpl.h"
#endif

/* ------------------------------------------------------------------------------------------------ putting it together */

#undef CV_SUMS
#if CV_FLOAT || CV_SIGNED64
#define CV_SUMS(call) call
#else
#define CV_SUMS(call) (void)0
#endif
/* A task for each way, with the kind of pooling as a constant inside. */
#define CV_KINDS(call)                                                                                      \
    (void)unit;                                                                                             \
    const ptrdiff_t piece = cv_take(j->shares, worker);                                                     \
    for (ptrdiff_t i = piece * j->items / j->pieces; i < (piece + 1) * j->items / j->pieces; i++)           \
        switch (j->p.kind) {                                                                                \
        case CV_MAX: call(CV_MAX); break;                                                                   \
        case CV_MIN: call(CV_MIN); break;                                                                   \
        default: CV_SUMS(call(CV_SUM));                                                                     \
        }
static void CV_(sweep_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(sweep_item)(kind, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(uneven_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(uneven_item)(kind, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(double_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(double_item)(kind, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
#if CV_FLOAT
static void CV_(window_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(rows_item)(kind, 0, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(channel_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(rows_item)(kind, 1, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(pairs_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(pairs_item)(kind, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(whole_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(whole_item)(kind, j, i)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
#endif
#undef CV_KINDS

#if CV_FLOAT
/* The ways without scratch, where one of them fits and pays; NULL: none. */
static cv_task CV_(plan_small)(CV_(pool_job) *j, int threads) {
    const cv_pool *p = &j->p;
    ptrdiff_t passes = 0;
    int global = !j->indices && p->xs[4] == 1 && (p->in[1] == 1 || p->xs[3] == p->in[2]) &&
                 (p->in[0] == 1 || p->xs[2] == p->in[1] * p->in[2]);
    for (int a = 0; a < 3; a++) {
        for (ptrdiff_t w = 1; w < p->k[a]; w *= 2) passes++;
        global &= p->k[a] == p->in[a] && p->out[a] == 1 && !p->lo[a] && p->dil[a] == 1;
    }
    if (global) {
        j->batch = CV_MAX2(1, CV_MIN2(VL, p->n * p->c / (4 * threads))), j->whole = 1;
        j->items = (p->n * p->c + j->batch - 1) / j->batch;
        return CV_(whole_task);
    }
    if (CV_(pairs_fit)(j)) {
        const ptrdiff_t plane = p->out[1] * p->in[2];
        j->batch = CV_MAX2(1, 4096 / plane);
        j->items = (p->n * p->c + j->batch - 1) / j->batch;
        j->scratch_each = ((j->batch * plane + 2 * VL) * (ptrdiff_t)sizeof(T) + 127) / 64 * 64;
        return CV_(pairs_task);
    }
    const int rows = p->xs[4] == 1 && p->ys[4] == 1 && (p->stride[2] <= 2 || !j->indices);
    const int channels = p->xs[1] == 1 && p->ys[1] == 1 && !rows;
    if (!rows && !channels) return NULL;
    /* loads per output against passes over all inputs, in loads */
    const ptrdiff_t kyz = p->k[0] * p->k[1], steps = p->stride[0] * p->stride[1] * p->stride[2];
    const ptrdiff_t loads = rows && !j->indices ? (kyz + p->k[2]) * CV_MIN2(p->stride[2], p->k[2]) : kyz * p->k[2];
    if (loads > (4 + passes) * steps) return NULL;
    if (j->indices && CV_BITS == 32 && p->in[0] * p->in[1] * p->in[2] > INT32_MAX) return NULL;
    const ptrdiff_t line = rows && !j->indices ? (p->out[2] + 2 * VL) * p->stride[2] + p->k[2] * p->dil[2] + 2 * VL : 0;
    const int strips = rows && CV_(strips_fit)(j);
    if (!strips && line > 65536 && (p->dil[2] > 1 || p->k[2] > 3 || p->stride[2] != 2)) return NULL;
    const ptrdiff_t planes = rows ? p->n * p->c : p->n;
    j->step[0] = 1, j->cuts[0] = p->out[0];
    j->step[1] = planes >= 12 * threads ? p->out[1] : CV_MIN2(p->out[1], rows ? 8 : 1);
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->items = planes * p->out[0] * j->cuts[1];
    const ptrdiff_t list = kyz * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t));
    const ptrdiff_t scratch = strips ? p->in[2] + VL : CV_MIN2(line, 65536);
    j->scratch_each = (list + scratch * (ptrdiff_t)sizeof(T) + 127) / 64 * 64;
    return rows ? CV_(window_task) : CV_(channel_task);
}
#endif

static cv_task CV_(plan_uneven)(CV_(pool_job) *j) {
    const cv_pool *p = &j->p;
#if CV_FLOAT
    const ptrdiff_t list = p->k[0] * p->k[1] * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t));
    const int places = j->indices && CV_BITS == 32 && p->in[0] * p->in[1] * p->in[2] > INT32_MAX; /* too large */
    if (p->xs[1] == 1 && p->ys[1] == 1 && p->c > 1 && !places) {
        j->step[1] = 1, j->cuts[1] = p->out[1];
        j->items = p->n * p->out[0] * p->out[1];
        j->scratch_each = (list + 127) / 64 * 64;
        return CV_(channel_task);
    }
#endif
    j->items = p->n * p->c;
    j->scratch_each = ((p->in[2] + VL) * (ptrdiff_t)sizeof(T) + 127) / 64 * 64;
    return CV_(uneven_task);
}

/* Cut the rows of outputs into items; returns the task, or NULL where sweeping does not serve. */
static cv_task CV_(plan_sweep)(CV_(pool_job) *j, int threads) {
    const cv_pool *p = &j->p;
    const int rows = p->k[0] == 1 && p->xs[4] == 1 && p->ys[4] == 1;
    if (j->indices || !rows || p->stride[1] != 1 || p->stride[2] != 1) return NULL;
    const ptrdiff_t right = (p->out[2] - 1) + (p->k[2] - 1) * p->dil[2] - p->lo[2] - (p->in[2] - 1);
    j->size[2] = (p->in[2] + CV_MAX2(CV_MAX2(0, right), p->lo[2]) + VL - 1) / VL * VL;
    j->down = cv_ladder_of(p->k[1], j->size[2] * p->dil[1], p->kind <= CV_MIN);
    j->along = cv_ladder_of(p->k[2], p->dil[2], p->kind <= CV_MIN);
    if (!j->down.count || !j->along.count) return NULL;
    const ptrdiff_t size = (ptrdiff_t)sizeof(T), row = j->size[2] * size, planes = p->n * p->c * p->out[0];
    j->step[1] = p->out[1];
    while (j->step[1] > 1 && CV_(reach)(p, 1, j->step[1]) * row > CV_SWEEP_BLOCK) j->step[1] = (j->step[1] + 1) / 2;
    j->size[1] = CV_(reach)(p, 1, j->step[1]);
    if (j->size[1] * row > 2 * CV_SWEEP_BLOCK) return NULL;
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->lead = (p->lo[2] + VL - 1) / VL * VL;
    j->inner = j->lead + j->size[1] * j->size[2] + VL; /* elements of a plane in scratch */
    j->batch = CV_MAX2(1, CV_MIN2(CV_SWEEP_BATCH / (j->inner * size), planes / (12 * threads)));
    j->items = (planes + j->batch - 1) / j->batch * j->cuts[1];
    j->scratch_each = (3 * j->batch * j->inner * size + 127) / 64 * 64;
    return CV_(sweep_task);
}

/* Cut the outputs into items whose padded input stays small; returns the task. */
static cv_task CV_(plan_double)(CV_(pool_job) *j, int threads) {
    const cv_pool *p = &j->p;
    const ptrdiff_t size = (ptrdiff_t)sizeof(T), planes_want = 12 * threads;
    j->inner = p->xs[1] == 1 ? CV_MIN2(p->c, CV_POOL_INNER) : 1;
    j->blocks = (p->c + j->inner - 1) / j->inner;
    for (int a = 0; a < 3; a++) j->step[a] = p->out[a], j->size[a] = CV_(reach)(p, a, p->out[a]);
    ptrdiff_t total;
    for (int a = 0;;) { /* halve the slices, then the rows, then the columns, while that saves more than it repeats */
        total = j->size[0] * j->size[1] * j->size[2] * j->inner;
        if (total * size <= CV_POOL_SCRATCH || a == 3) break;
        const ptrdiff_t half = (j->step[a] + 1) / 2, reach = CV_(reach)(p, a, half);
        if (j->step[a] == 1 || (4 * reach > 3 * j->size[a] && total * size <= 16 * CV_POOL_SCRATCH)) a++;
        else j->step[a] = half, j->size[a] = reach;
    }
    for (int a = 0; a < 3; a++) j->cuts[a] = (p->out[a] + j->step[a] - 1) / j->step[a];
    const ptrdiff_t planes = p->n * j->blocks, cuts = j->cuts[0] * j->cuts[1] * j->cuts[2];
    j->batch = CV_MAX2(1, CV_MIN2(CV_MIN2(planes, CV_POOL_BATCH / (total * size)), planes / planes_want));
    j->items = (planes + j->batch - 1) / j->batch * cuts;
    const ptrdiff_t each = j->indices ? (ptrdiff_t)sizeof(int64_t) : p->kind > CV_MIN ? size : 0;
    j->scratch_each = ((total * j->batch + VL) * (size + each) + 127) / 64 * 64;
    return CV_(double_task);
}

static int CV_(pool)(const cv_pool *p, const T *x, T *y, int64_t *indices, int threads) {
    CV_(pool_job) j = {.p = *p, .x = x, .y = y, .indices = indices};
    const ptrdiff_t outs = p->n * p->c * p->out[0] * p->out[1] * p->out[2], ow = p->out[2], kw = p->k[2];
    if (!outs) return CV_OK;
    cv_task task = NULL;
    if (p->adaptive) task = CV_(plan_uneven)(&j);
#if CV_FLOAT
    if (!task) task = CV_(plan_small)(&j, threads);
#endif
    if (!task) task = CV_(plan_sweep)(&j, threads);
    if (!task) task = CV_(plan_double)(&j, threads);
    double work = (double)outs * p->k[0] * p->k[1] * kw;
    const double inputs = (double)p->n * p->c * p->in[0] * p->in[1] * p->in[2];
    work = CV_MIN2(work, inputs * (task == CV_(double_task) ? 8 : 3) + (double)outs);
    j.pieces = cv_pool_cut(work, j.items, &threads);
    const ptrdiff_t vecs = (ow + VL - 1) / VL, windows = p->out[0] + p->out[1] + ow;
    const int spans = indices && task != CV_(double_task) && p->stride[2] <= 2;
    const size_t divide_bytes = (size_t)(vecs * VL) * sizeof(T), window_bytes = (size_t)windows * sizeof(cv_window);
    const size_t tables = (divide_bytes + window_bytes + (spans ? (size_t)(vecs * kw) * sizeof(cv_span) : 0) + 63) / 64 * 64;
    char *memory = cv_alloc(tables + (size_t)threads * (size_t)j.scratch_each);
    if (!memory) return CV_NOMEM;
    T *divide = (T *)memory;
    cv_window *window = (cv_window *)(memory + divide_bytes);
    cv_span *span = (cv_span *)(memory + divide_bytes + window_bytes);
    for (int a = 0; a < 3; a++) {
        j.windows[a] = window;
        for (ptrdiff_t o = 0; o < p->out[a]; o++) *window++ = cv_window_of(p, a, o);
    }
    for (ptrdiff_t o = 0; o < vecs * VL; o++) divide[o] = o < ow ? (T)CV_MAX2(1, j.windows[2][o].counted) : 1;
    if (j.whole) /* has one divisor */
        divide[0] = (T)(p->divisor != 0 ? p->divisor : (double)p->in[0] * (double)p->in[1] * (double)p->in[2]);
    j.spans = span;
    if (spans)
        for (ptrdiff_t v = 0; v < vecs; v++)
            for (ptrdiff_t k = 0; k < kw; k++) *span++ = cv_span_of(p, v * VL, k, VL);
    j.divide = p->kind == CV_AVG ? divide : NULL;
    j.scratch = memory + tables;
    cv_shares shares = {.pieces = j.pieces, .threads = threads};
    j.shares = &shares;
    const int status = cv_parallel(task, &j, j.pieces, threads);
    cv_free(memory);
    return status;
}
