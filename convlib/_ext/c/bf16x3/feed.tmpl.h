/* What feeds the matrix unit: weights as tiles, and the planes under a block of outputs. */
#ifndef CV_BF16_FEED
#define CV_BF16_FEED
#include "split.tmpl.h"

/* ---- weights: [group][tile of outputs][block of K][part][16 outputs][32] */

/* One row of a tile: up to 32 channels of the view from cb on, under one tap, at w; `spread`: their
 * taps differ. */
CV_INLINE void CV_(bf16_weights)(const cv_conv *p, const CV_(bf16_view) *v, int spread, const T *w,
                                 ptrdiff_t cb, ptrdiff_t n, uint32_t *to, ivec *tiny) {
    const ptrdiff_t step = p->ws[2];
    T row[CV_BF16_K] = {0};
    if (n == CV_BF16_K && !spread) {
        for (int l = 0; l < 16; l += VL, w += 2 * VL * step) {
            if (step == 1) {
                const vec a = CV_(load)(w), b = CV_(load)(w + VL);
                CV_(bf16_pair)(CV_(even)(a, b), CV_(odd)(a, b), to + l, CV_BF16_TILE / 4, tiny);
            } else {
                CV_(bf16_pair)(CV_(strided)(w, 2 * step), CV_(strided)(w + step, 2 * step), to + l,
                               CV_BF16_TILE / 4, tiny);
            }
        }
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t tap[3], at = i * step;
        if (spread) {
            at = CV_(bf16_origin)(p, v, cb + i, 0, tap) * step;
            at += tap[0] * p->ws[3] + tap[1] * p->ws[4] + tap[2] * p->ws[5];
        }
        row[i / 2 + i % 2 * 16] = w[at];
    }
    for (int l = 0; l < 16; l += VL)
        CV_(bf16_pair)(CV_(load)(row + l), CV_(load)(row + 16 + l), to + l, CV_BF16_TILE / 4, tiny);
}

/* A row of a tile with the outputs in its columns: channels cb and cb + 16, of which `n` exist from
 * cb on, at w. */
CV_INLINE void CV_(bf16_columns)(const cv_conv *p, const T *w, ptrdiff_t outs, ptrdiff_t n,
                                 uint32_t *to, ivec *tiny) {
    for (int l = 0; l < 16; l += VL) {
        vec v[2] = {{0}, {0}};
        const ptrdiff_t lanes = CV_MAX2(0, CV_MIN2(VL, outs - l));
        for (int h = 0; h < 2; h++) {
            if (n <= 16 * h)
                continue;
            const T *from = w + l * p->ws[1] + 16 * h * p->ws[2];
            v[h] =
                lanes == VL ? CV_(strided)(from, p->ws[1]) : CV_(gather)(from, p->ws[1], 0, lanes);
        }
        CV_(bf16_pair)(v[0], v[1], to + l, CV_BF16_TILE / 4, tiny);
    }
}

