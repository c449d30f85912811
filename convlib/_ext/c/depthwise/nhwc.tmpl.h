/* Depthwise 3x3 with channels last, stride 1, dilated or not, or 2, and 5x5 and 7x7, stride 2:
 * lanes are channels.
 *
 * The weights are turned round once per call, [tap][channel].  A block of channels runs along a row
 * of outputs; each input column is loaded once and adds to every output whose window holds it.
 */
#ifndef CV_DEPTHWISE_NHWC
#define CV_DEPTHWISE_NHWC
#include "../direct/lanes.tmpl.h"
#include "window.h"

#if CV_REGISTERS == 32
/* vectors of channels in a block: independent sums hide the latency of a multiply-add */
#define CV_LNV 2
#else
#define CV_LNV 1
#endif

#define CV_ROWS_FAR (8 << 20) /* bytes of x and y that come from memory */
#define CV_ROWS_LEAP 256      /* from pixel to pixel, which a processor does not follow */

typedef struct {
    cv_conv p;
    const T *x, *bias, *w; /* w: turned round */
    T *y;
    int threads, far; /* far: whether rows are read before they are met */
    /* blocks of channels; pieces of rows and of blocks */
    ptrdiff_t channels, vecs, blocks, row_pieces, block_pieces;
} CV_(nhwc_job);

/* A row of outputs of one block: `row` holds input rows, `step` the elements between their columns
 * (0: a row of zeros). */
CV_INLINE void CV_(nhwc_row)(const int k, const int nv, const int s, const int part,
                             const cv_conv *p, const T *const *row, const ptrdiff_t *step,
                             const T *w, ptrdiff_t pitch, const T *bias, T *y, ptrdiff_t lanes) {
    const int deep = (k - 1) / s;
    vec ready[9][CV_LNV], b[CV_LNV], acc[7][CV_LNV];
    CV_UNROLL(2)
    for (int i = 0; i < nv; i++) {
        b[i] = !bias                 ? (vec){0}
               : part && i == nv - 1 ? CV_(load_n)(bias + i * VL, lanes)
                                     : CV_(load)(bias + i * VL);
        CV_UNROLL(9)
        for (int t = 0; t < 9; t++) {
            if (k == 3)
                ready[t][i] = CV_(load)(w + t * pitch + i * VL);
        }
        CV_UNROLL(7)
        for (int d = 0; d <= deep; d++)
            acc[d][i] = (vec){0};
    }
    const ptrdiff_t width = p->in[2], outs = p->out[2], ystep = p->ys[4];
    for (ptrdiff_t j = 0, ix = -p->lo[2]; j < outs + deep; j++, ix += s) {
        CV_UNROLL(2)
        for (int q = 0; q < s; q++) {
            if (ix + q >= 0 && ix + q < width) {
                CV_UNROLL(7)
                for (int ky = 0; ky < k; ky++) {
                    const T *x = row[ky] + (ix + q) * step[ky];
                    CV_UNROLL(2)
                    for (int i = 0; i < nv; i++) {
                        const vec v = part && i == nv - 1 ? CV_(load_n)(x + i * VL, lanes)
                                                          : CV_(load)(x + i * VL);
                        CV_UNROLL(7)
                        for (int d = 0; d * s + q < k; d++) {
                            const int at = ky * k + d * s + q;
                            acc[d][i] += v * (k == 3 ? ready[at % 9][i]
                                                     : CV_(load)(w + at * pitch + i * VL));
                        }
                    }
                }
            }
            if (q || j < deep)
                continue;
            T *to = y + (j - deep) * ystep;
            CV_UNROLL(2)
            for (int i = 0; i < nv; i++) {
                const vec r = acc[deep][i] + b[i];
                if (part && i == nv - 1)
                    CV_(store_n)(to + i * VL, r, lanes);
                else
                    CV_(store)(to + i * VL, r);
            }
        }
        CV_UNROLL(7)
        for (int d = deep; d >= 0; d--) {
            CV_UNROLL(2)
            for (int i = 0; i < nv; i++)
                acc[d][i] = d ? acc[d - 1][i] : (vec){0};
        }
    }
}

/* By [3x3, stride 1; 3x3, 5x5, 7x7, stride 2][last vector in part][vectors]. */
typedef void (*CV_(nhwc_fn))(const cv_conv *, const T *const *row, const ptrdiff_t *step,
                             const T *w, ptrdiff_t pitch, const T *bias, T *y, ptrdiff_t lanes);
