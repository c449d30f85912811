/* Small windows, channels first: one vector of outputs at a time, every tap loaded straight from
 * the image.
 *
 * The rows of a window are joined first, which makes one vector per VL columns; windows of 2 and 3
 * columns then slide over those vectors in registers, wider ones over a row buffer.
 */
#ifndef CV_POOL_WINDOWS
#define CV_POOL_WINDOWS
#include "window_rows.tmpl.h"

#define CV_POOL_LINE 65536 /* elements of a row buffer, at most */

/* Lanes lo .. hi-1 of the columns from ix on of many rows, summed. */
CV_NOINLINE CV_UNUSED vec CV_(sum_rows)(const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t lo,
                                        ptrdiff_t hi) {
    const CV_LANE_SET there = CV_(lane_set)(lo, hi);
    vec sum = {0}, lost = {0};
    for (ptrdiff_t r = 0; r < w->count;) {
        vec part = {0};
        for (const ptrdiff_t end = CV_MIN2(w->count, r + CV_PART); r < end; r++)
            part += CV_(load_set)(w->rows[r] + ix, there);
        CV_(carry)(&sum, &lost, part);
    }
    return sum;
}

/* Columns ix .. ix+VL-1 of the rows, joined; `known`: their number, where it is a constant. */
CV_INLINE vec CV_(joined)(const int kind, const int known, const CV_(window_rows) *w, ptrdiff_t ix,
                          ptrdiff_t in) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t count = known ? known : w->count;
    vec v = start;
    if (kind > CV_MIN && !known && count > CV_PART)
        return CV_(sum_rows)(w, ix, CV_MIN2(VL, -ix), in - ix);
    if (ix >= 0 && ix + VL <= in) {
        CV_UNROLL(3)
        for (ptrdiff_t r = 0; r < count; r++)
            v = r ? CV_(vjoin)(kind, v, CV_(load)(w->rows[r] + ix)) : CV_(load)(w->rows[0] + ix);
        return v;
    }
    const ptrdiff_t lo = CV_MAX2(0, -ix), hi = CV_MIN2(VL, in - ix);
    if (hi <= lo)
        return start;
    for (ptrdiff_t r = 0; r < count; r++)
        v = CV_(vjoin)(kind, v, CV_(load_or)(w->rows[r] + ix, lo, hi, start));
    return v;
}

/* Windows of k = 2 or 3 neighbouring columns, stride 2, in registers.  back: they begin one column
 * before the row, as in 3x3 with padding 1; the column before each is kept from the last vector,
 * and whole vectors lie inside the row. */
CV_INLINE void CV_(slide_row)(const int kind, const int k, const int back, const int known,
                              const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t rest,
                              T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t in = p->in[2];
    ptrdiff_t ix = back ? 0 : -p->lo[2];
    vec first = CV_(joined)(kind, known, w, ix, in),
        second = CV_(joined)(kind, known, w, ix + VL, in);
    vec a = CV_(even)(first, second), odd = CV_(odd)(first, second),
        before = CV_(set1)(CV_START(kind));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        vec next = a, next_odd = odd;
        ix += 2 * VL;
        if ((k == 3 && !back) || ox + VL < p->out[2]) {
            first = CV_(joined)(kind, known, w, ix, in);
            second = CV_(joined)(kind, known, w, ix + VL, in);
            next = CV_(even)(first, second);
            next_odd = CV_(odd)(first, second);
        }
        vec v = back ? CV_(vjoin)(kind, CV_SLIDE(before, odd, VL - 1), a) : a;
        v = CV_(vjoin)(kind, v, odd);
        if (k == 3 && !back)
            v = CV_(vjoin)(kind, v, CV_SLIDE(a, next, 1));
        CV_(put)(kind, j, v, rest, y, ox);
        before = odd;
        a = next;
        odd = next_odd;
    }
}

/* k elements d apart from each of VL elements s apart on. */
CV_INLINE vec CV_(join_line)(const int kind, const int s, const T *from, ptrdiff_t k, ptrdiff_t d) {
    vec sum = {0}, lost = {0}, v;
    for (ptrdiff_t kx = 0; kx < k;) {
        v = CV_(set1)(CV_START(kind));
        for (const ptrdiff_t end = kind > CV_MIN ? CV_MIN2(k, kx + CV_PART) : k; kx < end; kx++) {
            const T *f = from + kx * d;
            v = CV_(vjoin)(kind, v,
                           s == 1 ? CV_(load)(f) : CV_(even)(CV_(load)(f), CV_(load)(f + VL)));
        }
        if (kind <= CV_MIN || k <= CV_PART)
            return v;
        CV_(carry)(&sum, &lost, v);
    }
    return sum;
}

