/* What the pooling kernels of one type share: the problem, its tables, and what a window
 * becomes. */
#ifndef CV_POOL_JOB
#define CV_POOL_JOB
#include "../border/border.h"
#include "../simd/extremes.tmpl.h"
#include "pool.h"

/* windows of an axis that are kept in a table; those of longer ones are worked out again */
#define CV_POOL_TABLE 2048
/* types whose sums and averages have kernels */
#undef CV_SUMMED
#define CV_SUMMED (CV_FLOAT || (CV_BITS == 64 && CV_SIGNED))

typedef struct {
    cv_pool p;
    const T *x;
    T *y;
    int64_t *indices;
    char *scratch;
    ptrdiff_t items, pieces, scratch_each; /* scratch_each in bytes */
    int threads;
    int places;  /* indices are wanted */
    int divided; /* averages */
    /* [out[2]]: taps counted along W, at least 1; NULL: no table */
    const T *divide;
    const cv_window *windows[3]; /* of each axis, or NULL */
    /* doubling: padded scratch, channels side by side, blocks of channels; channels: of these the
     * last two */
    ptrdiff_t size[3], inner, blocks;
    ptrdiff_t step[3], cuts[3]; /* outputs per item, items along D, H and W */
    ptrdiff_t batch;            /* planes per item */
    cv_ladder down, along;      /* sweep */
    ptrdiff_t lead;
    int small; /* places: windows that stay in registers */
    const cv_frame *frame; /* what pads x, or NULL */
    T value;
} CV_(pool_job);

CV_INLINE cv_window CV_(window)(const CV_(pool_job) *j, int a, ptrdiff_t o) {
    return j->windows[a] ? j->windows[a][o] : cv_window_of(&j->p, a, o);
}

/* Taps of a window counted along W, at least 1. */
CV_INLINE T CV_(counted_at)(const CV_(pool_job) *j, ptrdiff_t ox) {
    return j->divide ? j->divide[ox] : (T)CV_MAX2(1, cv_window_of(&j->p, 2, ox).counted);
}
/* Of a vector of windows: long rows have no table, and few windows that differ. */
CV_NOINLINE CV_UNUSED vec CV_(counted_apart)(const CV_(pool_job) *j, ptrdiff_t ox) {
    const cv_pool *p = &j->p;
    const ptrdiff_t first = ox * p->stride[2] - p->lo[2];
    if (first >= 0 && first + cv_reach(p, 2, VL) <= p->in[2])
        return CV_(set1)((T)p->k[2]);
    vec v;
    for (ptrdiff_t i = 0; i < VL; i++)
        v[i] = ox + i < p->out[2] ? CV_(counted_at)(j, ox + i) : 1;
    return v;
}
CV_INLINE vec CV_(counted)(const CV_(pool_job) *j, ptrdiff_t ox) {
    return j->divide ? CV_(load)(j->divide + ox) : CV_(counted_apart)(j, ox);
}

/* What a window becomes: an average divides by the taps along W times `rest`, those along D and H;
 * an empty window's sum is 0, whatever it is divided by. */
CV_INLINE T CV_(finish)(const int kind, const CV_(pool_job) *j, T v, ptrdiff_t rest, ptrdiff_t ox) {
    if (kind <= CV_MIN || !j->divided)
        return v;
    return (T)(v / (j->p.divisor != 0 ? (T)j->p.divisor
                                      : (T)CV_MAX2(1, rest) * CV_(counted_at)(j, ox)));
}

/* The divisor of a vector of windows; r: 1 / d, if `quotient` may use it. */
typedef struct {
    vec counted, d, r;
    ptrdiff_t rest;
    T fixed;
    int swift;
} CV_(divisor);

CV_INLINE CV_(divisor) CV_(divisor_at)(const CV_(pool_job) *j, ptrdiff_t ox) {
    const vec one = CV_(set1)((T)1);
    const double most = j->p.divisor != 0
                            ? j->p.divisor
                            : (double)j->p.k[0] * (double)j->p.k[1] * (double)j->p.k[2];
    CV_(divisor) s = {.counted = one, .d = one, .r = one, .rest = -1, .fixed = (T)j->p.divisor};
    if (j->divided) {
        s.counted = CV_(counted)(j, ox);
        s.swift = most >= 1 && most <= 1 << 20;
    }
    return s;
}