#define CV_LAST(k, nv, s, part)                                                                    \
    CV_NOINLINE void CV_(nhwc_##k##_##nv##_##s##_##part)(                                          \
        const cv_conv *p, const T *const *row, const ptrdiff_t *step, const T *w, ptrdiff_t pitch, \
        const T *bias, T *y, ptrdiff_t lanes) {                                                    \
        CV_(nhwc_row)(k, nv, s, part, p, row, step, w, pitch, bias, y, lanes);                     \
    }
#if CV_LNV == 2
#define CV_LAST_PART(k, s, part) CV_LAST(k, 1, s, part) CV_LAST(k, 2, s, part)
#define CV_LAST_NAMES(k, s, part) {CV_(nhwc_##k##_1_##s##_##part), CV_(nhwc_##k##_2_##s##_##part)}
#else
#define CV_LAST_PART(k, s, part) CV_LAST(k, 1, s, part)
#define CV_LAST_NAMES(k, s, part) {CV_(nhwc_##k##_1_##s##_##part)}
#endif
#if CV_CHEAP_MASKS /* no second set */
#define CV_LAST_SET(k, s) CV_LAST_PART(k, s, 1)
#define CV_LAST_ROW(k, s) {CV_LAST_NAMES(k, s, 1), CV_LAST_NAMES(k, s, 1)}
#else
#define CV_LAST_SET(k, s) CV_LAST_PART(k, s, 0) CV_LAST_PART(k, s, 1)
#define CV_LAST_ROW(k, s) {CV_LAST_NAMES(k, s, 0), CV_LAST_NAMES(k, s, 1)}
#endif
CV_LAST_SET(3, 1)
CV_LAST_SET(3, 2)
CV_LAST_SET(5, 2)
CV_LAST_SET(7, 2)
static const CV_(nhwc_fn) CV_(nhwcs)[4][2][CV_LNV] = {CV_LAST_ROW(3, 1), CV_LAST_ROW(3, 2),
                                                      CV_LAST_ROW(5, 2), CV_LAST_ROW(7, 2)};
#undef CV_LAST
#undef CV_LAST_PART
#undef CV_LAST_NAMES
#undef CV_LAST_SET
#undef CV_LAST_ROW

/* Outputs of a row that lie a dilation apart, from number `phase` on, as a problem without
 * dilation, whose input begins with the pixel returned. */
CV_ONCE ptrdiff_t CV_(nhwc_phase)(const cv_conv *p, ptrdiff_t phase, cv_conv *q) {
    const ptrdiff_t d = p->dil[2], at = phase - p->lo[2], over = at % d,
                    first = over < 0 ? over + d : over;
    *q = *p;
    q->lo[2] = (first - at) / d;
    q->in[2] = (p->in[2] - first + d - 1) / d;
    q->out[2] = (p->out[2] - phase + d - 1) / d;
    q->ys[4] *= d;
    return first;
}

/* A row of outputs, or a phase of it, in blocks b0 .. b1-1 of channels; x: pixel 0 of the image. */
static void CV_(nhwc_line)(const CV_(nhwc_job) *j, const cv_conv *p, const T *x, T *y, ptrdiff_t oy,
                           ptrdiff_t b0, ptrdiff_t b1) {
    static const T zeros[CV_LNV * VL];
    for (ptrdiff_t b = b0; b < b1; b++) {
        const ptrdiff_t v0 = b * j->vecs / j->blocks, v1 = (b + 1) * j->vecs / j->blocks,
                        c = v0 * VL;
        const ptrdiff_t lanes = CV_MIN2(VL, j->channels - (v1 - 1) * VL);
        const T *row[7];
        ptrdiff_t step[7];
        for (ptrdiff_t ky = 0; ky < p->k[1]; ky++) {
            const ptrdiff_t iy = oy * p->stride[1] + ky * p->dil[1] - p->lo[1];
            const int in = iy >= 0 && iy < p->in[1];
            row[ky] = in ? x + iy * p->xs[3] + c : zeros;
            step[ky] = in ? p->dil[2] * p->xs[4] : 0;
        }
        CV_(nhwcs)[p->stride[2] == 1 ? 0 : p->k[2] / 2][lanes < VL][v1 - v0 - 1](
            p, row, step, j->w + c, j->vecs * VL, j->bias ? j->bias + c : NULL, y + c, lanes);
    }
}

