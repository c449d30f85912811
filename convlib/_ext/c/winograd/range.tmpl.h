/* Which tiles are not for a transform.  It leaves the same error in all outputs of a tile, a few
 * units of its largest input times the weights; direct summation errs in proportion to the inputs
 * under each window.  Where one element towers above a window beside it, the tile is summed
 * directly.
 *
 * A pixel counts by the largest magnitude of its channels.  Windows of nothing but zeros do not
 * count: what the transform leaves there is no larger than elsewhere in the tile. */
#ifndef CV_WINO_RANGE
#define CV_WINO_RANGE
#include "../gemm/recompute.tmpl.h"
#include "inputs.tmpl.h"

/* the largest element of a tile over the largest of each of its windows, at most */
#define CV_WINO_RATIO 64

/* Magnitudes of a row: the largest of the slices under a window, which lie `apart`. */
CV_INLINE vec CV_(wino_under)(const T *row, ptrdiff_t slices, ptrdiff_t apart) {
    vec most = CV_(load)(row);
    for (ptrdiff_t z = 1; z < slices; z++)
        most = CV_(larger)(most, CV_(load)(row + z * apart));
    return most;
}

/* NaN for each tile of a row of them that is not for a transform, else 0.  row: the magnitudes
 * under them in the first slice of a window; rest: room for two rows more than a tile
 * has. */
CV_INLINE void CV_(wino_judge)(const CV_(wino_job) *j, const T *const *row, ptrdiff_t tiles,
                               ptrdiff_t width, T *rest, T *flags) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p), pitch = j->row / VL,
                    slices = j->p.k[0], apart = j->p.dil[0] * j->rows * pitch;
    const vec none = CV_(set1)((T)INFINITY);
    const int m = j->m[0], r = j->r[0], columns = j->m[1], taps = j->r[1], step = j->s[1];
    T *all = rest + m * pitch, *least = all + pitch;
    for (ptrdiff_t x = 0; x < width; x += VL) {
        vec most = {0};
        for (int y = 0; y < j->a[0]; y++)
            most = CV_(larger)(most, CV_(wino_under)(row[y] + x, slices, apart));
        CV_(store)(all + x, most);
        for (int y = 0; y < m; y++) {
            most = (vec){0};
            for (int q = 0; q < r; q++)
                most = CV_(larger)(most, CV_(wino_under)(row[y * j->s[0] + q] + x, slices, apart));
            CV_(store)(rest + y * pitch + x, most);
        }
    }
    for (ptrdiff_t x = 0; x < width - (taps - 1) * gap; x += VL) {
        vec low = none;
        for (int y = 0; y < m; y++) {
            vec most = {0};
            for (int q = 0; q < taps; q++)
                most = CV_(larger)(most, CV_(load)(rest + y * pitch + x + q * gap));
            low = CV_(select)((ivec)(most < low) & (ivec)(most > 0), most, low);
        }
        CV_(store)(least + x, low);
    }
    for (ptrdiff_t t = 0; t < tiles; t++) {
        for (ptrdiff_t phase = 0; phase < across; phase++) {
            const T *from = all + t * columns * step * gap + phase, *lows = least + (from - all);
            T most = 0, low = (T)INFINITY;
            for (int q = 0; q < j->a[1]; q++)
                most = CV_MAX2(most, from[q * gap]);
            for (int q = 0; q < columns; q++)
                low = CV_MIN2(low, lows[q * step * gap]);
            *flags++ = most / CV_WINO_RATIO > low ? (T)NAN : 0;
        }
    }
}

/* Whether no pixel of n towers above another, so that no tile needs a look. */
CV_INLINE int CV_(wino_level)(const T *sizes, ptrdiff_t n) {
    vec most = {0}, least = CV_(set1)((T)INFINITY);
    T top = 0, low = (T)INFINITY;
    for (ptrdiff_t i = 0; i < n; i += VL) {
        const vec v = CV_(load)(sizes + i);
        most = CV_(larger)(most, v);
        least = CV_(select)((ivec)(v < least) & (ivec)(v > 0), v, least);
    }
    for (int l = 0; l < VL; l++) {
        top = CV_MAX2(top, most[l]);
        low = CV_MIN2(low, least[l]);
    }
    return top / CV_WINO_RATIO <= low;
}

/* Of all tiles of a block, in the order of its outputs, from what wino_in left at s->sizes; s->rows
 * serves as room. */
CV_INLINE void CV_(wino_ranges)(const CV_(wino_job) *j, const CV_(wino_block) *b,
                                const CV_(wino_scratch) *s, T *flags) {
    const int next = j->m[0] * j->s[0], a = j->a[0];
    const cv_conv *p = &j->p;
    const ptrdiff_t pitch = j->row / VL, width = CV_(wino_width)(j, b->count[3]),
                    slices = cv_wino_slices(p, b->count[1]), across = cv_wino_across(p);
    if (CV_(wino_level)(s->sizes, j->sizes)) {
        memset(flags, 0, (size_t)j->tiles * sizeof(T));
        return;
    }
    for (ptrdiff_t i = 0; i < b->count[0] * b->count[1]; i++) {
        const ptrdiff_t slice = i / b->count[1] * slices + i % b->count[1] * p->stride[0];
        const T *sizes = s->sizes + slice * j->rows * pitch, *row[9];
        for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++) {
            /* rows shared with the tiles above */
            const int kept = t > b->first[2] && t % j->th ? a - next : 0;
            for (int q = 0; q < kept; q++)
                row[q] = row[q + next];
            for (int q = kept; q < a; q++, sizes += pitch)
                row[q] = sizes;
            CV_(wino_judge)(j, row, b->count[3], width, s->rows, flags);
            flags += b->count[3] * across;
        }
    }
}

/* A tile that is not for the transform, in the lanes in which z is NaN: sum its outputs again.  Its
 * first output is `first` (n, z, y, x) of the batch, and lies at `to` in a stage `width` columns
 * wide. */
CV_NOINLINE void CV_(wino_recompute)(const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc,
                                     ptrdiff_t outs, vec z, const ptrdiff_t *first, ptrdiff_t width,
                                     T *to) {
    const cv_conv *p = &j->p;
    if (atomic_fetch_add_explicit(j->again, 1, memory_order_relaxed) >= j->most_again)
        return; /* all will be */
    for (ptrdiff_t l = 0; l < outs; l++) {
        if (z[l] == 0)
            continue;
        for (int i = 0; i < j->m[0] * j->m[1]; i++) {
            const ptrdiff_t y = i / j->m[1], x = i % j->m[1] * p->dil[2];
            const ptrdiff_t at[4] = {first[0], first[1], first[2] + y * p->dil[1], first[3] + x};
            if (at[2] >= p->out[1] || at[3] >= p->out[2])
                continue;
            to[(y * width + x) * VL + l] = CV_(plain)(p, j->x, j->w, j->bias, g, oc + l, at);
        }
    }
}
#endif
