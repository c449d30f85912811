/* 1x1 windows that few outputs share: some channels at a time over a block of pixels.
 *
 * A tile in registers would read a line or two from the plane of each channel.  Planes lie far
 * apart, and often by a power of two: no prefetcher follows so many streams, each read is another
 * page, and few of them fit in the sets of a cache that they all fall into.  Four channels over a
 * block are four long streams, and the sums of the block wait in the first-level cache.
 */
#ifndef CV_POINTWISE
#define CV_POINTWISE
#include "lanes.tmpl.h"

#define CV_POINTWISE_BYTES (16 << 10) /* sums of a block, which stay in L1 beside the inputs */
#define CV_POINTWISE_PLANE 4096 /* bytes of a plane: channels of smaller ones share a page */
#define CV_POINTWISE_CHANNELS 4 /* at a time; as few of them altogether stay in registers */

/* Pixels of a block; 0: the problem, simplified, is served by tiles in registers. */
static ptrdiff_t CV_(pointwise_block)(const cv_conv *p) {
    const ptrdiff_t size = (ptrdiff_t)sizeof(T);
#ifdef CV_FLOOR
    return 0;
#endif
    if (!cv_in_place(p) || p->ys[4] != 1 || p->icg <= 2 * CV_POINTWISE_CHANNELS ||
        p->out[2] * size < CV_POINTWISE_PLANE)
        return 0;
    return CV_MAX2(CV_POINTWISE_BYTES / (p->ocg * size), 16 * VL) / VL * VL;
}

#ifndef CV_FLOOR
/* Adds four channels from x on to two vectors of each output; or fewer, `fewer` of them, to the
 * `lanes` first lanes of one.  first, last: those channels of the sums.  w and bias are those of
 * the group's first output. */
CV_INLINE void CV_(pointwise_add)(const int whole, ptrdiff_t fewer, ptrdiff_t lanes, int first,
                                  int last, const cv_conv *p, const T *x, const T *w, const T *bias,
                                  T *y) {
    const ptrdiff_t channels = whole ? CV_POINTWISE_CHANNELS : fewer;
    const int nv = whole ? 2 : 1;
    vec v[CV_POINTWISE_CHANNELS][2] = {{{0}}};
    CV_UNROLL(4)
    for (ptrdiff_t c = 0; c < channels; c++) {
        CV_UNROLL(2)
        for (int i = 0; i < nv; i++)
            v[c][i] = whole ? CV_(load)(x + c * p->xs[1] + i * VL)
                            : CV_(load_n)(x + c * p->xs[1], lanes);
    }
    for (ptrdiff_t m = 0; m < p->ocg; m++, w += p->icg, y += p->ys[1]) {
        vec sum[2] = {{0}, {0}};
        CV_UNROLL(2)
        for (int i = 0; i < nv && !first; i++)
            sum[i] = whole ? CV_(load)(y + i * VL) : CV_(load_n)(y, lanes);
        CV_UNROLL(4)
        for (ptrdiff_t c = 0; c < channels; c++) {
            const vec a = CV_(set1)(w[c]);
            CV_UNROLL(2)
            for (int i = 0; i < nv; i++)
                sum[i] += a * v[c][i];
        }
        const vec b = CV_(set1)(bias ? bias[m] : 0);
        CV_UNROLL(2)
        for (int i = 0; i < nv; i++) {
            const vec s = last ? sum[i] + b : sum[i];
            if (whole)
                CV_(store)(y + i * VL, s);
            else
                CV_(store_n)(y, s, lanes);
        }
    }
}

/* Pixels [at, at + n) of a plane; w and bias are those of its group. */
static void CV_(pointwise_pixels)(const cv_conv *p, ptrdiff_t at, ptrdiff_t n, const T *x,
                                  const T *w, const T *bias, T *y) {
    double work = 0;
    for (ptrdiff_t c = 0; c < p->icg; c += CV_POINTWISE_CHANNELS) {
        const ptrdiff_t channels = CV_MIN2(CV_POINTWISE_CHANNELS, p->icg - c);
        const int first = c == 0, last = c + channels == p->icg;
        const T *from = x + c * p->xs[1] + at;
        T *to = y + at;
        ptrdiff_t i = 0;
        for (; channels == CV_POINTWISE_CHANNELS && i + 2 * VL <= n; i += 2 * VL)
            CV_(pointwise_add)(1, 0, 0, first, last, p, from + i, w + c, bias, to + i);
        CV_UNROLL(1)
        for (; i < n; i += VL)
            CV_(pointwise_add)(0, channels, CV_MIN2(VL, n - i), first, last, p, from + i, w + c,
                               bias, to + i);
        if (cv_stop_after(&work, (double)(channels * n * p->ocg)))
            return;
    }
}
#endif
#endif
