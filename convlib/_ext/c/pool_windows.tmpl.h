/* Pooling without scratch planes: small windows straight from the image, and whole planes.
 *
 * Pixels in the lanes: the rows of a window are joined first, which makes one vector per VL columns; windows of 2 and 3
 * columns then slide over those vectors in registers, wider ones over a row buffer.
 * Channels in the lanes: one output pixel at a time.
 */
/* Lanes t .. t+VL-1 of the pair (a, b). */
#undef CV_SLIDE
#if CV_VB * 8 / CV_BITS == 2
#define CV_SLIDE(a, b, t) __builtin_shufflevector(a, b, t, (t) + 1)
#elif CV_VB * 8 / CV_BITS == 4
#define CV_SLIDE(a, b, t) __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3)
#elif CV_VB * 8 / CV_BITS == 8
#define CV_SLIDE(a, b, t) \
    __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3, (t) + 4, (t) + 5, (t) + 6, (t) + 7)
#else
#define CV_SLIDE(a, b, t)                                                                                             \
    __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3, (t) + 4, (t) + 5, (t) + 6, (t) + 7, (t) + 8, (t) + 9, \
                            (t) + 10, (t) + 11, (t) + 12, (t) + 13, (t) + 14, (t) + 15)
#endif

/* The rows of one row of windows: `count` of them lie inside the input. */
typedef struct {
    const T **rows;
    ptrdiff_t *places; /* position of each row's first element in the plane */
    ptrdiff_t count;
    T *line; /* room for a row */
} CV_(window_rows);

/* Columns ix .. ix+VL-1 of the rows, joined; `known`: their number, where it is a constant. */
CV_INLINE vec CV_(joined)(const int kind, const int known, const CV_(window_rows) *w, ptrdiff_t ix, ptrdiff_t in) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t count = known ? known : w->count;
    vec v = start;
    if (ix >= 0 && ix + VL <= in) {
        CV_UNROLL(3)
        for (ptrdiff_t r = 0; r < count; r++) v = r ? CV_(vjoin)(kind, v, CV_(load)(w->rows[r] + ix)) : CV_(load)(w->rows[0] + ix);
        return v;
    }
    const ptrdiff_t lo = CV_MAX2(0, -ix), hi = CV_MIN2(VL, in - ix);
    if (hi <= lo) return start;
    for (ptrdiff_t r = 0; r < count; r++) v = CV_(vjoin)(kind, v, CV_(load_or)(w->rows[r] + ix, lo, hi, start));
    return v;
}

/* Windows of k = 2 or 3 neighbouring columns, stride 2, in registers.  back: they begin one column before the row, as in
 * 3x3 with padding 1; the column before each is kept from the last vector, and whole vectors lie inside the row. */
CV_INLINE void CV_(slide_row)(const int kind, const int k, const int back, const int known, const CV_(pool_job) *j,
                              const CV_(window_rows) *w, ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t in = p->in[2];
    ptrdiff_t ix = back ? 0 : -p->lo[2];
    vec first = CV_(joined)(kind, known, w, ix, in), second = CV_(joined)(kind, known, w, ix + VL, in);
    vec a = CV_(even)(first, second), odd = CV_(odd)(first, second), before = CV_(set1)(CV_START(kind));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        vec next = a, next_odd = odd;
        ix += 2 * VL;
        if ((k == 3 && !back) || ox + VL < p->out[2]) {
            first = CV_(joined)(kind, known, w, ix, in), second = CV_(joined)(kind, known, w, ix + VL, in);
            next = CV_(even)(first, second), next_odd = CV_(odd)(first, second);
        }
        vec v = back ? CV_(vjoin)(kind, CV_SLIDE(before, odd, VL - 1), a) : a;
        v = CV_(vjoin)(kind, v, odd);
        if (k == 3 && !back) v = CV_(vjoin)(kind, v, CV_SLIDE(a, next, 1));
        CV_(put)(j, v, rest, y, ox);
        before = odd, a = next, odd = next_odd;
    }
}

