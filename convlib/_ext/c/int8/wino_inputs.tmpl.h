/* Inputs of 8 bits on their way to V: rows of int16, turned round to channels last, and the
 * transform of one axis.
 *
 * Points 0, 1, -1, 2, -1/2 and infinity, in projective coordinates: B, G and A hold
 * integers, and of the numbers that divide a result only one is even, 2, so that two axes leave
 * sums modulo 2^30.  No number of int8 leaves int16: a row of B adds up to 14 at most, of G to 7,
 * and 14^2 128 = 25088. */
#ifndef CV_WINO_INT_INPUTS
#define CV_WINO_INT_INPUTS
#include "../winograd/job.tmpl.h"
#include "bytes.h"

typedef int16_t CV_(wino_in_t) __attribute__((vector_size(CV_VB)));

/* Columns lo .. hi-1 of a row are padding. */
CV_INLINE void CV_(wino_pad)(const CV_(wino_job) *j, ptrdiff_t lo, ptrdiff_t hi, T *to) {
    const CV_(wino_in_t) v = (int16_t)(j->padding - j->offset) - (CV_(wino_in_t)){0};
    for (ptrdiff_t x = lo; x < hi; x++)
        CV_(store)(to + x * VL, (vec)v);
}

/* Columns first <= x < first + width of a row of bytes, which begins at `from`, to [x][channel]. */
CV_NOINLINE void CV_(wino_row)(const CV_(wino_job) *j, const uint8_t *from, ptrdiff_t first,
                               ptrdiff_t width, ptrdiff_t channels, T *to, T *sizes) {
    typedef int8_t cv_signed __attribute__((vector_size(CV_BLOCK)));
    typedef int16_t cv_wide __attribute__((vector_size(2 * CV_BLOCK)));
    const cv_conv *p = &j->p;
    const ptrdiff_t step = p->xs[4];
    ptrdiff_t lo, hi;
    cv_lanes(first, 1, p->in[2], width, &lo, &hi);
    (void)sizes;
    CV_(wino_pad)(j, 0, lo, to);
    from += (first + lo) * step;
    for (ptrdiff_t x = lo; x < hi; x += CV_BLOCK, from += CV_BLOCK * step) {
        const ptrdiff_t n = CV_MIN2(CV_BLOCK, hi - x);
        for (ptrdiff_t c = 0; c < CV_WINO_EACH; c += CV_BLOCK) {
            const ptrdiff_t some = CV_MIN2(CV_BLOCK, channels - c);
            int16_t *dst = (int16_t *)(to + x * VL) + c;
            cv_bytes v[CV_BLOCK] = {0};
            if (p->xs[1] == 1) {
                for (ptrdiff_t i = 0; i < n; i++)
                    v[i] = some > 0 ? cv_some_bytes(from + i * step + c, 1, some) : v[i];
            } else {
                for (ptrdiff_t r = 0; r < some; r++)
                    v[r] = cv_some_bytes(from + (c + r) * p->xs[1], step, n);
                cv_turn_bytes(v);
            }
            for (ptrdiff_t i = 0; i < n; i++, dst += CV_WINO_EACH) {
                const cv_wide wide = __builtin_convertvector(
                    (cv_signed)(v[i] ^ ((uint8_t)j->offset - (cv_bytes){0})), cv_wide);
                __builtin_memcpy(dst, &wide, CV_MIN2(sizeof wide, CV_VB));
            }
        }
    }
    CV_(wino_pad)(j, hi, width, to);
}

CV_INLINE void CV_(wino_bt)(const int a, const CV_(wino_in_t) *d, CV_(wino_in_t) *r) {
    const CV_(wino_in_t) e = d[4] - d[2], f = d[3] - d[1], e2 = e + e, f2 = f + f;
    const CV_(wino_in_t) s = d[1] + d[2], t = d[2] - d[3], g = d[0] - d[2], h = d[5] - d[3];
    (void)a;
    r[0] = g + g + e2 - (f2 + f);
    r[1] = s + s + s + f - e2;
    r[2] = t + t + t + e2 - f2;
    r[3] = e2 + f;
    r[4] = f2 - e;
    r[5] = h + h - f2 - (e2 + e);
}
#endif
