/* Pooling: maximum, minimum, sum and average, with or without the place of the extreme.
 *
 *   windows  (small windows, NCHW)       one vector of outputs at a time, every tap loaded straight from the image
 *   channels (small windows, NHWC)       the same with channels in the lanes
 *   whole    (the window is the plane)   one pass over the plane
 *   doubling (everything else)           windows of 1, 2, 4, … elements by repeated shifts, O(log k) per axis
 * The first three serve floating-point types only.
 * Doubling pads a plane into scratch; there the shift by a position, a row or a slice is a constant, so one loop over
 * the flat scratch serves every axis, stride, dilation and layout.
 *
 * A maximum lets NaN win and of equals the first; the place of several NaNs is the last one's.
 *
 * Included after simd.h with CV_FLOAT 1 for floating-point types and 0 for integers.
 */
#ifndef CV_POOL_ONCE
#define CV_POOL_ONCE
#define CV_POOL_WORK 60000.0 /* elements read that repay waking one more thread */
#define CV_POOL_INNER 64     /* channels side by side in scratch, channels-last */
#define CV_POOL_SCRATCH (192 * 1024) /* bytes of padded input that a worker aims at: stays in L2 with its companions */
#define CV_POOL_BATCH (24 * 1024)    /* and of small planes taken together */

/* One window along one axis: the positions first, first + dil, … below end lie inside the input; `counted` taps are
 * divided by in an average. */
typedef struct {
    ptrdiff_t first, end, counted;
} cv_window;

static inline cv_window cv_window_of(const cv_pool *p, int a, ptrdiff_t o) {
    const ptrdiff_t i = o * p->stride[a] - p->lo[a], d = p->dil[a], limit = p->in[a] + p->hi[a];
    cv_window w = {i >= 0 ? i : i + (-i + d - 1) / d * d, CV_MIN2(i + (p->k[a] - 1) * d + 1, p->in[a]), 0};
    if (w.end < w.first) w.end = w.first;
    w.counted = p->count_include_pad ? (limit <= i ? 0 : CV_MIN2(p->k[a], (limit - i + d - 1) / d))
                                     : (w.end - w.first + d - 1) / d;
    return w;
}

static inline ptrdiff_t cv_pool_cut(double work, ptrdiff_t items, int *threads) {
    *threads = (int)CV_MAX2(1, CV_MIN2((double)*threads, work / CV_POOL_WORK));
    return CV_MIN2(items, CV_MAX2(*threads == 1 ? 1 : 12 * (ptrdiff_t)*threads, (ptrdiff_t)(work / 5e7)));
}

/* Lanes of one (vector, tap) whose input exists, in the vector at the first lane and in the next one (stride 2). */
typedef struct {
    short a0, a1, b0, b1;
} cv_span;

static inline cv_span cv_span_of(const cv_pool *p, ptrdiff_t ox, ptrdiff_t kx, ptrdiff_t vl) {
    const ptrdiff_t ix = ox * p->stride[2] + kx * p->dil[2] - p->lo[2], in = p->in[2];
    const ptrdiff_t a0 = CV_MAX2(0, CV_MIN2(vl, -ix)), b0 = CV_MAX2(0, CV_MIN2(vl, -ix - vl));
    return (cv_span){(short)a0, (short)CV_MAX2(a0, CV_MIN2(vl, in - ix)), (short)b0,
                     (short)CV_MAX2(b0, CV_MIN2(vl, in - ix - vl))};
}
#endif

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
    const T *divide;                 /* [out[2]]: taps counted along W; NULL where nothing is divided */
    const cv_window *windows[3];     /* of each axis */
    const cv_span *spans;            /* [vectors][k[2]] of a row */
    ptrdiff_t size[3], inner, blocks; /* doubling: padded scratch, channels side by side, blocks of channels */
    ptrdiff_t step[3], cuts[3];      /* outputs per item, items along D, H and W */
    ptrdiff_t batch;                 /* doubling: planes per item */
    int whole;                       /* the window is the plane */
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
CV_INLINE vec CV_(vjoin)(const int kind, vec a, vec b) {
    if (kind > CV_MIN) return a + b;
#ifdef CV_MM
#if CV_VB == 64
    /* max and min give their second operand if either is NaN or both are equal; a NaN in b is kept by the mask */
    const CV_GLUE(CV_MASK, CV_BITS) ordered = CV_MM(cmp, _mask)((CV_MMT)b, (CV_MMT)b, _CMP_ORD_Q);
    return (vec)(kind == CV_MAX ? CV_MM(mask_max, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a)
                                : CV_MM(mask_min, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a));
#else
    const CV_MMT m = kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a) : CV_MM(min, )((CV_MMT)b, (CV_MMT)a);
    return (vec)CV_MM(blendv, )(m, (CV_MMT)b, CV_MM(cmp, )((CV_MMT)b, (CV_MMT)b, _CMP_UNORD_Q));
