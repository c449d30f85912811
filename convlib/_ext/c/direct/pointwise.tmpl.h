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
    if (!cv_in_place(p) || p->ys[4] != 1 || p->icg <= 2 * CV_POINTWISE_CHANNELS ||
        p->out[2] * size < CV_POINTWISE_PLANE)
        return 0;
    return CV_MAX2(CV_POINTWISE_BYTES / (p->ocg * size), 16 * VL) / VL * VL;
}

/* Adds `channels` channels from x on to nv vectors of each output, or to fewer lanes; first and
 * last: those channels of the sums.  w and bias are those of the group's first output. */
CV_INLINE void CV_(pointwise_add)(const int channels, const int nv, ptrdiff_t lanes, int first,
                                  int last, const cv_conv *p, const T *x, const T *w, const T *bias,
                                  T *y) {
    vec v[CV_POINTWISE_CHANNELS][2];
    CV_UNROLL(4)
    for (int c = 0; c < channels; c++) {
        CV_UNROLL(2)
        for (int i = 0; i < nv; i++)
            v[c][i] = nv == 2 ? CV_(load)(x + c * p->xs[1] + i * VL)
                              : CV_(load_n)(x + c * p->xs[1], lanes);
    }
    for (ptrdiff_t m = 0; m < p->ocg; m++, w += p->icg, y += p->ys[1]) {
        vec sum[2] = {{0}, {0}};
        CV_UNROLL(2)
        for (int i = 0; i < nv && !first; i++)
            sum[i] = nv == 2 ? CV_(load)(y + i * VL) : CV_(load_n)(y, lanes);
        CV_UNROLL(4)
        for (int c = 0; c < channels; c++) {
            const vec a = CV_(set1)(w[c]);
            CV_UNROLL(2)
            for (int i = 0; i < nv; i++)
                sum[i] += a * v[c][i];
        }
        const vec b = CV_(set1)(bias ? bias[m] : 0);
        CV_UNROLL(2)
        for (int i = 0; i < nv; i++) {
            const vec s = last ? sum[i] + b : sum[i];
            if (nv == 2)
                CV_(store)(y + i * VL, s);
            else
                CV_(store_n)(y, s, lanes);
        }
    }
}

CV_INLINE void CV_(pointwise_some)(const int channels, ptrdiff_t c, const cv_conv *p, ptrdiff_t n,
                                   const T *x, const T *w, const T *bias, T *y) {
    const int first = c == 0, last = c + channels == p->icg;
    x += c * p->xs[1];
    w += c;
    for (; n >= 2 * VL; n -= 2 * VL, x += 2 * VL, y += 2 * VL)
        CV_(pointwise_add)(channels, 2, VL, first, last, p, x, w, bias, y);
    for (; n > 0; n -= VL, x += VL, y += VL)
        CV_(pointwise_add)(channels, 1, CV_MIN2(n, VL), first, last, p, x, w, bias, y);
}

/* Pixels [at, at + n) of a plane; w and bias are those of its group. */
static void CV_(pointwise_pixels)(const cv_conv *p, ptrdiff_t at, ptrdiff_t n, const T *x,
                                  const T *w, const T *bias, T *y) {
    double work = 0;
    ptrdiff_t c = 0;
    for (; c + CV_POINTWISE_CHANNELS <= p->icg; c += CV_POINTWISE_CHANNELS) {
        CV_(pointwise_some)(CV_POINTWISE_CHANNELS, c, p, n, x + at, w, bias, y + at);
        if (cv_stop_after(&work, (double)(CV_POINTWISE_CHANNELS * n * p->ocg)))
            return;
    }
    for (; c < p->icg; c++)
        CV_(pointwise_some)(1, c, p, n, x + at, w, bias, y + at);
}
#endif
