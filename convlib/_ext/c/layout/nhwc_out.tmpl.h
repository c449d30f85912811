/* Sums with channels last brought to y, whatever its layout. */
#ifndef CV_NHWC_OUT
#define CV_NHWC_OUT
#include "transpose.tmpl.h"

/* The first n lanes of a vector to element `at` of y, or one number; wide: y is int64. */
CV_INLINE void CV_(put)(void *y, ptrdiff_t at, vec v, ptrdiff_t n, const int wide) {
    if (!wide) {
        CV_(store_n)((T *)y + at, v, n);
        return;
    }
    T lanes[VL];
    CV_(store)(lanes, v);
    if (n == VL) {
        for (int i = 0; i < VL; i++)
            ((int64_t *)y)[at + i] = (int64_t)lanes[i];
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            ((int64_t *)y)[at + i] = (int64_t)lanes[i];
    }
}
/* Numbers that lie `from_step` apart to elements that lie `step` apart. */
CV_INLINE void CV_(put_apart)(void *y, ptrdiff_t at, ptrdiff_t step, const T *from,
                              ptrdiff_t from_step, ptrdiff_t n, const int wide) {
    if (wide) {
        for (ptrdiff_t i = 0; i < n; i++)
            ((int64_t *)y)[at + i * step] = (int64_t)from[i * from_step];
    } else {
        CV_UNROLL(4)
        for (ptrdiff_t i = 0; i < n; i++)
            ((T *)y)[at + i * step] = from[i * from_step];
    }
}

/* The sums of `count` pixels, the first one number `pixel` of the batch, to y; outs channels, the
 * first one at y. */
CV_INLINE void CV_(nhwc_out_as)(const cv_conv *p, ptrdiff_t pixel, ptrdiff_t count, ptrdiff_t outs,
                                const T *sums, ptrdiff_t ld, void *y, const int wide) {
    const int flat =
        p->ys[3] == p->out[2] * p->ys[4] && (p->out[0] == 1 || p->ys[2] == p->out[1] * p->ys[3]);
    const ptrdiff_t plane = p->out[1] * p->out[2], image = p->out[0] * plane,
                    row = flat ? image : p->out[2];
    for (ptrdiff_t n; count > 0; count -= n, pixel += n, sums += n * ld) {
        const ptrdiff_t at = pixel % image;
        const ptrdiff_t to = pixel / image * p->ys[0] + at / plane * p->ys[2] +
                             at / p->out[2] % p->out[1] * p->ys[3] + at % p->out[2] * p->ys[4];
        n = CV_MIN2(count, row - pixel % row);
        if (p->ys[1] == 1) {
            for (ptrdiff_t i = 0; i < n; i++) {
                for (ptrdiff_t l = 0; l < outs; l += VL)
                    CV_(put)(y, to + i * p->ys[4] + l, CV_(load)(sums + i * ld + l),
                             CV_MIN2(VL, outs - l), wide);
            }
            continue;
        }
        if (p->ys[4] != 1) { /* one of the phases: no vector lies together */
            for (ptrdiff_t l = 0; l < outs; l++)
                CV_(put_apart)(y, to + l * p->ys[1], p->ys[4], sums + l, ld, n, wide);
            continue;
        }
        for (ptrdiff_t l = 0; l < outs; l += VL) {
            for (ptrdiff_t i = 0; i < n; i += VL) {
                const ptrdiff_t pixels = CV_MIN2(VL, n - i), lanes = CV_MIN2(VL, outs - l);
                ptrdiff_t row_to = to + l * p->ys[1] + i;
                vec v[VL];
#ifdef CV_LANE
                if (pixels == VL) {
                    CV_(transpose_whole)(sums + i * ld + l, ld, v, NULL);
                } else
#endif
                {
                    CV_UNROLL(16)
                    for (int q = 0; q < VL; q++)
                        v[q] = CV_(load)(sums + CV_MIN2(i + q, n - 1) * ld + l);
                    CV_(transpose)(v);
                }
                if (!wide && lanes == VL && pixels == VL) {
                    CV_UNROLL(16)
                    for (int q = 0; q < VL; q++)
                        CV_(store)((T *)y + row_to + q * p->ys[1], v[q]);
                    continue;
                }
                for (ptrdiff_t q = 0; q < lanes; q++, row_to += p->ys[1])
                    CV_(put)(y, row_to, v[q], pixels, wide);
            }
        }
    }
}

#if CV_FLOAT
CV_NOINLINE CV_UNUSED void CV_(nhwc_out)(const cv_conv *p, ptrdiff_t pixel, ptrdiff_t count,
                                         ptrdiff_t outs, const T *sums, ptrdiff_t ld, T *y) {
    CV_(nhwc_out_as)(p, pixel, count, outs, sums, ld, y, 0);
}
#else
/* From channel oc on, to y as a whole. */
CV_NOINLINE CV_UNUSED void CV_(nhwc_out)(const cv_conv *p, ptrdiff_t pixel, ptrdiff_t count,
                                         ptrdiff_t oc, ptrdiff_t outs, const T *sums, ptrdiff_t ld,
                                         void *y, int wide) {
    const ptrdiff_t at = oc * p->ys[1];
    y = wide ? (void *)((int64_t *)y + at) : (void *)((T *)y + at);
    CV_(nhwc_out_as)(p, pixel, count, outs, sums, ld, y, wide);
}
#endif
#endif
