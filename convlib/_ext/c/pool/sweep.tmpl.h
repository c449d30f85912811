/* Pooling of stride 1: a few planes at a time, rows under each other first, then columns, each over
 * whole scratch planes.
 *
 * A plane is copied into scratch with its padding; rows share theirs: what lies right of one row
 * lies left of the next. There the element below is a constant away, so that vectors run over the
 * ends of rows, and what they leave in the padding is never read.  A long window is joined from
 * windows of a few elements.  Planes are taken together, so that what a pass stores has left the
 * store queue before the next one reads it at another alignment.
 *
 * Extremes that need not heed NaN take half the instructions, so the copy looks for NaN.
 */
#ifndef CV_POOL_SWEEP
#define CV_POOL_SWEEP
#include "job.tmpl.h"

#define CV_SWEEP_BATCH (8 * 1024)  /* bytes of small planes taken together */
#define CV_SWEEP_BLOCK (48 * 1024) /* bytes of a padded block of rows */

/* Fill `to` with rows first .. first+rows-1 of a plane (those outside: start), `left` elements of
 * padding before each, and after the last.  Returns whether a NaN is among them. */
CV_INLINE int CV_(sweep_copy)(const int kind, const CV_(pool_job) *j, const T *x, ptrdiff_t first,
                              ptrdiff_t rows, T *to) {
    const cv_pool *p = &j->p;
    const ptrdiff_t width = p->in[2], pitch = j->size[2], gap = pitch - width;
    const vec start = CV_(set1)(CV_START(kind));
    CV_FLAGS bad = {0};
    for (ptrdiff_t i = 0; i < j->lead; i += VL)
        CV_(store)(to + i, start);
    to += j->lead;
    for (ptrdiff_t r = first; r < first + rows; r++, to += pitch) {
        if (r < 0 || r >= p->in[1]) {
            for (ptrdiff_t i = 0; i < pitch; i += VL)
                CV_(store)(to + i, start);
            continue;
        }
        const T *from = x + r * p->xs[3];
        if (width < VL) {
            const vec v = CV_(load_or)(from, 0, width, start);
            bad |= CV_(nans)(v);
            CV_(store)(to, v);
            for (ptrdiff_t i = VL; i < pitch; i += VL)
                CV_(store)(to + i, start);
            continue;
        }
        for (ptrdiff_t i = 0; i < gap; i += VL)
            CV_(store)(to + width + i, start);
        ptrdiff_t i = 0;
        for (; i + VL <= width; i += VL) {
            const vec v = CV_(load)(from + i);
            bad |= CV_(nans)(v);
            CV_(store)(to + i, v);
        }
        if (i < width) {
            const vec v = CV_(load)(from + width - VL);
            bad |= CV_(nans)(v);
            CV_(store)(to + width - VL, v);
        }
    }
    return CV_(any_flag)(bad);
}

/* A function's own copy of its pointers: no store can change them, so they stay in registers. */
typedef struct {
    const T *at[CV_AT_ONCE];
} CV_(sweep_from);
CV_INLINE CV_(sweep_from) CV_(sweep_own)(const int joined, const T *const *from) {
    CV_(sweep_from) own;
    CV_UNROLL(5)
    for (int t = 0; t < joined; t++)
        own.at[t] = from[t];
    return own;
}

/* The vectors at `at` under so many pointers, joined; as a constant, `joined` leaves no loop. */
CV_INLINE vec CV_(sweep_join)(const int kind, const int nan_free, const int joined,
                              const CV_(sweep_from) *from, ptrdiff_t at) {
    vec v = CV_(load)(from->at[0] + at);
    CV_UNROLL(5)
    for (int t = 1; t < joined; t++)
        v = CV_(meet)(kind, nan_free, v, CV_(load)(from->at[t] + at));
    return v;
}