#endif
#else
    return CV_(select)((ivec)(kind == CV_MAX ? b > a : b < a) | CV_NAN_LANES(b), b, a);
#endif
}

/* What a window becomes: an average divides by the taps along W times `rest`, those along D and H. */
CV_INLINE T CV_(finish)(const CV_(pool_job) *j, T v, ptrdiff_t rest, ptrdiff_t ox) {
    if (!j->divide) return v;
    const T d = j->p.divisor != 0 ? (T)j->p.divisor : (T)rest * j->divide[ox];
    return d == 0 ? 0 : (T)(v / d);
}

/* ------------------------------------------------------------------------------------------------ doubling */

/* a[i] = join(a[i], a[i + shift]) in ascending order: what is read has not been written yet.  Writes up to a vector more. */
CV_INLINE void CV_(shift_join)(const int kind, T *a, ptrdiff_t n, ptrdiff_t shift) {
    CV_UNROLL(2)
    for (ptrdiff_t i = 0; i < n; i += VL) CV_(store)(a + i, CV_(vjoin)(kind, CV_(load)(a + i), CV_(load)(a + i + shift)));
}
CV_INLINE void CV_(shift_place)(const int kind, T *a, int64_t *at, ptrdiff_t n, ptrdiff_t shift) {
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < n; i++) {
        const T u = a[i], v = a[i + shift];
        const int take = CV_(wins)(kind, u, v) | (at[i] < 0); /* whatever exists beats padding */
        a[i] = take ? v : u;
        at[i] = take ? at[i + shift] : at[i];
    }
}

/* Turn every element into the join of k elements `shift` apart.  n: elements of the scratch. */
CV_INLINE void CV_(widen)(const int kind, T *a, T *sum, int64_t *at, ptrdiff_t n, ptrdiff_t k, ptrdiff_t shift) {
    if (kind <= CV_MIN) { /* two windows of 2^i that overlap */
        ptrdiff_t w = 1;
        for (; w < k; w = CV_MIN2(2 * w, k)) {
            const ptrdiff_t step = CV_MIN2(w, k - w) * shift;
            if (at) CV_(shift_place)(kind, a, at, n - step, step);
            else CV_(shift_join)(kind, a, n - step, step);
        }
        return;
    }
    /* windows of 2^i side by side, one for each bit of k; `sum` collects them */
    ptrdiff_t done = 0, w = 1;
    for (; 2 * w <= k; w *= 2) {
        if (k & w) {
            const ptrdiff_t from = done * shift;
            if (!done) memcpy(sum, a, (size_t)n * sizeof(T));
            else
#pragma GCC ivdep
                for (ptrdiff_t i = 0; i < n - from; i++) sum[i] = (T)(sum[i] + a[i + from]);
            done += w;
        }
        CV_(shift_join)(kind, a, n - w * shift, w * shift);
    }
    if (done)
#pragma GCC ivdep
        for (ptrdiff_t i = 0; i < n - done * shift; i++) a[i] = (T)(sum[i] + a[i + done * shift]);
}

/* The input under a block of outputs, `live` channels of j->inner side by side, into padded scratch; `at`: its positions, -1 outside.
 * from: position of the scratch's first element in the input (D, H, W). */
