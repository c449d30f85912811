/* What fast sums cannot do: infinities and NaN would reach outputs whose window does not hold them.
 * Such outputs are summed again, one by one, by the formula. */
#ifndef CV_RECOMPUTE
#define CV_RECOMPUTE
#include "view.h"

/* The output (n, z, y, x) of channel oc of group g by its formula. */
static CV_UNUSED T CV_(plain)(const cv_conv *p, const T *x, const T *w, const T *bias, ptrdiff_t g,
                              ptrdiff_t oc, const ptrdiff_t *o) {
    const ptrdiff_t taps = p->k[0] * p->k[1] * p->k[2];
    T sum = 0;
    x += o[0] * p->xs[0] + g * p->icg * p->xs[1];
    w += g * p->ws[0] + oc * p->ws[1];
    for (ptrdiff_t t = 0; t < taps; t++) {
        const ptrdiff_t k[3] = {t / p->k[2] / p->k[1], t / p->k[2] % p->k[1], t % p->k[2]};
        ptrdiff_t at = 0, in = 1;
        for (int a = 0; a < 3; a++) {
            const ptrdiff_t i = o[1 + a] * p->stride[a] + k[a] * p->dil[a] - p->lo[a];
            in &= i >= 0 && i < p->in[a];
            at += i * p->xs[2 + a];
        }
        /* padding takes part as zero: 0 times infinity is NaN */
        for (ptrdiff_t c = 0; c < p->icg; c++)
            sum += w[c * p->ws[2] + cv_tap_of(p, t)] * (in ? x[c * p->xs[1] + at] : 0);
    }
    return sum + (bias ? bias[g * p->ocg + oc] : 0);
}
#endif
