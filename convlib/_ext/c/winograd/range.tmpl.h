/* Which tiles are not for a transform.  It leaves the same error in all outputs of a tile, a few
 * units of its largest input times the weights; direct summation errs in proportion to the inputs
 * under each window.  Where one element towers above a window beside it, the tile is summed
 * directly.
 *
 * A pixel counts by the largest magnitude of its channels.  Windows of nothing but zeros do not
 * count: what the transform leaves there is no larger than elsewhere in the tile. */
#ifndef CV_WINO_RANGE
#define CV_WINO_RANGE
#include "../simd/extremes.tmpl.h"
#include "job.tmpl.h"

/* the largest element of a tile over the largest of each of its windows, at most */
#define CV_WINO_RATIO 64

CV_INLINE vec CV_(wino_larger)(vec m, vec v) {
    const vec size = (vec)((ivec)v & (CV_INT(CV_BITS))0x7fffffff);
#ifdef CV_MM
    return (vec)CV_MM(max, )((CV_MMT)size, (CV_MMT)m);
#else
    return CV_(select)((ivec)(size > m), size, m);
#endif
}

/* The largest magnitude in each of n lanes, over `count` rows `step` apart: four at a time, as each
 * maximum waits for the one before. */
CV_INLINE vec CV_(wino_largest)(const T *from, ptrdiff_t step, ptrdiff_t count, ptrdiff_t n) {
    vec m[4] = {{0}, {0}, {0}, {0}};
    ptrdiff_t c = 0;
    for (; c + 4 <= count && n == VL; c += 4, from += 4 * step) {
        CV_UNROLL(4)
        for (int i = 0; i < 4; i++)
            m[i] = CV_(wino_larger)(m[i], CV_(load)(from + i * step));
    }
    for (; c + 4 <= count; c += 4, from += 4 * step) {
        CV_UNROLL(4)
        for (int i = 0; i < 4; i++)
            m[i] = CV_(wino_larger)(m[i], CV_(load_n)(from + i * step, n));
    }
    for (; c < count; c++, from += step)
        m[0] = CV_(wino_larger)(m[0], CV_(load_n)(from, n));
    return CV_(wino_larger)(CV_(wino_larger)(m[0], m[1]), CV_(wino_larger)(m[2], m[3]));
}

/* The magnitudes of columns left <= x < left + width of a row of pixels, over the channels at x and
 * the slices from z0 on; zeros outside. */
CV_INLINE void CV_(wino_sizes_of_row)(const cv_conv *p, const T *x, ptrdiff_t z0, ptrdiff_t y,
                                      ptrdiff_t left, ptrdiff_t width, T *to) {
    memset(to, 0, (size_t)(width + VL) * sizeof(T));
    if (y < 0 || y >= p->in[1])
        return;
    const ptrdiff_t lo = CV_MIN2(CV_MAX2(-left, 0), width),
                    hi = CV_MAX2(lo, CV_MIN2(p->in[2] - left, width)), step = p->xs[4];
    for (ptrdiff_t k = 0; k < p->k[0]; k++) {
        const ptrdiff_t z = z0 + k * p->dil[0];
        if (z < 0 || z >= p->in[0])
            continue;
        const T *row = x + z * p->xs[2] + y * p->xs[3] + left * step;
        for (ptrdiff_t i = lo; i < hi && step == 1; i += VL) {
            const vec m = CV_(wino_largest)(row + i, p->xs[1], p->icg, CV_MIN2(VL, hi - i));
            CV_(store)(to + i, CV_(wino_larger)(m, CV_(load)(to + i)));
        }
        for (ptrdiff_t i = lo; i < hi && step != 1; i++) {
            const T *from = row + i * step;
            vec m = {0};
            for (ptrdiff_t c = 0; c < p->icg; c += VL, from += VL * p->xs[1])
                m = CV_(wino_larger)(m, CV_(gather)(from, p->xs[1], 0, CV_MIN2(VL, p->icg - c)));
            for (int l = 0; l < VL; l++)
                to[i] = CV_MAX2(to[i], m[l]);
        }
    }
}

