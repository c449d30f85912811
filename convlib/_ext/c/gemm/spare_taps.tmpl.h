/* Taps that lie in padding for all pixels of a tile, and are left out.  Part of broadcast.tmpl.h,
 * whose job it knows. */
#ifndef CV_SPARE_TAPS
#define CV_SPARE_TAPS

/* Taps along each axis, the first and the one past the last, that lie in x for some pixel; whether
 * they are all. */
typedef struct {
    ptrdiff_t from[3], to[3], all;
} CV_(broadcast_taps);

/* How many lanes of a window come before a segment. */
CV_INLINE ptrdiff_t CV_(lanes_before)(const CV_(broadcast_job) *j, ptrdiff_t segment) {
    if (j->cuts == 1)
        return segment * j->lanes;
    return segment / j->cuts * j->lanes + segment % j->cuts * j->lanes / j->cuts;
}

#if CV_FLOAT
/* The taps along an axis that lie in x for some of the outputs o0 .. o1. */
CV_INLINE void CV_(taps_within)(const cv_conv *p, int a, ptrdiff_t o0, ptrdiff_t o1,
                                CV_(broadcast_taps) *taps) {
    const ptrdiff_t lo = o0 * p->stride[a] - p->lo[a], hi = o1 * p->stride[a] - p->lo[a];
    const ptrdiff_t from = hi < 0 ? (p->dil[a] - 1 - hi) / p->dil[a] : 0,
                    to = lo < p->in[a] ? (p->in[a] - 1 - lo) / p->dil[a] + 1 : 0;
    taps->from[a] = CV_MIN2(from, p->k[a]);
    taps->to[a] = CV_MAX2(CV_MIN2(to, p->k[a]), taps->from[a]);
}

/* The taps that each CV_PX pixels need. */
static void CV_(broadcast_needed)(const CV_(broadcast_job) *j, const ptrdiff_t *first,
                                  const ptrdiff_t *count, ptrdiff_t pixels,
                                  CV_(broadcast_taps) *taps) {
    const ptrdiff_t k[3] = {j->p.k[0], j->p.k[1], j->apart};
    for (ptrdiff_t i = 0; i < pixels; i += CV_PX, taps++) {
        ptrdiff_t q0 = i, q1 = CV_MIN2(i + CV_PX, pixels) - 1;
        taps->all = 1;
        for (int a = 2; a >= 0; a--) { /* outputs along an axis: all, if the tile goes round it */
            const ptrdiff_t size = count[a + 1], o0 = q0 % size, o1 = q1 % size;
            q0 /= size;
            q1 /= size;
            CV_(taps_within)(&j->p, a, first[a + 1] + (q0 == q1 ? o0 : 0),
                             first[a + 1] + (q0 == q1 ? o1 : size - 1), taps);
            if (a == 2 && j->apart == 1) { /* a row of taps is one run */
                taps->from[a] = 0;
                taps->to[a] = 1;
            }
            taps->all &= taps->from[a] == 0 && taps->to[a] == k[a];
        }
    }
}

/* Those that the pixels i0 .. i1-1 need. */
CV_INLINE CV_(broadcast_taps)
    CV_(taps_of_tile)(const CV_(broadcast_taps) *taps, ptrdiff_t i0, ptrdiff_t i1) {
    CV_(broadcast_taps) need = taps[i0 / CV_PX];
    for (ptrdiff_t q = i0 / CV_PX + 1; q * CV_PX < i1; q++) {
        need.all |= taps[q].all;
        for (int a = 0; a < 3; a++) {
            need.from[a] = CV_MIN2(need.from[a], taps[q].from[a]);
            need.to[a] = CV_MAX2(need.to[a], taps[q].to[a]);
        }
    }
    return need;
}

/* The sums of a tile over the segments r0 .. r1-1, less those under taps that none of its pixels
 * needs: over the runs of segments between these. */
static void CV_(broadcast_tile_sums)(const CV_(broadcast_job) *j, CV_(broadcast_fn) tile,
                                     const CV_(broadcast_taps) *need, ptrdiff_t r0, ptrdiff_t r1,
                                     const CV_(fed) *x, const ptrdiff_t *at, const T *w,
                                     ptrdiff_t ld, const T *init, T *c, ptrdiff_t ldc) {
    const ptrdiff_t k[3] = {j->p.k[0], j->p.k[1], j->apart};
    ptrdiff_t each[3], runs = 1;
    int last = 0; /* the innermost axis of which not all taps are needed */
    each[2] = j->cuts;
    for (int a = 1; a >= 0; a--)
        each[a] = each[a + 1] * k[a + 1];
    for (int a = 2; a > 0 && !last; a--)
        last = need->from[a] > 0 || need->to[a] < k[a] ? a : 0;
    for (int a = 0; a < last; a++)
        runs *= need->to[a] - need->from[a];
    for (ptrdiff_t run = 0; run < runs; run++) {
        ptrdiff_t begin = need->from[last] * each[last], rest = run;
        for (int a = last - 1; a >= 0; a--) {
            const ptrdiff_t some = need->to[a] - need->from[a];
            begin += (need->from[a] + rest % some) * each[a];
            rest /= some;
        }
        const ptrdiff_t end = begin + (need->to[last] - need->from[last]) * each[last];
        const ptrdiff_t from = CV_MAX2(begin, r0), to = CV_MIN2(end, r1);
        if (from >= to)
            continue;
        tile(j->segments + from, to - from, x, at, w + CV_(lanes_before)(j, from) * ld, init, c,
             ldc);
        init = NULL;
    }
    if (init)
        tile(j->segments, 0, x, at, w, init, c, ldc);
}
#endif
#endif
