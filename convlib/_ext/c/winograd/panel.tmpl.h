/* A panel of Winograd's weights, of floats. */
#ifndef CV_WINO_PANEL
#define CV_WINO_PANEL
#include "axes.tmpl.h"
#include "job.tmpl.h"

/* The filters of output channels l .. l+VL-1 for channel c and slice kz, turned round:
 * to[tap][lane]. */
CV_INLINE void CV_(wino_gather)(const int r, const cv_conv *p, const T *w, ptrdiff_t l, ptrdiff_t c,
                                ptrdiff_t kz, T *to) {
    const int turned = p->ws[5] < 0;
    w += l * p->ws[1] + c * p->ws[2] + kz * p->ws[3];
    if (cv_joined_taps(p)) {
        const T *first = turned ? w - (r * r - 1) : w;
        const ptrdiff_t step = turned ? -VL : VL;
        T *place = turned ? to + (r * r - 1) * VL : to;
        CV_UNROLL(8)
        for (int t = 0; t < r * r; t += VL) {
            vec v[VL];
            CV_(transpose_rows)(first + t, p->ws[1], 1, p->ocg - l, CV_MIN2(VL, r * r - t), v);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++, place += step) {
                if (t + i < r * r)
                    CV_(store)(place, v[i]);
            }
        }
        return;
    }
    for (int t = 0; t < r * r; t++) {
        if (p->ws[1] == 1) {
            const T *tap = w + t / r * p->ws[4] + t % r * p->ws[5];
            CV_(store)(to + t * VL, CV_(load_n)(tap, CV_MIN2(VL, p->ocg - l)));
            continue;
        }
        for (ptrdiff_t i = 0; i < VL; i++)
            to[t * VL + i] =
                i < p->ocg - l ? w[i * p->ws[1] + t / r * p->ws[4] + t % r * p->ws[5]] : 0;
    }
}

/* Output channels l0 .. l1-1 of the group at w. */
CV_INLINE void CV_(wino_panel)(const int m, const int r, const cv_conv *p, const T *w, ptrdiff_t l0,
                               ptrdiff_t l1, T *u) {
    const int a = m + r - 1;
    const ptrdiff_t width = l1 - l0, plane = p->icg * p->k[0] * width + CV_WINO_SKEW;
    T taps[25 * VL];
    for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
        for (ptrdiff_t c = 0; c < p->icg; c++, u += width) {
            if (cv_near_lanes(p))
                CV_(prefetch_row)(w + l0 * p->ws[1] + (c + CV_FAR_ROWS) * p->ws[2],
                                  width * p->ws[1]);
            for (ptrdiff_t l = 0; l < width; l += VL / 2) {
                if (l % VL == 0)
                    CV_(wino_gather)(r, p, w, l0 + l, c, kz, taps);
                CV_(half_t) half[6 * 5], g[5], to[6];
                CV_UNROLL(5)
                for (int x = 0; x < r; x++) {
                    CV_UNROLL(5)
                    for (int y = 0; y < r; y++)
                        g[y] = __builtin_convertvector(
                            *(CV_(half_row_t) *)(taps + (y * r + x) * VL + l % VL), CV_(half_t));
                    CV_(wino_g)(a, r, g, to);
                    CV_UNROLL(6)
                    for (int i = 0; i < a; i++)
                        half[i * r + x] = to[i];
                }
                CV_UNROLL(6)
                for (int i = 0; i < a; i++) {
                    CV_(wino_g)(a, r, half + i * r, to);
                    CV_UNROLL(6)
                    for (int q = 0; q < a; q++)
                        *(CV_(half_row_t) *)(u + (i * a + q) * plane + l) =
                            __builtin_convertvector(to[q], CV_(half_row_t));
                }
            }
        }
    }
}
#endif
