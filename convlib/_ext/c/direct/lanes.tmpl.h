/* Lanes of a row of outputs whose inputs exist, under one tap. */
#ifndef CV_LANES_H
#define CV_LANES_H
#include "../gemm/view.h"

/* Of the vector at the first lane, of the next one (stride 2), and of the outputs themselves (any
 * other stride). */
typedef struct {
    CV_LANE_SET a, b;
    short lo, hi;
} CV_(lanes);

CV_INLINE CV_(lanes) CV_(lanes_in)(ptrdiff_t a0, ptrdiff_t a1, ptrdiff_t b0, ptrdiff_t b1,
                                   ptrdiff_t lo, ptrdiff_t hi) {
    return (CV_(lanes)){CV_(lane_set)(a0, a1), CV_(lane_set)(b0, b1), (short)lo, (short)hi};
}

static CV_UNUSED CV_(lanes) CV_(lanes_of)(const cv_conv *p, ptrdiff_t ox, ptrdiff_t kx) {
    const ptrdiff_t ix = ox * p->stride[2] + kx * p->dil[2] - p->lo[2];
    ptrdiff_t a0, a1, b0, b1, lo, hi;
    cv_lanes(ix, 1, p->in[2], VL, &a0, &a1);
    cv_lanes(ix + VL, 1, p->in[2], VL, &b0, &b1);
    cv_lanes(ix, p->stride[2], p->in[2], CV_MIN2(VL, p->out[2] - ox), &lo, &hi);
    return CV_(lanes_in)(a0, a1, b0, b1, lo, hi);
}

/* A padded zero takes part in the sums: where a weight is not finite, outputs with its tap in the
 * padding are NaN. Kernels that form no product with padding call this afterwards. */
static CV_UNUSED void CV_(poison)(const cv_conv *p, const T *w, T *y) {
    const ptrdiff_t taps = cv_taps(p), all = p->groups * p->ocg * p->icg * taps;
    ivec bad = {0};
    for (ptrdiff_t i = 0; i < all; i += VL) {
        const vec v = CV_(load_n)(w + i, CV_MIN2(VL, all - i)), zero = v - v;
        bad |= (ivec)(zero != zero);
    }
    if (!CV_(any)(bad))
        return;
    for (ptrdiff_t i = 0; i < all; i++) {
        if (w[i] * 0 == 0)
            continue;
        const ptrdiff_t t = i % taps,
                        k[3] = {t / p->k[2] / p->k[1], t / p->k[2] % p->k[1], t % p->k[2]};
        T *plane = y + i / taps / p->icg * p->ys[1];
        for (ptrdiff_t o = 0; o < p->n * cv_outputs(p); o++) {
            const ptrdiff_t at[3] = {o / p->out[2] / p->out[1] % p->out[0],
                                     o / p->out[2] % p->out[1], o % p->out[2]};
            int in = 1;
            for (int a = 0; a < 3; a++) {
                const ptrdiff_t x = at[a] * p->stride[a] + k[a] * p->dil[a] - p->lo[a];
                in &= x >= 0 && x < p->in[a];
            }
            if (!in)
                plane[o / cv_outputs(p) * p->ys[0] + at[0] * p->ys[2] + at[1] * p->ys[3] +
                      at[2] * p->ys[4]] = (T)NAN;
        }
    }
}

/* Bytes of the x and y of a plane, which is one group of one image. */
CV_INLINE double CV_(plane_bytes)(const cv_conv *p) {
    return (double)sizeof(T) * ((double)(p->icg * p->in[0] * p->in[1] * p->in[2]) +
                                (double)(p->ocg * cv_outputs(p)));
}

#define CV_PLANE_MOST (256 * 1024) /* bytes of a plane that an L2 holds */
#define CV_PLANES_FAR (2 << 20)    /* of all, that leave it */

/* Whether planes had better be asked for before they are computed a few rows at a time, which is no
 * stream that a processor follows. */
