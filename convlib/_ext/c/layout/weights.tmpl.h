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
        if (rows == CV_MR) {
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

/* Output channels l0 .. l1-1 of the group at w to [tap][c][lane], zero past the last channel. */
static CV_UNUSED void CV_(pack_lanes)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1,
                                      T *dst) {
    const ptrdiff_t taps = p->k[0] * p->k[1] * p->k[2], k = p->icg * taps, width = l1 - l0;
    const int joined = cv_joined_weights(p);
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
        for (ptrdiff_t tap = 0; !joined && tap < taps; tap++) {
            for (ptrdiff_t c = 0; c < p->icg; c++) {
                for (ptrdiff_t i = 0; i < VL; i++)
                    dst[(tap * p->icg + c) * width + i] =
                        i < lanes ? from[i * p->ws[1] + c * p->ws[2] + cv_tap_of(p, tap)] : 0;
            }
        }
    }
}
#endif