static void CV_(nhwc_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(nhwc_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t bc = unit % j->block_pieces, rc = unit / j->block_pieces,
                    rows = p->n * p->out[1], b0 = bc * j->blocks / j->block_pieces,
                    b1 = (bc + 1) * j->blocks / j->block_pieces, c0 = b0 * j->vecs / j->blocks * VL,
                    c1 = CV_MIN2(j->channels, b1 * j->vecs / j->blocks * VL),
                    r0 = rc * rows / j->row_pieces, end = (rc + 1) * rows / j->row_pieces;
    (void)worker;
    for (ptrdiff_t r = r0; r < end; r++) {
        const ptrdiff_t oy = r % p->out[1];
        const T *x = j->x + r / p->out[1] * p->xs[0];
        T *y = j->y + r / p->out[1] * p->ys[0] + oy * p->ys[3];
        if (j->far)
            CV_(ask_rows)(p, x + c0, oy * p->stride[1] - p->lo[1], !oy || r == r0, c1 - c0);
        if (p->dil[2] == 1) {
            CV_(nhwc_line)(j, p, x, y, oy, b0, b1);
            continue;
        }
        for (ptrdiff_t phase = 0; phase < CV_MIN2(p->dil[2], p->out[2]); phase++) {
            cv_conv q;
            const ptrdiff_t first = CV_(nhwc_phase)(p, phase, &q);
            CV_(nhwc_line)(j, &q, x + first * p->xs[4], y + phase * p->ys[4], oy, b0, b1);
        }
    }
}

/* ---- the row */

CV_ONCE const char *CV_(nhwc_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if ((!cv_depthwise_window(p) && !cv_depthwise_apart(p)) || p->groups == 1 ||
        (p->stride[2] == 1 && p->k[2] != 3))
        return "serves depthwise windows of 3x3, and with stride 2 of 5x5 and 7x7 without dilation";
    if (p->xs[1] != 1 || p->ys[1] != 1)
        return "serves channels last";
    return CV_(plain_weights)(p) ? NULL : "takes contiguous weights";
}

CV_ONCE double CV_(nhwc_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)((p->groups + VL - 1) / VL), taps = (double)cv_taps(p);
    return 400 +
           (double)p->n * (double)cv_outputs(p) * vecs * (taps / (0.6 * CV_PACE) + 3 / CV_PACE) +
           taps * vecs * VL * 0.5;
}

CV_ONCE void CV_(nhwc_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(nhwc_job) *j = CV_JOB(plan, CV_(nhwc_job));
    *j = (CV_(nhwc_job)){
        .p = problem->conv, .threads = problem->threads, .channels = problem->conv.groups};
    const cv_conv *p = &j->p;
    j->vecs = (j->channels + VL - 1) / VL;
    j->blocks = (j->vecs + CV_LNV - 1) / CV_LNV;
    j->far = CV_(plane_bytes)(p) * (double)(p->n * p->groups) > CV_ROWS_FAR &&
             j->channels * (ptrdiff_t)sizeof(T) >= CV_ROWS_LEAP;
    cv_cut(cv_products(p), &j->threads, p->n * p->out[1], j->blocks, &j->row_pieces,
           &j->block_pieces);
    plan->threads = j->threads;
    plan->scratch = cv_taps(p) * j->vecs * VL * (ptrdiff_t)sizeof(T);
}

static int CV_(nhwc_run)(const cv_plan *plan, const cv_call *call) {
    CV_(nhwc_job) j = *CV_JOB(plan, CV_(nhwc_job));
    const T *w = call->w;
    T *turned = (T *)call->scratch;
    CV_(turn_weights)(w, cv_taps(&j.p), j.channels, j.vecs * VL, turned);
    j.x = call->x;
    j.w = turned;
    j.bias = call->bias;
    j.y = call->y;
    const int status = cv_parallel(CV_(nhwc_task), &j, j.row_pieces * j.block_pieces, j.threads);
    if (status == CV_OK)
        CV_(poison)(&j.p, w, j.y);
    return status;
}

CV_ROW(depthwise_nhwc) = {CV_(nhwc_fits), CV_(nhwc_cost), CV_(nhwc_plan),
                          NULL,           NULL,           CV_(nhwc_run)};
#endif
