/* Weights packed for the two kinds of GEMM: rows of MR outputs, or vectors of outputs. */
#ifndef CV_WEIGHTS
#define CV_WEIGHTS
#include "../gemm/view.h"
#include "transpose.tmpl.h"

/* Weights of a panel, the output channels oc0 .. oc0+MR-1 of a group, in run order, [K][MR], zero
 * past ocg. */
static CV_UNUSED void CV_(pack_weights)(const cv_conv *p, const cv_view *view, const T *w,
                                        ptrdiff_t oc0, T *to) {
    const ptrdiff_t rows = CV_MIN2(CV_MR, p->ocg - oc0);
    for (ptrdiff_t r = 0; r < view->runs; r++) {
        const ptrdiff_t ic0 = r / view->taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        const T *src = w + oc0 * p->ws[1] + ic0 * p->ws[2] + cv_tap_of(p, r % view->taps);
        if (rows == CV_MR && p->ws[1] == 1) {
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, to += CV_MR, src += p->ws[2])
                __builtin_memcpy(to, src, CV_MR * sizeof(T));
        } else if (rows == CV_MR) {
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, to += CV_MR, src += p->ws[2]) {
                CV_UNROLL(8)
                for (int m = 0; m < CV_MR; m++)
                    to[m] = src[m * p->ws[1]];
            }
        } else {
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, to += CV_MR, src += p->ws[2]) {
                for (ptrdiff_t m = 0; m < CV_MR; m++)
                    to[m] = m < rows ? src[m * p->ws[1]] : 0;
            }
        }
    }
}

/* Panels of an even number, so that two threads share them evenly; vectors are cut evenly, too. */
CV_INLINE ptrdiff_t CV_(lane_panels)(ptrdiff_t vecs) {
    const ptrdiff_t n = (vecs + CV_NV - 1) / CV_NV;
    return n > 1 ? n + n % 2 : n;
}
CV_INLINE ptrdiff_t CV_(lane_of)(ptrdiff_t vecs, ptrdiff_t panels, ptrdiff_t i) {
    return i * vecs / panels * VL;
}

#define CV_FAR_ROWS 16 /* ahead of where they are copied: rows may lie further apart than a page */

CV_INLINE void CV_(prefetch_row)(const T *row, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i += 64 / (ptrdiff_t)sizeof(T))
        __builtin_prefetch(row + i);
}

/* What pack_lanes does, where lanes are neighbours in memory. */
static void CV_(copy_lanes)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1, T *dst) {
    const ptrdiff_t whole = CV_MIN2(l1, p->ocg) - l0;
    for (ptrdiff_t tap = 0; tap < cv_taps(p); tap++) {
        const T *from = w + l0 + cv_tap_of(p, tap);
        for (ptrdiff_t c = 0; c < p->icg; c++, from += p->ws[2], dst += l1 - l0) {
            for (ptrdiff_t i = 0; i < l1 - l0; i += VL) {
                __builtin_prefetch(from + i + CV_FAR_ROWS * p->ws[2]);
                CV_(store)(dst + i, i + VL <= whole ? CV_(load)(from + i)
                                                    : CV_(load_n)(from + i, whole - i));
            }
        }
    }
}

/* The same where they are nearer than channels, as in gradients of the input: rows of windows. */
static void CV_(gather_lanes)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1, T *dst) {
    const ptrdiff_t width = l1 - l0, whole = CV_MIN2(l1, p->ocg) - l0, next = p->icg * width;
    for (ptrdiff_t c = 0; c < p->icg; c++, dst += width) {
        const T *row = w + l0 * p->ws[1] + c * p->ws[2];
        CV_(prefetch_row)(row + CV_FAR_ROWS * p->ws[2], whole * p->ws[1]);
        T *to = dst;
        for (ptrdiff_t tap = 0; tap < cv_taps(p); tap++, to += next) {
            const T *from = row + cv_tap_of(p, tap);
            ptrdiff_t i = 0;
            for (; i + VL <= whole; i += VL) {
                CV_UNROLL(16)
                for (int l = 0; l < VL; l++)
                    to[i + l] = from[(i + l) * p->ws[1]];
            }
            for (; i < width; i++)
                to[i] = i < whole ? from[i * p->ws[1]] : 0;
        }
    }
}

/* Output channels l0 .. l1-1 of the group at w to [tap][c][lane], zero past the last channel. */
static CV_UNUSED void CV_(pack_lanes)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1,
                                      T *dst) {
    const ptrdiff_t taps = cv_taps(p), k = p->icg * taps, width = l1 - l0;
    const int way = cv_joined_taps(p), joined = cv_joined_weights(p),
              windows = !joined && way && taps >= VL / 2;
    if (p->ws[1] == 1 && p->ocg > 1) {
        CV_(copy_lanes)(p, w, l0, l1, dst);
        return;
    }
    if (cv_near_lanes(p) && !windows) {
        CV_(gather_lanes)(p, w, l0, l1, dst);
        return;
    }
    for (ptrdiff_t l = l0; l < l1; l += VL, dst += VL) {
        const ptrdiff_t lanes = CV_MIN2(VL, p->ocg - l);
        const T *from = w + l * p->ws[1];
        /* numbers of a channel lie in a row */
        for (ptrdiff_t k0 = 0, c = 0, tap = 0; joined && k0 < k; k0 += VL) {
            const ptrdiff_t n = CV_MIN2(VL, k - k0);
            vec v[VL];
            CV_(transpose_rows)(from + k0, p->ws[1], 1, lanes, n, v);
            for (ptrdiff_t i = 0; i < n; i++) {
                CV_(store)(dst + (tap * p->icg + c) * width, v[i]);
                if (++tap == taps) {
                    tap = 0;
                    c++;
                }
            }
        }
        /* or those of a window do */
        for (ptrdiff_t c = 0; windows && c < p->icg; c++) {
            for (ptrdiff_t t = 0; t < taps; t += VL) {
                const ptrdiff_t n = CV_MIN2(VL, taps - t);
                vec v[VL];
                CV_(transpose_rows)(from + c * p->ws[2] + (way > 0 ? t : t - taps + 1), p->ws[1],
                                    1, lanes, n, v);
                for (ptrdiff_t i = 0; i < n; i++) {
                    const ptrdiff_t tap = way > 0 ? t + i : taps - 1 - t - i;
                    CV_(store)(dst + (tap * p->icg + c) * width, v[i]);
                }
            }
        }
        /* else those of a tap are blocks of channels, by rows of any step */
        for (ptrdiff_t tap = 0; !joined && !windows && tap < taps; tap++) {
            for (ptrdiff_t c = 0; c < p->icg; c += VL) {
                const ptrdiff_t n = CV_MIN2(VL, p->icg - c);
                vec v[VL];
                CV_(transpose_rows)(from + cv_tap_of(p, tap) + c * p->ws[2], p->ws[1], p->ws[2],
                                    lanes, n, v);
                for (ptrdiff_t i = 0; i < n; i++)
                    CV_(store)(dst + (tap * p->icg + c + i) * width, v[i]);
            }
        }
    }
}
#endif
