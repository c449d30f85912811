/* How direct convolution cuts its work, and its row in the list. */
#ifndef CV_DIRECT_PLAN
#define CV_DIRECT_PLAN
#include "direct.tmpl.h"

/* Whether CV_DM_WIDE channels share a load, if any rows do. */
static int CV_(direct_wide)(const cv_conv *p, ptrdiff_t vecs) {
    return CV_DNV == 4 && p->ocg > CV_DM && vecs <= 2 && p->k[2] == 3;
}

static void CV_(direct_sizes)(CV_(direct_job) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t sh = p->stride[1], dh = p->dil[1], every = sh / cv_gcd(sh, dh) * dh;
    j->taps = p->k[0] * p->k[1] * p->k[2];
    j->channels = p->ocg > 1;
    j->spacing = j->channels ? 1 : every / sh;
    j->phases = j->channels ? 1 : every / dh;
    j->oc_blocks = j->channels ? (p->ocg + CV_DM - 1) / CV_DM : 1;
    const ptrdiff_t rows = p->out[1] / j->spacing, longer = p->out[1] % j->spacing;
    j->strips =
        longer * CV_(strips_of)(j, rows + 1) + (j->spacing - longer) * CV_(strips_of)(j, rows);
    j->planes = p->n * p->groups;
    j->max_steps = p->icg * p->k[0] * (p->k[1] + CV_MIN2(j->phases, p->k[1]) * (CV_DM - 1));
    const int unit = p->xs[4] == 1 && p->ys[4] == 1 &&
                     (p->stride[2] == 1 || (p->stride[2] == 2 && p->dil[2] == 1));
    const int which = 2 * (p->stride[2] == 2) + (p->k[2] == 3);
    j->vecs = (p->out[2] + VL - 1) / VL;
    j->columns = j->vecs;
    if (unit) {
        const int widest = CV_WIDEST(p->stride[2], p->k[2] == 3);
        j->tiles = CV_(direct_tiles)[which];
        j->columns = (j->vecs + widest - 1) / widest;
    }
#if CV_DNV == 4
    if (unit && CV_(direct_wide)(p, j->vecs)) {
        j->tiles = CV_(wide_tiles)[p->stride[2] == 2];
        j->oc_blocks = (p->ocg + CV_DM_WIDE - 1) / CV_DM_WIDE;
    }
#endif
    j->least = j->vecs / j->columns;
    j->wide = j->vecs % j->columns;
}

/* The first column from the i-th on that loads under masks; `columns` if there is none.  Those that
 * load without are passed over together. */
static ptrdiff_t CV_(masked_column)(const CV_(direct_job) *j, ptrdiff_t i, CV_(column) *c) {
    for (; i < j->columns; i++) {
        if (CV_(next_column)(j, i, c))
            return i;
        i += CV_(pass_columns)(j, i, j->columns, c);
    }
    return i;
}

/* Lanes that they need, or more than `most`: what no bound holds is counted no further. */
static ptrdiff_t CV_(direct_lanes)(const CV_(direct_job) *j, ptrdiff_t most) {
    CV_(column) c;
    ptrdiff_t lanes = 0, i = CV_(masked_column)(j, 0, &c);
    for (; i < j->columns && lanes <= most; i = CV_(masked_column)(j, i + 1, &c))
        lanes += j->p.k[2] * c.nv;
    return lanes;
}

/* ---- the row */

CV_ONCE const char *CV_(direct_fits)(const cv_problem *problem) {
    if (!cv_any_work(&problem->conv))
        return "has no work in an empty convolution";
    return CV_(plain_weights)(&problem->conv) ? NULL : "takes contiguous weights";
}

/* A load serves M multiply-adds; strided ones are shuffled together, those past stride 2 gathered
 * one by one. */