/* Any other window and stride: the joined rows as a line, then the columns from there. */
CV_INLINE void CV_(line_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t rest, T *y) {
    const cv_pool *p = &j->p;
    const ptrdiff_t s = p->stride[2], d = p->dil[2], k = p->k[2];
    const ptrdiff_t last = ((p->out[2] + VL - 1) / VL * VL - 1) * s, end = last + (k - 1) * d + 1;
    for (ptrdiff_t c = 0; c < end; c += VL) CV_(store)(w->line + c, CV_(joined)(kind, 0, w, c - p->lo[2], p->in[2]));
    if (s <= 2) {
        for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
            const T *from = w->line + ox * s;
            vec v = CV_(set1)(CV_START(kind));
            for (ptrdiff_t kx = 0; kx < k; kx++, from += d)
                v = CV_(vjoin)(kind, v, s == 1 ? CV_(load)(from) : CV_(even)(CV_(load)(from), CV_(load)(from + VL)));
            CV_(put)(j, v, rest, y, ox);
        }
        return;
    }
    /* wide strides: every window in place, for whole vectors, then those that are wanted */
    for (ptrdiff_t c = 0; c <= last; c += VL) {
        vec v = CV_(load)(w->line + c);
        for (ptrdiff_t kx = 1; kx < k; kx++) v = CV_(vjoin)(kind, v, CV_(load)(w->line + c + kx * d));
        CV_(store)(w->line + c, v);
    }
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++) y[ox] = CV_(finish)(j, w->line[ox * s], rest, ox);
}

/* The same with places, tap by tap in order.  `at` starts at the window's first position, so that a window of nothing but
 * the lowest value has a place too. */
CV_INLINE vec CV_(window_places)(const int kind, const int s, const cv_pool *p, const CV_(window_rows) *w, ptrdiff_t ox,
                                 const cv_span *q, ivec *places) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t ix = ox * s - p->lo[2];
    vec best = start;
    ivec at = *places, lane;
    for (int i = 0; i < VL; i++) lane[i] = (CV_INT(CV_BITS))(ix + i * s);
    for (ptrdiff_t r = 0; r < w->count; r++)
        for (ptrdiff_t kx = 0; kx < p->k[2]; kx++) {
            const T *x = w->rows[r] + ix + kx * p->dil[2];
            vec v = q ? CV_(load_or)(x, q[kx].a0, q[kx].a1, start) : CV_(load)(x);
            if (s == 2) v = CV_(even)(v, q ? CV_(load_or)(x + VL, q[kx].b0, q[kx].b1, start) : CV_(load)(x + VL));
            const ivec take = (ivec)(kind == CV_MAX ? v > best : v < best) | CV_NAN_LANES(v);
            const ivec here = lane + (CV_INT(CV_BITS))(w->places[r] + kx * p->dil[2]);
            best = CV_(select)(take, v, best);
            at = (take & here) | (~take & at);
        }
    *places = at;
    return best;
}

CV_INLINE void CV_(places_row)(const int kind, const int s, const CV_(pool_job) *j, const CV_(window_rows) *w, T *y,
                               int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        const ptrdiff_t n = CV_MIN2(VL, p->out[2] - ox), ix = ox * s - p->lo[2];
        const int inside = ix >= 0 && ix + (p->k[2] - 1) * p->dil[2] + VL * s <= p->in[2];
        CV_INT(CV_BITS) lanes[VL];
        const cv_window *wx = j->windows[2] + ox;
        for (ptrdiff_t i = 0; i < VL; i++)
            lanes[i] = i >= n || wx[i].first >= wx[i].end || !w->count ? -1 : (CV_INT(CV_BITS))(wx[i].first + w->places[0]);
        ivec at;
        memcpy(&at, lanes, sizeof at);
        CV_(store_n)(y + ox, CV_(window_places)(kind, s, p, w, ox, inside ? NULL : j->spans + ox / VL * p->k[2], &at), n);
        memcpy(lanes, &at, sizeof at);
        for (ptrdiff_t i = 0; i < n; i++) indices[ox + i] = lanes[i];
    }
}

