/* Rows of pixels copied with channels last. */
#ifndef CV_NHWC_IN
#define CV_NHWC_IN
#include "transpose.tmpl.h"

/* Pixels [0, n) of a row to dst, channels last; from: the first one's first channel, next: from
 * pixel to pixel. */
static void CV_(nhwc_in)(const cv_conv *p, const T *from, ptrdiff_t next, ptrdiff_t n, T *dst) {
    const ptrdiff_t icg = p->icg;
    if (p->xs[1] == 1 || icg == 1) {
        if (next == icg) {
            __builtin_memcpy(dst, from, (size_t)(n * icg) * sizeof(T));
        } else {
            for (ptrdiff_t i = 0; i < n; i++)
                __builtin_memcpy(dst + i * icg, from + i * next, (size_t)icg * sizeof(T));
        }
        return;
    }
    if (icg <= 4) { /* four to a pixel, and each pixel over the last one's fourth */
        for (ptrdiff_t i = 0; i < n; i += VL) {
            const ptrdiff_t pixels = CV_MIN2(VL, n - i);
            vec v[4];
            T four[4 * VL];
            CV_UNROLL(4)
            for (int c = 0; c < 4; c++)
                v[c] = c < icg ? CV_(gather)(from + i * next + c * p->xs[1], next, 0, pixels)
                               : (vec){0};
            CV_UNROLL(2)
            for (int q = 0; q < 2; q++) {
                const vec e = q ? CV_(zip_high)(v[0], v[2]) : CV_(zip_low)(v[0], v[2]);
                const vec o = q ? CV_(zip_high)(v[1], v[3]) : CV_(zip_low)(v[1], v[3]);
                CV_(store)(four + 2 * q * VL, CV_(zip_low)(e, o));
                CV_(store)(four + (2 * q + 1) * VL, CV_(zip_high)(e, o));
            }
            T *to = dst + i * icg;
            /* nothing past the last one */
            const ptrdiff_t whole = i + pixels < n ? pixels : pixels - 1;
            for (ptrdiff_t q = 0; q < whole; q++)
                __builtin_memcpy(to + q * icg, four + 4 * q, 4 * sizeof(T));
            if (whole < pixels)
                __builtin_memcpy(to + whole * icg, four + 4 * whole, (size_t)icg * sizeof(T));
        }
        return;
    }
    /* A line of the cache is filled at once: those of many pixels may fall into one set. */
    const ptrdiff_t line = CV_MAX2(VL, 64 / (ptrdiff_t)sizeof(T));
    for (ptrdiff_t begin = 0; begin < icg; begin += line) {
        for (ptrdiff_t q = 0; q < n; q += VL) {
            /* the last ones whole, too, where some come twice */
            const ptrdiff_t i = CV_MAX2(0, CV_MIN2(q, n - VL)), pixels = CV_MIN2(VL, n - i);
            for (ptrdiff_t c = begin; c < CV_MIN2(icg, begin + line); c += VL) {
                const ptrdiff_t channels = CV_MIN2(VL, icg - c);
                const T *src = from + c * p->xs[1] + i * next;
                T *to = dst + i * icg + c;
                vec v[VL];
                CV_(transpose_rows)(src, p->xs[1], next, channels, pixels, v);
                if (channels == VL && pixels == VL) {
                    CV_UNROLL(16)
                    for (int k = 0; k < VL; k++)
                        CV_(store)(to + k * icg, v[k]);
                } else {
                    for (ptrdiff_t k = 0; k < pixels; k++)
                        CV_(store_n)(to + k * icg, v[k], channels);
                }
            }
        }
    }
}
#endif