CV_ONCE double CV_(direct_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv, joined = cv_simplify(p);
    if (CV_(pointwise_block)(&joined)) {
        const double bytes = (double)(p->icg * cv_outputs(p) * (ptrdiff_t)sizeof(T));
        const double far = bytes > CV_FAR ? CV_STREAM * CV_VB : 0;
        return 300 + (double)(p->n * p->groups) * bytes / CV_VB *
                         CV_MAX2((double)p->ocg / (0.6 * CV_PACE), far);
    }
    const double vecs = (double)((p->out[2] + VL - 1) / VL),
                 planes = (double)(p->n * p->groups * p->ocg);
    const double adds =
        planes * (double)(p->out[0] * p->out[1]) * vecs * (double)(p->icg * cv_taps(p));
    const int rows = p->xs[4] == 1 && p->ys[4] == 1;
    const int plain = rows && (p->stride[2] == 1 || (p->stride[2] == 2 && p->dil[2] == 1));
    const double load = !plain              ? (CV_REGISTERS == 32 ? 0.8 : 0.6) * VL
                        : p->stride[2] == 1 ? 1.2 / CV_PACE
                                            : (CV_CHEAP_MASKS ? 4.0 : 9.0) / CV_PACE;
    const int most = plain && CV_(direct_wide)(p, (p->out[2] + VL - 1) / VL) ? CV_DM_WIDE : CV_DM;
    const double shared = (double)CV_MIN2(most, p->ocg > 1 ? p->ocg : p->out[1]);
    /* of a row's tiles, those at its ends load under masks */
    const int widest = CV_WIDEST(p->stride[2], p->k[2] == 3);
    const double across = (vecs + widest - 1) / widest, ends = CV_MIN2(across, 2);
    const double starts = CV_CHEAP_MASKS ? 18 * across : 45 * ends + 8 * (across - ends);
    /* rows of taps begin anew; tiles of more chains wait less for each other */
    const double kx = (double)p->k[2], inner = (across - ends) / across;
    const double gain = plain && CV_DNV == 3 && widest == 3 && vecs > 2
                            ? inner * (0.41 + 0.6 / kx - CV_MIN2(1.0, 3 / kx))
                            : 0;
    const double add = (0.95 + 0.6 / kx - gain) / CV_PACE;
    return 300 + adds * (add + load / shared) +
           planes / shared * (double)(p->out[0] * p->out[1]) * starts;
}

CV_ONCE void CV_(direct_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(direct_job) *j = CV_JOB(plan, CV_(direct_job));
    *j = (CV_(direct_job)){.p = problem->conv, .threads = problem->threads};
    const cv_conv *p = &j->p, joined = cv_simplify(p);
    j->block = CV_(pointwise_block)(&joined);
    if (j->block) {
        j->p = joined;
        j->planes = p->n * p->groups;
        j->lines = (p->out[2] + j->block - 1) / j->block;
    } else {
        CV_(direct_sizes)(j);
        j->lines = j->oc_blocks * p->out[0] * j->strips;
    }
    cv_cut(cv_products(p), &j->threads, j->planes, j->lines, &j->plane_pieces, &j->line_pieces);
    j->near = (ptrdiff_t)CV_MAX2(1.0, CV_DIRECT_NEAR / CV_(plane_bytes)(p));
    j->far = !j->block && j->line_pieces == 1 && CV_(planes_far)(p);
    const ptrdiff_t steps = j->max_steps * (ptrdiff_t)sizeof(CV_(step));
    const ptrdiff_t most = problem->max_workspace / (ptrdiff_t)sizeof(CV_(lanes));
    plan->tables = CV_ROUND64(CV_(direct_lanes)(j, most) * (ptrdiff_t)sizeof(CV_(lanes)));
    while (j->threads > 1 && j->threads * steps + plan->tables > problem->max_workspace)
        j->threads--;
    plan->threads = j->threads;
    plan->scratch = j->threads * steps;
}

CV_ONCE void CV_(direct_fill)(cv_plan *plan) {
    CV_(direct_job) *j = CV_JOB(plan, CV_(direct_job));
    CV_(lanes) *lanes = (CV_(lanes) *)plan->table;
    CV_(column) c;
    j->masks = lanes;
    ptrdiff_t i = CV_(masked_column)(j, 0, &c);
    for (; i < j->columns; i = CV_(masked_column)(j, i + 1, &c)) {
        for (ptrdiff_t kx = 0; kx < j->p.k[2]; kx++) {
            for (int v = 0; v < c.nv; v++)
                *lanes++ = CV_(lanes_of)(&j->p, c.ox + v * VL, kx);
        }
    }
}

static int CV_(direct_run)(const cv_plan *plan, const cv_call *call) {
    CV_(direct_job) j = *CV_JOB(plan, CV_(direct_job));
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    j.steps = (CV_(step) *)call->scratch;
    const int status = cv_parallel(CV_(direct_task), &j, j.plane_pieces * j.line_pieces, j.threads);
    if (status == CV_OK)
        CV_(poison)(&j.p, j.w, j.y);
    return status;
}

CV_ROW(direct) = {CV_(direct_fits), CV_(direct_cost), CV_(direct_plan), CV_(direct_fill), NULL,
                  CV_(direct_run)};
#endif