CV_INLINE void CV_(window_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t rest, T *y,
                               int64_t *indices) {
    const ptrdiff_t s = j->p.stride[2], k = j->p.dil[2] == 1 ? j->p.k[2] : 0;
    if (indices && s == 1) CV_(places_row)(kind, 1, j, w, y, indices);
    else if (indices) CV_(places_row)(kind, 2, j, w, y, indices);
    else if (s == 2 && k == 2 && w->count == 2) CV_(slide_row)(kind, 2, 0, 2, j, w, rest, y);
    else if (s == 2 && k == 2) CV_(slide_row)(kind, 2, 0, 0, j, w, rest, y);
    else if (s == 2 && k == 3 && j->p.lo[2] == 1 && w->count == 3) CV_(slide_row)(kind, 3, 1, 3, j, w, rest, y);
    else if (s == 2 && k == 3 && w->count == 3) CV_(slide_row)(kind, 3, 0, 3, j, w, rest, y);
    else if (s == 2 && k == 3) CV_(slide_row)(kind, 3, 0, 0, j, w, rest, y);
    else CV_(line_row)(kind, j, w, rest, y);
}

/* One window in nv vectors of channels, the last with n lanes; ix0 .. ix1-1 by dil: its columns inside the input. */
CV_INLINE void CV_(channel_vectors)(const int kind, const int nv, const CV_(pool_job) *j, const CV_(window_rows) *w,
                                    ptrdiff_t ix0, ptrdiff_t ix1, ptrdiff_t c, ptrdiff_t n, T divide, T *y,
                                    int64_t *indices) {
    const cv_pool *p = &j->p;
    const vec start = CV_(set1)(CV_START(kind));
    vec best[4];
    ivec at[4];
    const ptrdiff_t none = w->count && ix0 < ix1 ? w->places[0] + ix0 : -1;
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        best[i] = start;
        at[i] = (ivec){0} + (CV_INT(CV_BITS))none;
    }
    for (ptrdiff_t r = 0; r < w->count; r++)
        for (ptrdiff_t ix = ix0; ix < ix1; ix += p->dil[2]) {
            const T *x = w->rows[r] + ix * p->xs[4] + c;
            CV_UNROLL(4)
            for (int i = 0; i < nv; i++) {
                const vec v = i == nv - 1 ? CV_(load_n)(x + i * VL, n) : CV_(load)(x + i * VL);
                if (indices) {
                    const ivec take = (ivec)(kind == CV_MAX ? v > best[i] : v < best[i]) | CV_NAN_LANES(v);
                    at[i] = (take & ((ivec){0} + (CV_INT(CV_BITS))(w->places[r] + ix))) | (~take & at[i]);
                }
                best[i] = CV_(vjoin)(kind, best[i], v);
            }
        }
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const ptrdiff_t lanes = i == nv - 1 ? n : VL;
        if (j->divide) best[i] = best[i] / CV_(set1)(divide);
        CV_(store_n)(y + c + i * VL, best[i], lanes);
        if (indices)
            for (ptrdiff_t l = 0; l < lanes; l++) indices[c + i * VL + l] = at[i][l];
    }
}

CV_INLINE void CV_(channel_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t rest, T *y,
                                int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4], indices += indices ? p->ys[4] : 0) {
        const ptrdiff_t ix0 = j->windows[2][ox].first, ix1 = j->windows[2][ox].end;
        const T divide = !j->divide ? 1 : p->divisor != 0 ? (T)p->divisor : (T)((T)CV_MAX2(1, rest) * j->divide[ox]);
        ptrdiff_t c = 0;
        for (; c + 4 * VL <= p->c; c += 4 * VL)
            CV_(channel_vectors)(kind, 4, j, w, ix0, ix1, c, VL, divide, y, indices);
        for (; c < p->c; c += VL)
            CV_(channel_vectors)(kind, 1, j, w, ix0, ix1, c, CV_MIN2(VL, p->c - c), divide, y, indices);
    }
}