/* NaN for each tile of a row of them that is not for a transform, else 0.  row: magnitudes; rest:
 * m + 2 rows more. */
CV_INLINE void CV_(wino_judge)(const int m, const int r, const CV_(wino_job) *j, T *const *row,
                               ptrdiff_t tiles, ptrdiff_t width, T *rest, T *flags) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p), pitch = j->row / VL;
    const vec none = CV_(set1)((T)INFINITY);
    T *all = rest + m * pitch, *least = all + pitch;
    for (ptrdiff_t x = 0; x < width; x += VL) {
        vec most = {0};
        for (int y = 0; y < m + r - 1; y++)
            most = CV_(wino_larger)(most, CV_(load)(row[y] + x));
        CV_(store)(all + x, most);
        for (int y = 0; y < m; y++) {
            most = (vec){0};
            for (int q = 0; q < r; q++)
                most = CV_(wino_larger)(most, CV_(load)(row[y + q] + x));
            CV_(store)(rest + y * pitch + x, most);
        }
    }
    for (ptrdiff_t x = 0; x < width - (r - 1) * gap; x += VL) {
        vec low = none;
        for (int y = 0; y < m; y++) {
            vec most = {0};
            for (int q = 0; q < r; q++)
                most = CV_(wino_larger)(most, CV_(load)(rest + y * pitch + x + q * gap));
            low = CV_(select)((ivec)(most < low) & (ivec)(most > 0), most, low);
        }
        CV_(store)(least + x, low);
    }
    for (ptrdiff_t t = 0; t < tiles; t++) {
        for (ptrdiff_t phase = 0; phase < across; phase++) {
            const T *from = all + t * m * gap + phase, *lows = least + t * m * gap + phase;
            T most = 0, low = (T)INFINITY;
            for (int q = 0; q < m + r - 1; q++)
                most = CV_MAX2(most, from[q * gap]);
            for (int q = 0; q < m; q++)
                low = CV_MIN2(low, lows[q * gap]);
            *flags++ = most / CV_WINO_RATIO > low ? (T)NAN : 0;
        }
    }
}

/* Of all tiles of a block, in the order of its outputs; s->rows serves as room. */
CV_INLINE void CV_(wino_ranges)(const int m, const int r, const CV_(wino_job) *j, ptrdiff_t g,
                                const CV_(wino_block) *b, const CV_(wino_scratch) *s, T *flags) {
    const int a = m + r - 1;
    const cv_conv *p = &j->p;
    const ptrdiff_t pitch = j->row / VL, width = p->dil[2] * (m * b->count[3] + r - 1),
                    left = b->first[3] * m * p->dil[2] - p->lo[2];
    for (ptrdiff_t i = 0; i < b->count[0] * b->count[1]; i++) {
        const ptrdiff_t n = b->first[0] + i / b->count[1],
                        z = (b->first[1] + i % b->count[1]) * p->stride[0] - p->lo[0];
        const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1];
        T *row[6];
        for (int q = 0; q < a; q++)
            row[q] = s->rows + q * pitch;
        for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++) {
            const ptrdiff_t top = t / j->th - p->lo[1] + t % j->th * m * p->dil[1];
            /* rows shared with the tiles above */
            const int kept = t > b->first[2] && t % j->th ? r - 1 : 0;
            T *turn[6];
            for (int q = 0; q < a; q++)
                turn[q] = row[(q + m) % a];
            for (int q = 0; q < a; q++)
                row[q] = turn[q];
            for (int q = kept; q < a; q++)
                CV_(wino_sizes_of_row)(p, x, z, top + q * p->dil[1], left, width, row[q]);
            CV_(wino_judge)(m, r, j, row, b->count[3], width, s->rows + a * pitch, flags);
            flags += b->count[3] * cv_wino_across(p);
        }
    }
}
#endif