/* From here on for windows with `rest` taps along D and H. */
CV_INLINE void CV_(divide_by)(CV_(divisor) *s, ptrdiff_t rest) {
    if (s->rest == rest)
        return;
    s->rest = rest;
    s->d = s->fixed != 0 ? CV_(set1)(s->fixed) : s->counted * CV_(set1)((T)CV_MAX2(1, rest));
    s->r = CV_(set1)((T)1) / s->d;
}

#if CV_FLOAT && defined(CV_MM)
/* Whether a lane is not finite, or so small that `quotient` could underflow. */
CV_INLINE int CV_(uncommon)(vec v) {
    const int bits = CV_BITS == 32 ? 23 : 52, low = CV_BITS == 32 ? 27 : 123,
              high = CV_BITS == 32 ? 255 : 2047;
    const CV_INT(CV_BITS) least = (CV_INT(CV_BITS))low << bits,
                          infinite = (CV_INT(CV_BITS))high << bits;
    const ivec size =
        (ivec)v & ((ivec){0} + (CV_INT(CV_BITS))(infinite | (((CV_INT(CV_BITS))1 << bits) - 1)));
#if CV_VB == 64
    const __m512i above = (__m512i)(size - least),
                  range = (__m512i)((ivec){0} + (infinite - least));
    const CV_FLAGS common = CV_GLUE(CV_GLUE(_mm512_cmplt_epu, CV_BITS), _mask)(above, range);
    return (CV_FLAGS) ~(common | CV_GLUE(CV_GLUE(_mm512_testn_epi, CV_BITS),
                                         _mask)((__m512i)size, (__m512i)size)) != 0;
#else
    return CV_MM(movemask, )((CV_MMT)((size == 0) | ((size >= least) & (size < infinite)))) !=
           (1 << VL) - 1;
#endif
}
#endif

/* v / d, rounded as a division is.  Where d is a whole number up to 2^20, q = v r is off by at most
 * 1.5 units in the last place, the remainder e = v - q d is exact, and q + e r lies within 2^-23
 * units of v / d before it is rounded.
 * No middle of two neighbours lies between: v is a multiple of q's unit, so that v / d is at least
 * 1 / (2 d) units from the middle, or in it, for which v would need a digit more than it has. */
CV_INLINE vec CV_(quotient)(vec v, const CV_(divisor) *s) {
#if CV_FLOAT && defined(CV_MM)
    if (s->swift && __builtin_expect(!CV_(uncommon)(v), 1)) {
        const vec q = v * s->r;
        const CV_MMT e = CV_MM(fnmadd, )((CV_MMT)q, (CV_MMT)s->d, (CV_MMT)v);
        const vec full = (vec)CV_MM(fmadd, )(e, (CV_MMT)s->r, (CV_MMT)q);
        /* the sum of -0 and 0 is 0 */
        return (vec)((ivec)full | ((ivec)v & (ivec)CV_(set1)((T)-0.0)));
    }
#endif
    return v / s->d;
}

/* What a row of windows is divided by, beside the taps along W: `rest` taps along D and H, or a
 * number that stands for all.  A loop's own copy of what no store can change. */
typedef struct {
    vec rest;
    int divided, fixed;
} CV_(row_divisor);

CV_INLINE CV_(row_divisor) CV_(divisor_of_row)(const int kind, const CV_(pool_job) *j,
                                               ptrdiff_t rest) {
    const int fixed = j->p.divisor != 0;
    const T by = fixed ? (T)j->p.divisor : (T)CV_MAX2(1, rest);
    return (CV_(row_divisor)){CV_(set1)(by), kind > CV_MIN && j->divided, fixed};
}

CV_INLINE void CV_(put)(const CV_(pool_job) *j, vec v, const CV_(row_divisor) *by, T *y,
                        ptrdiff_t ox) {
    const ptrdiff_t n = CV_MIN2(VL, j->p.out[2] - ox);
    if (by->divided)
        v = v / (by->fixed ? by->rest : by->rest * CV_(counted)(j, ox));
    if (n == VL)
        CV_(store)(y + ox, v);
    else
        CV_(store_n)(y + ox, v, n);
}

/* ---- plans */

/* Sums and averages: float32, float64 and int64 only. */
CV_INLINE const char *CV_(pool_unfit)(const cv_problem *problem) {
    if (!cv_pool_any_work(&problem->pool))
        return "has no work in an empty pooling";
#if !CV_SUMMED
    if (problem->pool.kind > CV_MIN)
        return "sums float32, float64 and int64 only";
#endif
    return NULL;
}

/* Places are held in lanes as wide as the numbers. */
CV_INLINE int CV_(places_fit)(const cv_pool *p) {
    return CV_BITS == 64 || p->in[0] * p->in[1] * p->in[2] <= INT32_MAX;
}

