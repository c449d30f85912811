/* Channels last: lanes are channels, one output pixel at a time, windows of any size and adaptive
 * ones, too. */
#ifndef CV_POOL_CHANNELS
#define CV_POOL_CHANNELS
#include "../simd/places.tmpl.h"
#include "window_rows.tmpl.h"

/* Vectors of channels at once: 256 bytes side by side, so that a tap's lines come in a row. */
#define CV_CHANNEL_VECTORS (CV_VB == 64 ? 4 : 8)

/* One window in nv vectors of channels, the last with n lanes; ix0 .. ix1-1 by dil: its columns
 * inside the input. */
CV_INLINE void CV_(channel_vectors)(const int kind, const int nv, const CV_(pool_job) *j,
                                    const CV_(window_rows) *w, ptrdiff_t ix0, ptrdiff_t ix1,
                                    ptrdiff_t c, ptrdiff_t n, T divide, T *y) {
    const cv_pool *p = &j->p;
    const vec start = CV_(set1)(CV_START(kind));
    vec best[CV_CHANNEL_VECTORS], sum[CV_CHANNEL_VECTORS], lost[CV_CHANNEL_VECTORS];
    ptrdiff_t added = 0;
    CV_UNROLL(8)
    for (int i = 0; i < nv; i++) {
        best[i] = start;
        sum[i] = lost[i] = (vec){0};
    }
    for (ptrdiff_t r = 0; r < w->count; r++) {
        for (ptrdiff_t ix = ix0; ix < ix1; ix += p->dil[2]) {
            const T *x = w->rows[r] + ix * p->xs[4] + c;
            CV_UNROLL(8)
            for (int i = 0; i < nv; i++) {
                const vec v = i == nv - 1 ? CV_(load_n)(x + i * VL, n) : CV_(load)(x + i * VL);
                best[i] = CV_(vjoin)(kind, best[i], v);
            }
            if (kind <= CV_MIN || ++added % CV_PART)
                continue;
            CV_UNROLL(8)
            for (int i = 0; i < nv; i++) {
                CV_(carry)(&sum[i], &lost[i], best[i]);
                best[i] = (vec){0};
            }
        }
    }
    CV_UNROLL(8)
    for (int i = 0; i < nv; i++) {
        if (kind > CV_MIN) {
            CV_(carry)(&sum[i], &lost[i], best[i]);
            best[i] = sum[i];
        }
        if (j->divided)
            best[i] = best[i] / CV_(set1)(divide);
        CV_(store_n)(y + c + i * VL, best[i], i == nv - 1 ? n : VL);
    }
}

CV_INLINE void CV_(channel_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w,
                                ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    double work = 0;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4]) {
        const cv_window wx = CV_(window)(j, 2, ox);
        const ptrdiff_t ix0 = wx.first, ix1 = wx.end,
                        counted = CV_MAX2(1, rest) * CV_MAX2(1, wx.counted);
        const T divide = !j->divided ? 1 : p->divisor != 0 ? (T)p->divisor : (T)counted;
        ptrdiff_t c = 0;
        if (CV_CHANNEL_VECTORS > 4) {
            for (; c + CV_CHANNEL_VECTORS * VL <= p->c; c += CV_CHANNEL_VECTORS * VL)
                CV_(channel_vectors)(kind, CV_CHANNEL_VECTORS, j, w, ix0, ix1, c, VL, divide, y);
        }
        for (; c + 4 * VL <= p->c; c += 4 * VL)
            CV_(channel_vectors)(kind, 4, j, w, ix0, ix1, c, VL, divide, y);
        for (; c < p->c; c += VL)
            CV_(channel_vectors)(kind, 1, j, w, ix0, ix1, c, CV_MIN2(VL, p->c - c), divide, y);
        if (cv_stop_after(&work, (double)(w->count * p->k[2]) * (double)p->c))
            return;
    }
}

