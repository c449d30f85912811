/* Sums of the matrix unit brought to y. */
#ifndef CV_BF16_OUTPUTS
#define CV_BF16_OUTPUTS
#include "../gemm/recompute.tmpl.h"
#include "split.tmpl.h"

/* The output (n, z, y, x) that has the flat number `at` in a block; whether there is one. */
CV_INLINE int CV_(bf16_place)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t at,
                              ptrdiff_t *o) {
    const ptrdiff_t phases = j->phases[0] * j->phases[1] * j->phases[2];
    ptrdiff_t i[4] = {0, 0, at / j->size[2], at % j->size[2]};
    if (i[2] >= j->size[1]) {
        i[1] = i[2] / j->size[1];
        i[2] %= j->size[1];
        if (i[1] >= j->size[0] * phases) {
            i[0] = i[1] / (j->size[0] * phases);
            i[1] %= j->size[0] * phases;
        }
    }
    int in = 1;
    for (int a = 0; a < 4; a++) {
        in &= i[a] < q->count[a];
        o[a] = q->from[a] + i[a];
    }
    return in;
}

/* The flat numbers first .. first+count-1 that are outputs, in runs. */
static int CV_(bf16_spans)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t first,
                           ptrdiff_t count, cv_span32 *span) {
    const ptrdiff_t *ys = j->p.ys;
    int n = 0;
    ptrdiff_t o[4];
    int in = CV_(bf16_place)(j, q, first, o);
    for (ptrdiff_t i = 0, len; i < count; i += len) {
        const ptrdiff_t x = o[3] - q->from[3];
        len = CV_MIN2(j->size[2] - x, count - i);
        if (in && x < q->count[3]) {
            const cv_span32 s = {i, o[0] * ys[0] + o[1] * ys[2] + o[2] * ys[3] + o[3] * ys[4],
                                 CV_MIN2(q->count[3] - x, len)};
            if (n && span[n - 1].src + span[n - 1].len == i &&
                span[n - 1].dst + span[n - 1].len * ys[4] == s.dst)
                span[n - 1].len += s.len;
            else
                span[n++] = s;
        }
        o[3] = q->from[3]; /* the next row, most often of the same plane */
        if (in && ++o[2] < q->from[2] + q->count[2])
            continue;
        if (i + len < count)
            in = CV_(bf16_place)(j, q, first + i + len, o);
    }
    return n;
}

/* Sum those outputs of channel oc again that are not finite; `step`: elements from one to the next
 * in `from`. */
CV_NOINLINE void CV_(bf16_recompute)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                                     ptrdiff_t oc, ptrdiff_t first, const cv_span32 *s,
                                     const T *from, ptrdiff_t step) {
    for (ptrdiff_t i = s->src; i < s->src + s->len; i++) {
        ptrdiff_t o[4];
        if (from[i * step] * 0 == 0 || !CV_(bf16_place)(j, q, first + i, o))
            continue;
        j->y[(g * j->p.ocg + oc) * j->p.ys[1] + s->dst + (i - s->src) * j->p.ys[4]] =
            CV_(plain)(&j->p, j->x, j->w, j->bias, g, oc, o);
    }
}

/* Some rows of a product to y. */
static void CV_(bf16_out)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                          ptrdiff_t oc0, ptrdiff_t rows, ptrdiff_t first, const cv_span32 *spans,
                          int n, const T *out) {
    const ptrdiff_t step = j->p.ys[4];
    for (ptrdiff_t m = 0; m < rows; m++, out += CV_BF16_SIDE) {
        T *y = j->y + (g * j->p.ocg + oc0 + m) * j->p.ys[1];
        const vec bias = CV_(set1)(j->bias ? j->bias[g * j->p.ocg + oc0 + m] : 0);
        for (const cv_span32 *s = spans; s < spans + n; s++) {
            vec z = {0};
            for (ptrdiff_t i = 0; i < s->len; i += VL) {
                const ptrdiff_t lanes = CV_MIN2(VL, s->len - i);
                const vec v = CV_(load_n)(out + s->src + i, lanes), r = v + bias;
                T *to = y + s->dst + i * step;
                z += v * 0; /* NaN where the sum is not finite */
                if (step == 1) {
                    CV_(store_n)(to, r, lanes);
                } else {
                    for (ptrdiff_t l = 0; l < lanes; l++)
                        to[l * step] = r[l];
                }
            }
            if (CV_(any)(z != z))
                CV_(bf16_recompute)(j, q, g, oc0 + m, first, s, out, 1);
        }
    }
}

/* The same with channels last: a row of the product is a pixel. */
static void CV_(bf16_out_last)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                               ptrdiff_t oc0, ptrdiff_t outs, ptrdiff_t first,
                               const cv_span32 *spans, int n, const T *out) {
    const ptrdiff_t oc = g * j->p.ocg + oc0;
    vec bias[CV_BF16_SIDE / VL];
    for (int l = 0; l < CV_BF16_SIDE / VL; l++)
        bias[l] = (vec){0};
    for (ptrdiff_t l = 0; j->bias && l < outs; l += VL)
        bias[l / VL] = CV_(load_n)(j->bias + oc + l, CV_MIN2(VL, outs - l));
    for (const cv_span32 *s = spans; s < spans + n; s++) {
        vec z = {0};
        for (ptrdiff_t i = 0; i < s->len; i++) {
            T *y = j->y + oc + s->dst + i * j->p.ys[4];
            for (ptrdiff_t l = 0; l < outs; l += VL) {
                const vec v = CV_(load)(out + (s->src + i) * CV_BF16_SIDE + l),
                          r = v + bias[l / VL];
                z += v * 0;
                if (outs - l >= VL)
                    CV_(store)(y + l, r);
                else
                    CV_(store_n)(y + l, r, outs - l);
            }
        }
        if (CV_(any)(z != z)) {
            for (ptrdiff_t l = 0; l < outs; l++)
                CV_(bf16_recompute)(j, q, g, oc0 + l, first, s, out + l, CV_BF16_SIDE);
        }
    }
}
#endif
