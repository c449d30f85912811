/* Windows of 2, 3 or 5 neighbouring rows and columns, stride 1: no scratch plane at all.
 *
 * A strip of some vectors of columns goes down the plane.  A row of the image comes in once, is joined with what is
 * kept of the rows before it, and the columns are joined by sliding in registers.  Which lanes exist depends on the
 * strip alone. Extremes that need not heed NaN take half the instructions: a strip that turns out to hold one is done
 * again.
 */
#undef CV_STRIP_VECTORS
#define CV_STRIP_VECTORS (CV_VB == 64 ? 3 : 2) /* as registers allow */

/* What a strip keeps of the rows above, for one vector of columns: the last row; joins of two rows, oldest first. */
typedef struct {
    vec row, pairs[3];
} CV_(above);

/* Take in a row, return the join of the last k. */
CV_INLINE vec CV_(feed)(const int kind, const int tame, const int k, CV_(above) *a, vec row) {
    const vec pair = CV_(meet)(kind, tame, a->row, row);
    vec v = k == 2 ? pair : CV_(meet)(kind, tame, a->pairs[0], row);
    if (k == 5) v = CV_(meet)(kind, tame, CV_(meet)(kind, tame, a->pairs[0], a->pairs[2]), row);
    a->row = row;
    a->pairs[0] = k == 5 ? a->pairs[1] : pair, a->pairs[1] = a->pairs[2], a->pairs[2] = pair;
    return v;
}

/* to[q] = k neighbouring lanes of v from each lane of v[q] on, q < nv; v[nv] is `start` unless `next`. */
CV_INLINE void CV_(slide)(const int kind, const int tame, const int k, const int nv, const int next, const vec *v,
                          vec *to) {
    vec pairs[4];
    pairs[nv] = v[nv];
    if (next) pairs[nv] = CV_(meet)(kind, tame, v[nv], CV_SLIDE(v[nv], CV_(set1)(CV_START(kind)), 1));
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++) pairs[q] = CV_(meet)(kind, tame, v[q], CV_SLIDE(v[q], v[q + 1], 1));
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++) {
        to[q] = pairs[q];
        if (k == 3) to[q] = CV_(meet)(kind, tame, to[q], CV_SLIDE(v[q], v[q + 1], 2));
#if CV_VB * 8 / CV_BITS >= 4
        if (k == 5) {
            to[q] = CV_(meet)(kind, tame, to[q], CV_SLIDE(pairs[q], pairs[q + 1], 2));
            to[q] = CV_(meet)(kind, tame, to[q], CV_SLIDE(v[q], v[q + 1], 4));
        }
#endif
    }
}

/* Rows oy .. end-1 of a strip of nv vectors of outputs, from column ox on; returns whether a tame one met a NaN.
 * next: whether it needs a vector more of inputs; blank: a row of `start`. */
CV_INLINE int CV_(strip)(const int kind, const int tame, const int k, const int nv, const int next,
                         const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end,
                         const T *blank) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t ix = ox - j->p.lo[2], in = j->p.in[1], step = j->p.xs[3], ystep = j->p.ys[3];
    const cv_window *windows = j->windows[1];
    const int divided = kind > CV_MIN && j->divide;
    CV_LANE_SET there[4], wanted[3];
    CV_(divisor) by[3];
    CV_(above) above[4];
    CV_UNROLL(4)
    for (int q = 0; q < nv + 1; q++) {
        there[q] = CV_(lane_set)(-(ix + q * VL), j->p.in[2] - (ix + q * VL));
        above[q] = (CV_(above)){start, {start, start, start}};
    }
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++) {
        wanted[q] = CV_(lane_set)(0, j->p.out[2] - (ox + q * VL));
        if (divided) by[q] = CV_(divisor_at)(j, ox + q * VL);
    }
    CV_FLAGS bad = {0};
    y += ox + oy * ystep, x += ix, blank += ix;
    for (ptrdiff_t r = oy - j->p.lo[1], o = oy + 1 - k; o < end; r++, o++) {
        const T *from = (size_t)r < (size_t)in ? x + r * step : blank;
        vec v[4], result[3];
        v[nv] = start;
        CV_UNROLL(4)
        for (int q = 0; q < nv + next; q++) {
            vec row = CV_(load_set)(from + q * VL, there[q]);
            if (tame) bad |= CV_(nans)(row);
            if (kind <= CV_MIN) row = CV_(fill_set)(row, there[q], start);
            v[q] = CV_(feed)(kind, tame, k, &above[q], row);
        }
        if (o < oy) continue; /* the first k - 1 rows */
        CV_(slide)(kind, tame, k, nv, next, v, result);
        CV_UNROLL(3)
        for (int q = 0; q < nv; q++) {
            if (divided) CV_(divide_by)(&by[q], windows[o].counted), result[q] = CV_(quotient)(result[q], &by[q]);
            CV_(store_set)(y + q * VL, result[q], wanted[q]);
        }
        y += ystep;
    }
    return tame && CV_(any_flag)(bad);
}

