/* The window is the plane, and the place of its extreme is wanted: one pass, each lane with a place
 * of its own. */
#ifndef CV_POOL_WHOLE_PLACES
#define CV_POOL_WHOLE_PLACES
#include "../simd/places.tmpl.h"
#include "job.tmpl.h"

static void CV_(whole_places_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                   char *scratch) {
    (void)scratch;
    const cv_pool *p = &j->p;
    const ptrdiff_t n = item / p->c, c = item % p->c, size = p->in[0] * p->in[1] * p->in[2];
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    /* minima are maxima of what has its bits turned */
    const ivec turn = (ivec)CV_(set1)(kind == CV_MAX ? (T)0.0 : (T)-0.0);
    const vec lowest = CV_(set1)(-(T)INFINITY);
    CV_(found) best = {.v = lowest}, next;
    for (int i = 0; i < VL; i++)
        best.at[i] = i;
    next.at = best.at; /* a plane of nothing but the lowest number has a place, too: its first */
    for (ptrdiff_t i = 0; i < size; i += VL) {
        next.v = i + VL <= size
                     ? CV_(load)(x + i)
                     : CV_(load_or)(x + i, 0, size - i, (vec)((ivec)lowest ^ turn));
        next.v = (vec)((ivec)next.v ^ turn);
        best = CV_(found_of)(1, 0, best, next);
        next.at += VL;
    }
    /* as in order: the last NaN, or else the first of equals */
    int first = 0;
    for (int i = 1; i < VL; i++) {
        const T a = best.v[first], b = best.v[i];
        const int later = best.at[i] > best.at[first], nan = b != b, before = a != a;
        if (nan ? !before || later : !before && (b > a || (b == a && !later)))
            first = i;
    }
    const ptrdiff_t to = n * p->ys[0] + c * p->ys[1];
    j->y[to] = kind == CV_MAX ? best.v[first] : -best.v[first];
    j->indices[to] = best.at[first];
}

/* ---- the row */

CV_ONCE const char *CV_(whole_places_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (!problem->indices || !cv_pool_whole(p))
        return "finds the place in windows that are the plane";
    if (!CV_(places_fit)(p))
        return "has lanes too narrow for places in so large a plane";
    return cv_pool_unbroken(p) ? NULL : "needs planes without gaps";
}

CV_ONCE double CV_(whole_places_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)(p->in[0] * p->in[1] * p->in[2] / VL + 1);
    return 300 + (double)p->n * (double)p->c * (vecs * 3 + 4 * VL) / CV_PACE;
}

CV_ONCE void CV_(whole_places_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    j->items = j->p.n * j->p.c;
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(whole_places, CV_(whole_places_item), CV_(whole_places_fits), CV_(whole_places_cost),
            CV_(whole_places_plan))
#endif
