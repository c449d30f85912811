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
#define CV_POOL_FAR (1 << 21) /* elements that come from memory, not from a cache */

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

/* Columns ix .. ix+VL-1 of the rows, joined, where a row of `in` columns begins or ends. */
CV_INLINE vec CV_(edge_of)(const int kind, const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    const ptrdiff_t lo = CV_MAX2(0, -ix), hi = CV_MIN2(VL, in - ix);
    const vec start = CV_(set1)(CV_START(kind));
    vec v = start;
    for (ptrdiff_t r = 0; lo < hi && r < w->count; r++)
        v = CV_(vjoin)(kind, v, CV_(load_or)(w->rows[r] + ix, lo, hi, start));
    return v;
}
#if CV_CHEAP_MASKS
#define CV_EDGE CV_INLINE
#else /* where a call is little beside what it does */
#define CV_EDGE CV_NOINLINE
#endif
CV_EDGE vec CV_(edge_max)(const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    return CV_(edge_of)(CV_MAX, w, ix, in);
}
CV_EDGE vec CV_(edge_min)(const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    return CV_(edge_of)(CV_MIN, w, ix, in);
}
CV_EDGE vec CV_(edge_sum)(const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    return CV_(edge_of)(CV_SUM, w, ix, in);
}
#undef CV_EDGE
CV_INLINE vec CV_(edge)(const int kind, const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    return kind == CV_MAX   ? CV_(edge_max)(w, ix, in)
           : kind == CV_MIN ? CV_(edge_min)(w, ix, in)
                            : CV_(edge_sum)(w, ix, in);
}

/* The same anywhere; `known`: the number of rows, where it is a constant.
 * nan_free: as if there were no NaN; bad: where there was one. */
CV_INLINE vec CV_(joined)(const int kind, const int nan_free, const int known,
                          const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in, CV_FLAGS *bad) {
    const ptrdiff_t count = known ? known : w->count;
    vec v = CV_(set1)(CV_START(kind));
    if (kind > CV_MIN && !known && count > CV_PART)
        return CV_(sum_rows)(w, ix, CV_MIN2(VL, -ix), in - ix);
    if (ix >= 0 && ix + VL <= in) {
        CV_UNROLL(3)
        for (ptrdiff_t r = 0; r < count; r++) {
            const vec row = CV_(load)(w->rows[r] + ix);
            if (nan_free && kind <= CV_MIN)
                *bad |= CV_(nans)(row);
            v = r ? CV_(meet)(kind, nan_free, v, row) : row;
        }
        return v;
    }
    v = CV_(edge)(kind, w, ix, in);
    if (nan_free && kind <= CV_MIN)
        *bad |= CV_(nans)(v);
    return v;
}

/* Windows of 2x2, stride 2, that begin in the first column, and fill a vector; returns whether a
 * nan_free row met a NaN.  The last vector computes some again, but is whole.  ask: for the rows of
 * the windows below, as rows are too short for the processor to foresee them. */
CV_INLINE int CV_(pair_row)(const int kind, const int nan_free, int ask, const CV_(pool_job) *j,
                            const CV_(window_rows) *w, ptrdiff_t rest, T *y) {
    const ptrdiff_t last = j->p.out[2] - VL, below = 2 * j->p.xs[3];
    const CV_(row_divisor) by = CV_(divisor_of_row)(kind, j, rest);
    CV_FLAGS bad = {0};
    for (ptrdiff_t ox = 0;; ox = CV_MIN2(ox + VL, last)) {
        const T *upper = w->rows[0] + 2 * ox, *lower = w->rows[1] + 2 * ox;
        vec v[2];
        for (ptrdiff_t c = 0; ask && c < 2 * VL; c += 64 / (ptrdiff_t)sizeof(T)) {
            __builtin_prefetch(upper + c + below);
            __builtin_prefetch(lower + c + below);
        }
        CV_UNROLL(2)
        for (int i = 0; i < 2; i++) {
            const vec a = CV_(load)(upper + i * VL), b = CV_(load)(lower + i * VL);
            if (nan_free && kind <= CV_MIN)
                bad |= CV_(nans_of)(a, b);
            v[i] = CV_(meet)(kind, nan_free, a, b);
        }
        CV_(put)(j,
                 CV_(in_order)(CV_(meet)(kind, nan_free, CV_(evens)(v[0], v[1]),
                                         CV_(odds)(v[0], v[1]))),
                 &by, y, ox);
        if (ox == last)
            return CV_(any_flag)(bad);
    }
}

