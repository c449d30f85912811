/* V: the inputs of a block of tiles, transformed. */
#ifndef CV_WINO_INPUTS
#define CV_WINO_INPUTS
#include "job.tmpl.h"
#if CV_FLOAT
#include "axes.tmpl.h"
#include "row.tmpl.h"
#else
#include "../int8/wino_inputs.tmpl.h"
#endif

/* One axis: of the vectors at from[q] + at to as many, `gap` bytes apart, as the processor adds
 * these up in its addresses. */
CV_INLINE void CV_(wino_axis)(const int a, const T *const *from, ptrdiff_t at, T *to,
                              ptrdiff_t gap) {
    CV_(wino_in_t) d[9], r[9];
    CV_UNROLL(9)
    for (int q = 0; q < a; q++)
        d[q] = (CV_(wino_in_t))CV_(load)(from[q] + at);
    CV_(wino_bt)(a, d, r);
    CV_UNROLL(9)
    for (int q = 0; q < a; q++)
        CV_(store)((T *)((char *)to + q * gap), (vec)r[q]);
}

/* V of the tiles of a row of them, for a vector of channels: first along H, column by column, then
 * along W. */
CV_INLINE void CV_(wino_tiles)(const int ah, const int aw, const int m, const CV_(wino_job) *j,
                               const T *const *row, ptrdiff_t tiles, ptrdiff_t width, T *turned,
                               T *v) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p), column = ah * VL,
                    plane = j->v_plane * (ptrdiff_t)sizeof(T);
    const T *from[9]; /* this function's own, which no store can change */
    CV_UNROLL(9)
    for (int s = 0; s < ah; s++)
        from[s] = row[s];
    for (ptrdiff_t x = 0; x < width; x++)
        CV_(wino_axis)(ah, from, x * VL, turned + x * column, VL * (ptrdiff_t)sizeof(T));
    CV_UNROLL(9)
    for (int q = 0; q < aw; q++)
        from[q] = turned + q * gap * column;
    for (ptrdiff_t t = 0; t < tiles; t++) {
        for (ptrdiff_t phase = 0; phase < across; phase++, v += j->v_row) {
            const ptrdiff_t at = (t * m * j->s[1] * gap + phase) * column;
            CV_UNROLL(1)
            for (int s = 0; s < ah; s++)
                CV_(wino_axis)(aw, from, at + s * VL, (T *)((char *)v + s * aw * plane), plane);
        }
    }
}

typedef void (*CV_(wino_tiles_fn))(int m, const CV_(wino_job) *j, const T *const *row,
                                   ptrdiff_t tiles, ptrdiff_t width, T *turned, T *v);
#define CV_WINO_TILES_OF(ah, aw)                                                       \
    CV_NOINLINE void CV_(wino_tiles_##ah##_##aw)(int m, const CV_(wino_job) *j,        \
                                                 const T *const *row, ptrdiff_t tiles, \
                                                 ptrdiff_t width, T *turned, T *v) {   \
        CV_(wino_tiles)(ah, aw, m, j, row, tiles, width, turned, v);                   \
    }
CV_WINO_TILES_OF(6, 6)
#if CV_FLOAT
CV_WINO_TILES_OF(4, 4)
CV_WINO_TILES_OF(6, 4)
CV_WINO_TILES_OF(5, 5)
CV_WINO_TILES_OF(9, 9)

/* The same of windows of one row or one column, whose inputs lie at `from`. */
CV_INLINE void CV_(wino_lines)(const int a, const CV_(wino_job) *j, const T *const *from,
                               ptrdiff_t tiles, T *v) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p),
                    plane = j->v_plane * (ptrdiff_t)sizeof(T);
    for (ptrdiff_t t = 0; t < tiles; t++) {
        for (ptrdiff_t phase = 0; phase < across; phase++, v += j->v_row) {
            const ptrdiff_t at = (t * j->m[1] * gap + phase) * VL;
            CV_(wino_axis)(a, from, at, v, plane);
        }
    }
}

#define CV_WINO_LINES_OF(a)                                                            \
    CV_NOINLINE void CV_(wino_lines_##a)(const CV_(wino_job) *j, const T *const *from, \
                                         ptrdiff_t tiles, T *v) {                      \
        CV_(wino_lines)(a, j, from, tiles, v);                                         \
    }