/* Tile t of the outputs of group g.  Row by row, so that weights are read in long runs. */
static void CV_(bf16_pack_tile)(const cv_conv *p, const CV_(bf16_view) *v, const T *w, ptrdiff_t g,
                                ptrdiff_t t, char *to, int *flag) {
    enum { SOME = 8 };
    ivec tiny = {0};
    const int spread = v->channels != p->icg, last = CV_(bf16_last)(p, v);
    for (ptrdiff_t i0 = 0; i0 < v->blocks; i0 += SOME, to += SOME * 3 * CV_BF16_TILE) {
        const ptrdiff_t some = CV_MIN2(SOME, v->blocks - i0);
        ptrdiff_t at[SOME];
        for (ptrdiff_t i = 0; i < some; i++) {
            ptrdiff_t tap[3];
            CV_(bf16_origin)(p, v, 0, (i0 + i) % v->taps, tap);
            at[i] = (spread ? 0 : (i0 + i) / v->taps * CV_BF16_K * p->ws[2]) + tap[0] * p->ws[3] +
                    tap[1] * p->ws[4] + tap[2] * p->ws[5];
        }
        for (ptrdiff_t m = 0; m < 16; m++) {
            const T *row = w + g * p->ws[0] + (t * 16 + m) * p->ws[1];
            ptrdiff_t cb = i0 / v->taps * CV_BF16_K, tap = i0 % v->taps;
            for (ptrdiff_t i = 0; i < some && last; i++)
                CV_(bf16_columns)(p, w + g * p->ws[0] + t * 16 * p->ws[1] + at[i] + m * p->ws[2],
                                  p->ocg - t * 16, v->channels - (i0 + i) / v->taps * CV_BF16_K - m,
                                  (uint32_t *)(to + i * 3 * CV_BF16_TILE + m * 64), &tiny);
            for (ptrdiff_t i = 0; i < some && !last; i++) {
                const ptrdiff_t n = t * 16 + m < p->ocg ? CV_MIN2(CV_BF16_K, v->channels - cb) : 0;
                CV_(bf16_weights)(p, v, spread, row + at[i], cb, n,
                                  (uint32_t *)(to + i * 3 * CV_BF16_TILE + m * 64), &tiny);
                if (++tap == v->taps) {
                    tap = 0;
                    cb += CV_BF16_K;
                }
            }
        }
    }
    CV_(bf16_note)(tiny, flag);
}

/* ---- planes */

/* A row of a plane: `width` elements of two channels' rows (NULL: zeros), from elements at[0],
 * at[1] on by `step`. */
CV_INLINE void CV_(bf16_row)(const T *const *row, const ptrdiff_t *at, const cv_conv *p,
                             ptrdiff_t width, uint32_t *to, ptrdiff_t plane, ivec *tiny) {
    const ptrdiff_t s = p->stride[2], step = s * p->xs[4];
    for (ptrdiff_t i = 0; i < width; i += VL) {
        vec v[2] = {{0}, {0}};
        CV_UNROLL(2)
        for (int h = 0; h < 2; h++) {
            if (!row[h])
                continue;
            const ptrdiff_t ix = at[h] + i * s;
            const T *from = row[h] + ix * p->xs[4];
            ptrdiff_t lo = 0, hi = VL;
            if (ix >= 0 && ix + VL * s <= p->in[2]) {
                /* strided rows: a whole vector would reach past the last element */
                if (p->xs[4] == 1 && s <= 2) {
                    v[h] = step == 1 ? CV_(load)(from)
                                     : CV_(even)(CV_(load)(from), CV_(load)(from + VL));
                    continue;
                }
            } else {
                cv_lanes(ix, s, p->in[2], VL, &lo, &hi);
            }
            v[h] = CV_(gather)(from, step, lo, hi);
        }
        CV_(bf16_pair)(v[0], v[1], to + i, plane, tiny);
    }
}

/* The planes of channel pairs pair0 .. pair1-1 under a block.  The last vector of a row runs over
 * into the next. */