/* n elements of rows that lie under each other. */
CV_INLINE void CV_(sweep_flat_of)(const int kind, const int nan_free, const int joined,
                                  const T *const *from, T *to, ptrdiff_t n) {
    const CV_(sweep_from) own = CV_(sweep_own)(joined, from);
    for (ptrdiff_t i = 0; i < n; i += VL)
        CV_(store)(to + i, CV_(sweep_join)(kind, nan_free, joined, &own, i));
}

/* All rows of windows of a plane, to y: divided, if they are averages. */
CV_INLINE void CV_(sweep_out_of)(const int kind, const int nan_free, const int joined,
                                 const CV_(pool_job) *j, const T *const *from, ptrdiff_t oy,
                                 ptrdiff_t rows, T *y) {
    const ptrdiff_t width = j->p.out[2], pitch = j->size[2], step = j->p.ys[3],
                    n = CV_MIN2(VL, width);
    const int divided = kind > CV_MIN && j->divided;
    const CV_(sweep_from) own = CV_(sweep_own)(joined, from);
    for (ptrdiff_t c = 0; c < width; c += VL) {
        const ptrdiff_t ox = CV_MIN2(c, width - n);
        CV_(divisor) by;
        if (divided)
            by = CV_(divisor_at)(j, ox);
        for (ptrdiff_t r = 0; r < rows; r++) {
            vec v = CV_(sweep_join)(kind, nan_free, joined, &own, r * pitch + ox);
            if (divided) {
                CV_(divide_by)(&by, CV_(window)(j, 1, oy + r).counted);
                v = CV_(quotient)(v, &by);
            }
            CV_(store_n)(y + r * step + ox, v, n);
        }
    }
}

/* With the number of pointers as a constant; integers are rarely pooled so, and take less room. */
#if CV_AT_ONCE != 5
#error "a case for each number of pointers"
#endif
#if CV_FLOAT
#define CV_SWEEP_COUNTS(joined, call) \
    switch (joined) {                 \
    case 1:                           \
        call(1);                      \
        break;                        \
    case 2:                           \
        call(2);                      \
        break;                        \
    case 3:                           \
        call(3);                      \
        break;                        \
    case 4:                           \
        call(4);                      \
        break;                        \
    default:                          \
        call(5);                      \
    }