/* Windows of k = 2 or 3 neighbouring columns, stride 2, in registers; returns whether a nan_free
 * row met a NaN.  back: they begin one column before the row, as in 3x3 with padding 1; the column
 * before each is kept from the last vector, and whole vectors lie inside the row. */
CV_INLINE int CV_(slide_row)(const int kind, const int nan_free, const int k, const int back,
                             const int known, const CV_(pool_job) *j, const CV_(window_rows) *w,
                             ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t in = p->in[2];
    const vec start = CV_(set1)(CV_START(kind));
    const CV_(row_divisor) by = CV_(divisor_of_row)(kind, j, rest);
    CV_FLAGS bad = {0};
    vec a = start, odd = start, before = start;
    ptrdiff_t ix = back ? 0 : -p->lo[2];
    for (ptrdiff_t ox = -VL; ox < p->out[2]; ox += VL, ix += 2 * VL) { /* the first only loads */
        vec next = a, next_odd = odd;
        if ((k == 3 && !back) || ox + VL < p->out[2]) {
            const vec first = CV_(joined)(kind, nan_free, known, w, ix, in, &bad),
                      second = CV_(joined)(kind, nan_free, known, w, ix + VL, in, &bad);
            next = CV_(even)(first, second);
            next_odd = CV_(odd)(first, second);
        }
        if (ox >= 0) {
            vec v = back ? CV_(meet)(kind, nan_free, CV_SLIDE(before, odd, VL - 1), a) : a;
            v = CV_(meet)(kind, nan_free, v, odd);
            if (k == 3 && !back)
                v = CV_(meet)(kind, nan_free, v, CV_SLIDE(a, next, 1));
            CV_(put)(j, v, &by, y, ox);
        }
        before = odd;
        a = next;
        odd = next_odd;
    }
    return CV_(any_flag)(bad);
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
    const ptrdiff_t d = p->dil[2];
    ptrdiff_t s = p->stride[2], k = p->k[2];
    while (d == 1 && s > 2 && s % 2 == 0 && k % 2 == 0) { /* what pairs of columns will leave */
        s /= 2;
        k /= 2;
    }
    const ptrdiff_t outs = s > 2 ? p->out[2] : (p->out[2] + VL - 1) / VL * VL;
    s = p->stride[2];
    k = p->k[2];
    ptrdiff_t end = (outs - 1) * s + (k - 1) * d + 1;
    for (ptrdiff_t c = 0; c < end; c += VL)
        CV_(store)(w->line + c, CV_(joined)(kind, 0, 0, w, c - p->lo[2], p->in[2], NULL));
    /* pairs of columns in place of columns: half as many */
    for (; s > 2 && s % 2 == 0 && k % 2 == 0 && d == 1; s /= 2, k /= 2, end = (end + 1) / 2) {
        for (ptrdiff_t c = 0; 2 * c < end; c += VL) {
            const vec a = CV_(load)(w->line + 2 * c), b = CV_(load)(w->line + 2 * c + VL);
            const vec v = CV_(vjoin)(kind, CV_(evens)(a, b), CV_(odds)(a, b));
            CV_(store)(w->line + c, CV_(in_order)(v));
        }
    }
    const ptrdiff_t last = (outs - 1) * s;
    if (s <= 2) {
        const CV_(row_divisor) by = CV_(divisor_of_row)(kind, j, rest);
        for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
            const T *from = w->line + ox * s;
            CV_(put)(j,
                     s == 1 ? CV_(join_line)(kind, 1, from, k, d)
                            : CV_(join_line)(kind, 2, from, k, d),
                     &by, y, ox);
        }
        return;
    }
    /* wide strides: every window in place, for whole vectors, then those that are wanted */
    for (ptrdiff_t c = 0; c <= last; c += VL)
        CV_(store)(w->line + c, CV_(join_line)(kind, 1, w->line + c, k, d));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++)
        y[ox] = CV_(finish)(kind, j, w->line[ox * s], rest, ox);
}