static void CV_(pad_block)(const CV_(pool_job) *j, const T *x, ptrdiff_t live, const ptrdiff_t *from, T *a, int64_t *at) {
    const cv_pool *p = &j->p;
    const ptrdiff_t inner = j->inner, total = j->size[0] * j->size[1] * j->size[2] * inner;
    const T start = CV_START(p->kind);
    for (ptrdiff_t i = 0; i < total + VL; i++) a[i] = start;
    if (at) memset(at, -1, (size_t)total * sizeof *at);
    const ptrdiff_t w0 = CV_MAX2(0, -from[2]), w1 = CV_MIN2(j->size[2], p->in[2] - from[2]);
    for (ptrdiff_t z = CV_MAX2(0, -from[0]); z < CV_MIN2(j->size[0], p->in[0] - from[0]); z++)
        for (ptrdiff_t r = CV_MAX2(0, -from[1]); r < CV_MIN2(j->size[1], p->in[1] - from[1]); r++) {
            const ptrdiff_t dst = (z * j->size[1] + r) * j->size[2] * inner;
            const T *src = x + (z + from[0]) * p->xs[2] + (r + from[1]) * p->xs[3] + from[2] * p->xs[4];
            if (inner == 1 && p->xs[4] == 1 && w1 > w0)
                memcpy(a + dst + w0, src + w0, (size_t)(w1 - w0) * sizeof(T));
            else
                for (ptrdiff_t c = w0; c < w1; c++)
                    for (ptrdiff_t i = 0; i < live; i++) a[dst + c * inner + i] = src[c * p->xs[4] + i * p->xs[1]];
            if (!at) continue;
            const ptrdiff_t place = ((z + from[0]) * p->in[1] + r + from[1]) * p->in[2] + from[2];
            for (ptrdiff_t c = w0; c < w1; c++)
                for (ptrdiff_t i = 0; i < live; i++) at[dst + c * inner + i] = place + c;
        }
}

/* The outputs of a block, from scratch that holds the whole windows. */
static void CV_(collect)(const CV_(pool_job) *j, const T *a, const int64_t *at, ptrdiff_t live, const ptrdiff_t *o,
                         ptrdiff_t to) {
    const cv_pool *p = &j->p;
    const ptrdiff_t inner = j->inner;
    ptrdiff_t end[3];
    for (int i = 0; i < 3; i++) end[i] = CV_MIN2(o[i] + j->step[i], p->out[i]);
    for (ptrdiff_t oz = o[0]; oz < end[0]; oz++)
        for (ptrdiff_t oy = o[1]; oy < end[1]; oy++) {
            const ptrdiff_t rest = j->windows[0][oz].counted * j->windows[1][oy].counted;
            const ptrdiff_t row = ((oz - o[0]) * p->stride[0] * j->size[1] + (oy - o[1]) * p->stride[1]) * j->size[2];
            const ptrdiff_t dst = to + oz * p->ys[2] + oy * p->ys[3];
            if (inner == 1 && p->stride[2] == 1 && p->ys[4] == 1 && !at && !j->divide) {
                memcpy(j->y + dst + o[2], a + row, (size_t)(end[2] - o[2]) * sizeof(T));
                continue;
            }
            for (ptrdiff_t ox = o[2]; ox < end[2]; ox++)
                for (ptrdiff_t i = 0; i < live; i++) {
                    const ptrdiff_t s = (row + (ox - o[2]) * p->stride[2]) * inner + i;
                    const ptrdiff_t d = dst + ox * p->ys[4] + i * p->ys[1];
                    j->y[d] = CV_(finish)(j, a[s], rest, ox);
                    if (at) j->indices[d] = at[s];
                }
        }
}

/* One block of outputs of `batch` planes (or blocks of channels): so many that a pass has left the processor's store queue
 * before the next one reads what it wrote. */
