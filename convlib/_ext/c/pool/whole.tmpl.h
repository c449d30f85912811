/* The window is the plane: one pass over it. */
#ifndef CV_POOL_WHOLE
#define CV_POOL_WHOLE
#include "job.tmpl.h"

/* The elements of a plane, joined but for the lanes of one vector: `full` vectors and the lanes
 * `rest`. */
CV_INLINE vec CV_(plane_join)(const int kind, const T *x, ptrdiff_t full, CV_LANE_SET rest) {
    vec acc[8], v = CV_(load_set)(x + full * VL, rest), lost = {0};
    if (kind > CV_MIN) {
        for (; full >= 8 * CV_PART; x += 8 * CV_PART * VL, full -= 8 * CV_PART) {
            CV_UNROLL(8)
            for (int q = 0; q < 8; q++)
                acc[q] = (vec){0};
            for (ptrdiff_t i = 0; i < 8 * CV_PART; i += 8) {
                CV_UNROLL(8)
                for (int q = 0; q < 8; q++)
                    acc[q] += CV_(load)(x + (i + q) * VL);
            }
            CV_UNROLL(3)
            for (int half = 4; half; half /= 2) {
                CV_UNROLL(4)
                for (int q = 0; q < half; q++)
                    acc[q] += acc[q + half];
            }
            CV_(carry)(&v, &lost, acc[0]);
        }
    }
    if (kind <= CV_MIN)
        v = CV_(fill_set)(v, rest, CV_(set1)(CV_START(kind)));
    if (full >= 8) {
        CV_UNROLL(8)
        for (int q = 0; q < 8; q++)
            acc[q] = CV_(load)(x + q * VL);
        for (x += 8 * VL, full -= 8; full >= 8; x += 8 * VL, full -= 8) {
            CV_UNROLL(8)
            for (int q = 0; q < 8; q++)
                acc[q] = CV_(vjoin)(kind, acc[q], CV_(load)(x + q * VL));
        }
        CV_UNROLL(3)
        for (int half = 4; half; half /= 2) {
            CV_UNROLL(4)
            for (int q = 0; q < half; q++)
                acc[q] = CV_(vjoin)(kind, acc[q], acc[q + half]);
        }
        v = CV_(vjoin)(kind, acc[0], v);
    }
    if (full & 4) { /* in pairs: a sum in order would wait for each addition */
        CV_UNROLL(4)
        for (int q = 0; q < 4; q++)
            acc[q] = CV_(load)(x + q * VL);
        v = CV_(vjoin)(kind, v,
                       CV_(vjoin)(kind, CV_(vjoin)(kind, acc[0], acc[1]),
                                  CV_(vjoin)(kind, acc[2], acc[3])));
        x += 4 * VL;
    }
    if (full & 2) {
        v = CV_(vjoin)(kind, v, CV_(vjoin)(kind, CV_(load)(x), CV_(load)(x + VL)));
        x += 2 * VL;
    }
    return full & 1 ? CV_(vjoin)(kind, v, CV_(load)(x)) : v;
}

/* The window is the plane: up to VL planes together, so that their lanes are joined by one
 * transposition. */
CV_INLINE void CV_(whole_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                               char *scratch) {
    (void)scratch;
    const cv_pool *p = &j->p;
    const ptrdiff_t first = item * j->batch, count = CV_MIN2(j->batch, p->n * p->c - first);
    const ptrdiff_t full = p->in[0] * p->in[1] * p->in[2] / VL;
    const CV_LANE_SET rest = CV_(lane_set)(0, p->in[0] * p->in[1] * p->in[2] - full * VL);
    const ptrdiff_t channels = p->c, next = p->xs[1], wrap = p->xs[0] - channels * next;
    const ptrdiff_t to = p->ys[1], to_wrap = p->ys[0] - channels * to;
    const ptrdiff_t n = first / channels, c0 = first % channels;
    const T *x = j->x + n * p->xs[0] + c0 * next;
    T *y = j->y + n * p->ys[0] + c0 * to;
    const double all = (double)p->in[0] * (double)p->in[1] * (double)p->in[2];
    const T by = (T)(p->divisor != 0 ? p->divisor : all);
    vec acc[VL];
    T result[VL];
    ptrdiff_t c = c0;
    for (ptrdiff_t i = 0; i < VL; i++) {
        acc[i] = i < count ? CV_(plane_join)(kind, x, full, rest) : CV_(set1)(0);
        x += next;
        if (++c == channels) {
            c = 0;
            x += wrap;
        }
    }
    CV_UNROLL(4)
    for (int half = VL / 2; half; half /= 2) {
        CV_UNROLL(8)
        for (int i = 0; i < half; i++) /* lane l of the last one: plane l */
            acc[i] = CV_(vjoin)(kind, CV_(zip_low)(acc[i], acc[i + half]),
                                CV_(zip_high)(acc[i], acc[i + half]));
    }
    if (j->divided)
        acc[0] = acc[0] / CV_(set1)(by);
    CV_(store)(result, acc[0]);
    c = c0;
    for (ptrdiff_t i = 0; i < count; i++, y += to) {
        *y = result[i];
        if (++c == channels) {
            c = 0;
            y += to_wrap;
        }
    }
}

/* ---- the row */

CV_ONCE const char *CV_(whole_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (problem->indices || !cv_pool_whole(p))
        return "serves windows that are the plane, without places";
    return cv_pool_unbroken(p) ? NULL : "needs planes without gaps";
}

CV_ONCE double CV_(whole_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)(p->in[0] * p->in[1] * p->in[2] / VL + 1);
    return 300 + (double)p->n * (double)p->c * (vecs * 2.4 + 12) / CV_PACE;
}

CV_ONCE void CV_(whole_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    const ptrdiff_t planes = j->p.n * j->p.c;
    j->batch = CV_MAX2(1, CV_MIN2(VL, planes / (4 * j->threads)));
    j->items = (planes + j->batch - 1) / j->batch;
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(whole, CV_(whole_item), CV_(whole_fits), CV_(whole_cost), CV_(whole_plan))
#endif
