/* Pooling by doubling: windows of 1, 2, 4, … elements by repeated shifts, O(log k) per axis.
 *
 * Doubling pads a plane into scratch; there the shift by a position, a row or a slice is a
 * constant, so one loop over the flat scratch serves every axis, stride, dilation and layout.
 */
#ifndef CV_POOL_DOUBLE
#define CV_POOL_DOUBLE
#include "job.tmpl.h"

#define CV_POOL_BATCH (24 * 1024) /* and of small planes taken together */

/* Places are as wide as the numbers, but not so narrow that few fit. */
#undef CV_PLACE
#if CV_BITS < 32
#define CV_PLACE int32_t
#else
#define CV_PLACE CV_INT(CV_BITS)
#endif

/* a[i] = join(a[i], a[i + shift]) in ascending order: what is read has not been written yet.
 * Writes up to a vector more. */
CV_INLINE void CV_(shift_join)(const int kind, T *a, ptrdiff_t n, ptrdiff_t shift) {
    CV_UNROLL(2)
    for (ptrdiff_t i = 0; i < n; i += VL)
        CV_(store)(a + i, CV_(vjoin)(kind, CV_(load)(a + i), CV_(load)(a + i + shift)));
}
CV_NOINLINE CV_UNUSED void CV_(shift_sum)(T *a, ptrdiff_t n, ptrdiff_t shift) {
    CV_(shift_join)(CV_SUM, a, n, shift);
}
/* The same with places. */
CV_INLINE void CV_(shift_place)(const int kind, T *a, CV_PLACE *at, ptrdiff_t n,
                                ptrdiff_t shift) {
#if CV_BITS >= 32
    for (ptrdiff_t i = 0; i < n; i += VL) {
        const vec u = CV_(load)(a + i), v = CV_(load)(a + i + shift);
        const ivec here = *(const ivecu *)(at + i), there = *(const ivecu *)(at + i + shift);
        /* whatever exists beats padding */
        const ivec take =
            (ivec)(kind == CV_MAX ? v > u : v < u) | CV_NAN_LANES(v) | (ivec)(here < 0);
        CV_(store)(a + i, CV_(select)(take, v, u));
        *(ivecu *)(at + i) = (take & there) | (~take & here);
    }
    return;
#endif
    CV_FORWARD
    for (ptrdiff_t i = 0; i < n; i++) {
        const T u = a[i], v = a[i + shift];
        const int take = CV_(wins)(kind, u, v) | (at[i] < 0); /* whatever exists beats padding */
        a[i] = take ? v : u;
        at[i] = take ? at[i + shift] : at[i];
    }
}

/* Turn every element into the extreme of k elements `shift` apart, by two windows of 2^i that
 * overlap.  n: elements of the scratch. */
CV_INLINE void CV_(widen_of)(const int kind, T *a, CV_PLACE *at, ptrdiff_t n, ptrdiff_t k,
                             ptrdiff_t shift) {
    for (ptrdiff_t w = 1; w < k; w = CV_MIN2(2 * w, k)) {
        const ptrdiff_t step = CV_MIN2(w, k - w) * shift;
        if (at)
            CV_(shift_place)(kind, a, at, n - step, step);
        else
            CV_(shift_join)(kind, a, n - step, step);
    }
}
/* The same with sums: windows of 2^i side by side, one for each bit of k; `sum` collects them. */
CV_INLINE CV_UNUSED void CV_(widen_sums)(T *a, T *sum, ptrdiff_t n, ptrdiff_t k, ptrdiff_t shift) {
    ptrdiff_t done = 0, w = 1;
    for (; 2 * w <= k; w *= 2) {
        if (k & w) {
            const ptrdiff_t from = done * shift;
            if (!done) {
                memcpy(sum, a, (size_t)n * sizeof(T));
            } else {
                CV_FORWARD
                for (ptrdiff_t i = 0; i < n - from; i++)
                    sum[i] = (T)(sum[i] + a[i + from]);
            }
            done += w;
        }
        CV_(shift_sum)(a, n - w * shift, w * shift);
    }
    if (done) {
        CV_FORWARD
        for (ptrdiff_t i = 0; i < n - done * shift; i++)
            a[i] = (T)(sum[i] + a[i + done * shift]);
    }
}

/* The input under a block of outputs, `live` channels of j->inner side by side, into padded
 * scratch; `at`: its positions, -1 outside. from: position of the scratch's first element in the
 * input (D, H, W). */