/* Windows of 2 x 2 side by side on short rows, some planes at a time: the pairs of rows are joined into one line, and the
 * line is one long row.  So many rows that what was stored has left the processor's store queue before it is read. */
CV_INLINE void CV_(pairs_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item, char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t width = p->in[2], rows = p->out[1], outs = rows * p->out[2], step = p->xs[3];
    const ptrdiff_t b0 = item * j->batch, b1 = CV_MIN2(b0 + j->batch, p->n * p->c), all = (b1 - b0) * outs;
    const ptrdiff_t last = (width - 1) / VL * VL;
    const CV_LANE_SET rest = CV_(lane_set)(0, width - last);
    const vec by = CV_(set1)((T)(!j->divide ? 1 : p->divisor != 0 ? p->divisor : 4));
    const int divided = j->divide != NULL;
    T *to = (T *)scratch, *y = j->y + b0 * outs;
    for (ptrdiff_t b = b0; b < b1; b++) {
        const T *x = j->x + b / p->c * p->xs[0] + b % p->c * p->xs[1];
        for (ptrdiff_t r = 0; r < rows; r++, x += 2 * step, to += width) {
            for (ptrdiff_t i = 0; i < last; i += VL)
                CV_(store)(to + i, CV_(vjoin)(kind, CV_(load)(x + i), CV_(load)(x + step + i)));
            const vec upper = CV_(load_set)(x + last, rest), lower = CV_(load_set)(x + step + last, rest);
            CV_(store)(to + last, CV_(vjoin)(kind, upper, lower));
        }
    }
    for (ptrdiff_t o = 0; o < all; o += VL) {
        const vec a = CV_(load)((T *)scratch + 2 * o), b = CV_(load)((T *)scratch + 2 * o + VL);
        vec v = CV_(vjoin)(kind, CV_(even)(a, b), CV_(odd)(a, b));
        if (divided) v = v / by;
        if (all - o >= VL) CV_(store)(y + o, v);
        else CV_(store_n)(y + o, v, all - o);
    }
}

/* Whether `pairs_item` serves: rows too short to fill vectors, nothing padded or left over, results in one piece. */
static int CV_(pairs_fit)(const CV_(pool_job) *j) {
    const cv_pool *p = &j->p;
    const ptrdiff_t outs = p->out[1] * p->out[2];
    for (int a = 1; a < 3; a++)
        if (p->k[a] != 2 || p->stride[a] != 2 || p->lo[a] || p->dil[a] != 1 || p->in[a] != 2 * p->out[a]) return 0;
    return !j->indices && p->in[0] == 1 && p->out[0] == 1 && p->k[0] == 1 && p->in[2] < 4 * VL && p->in[1] < 16 * VL &&
           p->xs[4] == 1 && p->ys[4] == 1 && (p->out[1] == 1 || p->ys[3] == p->out[2]) && p->ys[1] == outs &&
           (p->n == 1 || p->ys[0] == p->c * outs);
}

/* The elements of a plane, joined but for the lanes of one vector: `full` vectors and the lanes `rest`. */
CV_INLINE vec CV_(plane_join)(const int kind, const T *x, ptrdiff_t full, CV_LANE_SET rest) {
    vec acc[8], v = CV_(load_set)(x + full * VL, rest);
    if (kind <= CV_MIN) v = CV_(fill_set)(v, rest, CV_(set1)(CV_START(kind)));
    if (full >= 8) {
        CV_UNROLL(8)
        for (int q = 0; q < 8; q++) acc[q] = CV_(load)(x + q * VL);
        for (x += 8 * VL, full -= 8; full >= 8; x += 8 * VL, full -= 8) {
            CV_UNROLL(8)
            for (int q = 0; q < 8; q++) acc[q] = CV_(vjoin)(kind, acc[q], CV_(load)(x + q * VL));
        }
        CV_UNROLL(3)
        for (int half = 4; half; half /= 2) {
            CV_UNROLL(4)
            for (int q = 0; q < half; q++) acc[q] = CV_(vjoin)(kind, acc[q], acc[q + half]);
        }
        v = CV_(vjoin)(kind, acc[0], v);
    }
    for (; full > 0; x += VL, full--) v = CV_(vjoin)(kind, v, CV_(load)(x));
    return v;
}