/* Any other window and stride: the joined rows as a line, then the columns from there. */
CV_INLINE void CV_(line_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w,
                             ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t s = p->stride[2], d = p->dil[2], k = p->k[2];
    const ptrdiff_t last = ((p->out[2] + VL - 1) / VL * VL - 1) * s, end = last + (k - 1) * d + 1;
    for (ptrdiff_t c = 0; c < end; c += VL)
        CV_(store)(w->line + c, CV_(joined)(kind, 0, w, c - p->lo[2], p->in[2]));
    if (s <= 2) {
        for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
            const T *from = w->line + ox * s;
            CV_(put)(kind, j,
                     s == 1 ? CV_(join_line)(kind, 1, from, k, d)
                            : CV_(join_line)(kind, 2, from, k, d),
                     rest, y, ox);
        }
        return;
    }
    /* wide strides: every window in place, for whole vectors, then those that are wanted */
    for (ptrdiff_t c = 0; c <= last; c += VL)
        CV_(store)(w->line + c, CV_(join_line)(kind, 1, w->line + c, k, d));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++)
        y[ox] = CV_(finish)(kind, j, w->line[ox * s], rest, ox);
}

/* Windows with places, tap by tap in order.  `at` starts at the window's first position, so that a
 * window of nothing but the lowest value has a place too. */
CV_INLINE vec CV_(load_there)(const T *x, ptrdiff_t lo, ptrdiff_t hi, vec start) {
    lo = CV_MIN2(VL, CV_MAX2(0, lo));
    return CV_(load_or)(x, lo, CV_MAX2(lo, CV_MIN2(VL, hi)), start);
}
CV_INLINE vec CV_(window_places)(const int kind, const int s, const cv_pool *p,
                                 const CV_(window_rows) *w, ptrdiff_t ox, int inside,
                                 ivec *places) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t ix = ox * s - p->lo[2];
    vec best = start;
    ivec at = *places, lane = {0};
    for (int i = 0; i < VL; i++)
        lane[i] = (CV_INT(CV_BITS))(ix + i * s);
    for (ptrdiff_t r = 0; r < w->count; r++) {
        for (ptrdiff_t kx = 0; kx < p->k[2]; kx++) {
            const T *x = w->rows[r] + ix + kx * p->dil[2];
            /* inputs from x[before] on */
            const ptrdiff_t before = -(ix + kx * p->dil[2]), left = p->in[2] + before;
            vec v = inside ? CV_(load)(x) : CV_(load_there)(x, before, left, start);
            if (s == 2)
                v = CV_(even)(v, inside ? CV_(load)(x + VL)
                                        : CV_(load_there)(x + VL, before - VL, left - VL, start));
            const ivec take = (ivec)(kind == CV_MAX ? v > best : v < best) | CV_NAN_LANES(v);
            const ivec here = lane + (CV_INT(CV_BITS))(w->places[r] + kx * p->dil[2]);
            best = CV_(select)(take, v, best);
            at = (take & here) | (~take & at);
        }
    }
    *places = at;
    return best;
}

CV_INLINE void CV_(places_row)(const int kind, const int s, const CV_(pool_job) *j,
                               const CV_(window_rows) *w, T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        const ptrdiff_t n = CV_MIN2(VL, p->out[2] - ox), ix = ox * s - p->lo[2];
        const int inside = ix >= 0 && ix + (p->k[2] - 1) * p->dil[2] + VL * s <= p->in[2];
        CV_INT(CV_BITS) lanes[VL];
        for (ptrdiff_t i = 0; i < VL; i++) {
            lanes[i] = -1;
            if (i >= n || !w->count)
                continue;
            const cv_window wx = CV_(window)(j, 2, ox + i);
            if (wx.first < wx.end)
                lanes[i] = (CV_INT(CV_BITS))(wx.first + w->places[0]);
        }
        ivec at;
        memcpy(&at, lanes, sizeof at);
        CV_(store_n)(y + ox, CV_(window_places)(kind, s, p, w, ox, inside, &at), n);
        memcpy(lanes, &at, sizeof at);
        for (ptrdiff_t i = 0; i < n; i++)
            indices[ox + i] = lanes[i];
        if (cv_stop_after((double)w->count * (double)(p->k[2] * VL)))
            return;
    }
}