CV_INLINE void CV_(double_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item, char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t cut = item % (j->cuts[0] * j->cuts[1] * j->cuts[2]), b0 = item / (j->cuts[0] * j->cuts[1] * j->cuts[2]) * j->batch;
    const ptrdiff_t b1 = CV_MIN2(b0 + j->batch, p->n * j->blocks), size = j->size[0] * j->size[1] * j->size[2] * j->inner;
    const ptrdiff_t o[3] = {cut / j->cuts[2] / j->cuts[1] * j->step[0], cut / j->cuts[2] % j->cuts[1] * j->step[1],
                            cut % j->cuts[2] * j->step[2]};
    ptrdiff_t from[3];
    for (int i = 0; i < 3; i++) from[i] = o[i] * p->stride[i] - p->lo[i];
    T *a = (T *)scratch, *sum = a + size * j->batch + VL;
    int64_t *at = j->indices ? (int64_t *)(scratch + ((size * j->batch + VL) * (ptrdiff_t)sizeof(T) + 7) / 8 * 8) : NULL;
    for (ptrdiff_t b = b0; b < b1; b++) {
        const ptrdiff_t c = b % j->blocks * j->inner;
        CV_(pad_block)(j, j->x + b / j->blocks * p->xs[0] + c * p->xs[1], CV_MIN2(j->inner, p->c - c), from,
                       a + (b - b0) * size, at ? at + (b - b0) * size : NULL);
    }
    ptrdiff_t shift = j->inner; /* along W first: of equals, the first row's first */
    for (int axis = 2; axis >= 0; shift *= j->size[axis], axis--)
        CV_(widen)(kind, a, sum, at, size * (b1 - b0), p->k[axis], shift * p->dil[axis]);
    for (ptrdiff_t b = b0; b < b1; b++) {
        const ptrdiff_t c = b % j->blocks * j->inner;
        CV_(collect)(j, a + (b - b0) * size, at ? at + (b - b0) * size : NULL, CV_MIN2(j->inner, p->c - c), o,
                     b / j->blocks * p->ys[0] + c * p->ys[1]);
    }
}

#if CV_FLOAT
#include "pool_windows.tmpl.h"
#endif

/* ------------------------------------------------------------------------------------------------ putting it together */

/* A task for each way, with the kind of pooling as a constant inside. */
#define CV_KINDS(call)                                                                                      \
    for (ptrdiff_t i = unit * j->items / j->pieces; i < (unit + 1) * j->items / j->pieces; i++)             \
        switch (j->p.kind) {                                                                                \
        case CV_MAX: call(CV_MAX); break;                                                                   \
        case CV_MIN: call(CV_MIN); break;                                                                   \
        default: call(CV_SUM);                                                                              \
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
    (void)worker;
#define CV_CALL(kind) CV_(whole_item)(kind, j, i)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
#endif
#undef CV_KINDS

/* Input elements per axis under `count` neighbouring windows. */
static ptrdiff_t CV_(reach)(const cv_pool *p, int a, ptrdiff_t count) {
    return (count - 1) * p->stride[a] + (p->k[a] - 1) * p->dil[a] + 1;
}

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
        j->items = p->n * p->c, j->whole = 1;
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
    if (line > 65536 && (p->dil[2] > 1 || p->k[2] > 3 || p->stride[2] > 2)) return NULL;
    const ptrdiff_t planes = rows ? p->n * p->c : p->n;
    j->step[0] = 1, j->cuts[0] = p->out[0];
    j->step[1] = planes >= 12 * threads ? p->out[1] : CV_MIN2(p->out[1], rows ? 8 : 1);
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->items = planes * p->out[0] * j->cuts[1];
    const ptrdiff_t list = kyz * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t));
    j->scratch_each = (list + CV_MIN2(line, 65536) * (ptrdiff_t)sizeof(T) + 127) / 64 * 64;
    return rows ? CV_(window_task) : CV_(channel_task);
}
#endif

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
#if CV_FLOAT
    task = CV_(plan_small)(&j, threads);
#endif
    if (!task) task = CV_(plan_double)(&j, threads);
    double work = (double)outs * p->k[0] * p->k[1] * kw;
    work = CV_MIN2(work, (double)p->n * p->c * p->in[0] * p->in[1] * p->in[2] * 8 + outs);
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
    for (ptrdiff_t o = 0; o < vecs * VL; o++) divide[o] = o < ow ? (T)j.windows[2][o].counted : 1;
    if (j.whole) /* has one divisor */
        divide[0] = (T)(p->divisor != 0 ? p->divisor : (double)j.windows[0]->counted * (double)j.windows[1]->counted * (double)*divide);
    j.spans = span;
    if (spans)
        for (ptrdiff_t v = 0; v < vecs; v++)
            for (ptrdiff_t k = 0; k < kw; k++) *span++ = cv_span_of(p, v * VL, k, VL);
    j.divide = p->kind == CV_AVG ? divide : NULL;
    j.scratch = memory + tables;
    const int status = cv_parallel(task, &j, j.pieces, threads);
    cv_free(memory);
    return status;
}