/* A function for each, or the compiler would hold them all in one, and its registers in memory. */
typedef int (*CV_(strip_call))(const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end,
                               const T *blank);
#define CV_STRIP(how, kind, tame, k, nv)                                                                            \
    static __attribute__((noinline)) int CV_(strip_##how##_##k##_##nv)(const CV_(pool_job) *j, const T *x, T *y,    \
                                                                       ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end,   \
                                                                       const T *blank) {                            \
        const ptrdiff_t ix = ox - j->p.lo[2] + nv * VL;                                                             \
        if (ix < CV_MIN2(j->p.in[2], j->p.out[2] + k - 1 - j->p.lo[2]))                                             \
            return CV_(strip)(kind, tame, k, nv, 1, j, x, y, ox, oy, end, blank);                                   \
        return CV_(strip)(kind, tame, k, nv, 0, j, x, y, ox, oy, end, blank);                                       \
    }
#define CV_STRIPS(how, kind, tame)                                                                                  \
    CV_STRIP(how, kind, tame, 2, 1) CV_STRIP(how, kind, tame, 2, 2) CV_STRIP(how, kind, tame, 2, 3)                 \
    CV_STRIP(how, kind, tame, 3, 1) CV_STRIP(how, kind, tame, 3, 2) CV_STRIP(how, kind, tame, 3, 3)                 \
    CV_STRIP(how, kind, tame, 5, 1) CV_STRIP(how, kind, tame, 5, 2) CV_STRIP(how, kind, tame, 5, 3)                 \
    static const CV_(strip_call) CV_(strips_##how)[3][3] = {                                                        \
        {CV_(strip_##how##_2_1), CV_(strip_##how##_2_2), CV_(strip_##how##_2_3)},                                   \
        {CV_(strip_##how##_3_1), CV_(strip_##how##_3_2), CV_(strip_##how##_3_3)},                                   \
        {CV_(strip_##how##_5_1), CV_(strip_##how##_5_2), CV_(strip_##how##_5_3)}};
CV_STRIPS(sum, CV_SUM, 0)
CV_STRIPS(max, CV_MAX, 0)
CV_STRIPS(min, CV_MIN, 0)
CV_STRIPS(tame_max, CV_MAX, 1)
CV_STRIPS(tame_min, CV_MIN, 1)
#undef CV_STRIP
#undef CV_STRIPS

/* Rows of outputs oy .. end-1 of one plane; scratch: room for a row. */
CV_INLINE void CV_(strips)(const int kind, const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t oy, ptrdiff_t end,
                           T *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t k = p->k[2] / 2 - (p->k[2] == 2); /* 2, 3, 5: 0, 1, 2 */
    const CV_(strip_call) *wary = kind == CV_MAX ? CV_(strips_max)[k] : CV_(strips_min)[k];
    const CV_(strip_call) *bold = kind == CV_MAX ? CV_(strips_tame_max)[k] : CV_(strips_tame_min)[k];
    if (p->lo[1] || CV_(reach)(p, 1, p->out[1]) > p->in[1])
        for (ptrdiff_t i = 0; i < p->in[2]; i += VL) CV_(store)(scratch + i, CV_(set1)(CV_START(kind)));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += CV_STRIP_VECTORS * VL) {
        const ptrdiff_t nv = CV_MIN2(CV_STRIP_VECTORS, (p->out[2] - ox + VL - 1) / VL) - 1;
        if (kind > CV_MIN) CV_(strips_sum)[k][nv](j, x, y, ox, oy, end, scratch);
        else if (bold[nv](j, x, y, ox, oy, end, scratch)) wary[nv](j, x, y, ox, oy, end, scratch);
    }
}

CV_INLINE int CV_(strips_fit)(const CV_(pool_job) *j) {
    const cv_pool *p = &j->p;
    const ptrdiff_t k = p->k[2];
    return !j->indices && p->k[0] == 1 && p->k[1] == k && p->stride[1] == 1 && p->stride[2] == 1 && p->dil[1] == 1 &&
           p->dil[2] == 1 && (k == 2 || k == 3 || (k == 5 && VL >= 4));
}