CV_WINO_LINES_OF(6)
CV_WINO_LINES_OF(8)
#undef CV_WINO_LINES_OF
#endif
#undef CV_WINO_TILES_OF

/* V of a row of tiles, under whose inputs lie the rows `row`. */
CV_INLINE void CV_(wino_row_of_tiles)(const CV_(wino_job) *j, const T *const *row, ptrdiff_t tiles,
                                      ptrdiff_t width, T *turned, T *v) {
#if CV_FLOAT
    if (j->points <= 8) {
        const T *from[8];
        for (int q = 0; q < j->points; q++)
            from[q] = j->a[0] > 1 ? row[q] : row[0] + q * j->p.dil[2] * VL;
        if (j->points == 8)
            CV_(wino_lines_8)(j, from, tiles, v);
        else
            CV_(wino_lines_6)(j, from, tiles, v);
        return;
    }
    const CV_(wino_tiles_fn) tiles_of = j->points == 4 * 4   ? CV_(wino_tiles_4_4)
                                        : j->points == 6 * 4 ? CV_(wino_tiles_6_4)
                                        : j->points == 5 * 5 ? CV_(wino_tiles_5_5)
                                        : j->points == 9 * 9 ? CV_(wino_tiles_9_9)
                                                             : CV_(wino_tiles_6_6);
#else
    const CV_(wino_tiles_fn) tiles_of = CV_(wino_tiles_6_6);
#endif
    tiles_of(j->m[1], j, row, tiles, width, turned, v);
}

/* The inputs of group g under a block to V; of floats, the magnitudes of their pixels to s->sizes,
 * as wino_ranges reads them: of each slice the rows, in this order. */
CV_INLINE void CV_(wino_in)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                            const CV_(wino_scratch) *s, T *v) {
    const int m = j->m[0], next_rows = m * j->s[0], kept_rows = j->a[0] - next_rows, a = j->a[0];
    const cv_conv *p = &j->p;
    const ptrdiff_t slices = cv_wino_slices(p, b->count[1]);
    const ptrdiff_t width = CV_(wino_width)(j, b->count[3]),
                    left = b->first[3] * j->m[1] * j->s[1] * p->dil[2] - p->lo[2];
    const ptrdiff_t next = b->count[3] * cv_wino_across(p) * j->v_row,
                    pitch = CV_FLOAT ? j->row / VL : 0;
    memset(s->sizes, 0, (size_t)j->sizes * sizeof(T));
    for (ptrdiff_t c = 0; c < p->icg; c += CV_WINO_EACH) {
        T *to = v + c / CV_WINO_EACH * j->v_vec;
        for (ptrdiff_t i = 0; i < b->count[0] * slices; i++) {
            const ptrdiff_t n = b->first[0] + i / slices,
                            z = b->first[1] * p->stride[0] - p->lo[0] + i % slices;
            const CV_(source) *x = j->x + n * p->xs[0] + (g * p->icg + c) * p->xs[1] + z * p->xs[2];
            const T *row[9];
            T *slot[9], *sizes = s->sizes + i * j->rows * pitch;
            for (int q = 0; q < a; q++)
                slot[q] = s->rows + q * j->row;
            for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++, to += next) {
                const ptrdiff_t phase = t / j->th,
                                top = phase - p->lo[1] + t % j->th * next_rows * p->dil[1];
                /* rows shared with the tiles above */
                const int kept = t > b->first[2] && t % j->th ? kept_rows : 0;
                T *turn[9];
                for (int q = 0; q < a; q++)
                    turn[q] = slot[(q + next_rows) % a];
                for (int q = 0; q < a; q++)
                    slot[q] = turn[q];
                for (int q = 0; q < kept; q++)
                    row[q] = row[q + next_rows];
                for (int q = kept; q < a; q++, sizes += pitch) {
                    const ptrdiff_t y = top + q * p->dil[1];
                    row[q] = s->zeros;
                    if (z < 0 || z >= p->in[0] || y < 0 || y >= p->in[1])
                        continue;
                    CV_(wino_row)(j, x + y * p->xs[3], left, width,
                                  CV_MIN2(CV_WINO_EACH, p->icg - c), slot[q], sizes);
                    row[q] = slot[q];
                }
                CV_(wino_row_of_tiles)(j, row, b->count[3], width, s->turned, to);
            }
        }
    }
}
#endif