/* The window is the plane: up to VL planes together, so that their lanes are joined by one transposition. */
CV_INLINE void CV_(whole_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item) {
    const cv_pool *p = &j->p;
    const ptrdiff_t first = item * j->batch, count = CV_MIN2(j->batch, p->n * p->c - first);
    const ptrdiff_t full = p->in[0] * p->in[1] * p->in[2] / VL;
    const CV_LANE_SET rest = CV_(lane_set)(0, p->in[0] * p->in[1] * p->in[2] - full * VL);
    ptrdiff_t n = first / p->c, c = first % p->c;
    const T by = j->divide ? j->divide[0] : 1;
    vec acc[VL];
    T result[VL];
    for (ptrdiff_t i = 0; i < VL; i++) {
        if (i < count) acc[i] = CV_(plane_join)(kind, j->x + n * p->xs[0] + c * p->xs[1], full, rest);
        else acc[i] = CV_(set1)(0);
        if (++c == p->c) c = 0, n++;
    }
    CV_UNROLL(4)
    for (int half = VL / 2; half; half /= 2) {
        CV_UNROLL(8)
        for (int i = 0; i < half; i++) /* lane l of the last one: plane l */
            acc[i] = CV_(vjoin)(kind, CV_(zip_low)(acc[i], acc[i + half]), CV_(zip_high)(acc[i], acc[i + half]));
    }
    if (j->divide) acc[0] = acc[0] / CV_(set1)(by);
    CV_(store)(result, acc[0]);
    n = first / p->c, c = first % p->c;
    for (ptrdiff_t i = 0; i < count; i++) {
        j->y[n * p->ys[0] + c * p->ys[1]] = result[i];
        if (++c == p->c) c = 0, n++;
    }
}

#include "pool_strips.tmpl.h"

/* Some rows of outputs of one plane, or of one image where the lanes are channels. */
CV_INLINE void CV_(rows_item)(const int kind, const int channels, const CV_(pool_job) *j, ptrdiff_t item, char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t plane = item / j->cuts[1] / p->out[0], planes = channels ? 1 : p->c;
    const ptrdiff_t n = plane / planes, c = plane % planes, taps = p->k[0] * p->k[1];
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    if (!channels && CV_(strips_fit)(j)) {
        const ptrdiff_t iz = oz * p->stride[0]; /* a window of one slice has no padding there */
        CV_(strips)(kind, j, x + iz * p->xs[2], j->y + n * p->ys[0] + c * p->ys[1] + oz * p->ys[2], oy0,
                    CV_MIN2(oy0 + j->step[1], p->out[1]), (T *)scratch);
        return;
    }
    CV_(window_rows) w = {.rows = (const T **)scratch, .places = (ptrdiff_t *)(scratch + taps * (ptrdiff_t)sizeof(T *)),
                          .line = (T *)(scratch + taps * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t)))};
    for (ptrdiff_t oy = oy0; oy < CV_MIN2(oy0 + j->step[1], p->out[1]); oy++) {
        const cv_window wz = j->windows[0][oz], wy = j->windows[1][oy];
        w.count = 0;
        for (ptrdiff_t z = wz.first; z < wz.end; z += p->dil[0])
            for (ptrdiff_t r = wy.first; r < wy.end; r += p->dil[1]) {
                if (j->indices) w.places[w.count] = (z * p->in[1] + r) * p->in[2];
                w.rows[w.count++] = x + z * p->xs[2] + r * p->xs[3];
            }
        const ptrdiff_t to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
        const ptrdiff_t rest = wz.counted * wy.counted;
        int64_t *indices = j->indices ? j->indices + to : NULL;
        if (channels) CV_(channel_row)(kind, j, &w, rest, j->y + to, indices);
        else CV_(window_row)(kind, j, &w, rest, j->y + to, indices);
    }
}
