/* Channels last: lanes are channels, one output pixel at a time, windows of any size and adaptive
 * ones, too. */
#ifndef CV_POOL_CHANNELS
#define CV_POOL_CHANNELS
#include "../simd/places.tmpl.h"
#include "window_rows.tmpl.h"

/* Vectors of channels at once: 256 bytes side by side, so that a tap's lines come in a row. */
#define CV_CHANNEL_VECTORS (CV_VB == 64 ? 4 : 8)
/* Taps that go over the channels together, in windows of so many bytes, of which few fit a cache of
 * the first level; sums of so many taps by eights need not carry what an addition lost. */
#define CV_CHANNEL_TAPS 8
#define CV_CHANNEL_BYTES (192 << 10)
#define CV_CHANNEL_MANY 256
#define CV_CHANNEL_WORK 3e5 /* elements that are cut along channels */

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

/* What `taps` pixels, `step` apart, add to channels c .. c+nv*VL-1 of a window, the last vector of
 * n lanes.  first: they begin the window; divide: by which it ends, or 0. */
CV_INLINE void CV_(channel_taps)(const int kind, const int nv, const T *x, ptrdiff_t step,
                                 ptrdiff_t taps, ptrdiff_t c, ptrdiff_t n, int first, T divide,
                                 T *y) {
    vec v[4];
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++)
        v[i] = CV_(load_n)(x + c + i * VL, i == nv - 1 ? n : VL);
    for (ptrdiff_t t = 1; t < taps; t++) {
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++)
            v[i] = CV_(vjoin)(kind, v[i],
                              CV_(load_n)(x + t * step + c + i * VL, i == nv - 1 ? n : VL));
    }
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const ptrdiff_t lanes = i == nv - 1 ? n : VL;
        if (!first)
            v[i] = CV_(vjoin)(kind, CV_(load_n)(y + c + i * VL, lanes), v[i]);
        if (divide != 0)
            v[i] = v[i] / CV_(set1)(divide);
        CV_(store_n)(y + c + i * VL, v[i], lanes);
    }
}

/* Channels c0 .. c1-1 of one window, a few taps at a time, which are read from end to end: where
 * pixels lie a power of two apart, their lines have too few places in a cache to be met again. */
CV_INLINE void CV_(channel_sweep)(const int kind, const CV_(pool_job) *j,
                                  const CV_(window_rows) *w, ptrdiff_t ix0, ptrdiff_t ix1,
                                  ptrdiff_t c0, ptrdiff_t c1, T divide, T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t step = p->dil[2] * p->xs[4], all = (ix1 - ix0 + p->dil[2] - 1) / p->dil[2];
    for (ptrdiff_t r = 0; r < w->count; r++) {
        for (ptrdiff_t at = 0; at < all; at += CV_CHANNEL_TAPS) {
            const T *x = w->rows[r] + ix0 * p->xs[4] + at * step;
            const ptrdiff_t taps = CV_MIN2(CV_CHANNEL_TAPS, all - at);
            const int first = !r && !at, last = r == w->count - 1 && at + taps == all;
            const T by = last && kind > CV_MIN && j->divided ? divide : 0;
            ptrdiff_t c = c0;
            for (; c + 4 * VL <= c1; c += 4 * VL)
                CV_(channel_taps)(kind, 4, x, step, taps, c, VL, first, by, y);
            for (; c < c1; c += VL)
                CV_(channel_taps)(kind, 1, x, step, taps, c, CV_MIN2(VL, c1 - c), first, by, y);
        }
    }
}

/* Channels c0 .. c1-1 of a row of windows. */
CV_INLINE void CV_(channel_row)(const int kind, const int swept, const CV_(pool_job) *j,
                                const CV_(window_rows) *w, ptrdiff_t c0, ptrdiff_t c1,
                                ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    double work = 0;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4]) {
        const cv_window wx = CV_(window)(j, 2, ox);
        const ptrdiff_t ix0 = wx.first, ix1 = wx.end,
                        counted = CV_MAX2(1, rest) * CV_MAX2(1, wx.counted);
        const T divide = !j->divided ? 1 : p->divisor != 0 ? (T)p->divisor : (T)counted;
        if (swept) {
            CV_(channel_sweep)(kind, j, w, ix0, ix1, c0, c1, divide, y);
        } else {
            ptrdiff_t c = c0;
            for (; CV_CHANNEL_VECTORS > 4 && c + 8 * VL <= c1; c += 8 * VL)
                CV_(channel_vectors)(kind, CV_CHANNEL_VECTORS, j, w, ix0, ix1, c, VL, divide, y);
            for (; c + 4 * VL <= c1; c += 4 * VL)
                CV_(channel_vectors)(kind, 4, j, w, ix0, ix1, c, VL, divide, y);
            for (; c < c1; c += VL)
                CV_(channel_vectors)(kind, 1, j, w, ix0, ix1, c, CV_MIN2(VL, c1 - c), divide, y);
        }
        if (cv_stop_after(&work, (double)(w->count * p->k[2]) * (double)(c1 - c0)))
            return;
    }
}