static void CV_(pad_block)(const CV_(pool_job) *j, const T *x, ptrdiff_t live,
                           const ptrdiff_t *from, T *a, CV_PLACE *at) {
    const cv_pool *p = &j->p;
    const ptrdiff_t inner = j->inner, total = j->size[0] * j->size[1] * j->size[2] * inner;
    const T start = CV_START(p->kind);
    for (ptrdiff_t i = 0; i < total + VL; i++)
        a[i] = start;
    if (at)
        memset(at, -1, (size_t)total * sizeof *at);
    const ptrdiff_t w0 = CV_MAX2(0, -from[2]), w1 = CV_MIN2(j->size[2], p->in[2] - from[2]);
    for (ptrdiff_t z = CV_MAX2(0, -from[0]); z < CV_MIN2(j->size[0], p->in[0] - from[0]); z++) {
        for (ptrdiff_t r = CV_MAX2(0, -from[1]); r < CV_MIN2(j->size[1], p->in[1] - from[1]); r++) {
            const ptrdiff_t dst = (z * j->size[1] + r) * j->size[2] * inner;
            const T *src =
                x + (z + from[0]) * p->xs[2] + (r + from[1]) * p->xs[3] + from[2] * p->xs[4];
            if (inner == 1 && p->xs[4] == 1 && w1 > w0) {
                memcpy(a + dst + w0, src + w0, (size_t)(w1 - w0) * sizeof(T));
            } else {
                for (ptrdiff_t c = w0; c < w1; c++) {
                    for (ptrdiff_t i = 0; i < live; i++)
                        a[dst + c * inner + i] = src[c * p->xs[4] + i * p->xs[1]];
                }
            }
            if (!at)
                continue;
            const ptrdiff_t place = ((z + from[0]) * p->in[1] + r + from[1]) * p->in[2] + from[2];
            for (ptrdiff_t c = w0; c < w1; c++) {
                for (ptrdiff_t i = 0; i < live; i++)
                    at[dst + c * inner + i] = (CV_PLACE)(place + c);
            }
        }
    }
}

/* The outputs of a block, from scratch that holds the whole windows. */
static void CV_(collect)(const CV_(pool_job) *j, const T *a, const CV_PLACE *at, ptrdiff_t live,
                         const ptrdiff_t *o, ptrdiff_t to) {
    const int kind = CV_SUMMED ? CV_AVG : CV_MAX; /* `divided` says which of them */
    const cv_pool *p = &j->p;
    const ptrdiff_t inner = j->inner;
    ptrdiff_t end[3];
    for (int i = 0; i < 3; i++)
        end[i] = CV_MIN2(o[i] + j->step[i], p->out[i]);
    for (ptrdiff_t oz = o[0]; oz < end[0]; oz++) {
        for (ptrdiff_t oy = o[1]; oy < end[1]; oy++) {
            const ptrdiff_t rest = CV_(window)(j, 0, oz).counted * CV_(window)(j, 1, oy).counted;
            const ptrdiff_t row =
                ((oz - o[0]) * p->stride[0] * j->size[1] + (oy - o[1]) * p->stride[1]) * j->size[2];
            const ptrdiff_t dst = to + oz * p->ys[2] + oy * p->ys[3];
            if (inner == 1 && p->stride[2] == 1 && p->ys[4] == 1 && !at && !j->divided) {
                memcpy(j->y + dst + o[2], a + row, (size_t)(end[2] - o[2]) * sizeof(T));
                continue;
            }
            for (ptrdiff_t ox = o[2]; ox < end[2]; ox++) {
                for (ptrdiff_t i = 0; i < live; i++) {
                    const ptrdiff_t s = (row + (ox - o[2]) * p->stride[2]) * inner + i;
                    const ptrdiff_t d = dst + ox * p->ys[4] + i * p->ys[1];
                    j->y[d] = CV_(finish)(kind, j, a[s], rest, ox);
                    if (at)
                        j->indices[d] = at[s];
                }
            }
        }
    }
}

/* One block of outputs of `batch` planes (or blocks of channels): so many that a pass has left the
 * processor's store queue before the next one reads what it wrote. */