static void CV_(bf16_planes)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                             ptrdiff_t pair0, ptrdiff_t pair1, uint32_t *region) {
    const cv_conv *p = &j->p;
    const ptrdiff_t phases = j->phases[0] * j->phases[1] * j->phases[2];
    ivec tiny = {0};
    for (ptrdiff_t i = 0; i < (pair1 - pair0) * q->count[0] * phases; i++) {
        const ptrdiff_t phase = i % phases, n = i / phases % q->count[0],
                        pair = pair0 + i / phases / q->count[0];
        const ptrdiff_t residue[3] = {phase / j->phases[2] / j->phases[1],
                                      phase / j->phases[2] % j->phases[1], phase % j->phases[2]};
        uint32_t *to = region + pair * 3 * j->plane +
                       (n * phases + phase) * j->size[0] * j->size[1] * j->size[2];
        const T *from[2] = {NULL, NULL};
        ptrdiff_t at[3][2] = {{0}};
        for (int h = 0; h < 2 && 2 * pair + h < j->view.channels; h++) {
            ptrdiff_t tap[3];
            const ptrdiff_t c = CV_(bf16_origin)(p, &j->view, 2 * pair + h, 0, tap);
            for (int a = 0; a < 3; a++)
                at[a][h] =
                    q->from[1 + a] * p->stride[a] + residue[a] + tap[a] * p->dil[a] - p->lo[a];
            from[h] = j->x + (q->from[0] + n) * p->xs[0] + (g * p->icg + c) * p->xs[1];
        }
        for (ptrdiff_t z = 0; z < q->count[1] + j->ext[0]; z++) {
            for (ptrdiff_t y = 0; y < q->count[2] + j->ext[1]; y++) {
                const T *row[2] = {NULL, NULL};
                for (int h = 0; h < 2 && from[h]; h++) {
                    const ptrdiff_t iz = at[0][h] + z * p->stride[0],
                                    iy = at[1][h] + y * p->stride[1];
                    if (iz >= 0 && iz < p->in[0] && iy >= 0 && iy < p->in[1])
                        row[h] = from[h] + iz * p->xs[2] + iy * p->xs[3];
                }
                CV_(bf16_row)(row, at[2], p, q->count[3] + j->ext[2],
                              to + (z * j->size[1] + y) * j->size[2], j->plane, &tiny);
            }
        }
    }
    CV_(bf16_note)(tiny, j->tiny);
}

/* The same with channels last: planes S[part][image][phase][z][y][x][channel] for blocks cb0 ..
 * cb1-1 of channels, where an element holds channels i and i + 16 of a block. */
static void CV_(bf16_pixels)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                             ptrdiff_t cb0, ptrdiff_t cb1, uint32_t *region) {
    const cv_conv *p = &j->p;
    const ptrdiff_t phases = j->phases[0] * j->phases[1] * j->phases[2],
                    rows = q->count[2] + j->ext[1];
    const ptrdiff_t slices = q->count[1] + j->ext[0];
    ivec tiny = {0};
    for (ptrdiff_t i = 0; i < q->count[0] * phases * slices * rows; i++) {
        const ptrdiff_t y = i % rows, z = i / rows % slices, phase = i / rows / slices % phases,
                        n = i / rows / slices / phases;
        const ptrdiff_t iz =
            (q->from[1] + z) * p->stride[0] + phase / j->phases[2] / j->phases[1] - p->lo[0];
        const ptrdiff_t iy =
            (q->from[2] + y) * p->stride[1] + phase / j->phases[2] % j->phases[1] - p->lo[1];
        const ptrdiff_t ix0 = q->from[3] * p->stride[2] + phase % j->phases[2] - p->lo[2];
        const int in = iz >= 0 && iz < p->in[0] && iy >= 0 && iy < p->in[1];
        const T *row =
            j->x + (q->from[0] + n) * p->xs[0] + g * p->icg + iz * p->xs[2] + iy * p->xs[3];
        uint32_t *to =
            region +
            ((((n * phases + phase) * j->size[0] + z) * j->size[1] + y) * j->size[2]) * j->row;
        for (ptrdiff_t x = 0; x < q->count[3] + j->ext[2]; x++, to += j->row) {
            const ptrdiff_t ix = ix0 + x * p->stride[2];
            const T *from = in && ix >= 0 && ix < p->in[2] ? row + ix * p->xs[4] : NULL;
            for (ptrdiff_t cb = cb0; cb < cb1; cb++) {
                for (int l = 0; l < 16; l += VL) {
                    vec v[2] = {{0}, {0}};
                    for (int h = 0; h < 2 && from; h++) {
                        const ptrdiff_t c = cb * CV_BF16_K + 16 * h + l, left = p->icg - c;
                        if (left > 0)
                            v[h] = left >= VL ? CV_(load)(from + c) : CV_(load_n)(from + c, left);
                    }
                    CV_(bf16_pair)(v[0], v[1], to + cb * 16 + l, j->plane, &tiny);
                }
            }
        }
    }
    CV_(bf16_note)(tiny, j->tiny);
}
#endif
