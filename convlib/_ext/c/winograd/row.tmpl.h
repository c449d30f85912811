/* A row of inputs of floats, turned round to channels last. */
#ifndef CV_WINO_ROW
#define CV_WINO_ROW
#include "../layout/transpose.tmpl.h"
#include "job.tmpl.h"

/* Columns lo .. hi-1 of a row are padding. */
CV_INLINE void CV_(wino_pad)(const CV_(wino_job) *j, ptrdiff_t lo, ptrdiff_t hi, T *to) {
    (void)j;
    for (ptrdiff_t x = lo; x < hi; x++)
        CV_(store)(to + x * VL, (vec){0});
}

/* Columns first <= x < first + width of a row of input, which begins at `from`, to [x][lane]; zeros
 * outside.  sizes: the largest magnitude in each column so far. */
CV_NOINLINE void CV_(wino_row)(const CV_(wino_job) *j, const T *from, ptrdiff_t first,
                               ptrdiff_t width, ptrdiff_t channels, T *to, T *sizes) {
    const cv_conv *p = &j->p;
    const ptrdiff_t step = p->xs[4];
    ptrdiff_t lo, hi;
    cv_lanes(first, 1, p->in[2], width, &lo, &hi);
    CV_(wino_pad)(j, 0, lo, to);
    from += (first + lo) * step;
    /* what it stores past the end is overwritten */
    for (ptrdiff_t x = lo; x < hi; x += VL, from += VL * step) {
        const ptrdiff_t n = CV_MIN2(VL, hi - x);
        vec v[VL], most = CV_(load)(sizes + x);
        if (p->xs[1] == 1) {
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++) {
                v[i] = i < n ? CV_(load_n)(from + i * step, channels) : (vec){0};
                CV_(store)(to + (x + i) * VL, v[i]);
            }
            CV_(transpose)(v);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++)
                most = CV_(larger)(most, v[i]);
        } else {
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++) /* the next channels are other pages, and no stream */
                __builtin_prefetch(from + (VL + i) * p->xs[1], 0, 2);
            CV_(transpose_sized)(from, p->xs[1], step, channels, n, v, &most);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++)
                CV_(store)(to + (x + i) * VL, v[i]);
        }
        CV_(store)(sizes + x, most);
    }
    CV_(wino_pad)(j, hi, width, to);
}
#endif