CV_NOINLINE void CV_(double_item)(int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                  char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t cut = item % (j->cuts[0] * j->cuts[1] * j->cuts[2]),
                    b0 = item / (j->cuts[0] * j->cuts[1] * j->cuts[2]) * j->batch;
    const ptrdiff_t b1 = CV_MIN2(b0 + j->batch, p->n * j->blocks),
                    size = j->size[0] * j->size[1] * j->size[2] * j->inner;
    const ptrdiff_t o[3] = {cut / j->cuts[2] / j->cuts[1] * j->step[0],
                            cut / j->cuts[2] % j->cuts[1] * j->step[1],
                            cut % j->cuts[2] * j->step[2]};
    ptrdiff_t from[3];
    for (int i = 0; i < 3; i++)
        from[i] = o[i] * p->stride[i] - p->lo[i];
    T *a = (T *)scratch, *sum = a + size * j->batch + VL;
    CV_PLACE *at =
        j->indices
            ? (CV_PLACE *)(scratch + ((size * j->batch + VL) * (ptrdiff_t)sizeof(T) + 7) / 8 * 8)
            : NULL;
    for (ptrdiff_t b = b0; b < b1; b++) {
        const ptrdiff_t c = b % j->blocks * j->inner;
        CV_(pad_block)(j, j->x + b / j->blocks * p->xs[0] + c * p->xs[1],
                       CV_MIN2(j->inner, p->c - c), from, a + (b - b0) * size,
                       at ? at + (b - b0) * size : NULL);
    }
    (void)sum; /* integers have no sums here */
    ptrdiff_t shift = j->inner; /* along W first: of equals, the first row's first */
    double work = 0;
    for (int axis = 2; axis >= 0; shift *= j->size[axis], axis--) {
        const ptrdiff_t n = size * (b1 - b0), k = p->k[axis], by = shift * p->dil[axis];
        if (kind == CV_MAX)
            CV_(widen_of)(CV_MAX, a, at, n, k, by);
        else if (kind == CV_MIN)
            CV_(widen_of)(CV_MIN, a, at, n, k, by);
        else
            CV_SUMS(CV_(widen_sums)(a, sum, n, k, by));
        if (cv_stop_after(&work, 8 * (double)(size * (b1 - b0))))
            return;
    }
    for (ptrdiff_t b = b0; b < b1; b++) {
        const ptrdiff_t c = b % j->blocks * j->inner;
        CV_(collect)(j, a + (b - b0) * size, at ? at + (b - b0) * size : NULL,
                     CV_MIN2(j->inner, p->c - c), o, b / j->blocks * p->ys[0] + c * p->ys[1]);
    }
}

/* ---- the row */

CV_ONCE const char *CV_(double_fits)(const cv_problem *problem) {
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit || problem->pool.adaptive)
        return unfit ? unfit : "serves windows of one size";
    return problem->indices && !CV_(places_fit)(&problem->pool)
               ? "has lanes too narrow for places in so large a plane"
               : NULL;
}

/* Elements of all items; items of large windows share most of them. */
CV_ONCE double CV_(double_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    ptrdiff_t size[3], step[3], cuts[3], inner;
    const ptrdiff_t each =
        cv_double_sizes(problem, (ptrdiff_t)sizeof(T), size, step, cuts, &inner);
    const double items = (double)p->n * (double)((p->c + inner - 1) / inner * cuts[0]) *
                         (double)(cuts[1] * cuts[2]);
    const double elements = (double)each * items;
    const double outs =
        (double)p->n * (double)p->c * (double)p->out[0] * (double)p->out[1] * (double)p->out[2];
    const double sums = p->kind > CV_MIN ? 6 : 1, vector = (double)sizeof(T) / CV_VB;
    /* places of narrow numbers: one by one, unless masks hold what is taken */
    const double join = problem->indices ? (CV_BITS < 32 ? 12 : 8) : 1.6;
    const int alone = problem->indices && CV_BITS < 32 && !CV_CHEAP_MASKS;
    const double pass = alone ? 0.9 : join * vector / CV_PACE;
    return 600 + items * 30 + outs +
           elements * (0.4 + 1.6 * pass * (3 + sums * cv_pool_passes(p)));
}

CV_ONCE void CV_(double_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    const cv_pool *p = &j->p;
    const ptrdiff_t size = (ptrdiff_t)sizeof(T),
                    total =
                        cv_double_sizes(problem, size, j->size, j->step, j->cuts, &j->inner);
    j->blocks = (p->c + j->inner - 1) / j->inner;
    const ptrdiff_t planes = p->n * j->blocks, cuts = j->cuts[0] * j->cuts[1] * j->cuts[2];
    j->batch = CV_MAX2(
        1, CV_MIN2(CV_MIN2(planes, CV_POOL_BATCH / (total * size)), planes / (12 * j->threads)));
    j->items = (planes + j->batch - 1) / j->batch * cuts;
    const ptrdiff_t each =
        j->places ? (ptrdiff_t)sizeof(CV_PLACE) : p->kind > CV_MIN ? size : 0;
    j->scratch_each = CV_ROUND64((total * j->batch + VL) * (size + each) + 64);
    CV_(pool_end)(j, cv_pool_work(p, 8), plan);
}

CV_POOL_ROW(double, CV_(double_item), CV_(double_fits), CV_(double_cost), CV_(double_plan))
#endif
