/* A panel of Winograd's weights, of integers: each lane holds those of two input channels, int16.
 */
#ifndef CV_WINO_INT_WEIGHTS
#define CV_WINO_INT_WEIGHTS
#include "../winograd/job.tmpl.h"

CV_INLINE void CV_(wino_g)(const vec *g, vec *to) {
    const vec even = g[0] + g[2];
    to[0] = g[0];
    to[1] = even + g[1];
    to[2] = even - g[1];
    to[3] = g[0] + 2 * g[1] + 4 * g[2];
    to[4] = 4 * g[0] - 2 * g[1] + g[2];
    to[5] = g[2];
}

/* G g G^T of VL filters, of which `real` exist, step apart; none: zeros. */
CV_NOINLINE void CV_(wino_filters)(const cv_conv *p, const int8_t *w, ptrdiff_t real, vec *u) {
    vec half[6 * 3], g[3], to[6];
    T taps[9][VL] = {{0}};
    for (ptrdiff_t l = 0; l < real; l++) {
        CV_UNROLL(9)
        for (int t = 0; t < 9; t++)
            taps[t][l] = w[l * p->ws[1] + t / 3 * p->ws[4] + t % 3 * p->ws[5]];
    }
    CV_UNROLL(3)
    for (int x = 0; x < 3; x++) {
        CV_UNROLL(3)
        for (int y = 0; y < 3; y++)
            g[y] = CV_(load)(taps[y * 3 + x]);
        CV_(wino_g)(g, to);
        CV_UNROLL(6)
        for (int i = 0; i < 6; i++)
            half[i * 3 + x] = to[i];
    }
    CV_UNROLL(6)
    for (int i = 0; i < 6; i++)
        CV_(wino_g)(half + i * 3, u + i * 6);
}

/* Output channels l0 .. l1-1 of the group at w. */
static void CV_(wino_panel)(const cv_conv *p, const int8_t *w, ptrdiff_t l0, ptrdiff_t l1, T *u) {
    const ptrdiff_t width = l1 - l0, plane = CV_(wino_k)(p) * width + CV_WINO_SKEW;
    for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
        for (ptrdiff_t c = 0; c < p->icg; c += CV_DEPTH, u += width) {
            for (ptrdiff_t l = 0; l < width; l += VL) {
                const ptrdiff_t real = CV_MIN2(VL, p->ocg - l0 - l);
                const int8_t *from = w + (l0 + l) * p->ws[1] + c * p->ws[2] + kz * p->ws[3];
                vec low[36], high[36];
                CV_(wino_filters)(p, from, real, low);
                CV_(wino_filters)(p, from + p->ws[2], c + 1 < p->icg ? real : 0, high);
                for (int i = 0; i < 36; i++) {
                    const CV_(modulo) pair =
                        ((CV_(modulo))high[i] << 16) | ((CV_(modulo))low[i] & 0xffff);
                    CV_(store)(u + i * plane + l, (vec)pair);
                }
            }
        }
    }
}
#endif
