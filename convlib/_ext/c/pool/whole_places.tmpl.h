/* The window is the plane, and the place of its extreme is wanted: one pass, each lane with a place
 * of its own. */
#ifndef CV_POOL_WHOLE_PLACES
#define CV_POOL_WHOLE_PLACES
#include "job.tmpl.h"

CV_INLINE void CV_(whole_places_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                      char *scratch) {
    (void)scratch;
    const cv_pool *p = &j->p;
    const ptrdiff_t n = item / p->c, c = item % p->c, size = p->in[0] * p->in[1] * p->in[2];
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    const vec start = CV_(set1)(CV_START(kind));
    vec best = start;
    ivec lane = {0};
    for (int i = 0; i < VL; i++)
        lane[i] = i;
    /* a plane of nothing but the lowest value has a place, too: its first */
    ivec at = lane;
    for (ptrdiff_t i = 0; i < size; i += VL) {
        const vec v = i + VL <= size ? CV_(load)(x + i) : CV_(load_or)(x + i, 0, size - i, start);
        const ivec take = (ivec)(kind == CV_MAX ? v > best : v < best) | CV_NAN_LANES(v);
        best = CV_(select)(take, v, best);
        at = (take & lane) | (~take & at);
        lane += VL;
    }
    /* as in order: the last NaN, or else the first of equals */
    T found = best[0];
    ptrdiff_t place = (ptrdiff_t)at[0];
    for (int i = 1; i < VL; i++) {
        const T v = best[i];
        const ptrdiff_t there = (ptrdiff_t)at[i];
        const int nan = CV_IS_NAN(v), before = CV_IS_NAN(found);
        const int earlier = v == found && there < place;
        const int better = kind == CV_MAX ? v > found : v < found;
        if (nan ? !before || there > place : !before && (better || earlier)) {
            found = v;
            place = there;
        }
    }
    const ptrdiff_t target = n * p->ys[0] + c * p->ys[1];
    j->y[target] = found;
    j->indices[target] = place;
}

/* ---- the row */

static const char *CV_(whole_places_fits)(const cv_problem *problem) {
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

static double CV_(whole_places_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)(p->in[0] * p->in[1] * p->in[2] / VL + 1);
    return 300 + (double)p->n * (double)p->c * (vecs * 3 + 4 * VL) / CV_PACE;
}

static void CV_(whole_places_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    j->items = j->p.n * j->p.c;
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(whole_places, CV_(whole_places_item), CV_(whole_places_fits), CV_(whole_places_cost),
            CV_(whole_places_plan))
#endif
