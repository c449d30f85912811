/* Channels last: lanes are channels, one output pixel at a time, windows of any size and adaptive
 * ones, too. */
#ifndef CV_POOL_CHANNELS
#define CV_POOL_CHANNELS
#include "window_rows.tmpl.h"

/* Vectors of channels at once: 256 bytes side by side, so that a tap's lines come in a row. */
#define CV_CHANNEL_VECTORS (CV_VB == 64 ? 4 : 8)

/* One window in nv vectors of channels, the last with n lanes; ix0 .. ix1-1 by dil: its columns
 * inside the input. */
CV_INLINE void CV_(channel_vectors)(const int kind, const int nv, const CV_(pool_job) *j,
                                    const CV_(window_rows) *w, ptrdiff_t ix0, ptrdiff_t ix1,
                                    ptrdiff_t c, ptrdiff_t n, T divide, T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    const vec start = CV_(set1)(CV_START(kind));
    vec best[CV_CHANNEL_VECTORS], sum[CV_CHANNEL_VECTORS], lost[CV_CHANNEL_VECTORS];
    ivec at[CV_CHANNEL_VECTORS];
    ptrdiff_t added = 0;
    const ptrdiff_t none = w->count && ix0 < ix1 ? w->places[0] + ix0 : -1;
    CV_UNROLL(8)
    for (int i = 0; i < nv; i++) {
        best[i] = start;
        sum[i] = lost[i] = (vec){0};
        at[i] = (ivec){0} + (CV_INT(CV_BITS))none;
    }
    for (ptrdiff_t r = 0; r < w->count; r++) {
        for (ptrdiff_t ix = ix0; ix < ix1; ix += p->dil[2]) {
            const T *x = w->rows[r] + ix * p->xs[4] + c;
            CV_UNROLL(8)
            for (int i = 0; i < nv; i++) {
                const vec v = i == nv - 1 ? CV_(load_n)(x + i * VL, n) : CV_(load)(x + i * VL);
                if (indices) {
                    const ivec take =
                        (ivec)(kind == CV_MAX ? v > best[i] : v < best[i]) | CV_NAN_LANES(v);
                    at[i] = (take & ((ivec){0} + (CV_INT(CV_BITS))(w->places[r] + ix))) |
                            (~take & at[i]);
                }
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
        const ptrdiff_t lanes = i == nv - 1 ? n : VL;
        if (kind > CV_MIN) {
            CV_(carry)(&sum[i], &lost[i], best[i]);
            best[i] = sum[i];
        }
        if (j->divided)
            best[i] = best[i] / CV_(set1)(divide);
        CV_(store_n)(y + c + i * VL, best[i], lanes);
        if (indices) {
            for (ptrdiff_t l = 0; l < lanes; l++)
                indices[c + i * VL + l] = at[i][l];
        }
    }
}

CV_INLINE void CV_(channel_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w,
                                ptrdiff_t rest, T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    double work = 0;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4], indices += indices ? p->ys[4] : 0) {
        const cv_window wx = CV_(window)(j, 2, ox);
        const ptrdiff_t ix0 = wx.first, ix1 = wx.end,
                        counted = CV_MAX2(1, rest) * CV_MAX2(1, wx.counted);
        const T divide = !j->divided ? 1 : p->divisor != 0 ? (T)p->divisor : (T)counted;
        ptrdiff_t c = 0;
        if (CV_CHANNEL_VECTORS > 4 && !indices) {
            for (; c + CV_CHANNEL_VECTORS * VL <= p->c; c += CV_CHANNEL_VECTORS * VL)
                CV_(channel_vectors)(kind, CV_CHANNEL_VECTORS, j, w, ix0, ix1, c, VL, divide, y,
                                     NULL);
        }
        for (; c + 4 * VL <= p->c; c += 4 * VL)
            CV_(channel_vectors)(kind, 4, j, w, ix0, ix1, c, VL, divide, y, indices);
        for (; c < p->c; c += VL)
            CV_(channel_vectors)(kind, 1, j, w, ix0, ix1, c, CV_MIN2(VL, p->c - c), divide, y,
                                 indices);
        if (cv_stop_after(&work, (double)(w->count * p->k[2]) * (double)p->c))
            return;
    }
}

/* Some rows of outputs of one image. */
CV_INLINE void CV_(channels_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                  char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t n = item / j->cuts[1] / p->out[0];
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    const cv_window wz = CV_(window)(j, 0, oz);
    for (ptrdiff_t oy = oy0; oy < CV_MIN2(oy0 + j->step[1], p->out[1]); oy++) {
        const cv_window wy = CV_(window)(j, 1, oy);
        CV_(list_rows)(j, j->x + n * p->xs[0], wz, wy, &w);
        const ptrdiff_t to = n * p->ys[0] + oz * p->ys[2] + oy * p->ys[3];
        CV_(channel_row)(kind, j, &w, wz.counted * wy.counted, j->y + to,
                         j->places ? j->indices + to : NULL);
    }
}

/* ---- the row */

static const char *CV_(channels_fits)(const cv_problem *problem) {
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

static double CV_(channels_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)((p->c + VL - 1) / VL),
                 taps = (double)(p->k[0] * p->k[1]) * (double)p->k[2];
    const double pixels = (double)p->n * (double)(p->out[0] * p->out[1] * p->out[2]);
    return 300 + pixels * vecs * (taps * (problem->indices ? 8.0 : 2.0) + 4) / CV_PACE + pixels * 6;
}

static void CV_(channels_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    CV_(cut_rows)(j, j->p.n, 1);
    j->scratch_each = CV_ROUND64(CV_(rows_list)(&j->p));
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(channels, CV_(channels_item), CV_(channels_fits), CV_(channels_cost),
            CV_(channels_plan))
#endif