#else
#define CV_SWEEP_COUNTS(joined, call) call(joined);
#endif
#define CV_FLAT(count) CV_(sweep_flat_of)(kind, nan_free, count, from, to, n)
#define CV_OUT(count) CV_(sweep_out_of)(kind, nan_free, count, j, from, oy, rows, y)
#define CV_SWEEP(how, kind_, nan_free_)                                                         \
    CV_NOINLINE void CV_(sweep_flat_##how)(int joined, const T *const *from, T *to,             \
                                           ptrdiff_t n) {                                       \
        const int kind = kind_, nan_free = nan_free_;                                           \
        CV_SWEEP_COUNTS(joined, CV_FLAT)                                                        \
    }                                                                                           \
    CV_NOINLINE void CV_(sweep_out_##how)(int joined, const CV_(pool_job) *j,                   \
                                          const T *const *from, ptrdiff_t oy, ptrdiff_t rows,   \
                                          T *y) {                                               \
        const int kind = kind_, nan_free = nan_free_;                                           \
        CV_SWEEP_COUNTS(joined, CV_OUT)                                                         \
    }                                                                                           \
    static const CV_(sweep_pair) CV_(sweep_##how) = {CV_(sweep_flat_##how), CV_(sweep_out_##how)};

/* The two passes of one kind of pooling. */
typedef struct {
    void (*flat)(int joined, const T *const *from, T *to, ptrdiff_t n);
    void (*out)(int joined, const CV_(pool_job) *j, const T *const *from, ptrdiff_t oy,
                ptrdiff_t rows, T *y);
} CV_(sweep_pair);
CV_SWEEP(max, CV_MAX, 0)
CV_SWEEP(min, CV_MIN, 0)
#if CV_FLOAT
CV_SWEEP(free_max, CV_MAX, 1)
CV_SWEEP(free_min, CV_MIN, 1)
#endif
#if CV_SUMMED
CV_SWEEP(sum, CV_SUM, 0)
#endif
#undef CV_SWEEP
#undef CV_SWEEP_COUNTS
#undef CV_FLAT
#undef CV_OUT

/* Of a kind; nan: whether a NaN is among the numbers. */
CV_INLINE const CV_(sweep_pair) *CV_(sweep_of)(const int kind, int nan) {
#if CV_FLOAT
    if (!nan && kind <= CV_MIN)
        return kind == CV_MAX ? &CV_(sweep_free_max) : &CV_(sweep_free_min);
#endif
    (void)nan;
#if CV_SUMMED
    if (kind > CV_MIN)
        return &CV_(sweep_sum);
#endif
    return kind == CV_MAX ? &CV_(sweep_max) : &CV_(sweep_min);
}

/* Where a ladder over n elements of `a` finds what it joins last; `parts`: room for windows of a
 * few. */
CV_INLINE void CV_(sweep_parts)(const CV_(sweep_pair) *passes, const cv_ladder *l, const T *a,
                                T *parts, ptrdiff_t n, const T **from) {
    for (int t = 0; t < l->part; t++)
        from[t] = a + t * l->gap;
    if (l->parts)
        passes->flat(l->part, from, parts, n);
    for (int t = 0; t < l->count; t++)
        from[t] = (t < l->parts ? parts : a) + l->at[t];
}

/* The planes of an item, from their copies `a`; `b` and `c`: as much room again. */
static void CV_(sweep_planes)(const CV_(sweep_pair) *passes, const CV_(pool_job) *j,
                              ptrdiff_t first, ptrdiff_t end, ptrdiff_t oy, ptrdiff_t rows,
                              const T *a, T *b, T *c) {
    const cv_pool *p = &j->p;
    const ptrdiff_t inner = j->inner, wide = rows * j->size[2] + j->lead;
    const ptrdiff_t all =
        cv_reach(p, 1, rows) * j->size[2] + j->lead - (j->down.part - 1) * j->down.gap;
    /* columns begin with the padding, rows before it: aligned */
    const ptrdiff_t skip = j->lead - p->lo[2];
    const T *from[CV_AT_ONCE];
    if (p->k[1] > 1) {
        for (ptrdiff_t i = 0; i < end - first; i++) {
            CV_(sweep_parts)(passes, &j->down, a + i * inner, c + i * inner, all, from);
            passes->flat(j->down.count, from, b + i * inner, wide);
        }
        a = b;
    }
    for (ptrdiff_t i = 0; i < end - first; i++) {
        const ptrdiff_t plane = first + i, z = plane % p->out[0], nc = plane / p->out[0];
        T *y = j->y + nc / p->c * p->ys[0] + nc % p->c * p->ys[1] + z * p->ys[2] + oy * p->ys[3];
        CV_(sweep_parts)(passes, &j->along, a + i * inner + skip, c + i * inner,
                         wide - skip, from);
        passes->out(j->along.count, j, from, oy, rows, y);
    }
}

/* One block of rows of `batch` planes. */
CV_INLINE void CV_(sweep_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                               char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy = item % j->cuts[1] * j->step[1], rows = CV_MIN2(j->step[1], p->out[1] - oy);
    const ptrdiff_t first = item / j->cuts[1] * j->batch,
                    end = CV_MIN2(first + j->batch, p->n * p->c * p->out[0]);
    T *a = (T *)scratch, *b = a + j->batch * j->inner, *c = b + j->batch * j->inner;
    int nan = 0;
    for (ptrdiff_t plane = first; plane < end; plane++) {
        const ptrdiff_t z = plane % p->out[0] * p->stride[0], nc = plane / p->out[0];
        const T *x = j->x + nc / p->c * p->xs[0] + nc % p->c * p->xs[1] + z * p->xs[2];
        nan |= CV_(sweep_copy)(kind, j, x, oy - p->lo[1], cv_reach(p, 1, rows),
                               a + (plane - first) * j->inner);
    }
    CV_(sweep_planes)(CV_(sweep_of)(kind, nan), j, first, end, oy, rows, a, b, c);
}

/* ---- the row */

/* Sizes of the blocks of rows; whether sweeping serves. */
static int CV_(sweep_sizes)(CV_(pool_job) *j) {
    const cv_pool *p = &j->p;
    const ptrdiff_t right = (p->out[2] - 1) + (p->k[2] - 1) * p->dil[2] - p->lo[2] - (p->in[2] - 1);
    j->size[2] = (p->in[2] + CV_MAX2(CV_MAX2(0, right), p->lo[2]) + VL - 1) / VL * VL;
    j->down = cv_ladder_of(p->k[1], j->size[2] * p->dil[1], p->kind <= CV_MIN);
    j->along = cv_ladder_of(p->k[2], p->dil[2], p->kind <= CV_MIN);
    if (!j->down.count || !j->along.count)
        return 0;
    const ptrdiff_t row = j->size[2] * (ptrdiff_t)sizeof(T);
    j->step[1] = p->out[1];
    while (j->step[1] > 1 && cv_reach(p, 1, j->step[1]) * row > CV_SWEEP_BLOCK)
        j->step[1] = (j->step[1] + 1) / 2;
    j->size[1] = cv_reach(p, 1, j->step[1]);
    return j->size[1] * row <= 2 * CV_SWEEP_BLOCK;
}

CV_ONCE const char *CV_(sweep_fits)(const cv_problem *problem) {
    CV_(pool_job) j = {.p = problem->pool};
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (problem->indices || j.p.adaptive || j.p.k[0] != 1)
        return "serves windows of one slice and size, without places";
    if (j.p.xs[4] != 1 || j.p.ys[4] != 1)
        return "needs rows whose elements lie side by side";
    if (j.p.stride[1] != 1 || j.p.stride[2] != 1)
        return "serves stride 1";
    return CV_(sweep_sizes)(&j)
               ? NULL
               : "serves windows of 25 elements an axis, over rows that stay in the cache";
}

CV_ONCE double CV_(sweep_cost)(const cv_problem *problem) {
    CV_(pool_job) j = {.p = problem->pool};
    CV_(sweep_sizes)(&j);
    const double vecs = (double)(j.size[2] / VL),
                 blocks = (double)((j.p.out[1] + j.step[1] - 1) / j.step[1]);
    const double joins = (double)(j.down.part + j.down.count + j.along.part + j.along.count);
    const double planes = (double)j.p.n * (double)j.p.c * (double)j.p.out[0];
    return 300 + planes * blocks * (double)j.size[1] * vecs *
                     (6 + 1.6 * joins) / CV_PACE;
}

CV_ONCE void CV_(sweep_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    const cv_pool *p = &j->p;
    const ptrdiff_t size = (ptrdiff_t)sizeof(T), planes = p->n * p->c * p->out[0];
    CV_(sweep_sizes)(j);
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->lead = (p->lo[2] + VL - 1) / VL * VL;
    j->inner = j->lead + j->size[1] * j->size[2] + VL; /* elements of a plane in scratch */
    j->batch = CV_MAX2(1, CV_MIN2(CV_SWEEP_BATCH / (j->inner * size), planes / (12 * j->threads)));
    j->items = (planes + j->batch - 1) / j->batch * j->cuts[1];
    j->scratch_each = CV_ROUND64(3 * j->batch * j->inner * size + 64);
    CV_(pool_end)(j, cv_pool_work(p, 3), plan);
}

CV_POOL_ROW(sweep, CV_(sweep_item), CV_(sweep_fits), CV_(sweep_cost), CV_(sweep_plan))
#endif