CV_INLINE void CV_(window_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w,
                               ptrdiff_t rest, T *y, int64_t *indices) {
    const ptrdiff_t s = j->p.stride[2], k = j->p.dil[2] == 1 ? j->p.k[2] : 0;
    if (indices && s == 1)
        CV_(places_row)(kind, 1, j, w, y, indices);
    else if (indices)
        CV_(places_row)(kind, 2, j, w, y, indices);
    else if (s == 2 && k == 2 && w->count == 2)
        CV_(slide_row)(kind, 2, 0, 2, j, w, rest, y);
    else if (s == 2 && k == 2)
        CV_(slide_row)(kind, 2, 0, 0, j, w, rest, y);
    else if (s == 2 && k == 3 && j->p.lo[2] == 1 && w->count == 3)
        CV_(slide_row)(kind, 3, 1, 3, j, w, rest, y);
    else if (s == 2 && k == 3 && w->count == 3)
        CV_(slide_row)(kind, 3, 0, 3, j, w, rest, y);
    else if (s == 2 && k == 3)
        CV_(slide_row)(kind, 3, 0, 0, j, w, rest, y);
    else
        CV_(line_row)(kind, j, w, rest, y);
}

/* Some rows of outputs of one plane. */
CV_INLINE void CV_(windows_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                 char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t plane = item / j->cuts[1] / p->out[0], n = plane / p->c, c = plane % p->c;
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    const cv_window wz = CV_(window)(j, 0, oz);
    for (ptrdiff_t oy = oy0; oy < CV_MIN2(oy0 + j->step[1], p->out[1]); oy++) {
        const cv_window wy = CV_(window)(j, 1, oy);
        CV_(list_rows)(j, x, wz, wy, &w);
        const ptrdiff_t to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
        CV_(window_row)(kind, j, &w, wz.counted * wy.counted, j->y + to,
                        j->places ? j->indices + to : NULL);
        if (cv_stop_after((double)(w.count + p->k[2]) * (double)(p->out[2] * p->stride[2])))
            return;
    }
}

/* ---- the row */

/* Elements of the row buffer that windows need which do not slide in registers. */
static ptrdiff_t CV_(windows_line)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const int slides = p->dil[2] == 1 && p->k[2] <= 3 && p->k[2] > 1 && p->stride[2] == 2;
    if (problem->indices || slides)
        return 0;
    return (p->out[2] + 2 * VL) * p->stride[2] + p->k[2] * p->dil[2] + 2 * VL;
}

static const char *CV_(windows_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (p->adaptive)
        return "serves windows of one size";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "needs rows whose elements lie side by side";
    if (problem->indices && p->stride[2] > 2)
        return "finds places with stride 1 and 2";
    if (problem->indices && !CV_(places_fit)(p))
        return "has lanes too narrow for places in so large a plane";
    return CV_(windows_line)(problem) <= CV_POOL_LINE ? NULL : "serves rows that fit its buffer";
}

/* Loads for each output; where rows are joined first, those of a row serve all its windows. */
static double CV_(windows_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)((p->out[2] + VL - 1) / VL), kyz = (double)(p->k[0] * p->k[1]),
                 kx = (double)p->k[2];
    const double rows = (double)p->n * (double)p->c * (double)(p->out[0] * p->out[1]);
    const double apart = (double)CV_MIN2(p->stride[2], p->k[2]);
    const double loads = problem->indices ? 3.5 * kyz * kx : (kyz + kx) * apart;
    const double fill = p->stride[2] > 2 && !problem->indices ? (double)VL * 2 : 1;
    return 300 + rows * vecs * (loads * 2.6 + 6 + fill) / CV_PACE + rows * 8;
}

static void CV_(windows_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    CV_(cut_rows)(j, j->p.n * j->p.c, 8);
    j->scratch_each =
        CV_ROUND64(CV_(rows_list)(&j->p) + CV_(windows_line)(problem) * (ptrdiff_t)sizeof(T) + 64);
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(windows, CV_(windows_item), CV_(windows_fits), CV_(windows_cost), CV_(windows_plan))
#endif
