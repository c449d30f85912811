/* A panel of Winograd's weights, of floats. */
#ifndef CV_WINO_PANEL
#define CV_WINO_PANEL
#include "axes.tmpl.h"
#include "job.tmpl.h"

/* The filters of output channels l .. l+VL-1 for channel c and slice kz, turned round:
 * to[tap][lane]; of so many taps, at most `most`, in rows of so many columns. */
CV_INLINE void CV_(wino_gather)(const int most, ptrdiff_t taps, ptrdiff_t columns, const cv_conv *p,
                                const T *w, ptrdiff_t l, ptrdiff_t c, ptrdiff_t kz, T *to) {
    const int way = cv_joined_taps(p);
    w += l * p->ws[1] + c * p->ws[2] + kz * p->ws[3];
    if (way) {
        const T *first = way < 0 ? w - (taps - 1) : w;
        const ptrdiff_t step = way < 0 ? -VL : VL;
        T *place = way < 0 ? to + (taps - 1) * VL : to;
        CV_UNROLL(8)
        for (int t = 0; t < most; t += VL) {
            vec v[VL];
            if (t >= taps)
                break;
            CV_(transpose_rows)(first + t, p->ws[1], 1, p->ocg - l, CV_MIN2(VL, taps - t), v);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++, place += step) {
                if (t + i < most && t + i < taps)
                    CV_(store)(place, v[i]);
            }
        }
        return;
    }
    for (int t = 0; t < taps; t++) {
        const T *tap = w + t / columns * p->ws[4] + t % columns * p->ws[5];
        if (p->ws[1] == 1) {
            CV_(store)(to + t * VL, CV_(load_n)(tap, CV_MIN2(VL, p->ocg - l)));
            continue;
        }
        for (ptrdiff_t i = 0; i < VL; i++)
            to[t * VL + i] = i < p->ocg - l ? tap[i * p->ws[1]] : 0;
    }
}

typedef void (*CV_(wino_gather_fn))(const cv_conv *p, const T *w, ptrdiff_t l, ptrdiff_t c,
                                    ptrdiff_t kz, T *to);
#define CV_WINO_GATHER(name, most, taps, columns)                                       \
    CV_NOINLINE void CV_(wino_gather_##name)(const cv_conv *p, const T *w, ptrdiff_t l, \
                                             ptrdiff_t c, ptrdiff_t kz, T *to) {        \
        CV_(wino_gather)(most, taps, columns, p, w, l, c, kz, to);                      \
    }
CV_WINO_GATHER(3x3, 9, 9, 3)
CV_WINO_GATHER(5x5, 25, 25, 5)
CV_WINO_GATHER(line, 7, p->k[1] * p->k[2], p->k[2])
#undef CV_WINO_GATHER

CV_INLINE CV_(half_t) CV_(wino_tap)(const T *tap) {
    return __builtin_convertvector(*(const CV_(half_row_t) *)tap, CV_(half_t));
}

CV_INLINE void CV_(wino_put)(const int a, const CV_(half_t) *from, ptrdiff_t plane, T *u) {
    CV_UNROLL(8)
    for (int q = 0; q < a; q++)
        *(CV_(half_row_t) *)(u + q * plane) = __builtin_convertvector(from[q], CV_(half_row_t));
}

/* Half a vector of filters to ah x aw points, so many of which differ along H and W, their planes
 * so far apart. */
typedef void (*CV_(wino_filter_fn))(const T *taps, ptrdiff_t plane, T *u);
#define CV_WINO_SQUARE(ah, aw, r, sh, sw)                                                       \
    CV_NOINLINE void CV_(wino_square_##ah##_##aw##_##r)(const T *taps, ptrdiff_t plane, T *u) { \
        CV_(half_t) half[6 * 5], g[5], to[6];                                                   \
        CV_UNROLL(5)                                                                            \
        for (int x = 0; x < r; x++) {                                                           \
            CV_UNROLL(5)                                                                        \
            for (int y = 0; y < r; y++)                                                         \
                g[y] = CV_(wino_tap)(taps + (y * r + x) * VL);                                  \
            CV_(wino_g)(ah, r, g, to);                                                          \
            CV_UNROLL(6)                                                                        \
            for (int i = 0; i < sh; i++)                                                        \
                half[i * r + x] = to[i];                                                        \
        }                                                                                       \
        CV_UNROLL(6)                                                                            \
        for (int i = 0; i < sh; i++) {                                                          \
            CV_(wino_g)(aw, r, half + i * r, to);                                               \
            CV_(wino_put)(sw, to, plane, u + i * sw * plane);                                   \
        }                                                                                       \
    }
#define CV_WINO_STRAIGHT(a, r)                                                            \
    CV_NOINLINE void CV_(wino_straight_##a##_##r)(const T *taps, ptrdiff_t plane, T *u) { \
        CV_(half_t) g[7], to[8];                                                          \
        CV_UNROLL(7)                                                                      \
        for (int x = 0; x < r; x++)                                                       \
            g[x] = CV_(wino_tap)(taps + x * VL);                                          \
        CV_(wino_g)(a, r, g, to);                                                         \
        CV_(wino_put)(a, to, plane, u);                                                   \
    }
CV_WINO_SQUARE(4, 4, 3, 4, 4)
CV_WINO_SQUARE(6, 4, 3, 6, 4)
CV_WINO_SQUARE(6, 6, 3, 6, 6)
CV_WINO_SQUARE(5, 5, 3, 4, 4)
CV_WINO_SQUARE(9, 9, 3, 6, 6)
CV_WINO_SQUARE(6, 6, 5, 6, 6)
CV_WINO_STRAIGHT(6, 3)
CV_WINO_STRAIGHT(8, 5)
CV_WINO_STRAIGHT(8, 7)
#undef CV_WINO_SQUARE
#undef CV_WINO_STRAIGHT

/* Output channels l0 .. l1-1 of the group at w. */
static void CV_(wino_panel)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1, T *u) {
    const ptrdiff_t count = p->k[1] * p->k[2], points = CV_(wino_points)(p), width = l1 - l0,
                    plane = p->icg * p->k[0] * width + CV_WINO_SKEW;
    const CV_(wino_gather_fn) gather = count == 9    ? CV_(wino_gather_3x3)
                                       : count == 25 ? CV_(wino_gather_5x5)
                                                     : CV_(wino_gather_line);
    const CV_(wino_filter_fn) filter = count == 3        ? CV_(wino_straight_6_3)
                                       : count == 5      ? CV_(wino_straight_8_5)
                                       : count == 7      ? CV_(wino_straight_8_7)
                                       : count == 25     ? CV_(wino_square_6_6_5)
                                       : points == 4 * 4 ? CV_(wino_square_4_4_3)
                                       : points == 6 * 4 ? CV_(wino_square_6_4_3)
                                       : points == 5 * 5 ? CV_(wino_square_5_5_3)
                                       : points == 9 * 9 ? CV_(wino_square_9_9_3)
                                                         : CV_(wino_square_6_6_3);
    T taps[25 * VL];
    for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
        for (ptrdiff_t c = 0; c < p->icg; c++, u += width) {
            if (cv_near_lanes(p))
                CV_(prefetch_row)(w + l0 * p->ws[1] + (c + CV_FAR_ROWS) * p->ws[2],
                                  width * p->ws[1]);
            for (ptrdiff_t l = 0; l < width; l += VL / 2) {
                if (l % VL == 0)
                    gather(p, w, l0 + l, c, kz, taps);
                filter(taps + l % VL, plane, u + l);
            }
        }
    }
}
#endif
