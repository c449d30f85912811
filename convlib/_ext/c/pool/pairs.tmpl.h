/* 2x2 windows side by side on short rows. */
#ifndef CV_POOL_PAIRS
#define CV_POOL_PAIRS
#include "job.tmpl.h"

/* Windows of 2 x 2 side by side on short rows, some planes at a time: the pairs of rows are joined
 * into one line, and the line is one long row.  So many rows that what was stored has left the
 * processor's store queue before it is read. */
CV_INLINE void CV_(pairs_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                               char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t width = p->in[2], rows = p->out[1], outs = rows * p->out[2], step = p->xs[3];
    const ptrdiff_t b0 = item * j->batch, b1 = CV_MIN2(b0 + j->batch, p->n * p->c),
                    all = (b1 - b0) * outs;
    const ptrdiff_t last = (width - 1) / VL * VL;
    const CV_LANE_SET rest = CV_(lane_set)(0, width - last);
    const vec by = CV_(set1)((T)(!j->divided ? 1 : p->divisor != 0 ? p->divisor : 4));
    const int divided = j->divided;
    T *to = (T *)scratch, *y = j->y + b0 * outs;
    for (ptrdiff_t b = b0; b < b1; b++) {
        const T *x = j->x + b / p->c * p->xs[0] + b % p->c * p->xs[1];
        for (ptrdiff_t r = 0; r < rows; r++, x += 2 * step, to += width) {
            for (ptrdiff_t i = 0; i < last; i += VL)
                CV_(store)(to + i, CV_(vjoin)(kind, CV_(load)(x + i), CV_(load)(x + step + i)));
            const vec upper = CV_(load_set)(x + last, rest),
                      lower = CV_(load_set)(x + step + last, rest);
            CV_(store)(to + last, CV_(vjoin)(kind, upper, lower));
        }
    }
    for (ptrdiff_t o = 0; o < all; o += VL) {
        const vec a = CV_(load)((T *)scratch + 2 * o), b = CV_(load)((T *)scratch + 2 * o + VL);
        vec v = CV_(in_order)(CV_(vjoin)(kind, CV_(evens)(a, b), CV_(odds)(a, b)));
        if (divided)
            v = v / by;
        if (all - o >= VL)
            CV_(store)(y + o, v);
        else
            CV_(store_n)(y + o, v, all - o);
    }
}

/* ---- the row */

CV_ONCE const char *CV_(pairs_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (problem->indices || p->in[0] != 1 || p->out[0] != 1 || p->k[0] != 1)
        return "serves planes, without places";
    for (int a = 1; a < 3; a++) {
        if (p->k[a] != 2 || p->stride[a] != 2 || p->lo[a] || p->dil[a] != 1 ||
            p->in[a] != 2 * p->out[a])
            return "serves windows of 2x2, stride 2, with nothing padded or left over";
    }
    if (p->in[2] >= 4 * VL || p->in[1] >= 16 * VL)
        return "serves rows too short to fill vectors";
    const ptrdiff_t outs = p->out[1] * p->out[2];
    const int rows = p->xs[4] == 1 && p->ys[4] == 1 && (p->out[1] == 1 || p->ys[3] == p->out[2]);
    return rows && p->ys[1] == outs && (p->n == 1 || p->ys[0] == p->c * outs)
               ? NULL
               : "needs results in one piece";
}

CV_ONCE double CV_(pairs_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double planes = (double)p->n * (double)p->c, rows = (double)p->out[1];
    return 300 + planes * rows *
                     ((double)((p->in[2] + VL - 1) / VL) * 6 + (double)p->out[2] * 8 / VL + 4) /
                     CV_PACE;
}

CV_ONCE void CV_(pairs_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    const cv_pool *p = &j->p;
    const ptrdiff_t plane = p->out[1] * p->in[2];
    j->batch = CV_MAX2(1, 4096 / plane);
    j->items = (p->n * p->c + j->batch - 1) / j->batch;
    j->scratch_each = CV_ROUND64((j->batch * plane + 2 * VL) * (ptrdiff_t)sizeof(T) + 64);
    CV_(pool_end)(j, cv_pool_work(p, 3), plan);
}

CV_POOL_ROW(pairs, CV_(pairs_item), CV_(pairs_fits), CV_(pairs_cost), CV_(pairs_plan))
#endif