/* Large windows apart, so that what small ones need keeps its registers. */
CV_NOINLINE void CV_(swept_row)(const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t c0,
                                ptrdiff_t c1, ptrdiff_t rest, T *y) {
    if (j->p.kind == CV_MAX)
        CV_(channel_row)(CV_MAX, 1, j, w, c0, c1, rest, y);
    else if (j->p.kind == CV_MIN)
        CV_(channel_row)(CV_MIN, 1, j, w, c0, c1, rest, y);
    else
        CV_(channel_row)(CV_SUM, 1, j, w, c0, c1, rest, y);
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

CV_NOINLINE void CV_(channel_row_places)(const CV_(pool_job) *j, const CV_(window_rows) *w,
                                         ptrdiff_t c0, ptrdiff_t c1, T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    const ivec turn = (ivec)CV_(set1)(p->kind == CV_MAX ? (T)0.0 : (T)-0.0);
    double work = 0;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4], indices += p->ys[4]) {
        const cv_window wx = CV_(window)(j, 2, ox);
        ptrdiff_t c = c0;
        for (; c + 4 * VL <= c1; c += 4 * VL)
            CV_(channel_places)(4, j, w, wx, c, VL, turn, y, indices);
        for (; c < c1; c += VL)
            CV_(channel_places)(1, j, w, wx, c, CV_MIN2(VL, c1 - c), turn, y, indices);
        if (cv_stop_after(&work, (double)(w->count * p->k[2]) * (double)(c1 - c0)))
            return;
    }
}

/* Some rows of outputs of one image, and some of its channels. */
CV_INLINE void CV_(channels_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                  char *scratch) {
    const CV_(rows_item) at = CV_(rows_item_of)(j, 1, item / j->blocks);
    const ptrdiff_t c0 = item % j->blocks * j->inner, c1 = CV_MIN2(c0 + j->inner, j->p.c);
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    for (ptrdiff_t oy = at.oy0; oy < at.oy1; oy++) {
        const cv_window wy = CV_(window)(j, 1, oy);
        const ptrdiff_t to = at.to + oy * j->p.ys[3];
        CV_(list_rows)(j, at.x, at.z, wy, &w);
        const double taps = (double)w.count * (double)j->p.k[2];
        const int swept = taps * (double)j->p.c * (double)sizeof(T) > CV_CHANNEL_BYTES &&
                          (kind <= CV_MIN || taps <= CV_CHANNEL_MANY);
        if (j->places)
            CV_(channel_row_places)(j, &w, c0, c1, j->y + to, j->indices + to);
        else if (swept)
            CV_(swept_row)(j, &w, c0, c1, at.z.counted * wy.counted, j->y + to);
        else
            CV_(channel_row)(kind, 0, j, &w, c0, c1, at.z.counted * wy.counted, j->y + to);
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
    /* few rows are cut along the channels, too, so that there is work for all threads, if it takes
     * longer than to wake one that sleeps */
    const double work = cv_pool_work(&j->p, 3);
    const ptrdiff_t wide = CV_CHANNEL_VECTORS * VL,
                    wanted = work < CV_CHANNEL_WORK ? 1 : 4 * j->threads / j->items,
                    cuts = CV_MAX2(1, CV_MIN2(wanted, j->p.c / wide));
    j->inner = (j->p.c / cuts + wide - 1) / wide * wide;
    j->blocks = (j->p.c + j->inner - 1) / j->inner;
    j->items *= j->blocks;
    j->scratch_each = CV_ROUND64(CV_(rows_list)(&j->p));
    CV_(pool_end)(j, work, plan);
}

CV_POOL_ROW(channels, CV_(channels_item), CV_(channels_fits), CV_(channels_cost),
            CV_(channels_plan))
#endif
