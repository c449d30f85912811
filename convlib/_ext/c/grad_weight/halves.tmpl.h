/* Dot products under stride 2 along both axes: the even and the odd numbers of a pair of vectors
 * are those under two neighbouring taps.  Part of dots.tmpl.h, whose job and sums it knows. */
#ifndef CV_HALVES_H
#define CV_HALVES_H

CV_INLINE int CV_(dot_halved)(const cv_conv *p) {
    return p->stride[1] == 2 && p->stride[2] == 2 && p->dil[1] == 1 && p->dil[2] == 1 &&
           p->xs[4] == 1 && p->ys[4] == 1;
}

/* So many rows of a vector of outputs, for the `left` kernel rows, but
 * at most 3, or 1 if taps are 5: input row y is
 * the first one's under the first kernel row; sets: lanes of the pairs of vectors under taps 0, 2
 * and 4. */
CV_INLINE void CV_(dot_pairs)(const int taps, const int inner, const CV_(dot_job) *j, const T *gy,
                              const T *x, ptrdiff_t rows, ptrdiff_t y, const CV_LANE_SET (*sets)[2],
                              ptrdiff_t len, int left, vec (*acc)[CV_GRAD_TAPS]) {
    const cv_conv *p = &j->p;
    const int most = taps == 3 ? 3 : 1;
    vec sums[CV_DOTS_M][CV_GRAD_TAPS];
    CV_(dot_take)(most, taps, acc, sums);
    for (ptrdiff_t r = 0; r < rows; r++, y += 2, gy += p->ys[3], x += 2 * p->xs[3]) {
        /* as the shuffles below leave their lanes: to bring these in order is its own inverse */
        const vec g = CV_(in_order)(inner ? CV_(load)(gy) : CV_(load_n)(gy, len));
        CV_UNROLL(3)
        for (int m = 0; m < most; m++) {
            if (m >= left || y + m < 0 || y + m >= p->in[1])
                continue;
            CV_UNROLL(3)
            for (int t = 0; t < taps; t += 2) {
                const T *at = x + m * p->xs[3] + t;
                const vec a = inner ? CV_(load)(at) : CV_(load_set)(at, sets[t / 2][0]);
                const vec b = inner ? CV_(load)(at + VL) : CV_(load_set)(at + VL, sets[t / 2][1]);
                sums[m][t] += g * CV_(evens)(a, b);
                if (t + 1 < taps)
                    sums[m][t + 1] += g * CV_(odds)(a, b);
            }
        }
    }
    CV_(dot_take)(most, taps, sums, acc);
}

CV_INLINE void CV_(dot_halves)(const int taps, const int ms, const CV_(dot_job) *j,
                               const CV_(dot_place) *at) {
    const cv_conv *p = &j->p;
    const ptrdiff_t blocks = (p->out[1] + CV_DOTS_ROWS - 1) / CV_DOTS_ROWS;
    vec acc[CV_DOTS_M + 2][CV_GRAD_TAPS] = {{{0}}}; /* the last are loaded only */
    CV_(dot_totals) totals = {{{0}}};
    ptrdiff_t added = 0;
    for (ptrdiff_t i = 0; i < p->n * p->out[0] * blocks; i++) {
        const ptrdiff_t oy = i % blocks * CV_DOTS_ROWS, y = 2 * oy + at->ky - p->lo[1],
                        rows = CV_MIN2(p->out[1] - oy, CV_DOTS_ROWS);
        const T *x, *gy;
        if (!CV_(dot_planes)(j, at, i / blocks, i % blocks, &x, &gy))
            continue;
        gy += oy * p->ys[3];
        x += y * p->xs[3];
        for (ptrdiff_t o = 0; o < p->out[2]; o += VL) {
            const ptrdiff_t len = CV_MIN2(VL, p->out[2] - o), ix = 2 * o + at->kx - p->lo[2];
            const int inner = len == VL && ix >= 0 && ix + 2 * VL + taps - 1 <= p->in[2];
            CV_LANE_SET sets[3][2];
            for (int t = 0; t < taps; t += 2) { /* none beyond the last output's: it may be NaN */
                const ptrdiff_t lo = -ix - t, hi = CV_MIN2(p->in[2] - ix - t, 2 * len);
                sets[t / 2][0] = CV_(lane_set)(lo, hi);
                sets[t / 2][1] = CV_(lane_set)(lo - VL, hi - VL);
            }
            for (int m = 0; m < ms; m += taps == 3 ? 3 : 1) {
                const T *from = x + ix + m * p->xs[3];
                if (!CV_CHEAP_MASKS && inner)
                    CV_(dot_pairs)(taps, 1, j, gy + o, from, rows, y + m, sets, len, ms - m,
                                   acc + m);
                else
                    CV_(dot_pairs)(taps, 0, j, gy + o, from, rows, y + m, sets, len, ms - m,
                                   acc + m);
            }
            added += rows;
            if (added > CV_DOTS_PART - CV_DOTS_ROWS) {
                CV_(dot_flush)(ms, taps, acc, totals);
                added = 0;
            }
        }
    }
    CV_(dot_flush)(ms, taps, acc, totals);
    CV_(dot_store)(1, j, at, totals);
}
#endif
