/* Dot products of one output channel under strides from 3 on.  Each number of grad_y, repeated as
 * often as the stride says, meets a row of x as it lies: lane l of the v-th such vector has the sum
 * of tap (v * VL + l) % stride, and where x is read a stride on, that of the tap a stride on.
 * Part of dots.tmpl.h, whose job and sums it knows. */
#ifndef CV_REPEAT_H
#define CV_REPEAT_H

#define CV_REPEAT_STRIDE 8 /* at most */

CV_INLINE int CV_(dot_repeated)(const cv_conv *p) {
#ifdef CV_NAMED
    return p->ocg == 1 && p->stride[2] >= 3 && p->stride[2] <= CV_REPEAT_STRIDE && p->dil[2] == 1 &&
           p->xs[4] == 1 && p->ys[4] == 1;
#else
    (void)p;
    return 0;
#endif
}

#ifdef CV_NAMED
typedef double CV_(repeat_sums)[CV_DOTS_M][CV_REPEAT_STRIDE];

/* Outputs o .. end-1 of a row with rows m0 .. m1-1 of x, to whose sums a lane `which` adds; x: what
 * the first output of the row meets. */
CV_INLINE void CV_(dot_stretch)(const cv_conv *p, const T *gy, const T *x, ptrdiff_t kx,
                                ptrdiff_t v, ptrdiff_t o, ptrdiff_t end, int m0, int m1, ivec which,
                                vec (*acc)[CV_GRAD_TAPS]) {
    const ptrdiff_t s = p->stride[2], down = p->dil[1] * p->xs[3];
    vec sums[CV_DOTS_M][CV_GRAD_TAPS];
    CV_(dot_take)(CV_DOTS_M, 1, acc, sums);
    for (; o < end; o += VL) {
        /* none beyond the last output's: it may be NaN */
        const ptrdiff_t len = CV_MIN2(VL, end - o), first = o * s + v * VL + kx,
                        to = CV_MIN2(p->in[2] - first, len * s - v * VL);
        const int inner = len == VL && first >= 0 && to >= VL;
        const vec g = CV_(named)(inner ? CV_(load)(gy + o) : CV_(load_n)(gy + o, len), which);
        const CV_LANE_SET set = CV_(lane_set)(-first, to);
        CV_UNROLL(4)
        for (int m = 0; m < CV_DOTS_M; m++) {
            if (m >= m0 && m < m1) {
                const T *at = x + first + m * down;
                sums[m][0] += g * (inner ? CV_(load)(at) : CV_(load_set)(at, set));
            }
        }
    }
    CV_(dot_take)(CV_DOTS_M, 1, sums, acc);
}

/* The v-th vector of repeated numbers, for the taps of its lanes from at->kx on. */
CV_NOINLINE void CV_(dot_repeat)(const CV_(dot_job) *j, const CV_(dot_place) *at, ptrdiff_t v,
                                 CV_(repeat_sums) sums) {
    const cv_conv *p = &j->p;
    vec acc[CV_DOTS_M][CV_GRAD_TAPS] = {{{0}}}; /* the first of each only */
    CV_(dot_totals) totals = {{{0}}};
    ivec which;
    ptrdiff_t number = v * VL / p->stride[2], taps[VL];
    for (int l = 0; l < VL; l++) {
        taps[l] = v * VL + l - number * p->stride[2];
        which[l] = CV_NAMED(number);
        number += taps[l] + 1 == p->stride[2];
    }
    const ptrdiff_t most = CV_DOTS_PART * VL;
    ptrdiff_t added = 0;
    for (ptrdiff_t i = 0; i < p->n * p->out[0]; i++) {
        const T *x, *gy;
        if (!CV_(dot_planes)(j, at, i, 0, &x, &gy))
            continue;
        for (ptrdiff_t oy = 0; oy < p->out[1]; oy++, gy += p->ys[3]) {
            const ptrdiff_t y = oy * p->stride[1] + at->ky * p->dil[1] - p->lo[1];
            int m0 = 0, m1 = at->ms; /* kernel rows that meet one of x */
            while (m0 < m1 && y + m0 * p->dil[1] < 0)
                m0++;
            while (m0 < m1 && y + (m1 - 1) * p->dil[1] >= p->in[1])
                m1--;
            for (ptrdiff_t o = 0; m0 < m1 && o < p->out[2]; o += most) {
                const ptrdiff_t end = CV_MIN2(o + most, p->out[2]);
                CV_(dot_stretch)(p, gy, x + y * p->xs[3], at->kx - p->lo[2], v, o, end, m0, m1,
                                 which, acc);
                added += end - o;
                if (added >= most) {
                    CV_(dot_flush)(at->ms, 1, acc, totals);
                    added = 0;
                }
            }
        }
    }
    CV_(dot_flush)(at->ms, 1, acc, totals);
    for (int m = 0; m < at->ms; m++) {
        for (int l = 0; l < VL; l++)
            sums[m][taps[l]] += totals[m][0][l];
    }
}

/* The sums of neighbouring kernel rows, over all images and outputs. */
static void CV_(dot_repeats)(const CV_(dot_job) *j, CV_(dot_place) *at) {
    const cv_conv *p = &j->p;
    const ptrdiff_t s = p->stride[2], line = (at->ic * p->k[0] + at->kz) * p->k[1] + at->ky;
    T *w = j->gw + (at->oc * p->icg * p->k[0] * p->k[1] + line) * p->k[2];
    for (at->kx = 0; at->kx < p->k[2]; at->kx += s) {
        CV_(repeat_sums) sums = {{0}};
        for (ptrdiff_t v = 0; v < s; v++)
            CV_(dot_repeat)(j, at, v, sums);
        for (int m = 0; m < at->ms; m++) {
            for (ptrdiff_t t = 0; t < CV_MIN2(p->k[2] - at->kx, s); t++)
                w[m * p->k[2] + at->kx + t] = (T)sums[m][t];
        }
    }
}
#endif
#endif