CV_INLINE void CV_(window_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w,
                               int far, ptrdiff_t rest, T *y) {
    const ptrdiff_t s = j->p.stride[2], k = j->p.dil[2] == 1 ? j->p.k[2] : 0;
    /* under cheap masks a join that heeds NaN costs no more than to look for one */
    const int quick = !CV_CHEAP_MASKS;
    int again = 0;
    if (s == 2 && k == 2 && w->count == 2 && !j->p.lo[2] && j->p.out[2] >= VL &&
        j->p.in[2] >= 2 * j->p.out[2])
        again = CV_(pair_row)(kind, quick, far, j, w, rest, y);
    else if (s == 2 && k == 2)
        again = CV_(slide_row)(kind, quick, 2, 0, 0, j, w, rest, y);
    else if (s == 2 && k == 3 && j->p.lo[2] == 1 && w->count == 3)
        again = CV_(slide_row)(kind, quick, 3, 1, 3, j, w, rest, y);
    else if (s == 2 && k == 3 && w->count == 3)
        again = CV_(slide_row)(kind, quick, 3, 0, 3, j, w, rest, y);
    else if (s == 2 && k == 3)
        again = CV_(slide_row)(kind, quick, 3, 0, 0, j, w, rest, y);
    else
        CV_(line_row)(kind, j, w, rest, y);
    if (again && k == 2)
        CV_(slide_row)(kind, 0, 2, 0, 0, j, w, rest, y);
    else if (again)
        CV_(slide_row)(kind, 0, 3, 0, 0, j, w, rest, y);
}

/* Some rows of outputs of one plane. */
CV_INLINE void CV_(windows_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                 char *scratch) {
    const cv_pool *p = &j->p;
    const CV_(rows_item) at = CV_(rows_item_of)(j, p->c, item);
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    const int far = p->n * p->c * p->in[0] * p->in[1] * p->in[2] >= CV_POOL_FAR;
    double work = 0;
    for (ptrdiff_t oy = at.oy0; oy < at.oy1; oy++) {
        const cv_window wy = CV_(window)(j, 1, oy);
        CV_(list_rows)(j, at.x, at.z, wy, &w);
        CV_(window_row)(kind, j, &w, far, at.z.counted * wy.counted, j->y + at.to + oy * p->ys[3]);
        if (cv_stop_after(&work, (double)(w.count + p->k[2]) * (double)(p->out[2] * p->stride[2])))
            return;
    }
}

/* ---- the row */

/* Elements of the row buffer that windows need which do not slide in registers. */
static ptrdiff_t CV_(windows_line)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const int slides = p->dil[2] == 1 && p->k[2] <= 3 && p->k[2] > 1 && p->stride[2] == 2;
    if (slides)
        return 0;
    return (p->out[2] + 2 * VL) * p->stride[2] + p->k[2] * p->dil[2] + 2 * VL;
}

CV_ONCE const char *CV_(windows_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (problem->indices || p->adaptive)
        return "serves windows of one size, without places";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "needs rows whose elements lie side by side";
    return CV_(windows_line)(problem) <= CV_POOL_LINE ? NULL : "serves rows that fit its buffer";
}

/* Loads for each output; where rows are joined first, those of a row serve all its windows, and
 * reach as far as these. */
CV_ONCE double CV_(windows_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)((p->out[2] + VL - 1) / VL), kyz = (double)(p->k[0] * p->k[1]),
                 kx = (double)p->k[2];
    const double rows = (double)p->n * (double)p->c * (double)(p->out[0] * p->out[1]);
    const double apart = (double)CV_MIN2(p->stride[2], p->k[2]);
    const double line = CV_MAX2(vecs * apart, (double)(cv_reach(p, 2, p->out[2]) / VL));
    /* wide strides: where the last window begins */
    const double starts = (double)((p->out[2] - 1) * p->stride[2] / VL + 1);
    const double loads = kyz * line + kx * CV_MIN2(apart * vecs, starts),
                 fill = p->stride[2] > 2 ? (double)VL * 2 : 1;
    return 300 + rows * ((loads * 2.6 + vecs * (6 + fill)) / CV_PACE + 8 +
                         kyz * line * cv_pool_waits(p, (ptrdiff_t)sizeof(T)));
}

CV_ONCE void CV_(windows_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    CV_(cut_rows)(j, j->p.n * j->p.c, 8);
    j->scratch_each =
        CV_ROUND64(CV_(rows_list)(&j->p) + CV_(windows_line)(problem) * (ptrdiff_t)sizeof(T) + 64);
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(windows, CV_(windows_item), CV_(windows_fits), CV_(windows_cost), CV_(windows_plan))
#endif
