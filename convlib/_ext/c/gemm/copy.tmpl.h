/* How floats come into the broadcast GEMM, and its sums into y. */
#ifndef CV_FEED_COPY
#define CV_FEED_COPY
#include "../layout/nhwc_in.tmpl.h"
#include "../layout/nhwc_out.tmpl.h"
#include "../layout/weights.tmpl.h"

#define CV_BEYOND 0 /* elements of the copy that are written or read past its end */

CV_INLINE void CV_(feed_begin)(CV_(broadcast_job) *j, const cv_call *call) {
    j->ending = CV_(ending_of)(call);
}

CV_INLINE void CV_(feed_padding)(const CV_(broadcast_job) *j, T *dst, ptrdiff_t n) {
    (void)j;
    __builtin_memset(dst, 0, (size_t)n * sizeof(T));
}

/* `n` pixels from `from` on, `next` apart, to dst, channels last. */
CV_INLINE void CV_(feed_row)(const CV_(broadcast_job) *j, const T *from, ptrdiff_t next,
                             ptrdiff_t n, T *dst) {
    CV_(nhwc_in)(&j->p, from, next, n, dst);
}

/* The panel of the channels l0 .. l1-1 of group g, and before it, where taps may be left out, a 0,
 * or a NaN if some of its weights are not finite. */
CV_INLINE void CV_(feed_weights)(const CV_(broadcast_job) *j, const T *w, ptrdiff_t g, ptrdiff_t l0,
                                 ptrdiff_t l1, T *dst) {
    const ptrdiff_t width = l1 - l0, end = width * j->rows;
    CV_(pack_lanes)(&j->p, w + g * j->p.ws[0], l0, l1, dst + width);
    if (!j->spare)
        return;
    vec nothing[4] = {{0}};
    ptrdiff_t i = width;
    for (; i + 4 * VL <= end; i += 4 * VL) {
        CV_UNROLL(4)
        for (int q = 0; q < 4; q++)
            nothing[q] += CV_(load)(dst + i + q * VL) * (vec){0};
    }
    for (; i < end; i += VL)
        nothing[0] += CV_(load)(dst + i) * (vec){0};
    nothing[0] += nothing[1] + nothing[2] + nothing[3];
    dst[0] = 0;
    for (int l = 0; l < VL; l++)
        dst[0] += nothing[0][l];
}

/* Whether x may be read as a copy of it would be, but for padding. */
CV_INLINE int CV_(feed_in_place)(const cv_problem *problem) {
    return problem->conv.xs[1] == 1 || problem->conv.icg == 1;
}

/* The sums of `count` pixels for the channels from `oc` on. */
CV_INLINE void CV_(deliver)(const CV_(broadcast_job) *j, ptrdiff_t pixel, ptrdiff_t count,
                            ptrdiff_t oc, ptrdiff_t outs, const T *sums, ptrdiff_t ld) {
    CV_(nhwc_out)(&j->p, pixel, count, outs, sums, ld, j->y + oc * j->p.ys[1]);
}
#endif