CV_ONCE CV_UNUSED int CV_(planes_far)(const cv_conv *p) {
    const double plane = CV_(plane_bytes)(p);
    return p->xs[4] == 1 && p->ys[4] == 1 && plane <= CV_PLANE_MOST &&
           plane * (double)(p->n * p->groups) > CV_PLANES_FAR;
}

/* Where a row of some channels of image n, from channel c on, begins in an array of these strides
 * and spatial sizes. */
CV_INLINE ptrdiff_t CV_(plane_row)(const ptrdiff_t *strides, const ptrdiff_t *size, ptrdiff_t n,
                                   ptrdiff_t c, ptrdiff_t row) {
    return n * strides[0] + (c + row / size[1] / size[0]) * strides[1] +
           row / size[1] % size[0] * strides[2] + row % size[1] * strides[3];
}

/* Ask for the lines of planes p0 .. p1-1: x is read, in its order.  Made small, not fast. */
__attribute__((noinline, cold, unused)) static void
CV_(ask_planes)(const cv_conv *p, const T *x, const T *y, ptrdiff_t p0, ptrdiff_t p1) {
    const ptrdiff_t line = 64 / (ptrdiff_t)sizeof(T);
    for (ptrdiff_t plane = p0; plane < p1; plane++) {
        const ptrdiff_t g = plane % p->groups, n = plane / p->groups;
        for (ptrdiff_t row = 0; row < p->icg * p->in[0] * p->in[1]; row++) {
            const T *from = x + CV_(plane_row)(p->xs, p->in, n, g * p->icg, row);
            for (ptrdiff_t i = 0; i < p->in[2] + line; i += line)
                (void)*(const volatile T *)(from + CV_MIN2(i, p->in[2] - 1));
        }
        for (ptrdiff_t row = 0; row < p->ocg * p->out[0] * p->out[1]; row++) {
            const T *to = y + CV_(plane_row)(p->ys, p->out, n, g * p->ocg, row);
            for (ptrdiff_t i = 0; i < p->out[2] + line; i += line)
                __builtin_prefetch(to + i, 1);
        }
    }
}

/* Read so many lanes of a row of pixels with channels last, in their order: a block of channels
 * meets it by leaps, which no processor follows. */
__attribute__((noinline, unused)) static void CV_(ask_pixels)(const T *row, ptrdiff_t step,
                                                              ptrdiff_t pixels, ptrdiff_t lanes) {
    for (ptrdiff_t i = 0; i < pixels; i++, row += step) {
        for (ptrdiff_t l = 0; l < lanes; l += 64 / (ptrdiff_t)sizeof(T))
            (void)*(const volatile T *)(row + l);
    }
}

/* The same of those rows under a window whose first one is `top` that the windows `stride` above,
 * if there were any (!first), did not meet; x: row 0. */
__attribute__((noinline, unused)) static void CV_(ask_rows)(const cv_conv *p, const T *x,
                                                            ptrdiff_t top, int first,
                                                            ptrdiff_t lanes) {
    const ptrdiff_t below = top + (p->k[1] - 1) * p->dil[1],
                    from = first ? top : below - p->stride[1] + 1;
    for (ptrdiff_t y = CV_MAX2(0, from); y <= CV_MIN2(below, p->in[1] - 1); y++)
        CV_(ask_pixels)(x + y * p->xs[3], p->xs[4], p->in[2], lanes);
}

/* The weights of depthwise windows turned round, [tap][channel], zeros behind the channels up to
 * `pitch`. */
CV_ONCE CV_UNUSED void CV_(turn_weights)(const T *w, ptrdiff_t taps, ptrdiff_t channels,
                                         ptrdiff_t pitch, T *to) {
    for (ptrdiff_t t = 0; t < taps; t++) {
        for (ptrdiff_t c = 0; c < pitch; c++)
            to[t * pitch + c] = c < channels ? w[c * taps + t] : 0;
    }
}

/* Whether weights lie without gaps, as these kernels read them. */
static inline CV_UNUSED int CV_(plain_weights)(const cv_conv *p) {
    return cv_joined_weights(p) && p->ws[1] == p->icg * cv_taps(p) &&
           (p->groups == 1 || p->ws[0] == p->ocg * p->ws[1]);
}
#endif
