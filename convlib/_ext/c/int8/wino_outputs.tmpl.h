/* From M, of integers, to the sums.  All is modulo 2^32; the two axes of A leave 900 times a sum,
 * of which 225 has an inverse, and 4 is shifted away: sums below 2^29 are exact. */
#ifndef CV_WINO_INT_OUTPUTS
#define CV_WINO_INT_OUTPUTS
#include "../layout/nhwc_out.tmpl.h"
#include "../winograd/job.tmpl.h"

typedef CV_(modulo) CV_(wino_out_t);

CV_INLINE void CV_(wino_begin)(CV_(wino_job) *j, const cv_call *call) {
    j->zero = call->zero;
    j->padding = call->padding;
}

/* A^T, times 30. */
CV_INLINE void CV_(wino_at)(const int m, const int a, const CV_(modulo) *v, CV_(modulo) *r) {
    const CV_(modulo) p = v[1] + v[2], q = v[1] - v[2], p5 = (p << 2) + p, q5 = (q << 2) + q;
    (void)m, (void)a;
    r[0] = (v[0] << 4) - v[0] + p5 + v[3] + (v[4] << 3);
    r[1] = q5 + (v[3] << 1) - (v[4] << 2);
    r[2] = p5 + (v[3] << 2) + (v[4] << 1);
    r[3] = (v[5] << 4) - v[5] + q5 + (v[3] << 3) - v[4];
}

/* What is added to the sums of VL output channels: x counts from j->offset in V, so that the sums
 * of their weights times offset - zero are missing.  Those stand at the point (1, 1). */
CV_INLINE vec CV_(wino_bias)(const int a, const CV_(wino_job) *j, const T *u, ptrdiff_t ld,
                             ptrdiff_t oc, ptrdiff_t outs) {
    const vec ones = CV_(set1)(0x00010001);
    vec sum = {0};
    u += (a + 1) * (j->k * ld + CV_WINO_SKEW);
    for (ptrdiff_t k = 0; k < j->k; k++)
        sum = CV_(multiply_add)(sum, ones, CV_(load)(u + k * ld));
    const CV_(modulo) missing = (CV_(modulo))sum * (uint32_t)(j->offset - j->zero);
    return (vec)(missing + (CV_(modulo))(j->bias ? CV_(load_n)(j->bias + oc, outs) : (vec){0}));
}

CV_INLINE vec CV_(wino_sum)(CV_(modulo) transformed, vec bias) {
    transformed *= 2271560481u; /* 225 times this is 1 modulo 2^32 */
    return (vec)((CV_(modulo))((vec)transformed >> 2) + (CV_(modulo))bias);
}

CV_INLINE void CV_(wino_deliver)(const CV_(wino_job) *j, ptrdiff_t pixel, ptrdiff_t count,
                                 ptrdiff_t oc, ptrdiff_t outs, const T *sums) {
    CV_(nhwc_out)(&j->p, pixel, count, oc, outs, sums, VL, j->y, j->wide_y);
}
#endif