/* The same with places; extremes are maxima of what has its bits turned. */
CV_INLINE void CV_(channel_places)(const int nv, const CV_(pool_job) *j, const CV_(window_rows) *w,
                                   cv_window wx, ptrdiff_t c, ptrdiff_t n, ivec turn, T *y,
                                   int64_t *indices) {
    const cv_pool *p = &j->p;
    /* a window of nothing but the lowest number has a place, too: its first */
    const ptrdiff_t first = w->count && wx.first < wx.end ? w->places[0] + wx.first : -1;
    CV_(found) best[4], next;
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        best[i].v = CV_(set1)(-(T)INFINITY);
        best[i].at = (ivec){0} + (CV_INT(CV_BITS))first;
    }
    for (ptrdiff_t r = 0; r < w->count; r++) {
        for (ptrdiff_t ix = wx.first; ix < wx.end; ix += p->dil[2]) {
            const T *x = w->rows[r] + ix * p->xs[4] + c;
            next.at = (ivec){0} + (CV_INT(CV_BITS))(w->places[r] + ix);
            CV_UNROLL(4)
            for (int i = 0; i < nv; i++) {
                next.v = i == nv - 1 ? CV_(load_n)(x + i * VL, n) : CV_(load)(x + i * VL);
                next.v = (vec)((ivec)next.v ^ turn);
                best[i] = CV_(found_of)(1, 0, best[i], next);
            }
        }
    }
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const ptrdiff_t lanes = i == nv - 1 ? n : VL;
        CV_(store_n)(y + c + i * VL, (vec)((ivec)best[i].v ^ turn), lanes);
        CV_(store_places)(indices + c + i * VL, best[i].at, lanes);
    }
}

CV_NOINLINE void CV_(channel_row_places)(const CV_(pool_job) *j, const CV_(window_rows) *w, T *y,
                                         int64_t *indices) {
    const cv_pool *p = &j->p;
    const ivec turn = (ivec)CV_(set1)(p->kind == CV_MAX ? (T)0.0 : (T)-0.0);
    double work = 0;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4], indices += p->ys[4]) {
        const cv_window wx = CV_(window)(j, 2, ox);
        ptrdiff_t c = 0;
        for (; c + 4 * VL <= p->c; c += 4 * VL)
            CV_(channel_places)(4, j, w, wx, c, VL, turn, y, indices);
        for (; c < p->c; c += VL)
            CV_(channel_places)(1, j, w, wx, c, CV_MIN2(VL, p->c - c), turn, y, indices);
        if (cv_stop_after(&work, (double)(w->count * p->k[2]) * (double)p->c))
            return;
    }
}

/* Some rows of outputs of one image. */
CV_INLINE void CV_(channels_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                  char *scratch) {
    const CV_(rows_item) at = CV_(rows_item_of)(j, 1, item);
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    for (ptrdiff_t oy = at.oy0; oy < at.oy1; oy++) {
        const cv_window wy = CV_(window)(j, 1, oy);
        const ptrdiff_t to = at.to + oy * j->p.ys[3];
        CV_(list_rows)(j, at.x, at.z, wy, &w);
        if (j->places)
            CV_(channel_row_places)(j, &w, j->y + to, j->indices + to);
        else
            CV_(channel_row)(kind, j, &w, at.z.counted * wy.counted, j->y + to);
    }
}

/* ---- the row */

CV_ONCE const char *CV_(channels_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (p->xs[1] != 1 || p->ys[1] != 1)
        return "serves channels last";
    return problem->indices && !CV_(places_fit)(p)
               ? "has lanes too narrow for places in so large a plane"
               : NULL;
}

CV_ONCE double CV_(channels_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)((p->c + VL - 1) / VL),
                 taps = (double)(p->k[0] * p->k[1]) * (double)p->k[2];
    const double pixels = (double)p->n * (double)(p->out[0] * p->out[1] * p->out[2]);
    return 300 + pixels * vecs * (taps * (problem->indices ? 8.0 : 2.0) + 4) / CV_PACE + pixels * 6;
}

CV_ONCE void CV_(channels_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    CV_(cut_rows)(j, j->p.n, 1);
    j->scratch_each = CV_ROUND64(CV_(rows_list)(&j->p));
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(channels, CV_(channels_item), CV_(channels_fits), CV_(channels_cost),
            CV_(channels_plan))
#endif