CV_INLINE CV_(pool_job) *CV_(pool_begin)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_JOB(plan, CV_(pool_job));
    *j = (CV_(pool_job)){
        .p = problem->pool, .places = problem->indices, .threads = problem->threads};
    j->divided = problem->pool.kind == CV_AVG;
    return j;
}

static ptrdiff_t CV_(pool_tables)(const CV_(pool_job) *j) {
    ptrdiff_t bytes = 0;
    for (int a = 0; a < 3; a++) {
        if (j->p.out[a] <= CV_POOL_TABLE)
            bytes += j->p.out[a] * (ptrdiff_t)sizeof(cv_window);
    }
    if (j->divided && j->p.out[2] <= CV_POOL_TABLE)
        bytes += (j->p.out[2] + VL) * (ptrdiff_t)sizeof(T);
    return CV_ROUND64(bytes);
}

/* The end of every plan: work is what it reads. */
static void CV_(pool_end)(CV_(pool_job) *j, double work, cv_plan *plan) {
    j->pieces = cv_pool_cut(work, j->items, &j->threads);
    while (j->threads > 1 && j->threads * j->scratch_each > plan->problem.max_workspace)
        j->threads--;
    plan->threads = j->threads;
    plan->scratch = j->threads * j->scratch_each;
    plan->tables = CV_(pool_tables)(j);
    /* it goes without */
    if (plan->scratch + plan->tables > plan->problem.max_workspace)
        plan->tables = 0;
}

CV_ONCE void CV_(pool_fill)(cv_plan *plan) {
    CV_(pool_job) *j = CV_JOB(plan, CV_(pool_job));
    const cv_pool *p = &j->p;
    cv_window *window = (cv_window *)plan->table;
    for (int a = 0; a < 3; a++) {
        if (p->out[a] > CV_POOL_TABLE)
            continue;
        j->windows[a] = window;
        for (ptrdiff_t o = 0; o < p->out[a]; o++)
            *window++ = cv_window_of(p, a, o);
    }
    if (!j->divided || p->out[2] > CV_POOL_TABLE)
        return;
    T *divide = (T *)window;
    for (ptrdiff_t o = 0; o < p->out[2] + VL; o++)
        divide[o] = o < p->out[2] ? (T)CV_MAX2(1, cv_window_of(p, 2, o).counted) : 1;
    j->divide = divide;
}

static int CV_(pool_start)(const cv_plan *plan, const cv_call *call, cv_task task) {
    CV_(pool_job) j = *CV_JOB(plan, CV_(pool_job));
    j.x = call->x;
    j.y = call->y;
    j.indices = call->indices;
    j.scratch = call->scratch;
    j.frame = call->frame;
    j.value = (T)call->value;
    return cv_parallel(task, &j, j.pieces, j.threads);
}

/* The task of a row, with the kind of pooling as a constant in each of its items. */
#if CV_SUMMED
#define CV_SUMS(call) call
#else
#define CV_SUMS(call) (void)0
#endif
#define CV_POOL_ITEM 1e6 /* what an item counts beside what it counts itself, for Ctrl-C */
#define CV_POOL_ROW(name, item, fits, cost, plan_of)                           \
    static void CV_(name##_task)(void *context, ptrdiff_t unit, int worker) {  \
        const CV_(pool_job) *j = context;                                      \
        char *scratch = j->scratch + worker * j->scratch_each;                 \
        const ptrdiff_t end = cv_part(j->items, j->pieces, unit + 1);          \
        double work = 0;                                                       \
        for (ptrdiff_t i = cv_part(j->items, j->pieces, unit); i < end; i++) { \
            switch (j->p.kind) {                                               \
            case CV_MAX:                                                       \
                item(CV_MAX, j, i, scratch);                                   \
                break;                                                         \
            case CV_MIN:                                                       \
                item(CV_MIN, j, i, scratch);                                   \
                break;                                                         \
            default:                                                           \
                CV_SUMS(item(CV_SUM, j, i, scratch));                          \
            }                                                                  \
            if (cv_stop_after(&work, CV_POOL_ITEM))                            \
                return;                                                        \
        }                                                                      \
    }                                                                          \
    static int CV_(name##_run)(const cv_plan *plan, const cv_call *call) {     \
        return CV_(pool_start)(plan, call, CV_(name##_task));                  \
    }                                                                          \
    CV_ROW(pool_##name) = {fits, cost, plan_of, CV_(pool_fill), NULL, CV_(name##_run)};
#endif
