/* Few pixels and many weights that come with the call: windows become columns, [c][tap][pixel], and
 * weights are read as they lie; those of 3x3 windows are larger than all columns together. */
#ifndef CV_COLUMNS
#define CV_COLUMNS
#include "nopack.tmpl.h"

#define CV_COLUMNS_BYTES (8 << 20)

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x;
    T *columns; /* [n][group][c][tap][pixel] */
    int threads;
    CV_(nopack_job) product;
} CV_(columns_job);

static void CV_(columns_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(columns_job) *j = context;
    const cv_conv *p = &j->p;
    (void)worker;
    const ptrdiff_t r = unit % j->view.runs, plane = unit / j->view.runs, g = plane % p->groups,
                    n = plane / p->groups;
    T *to = j->columns + plane * j->view.k * j->view.pixels;
    for (ptrdiff_t p0 = 0; p0 < j->view.pixels; p0 += CV_NV * VL)
        CV_(pack_panel)(p, &j->view, j->x + n * p->xs[0] + g * p->icg * p->xs[1], p0,
                        CV_MIN2(CV_NV * VL, j->view.pixels - p0), j->view.pixels - p0, r, r + 1,
                        j->view.pixels, to + p0);
}

/* ---- the row */

static ptrdiff_t CV_(columns_bytes)(const cv_conv *p) {
    return p->n * p->groups * p->icg * cv_taps(p) * cv_outputs(p) * (ptrdiff_t)sizeof(T);
}

CV_ONCE const char *CV_(columns_fits)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const ptrdiff_t pixels = cv_outputs(&p);
    const int rows =
        p.ys[4] == 1 && p.ys[3] == p.out[2] && (p.out[0] == 1 || p.ys[2] == p.out[1] * p.out[2]);
    if (!cv_any_work(&p))
        return "has no work in an empty convolution";
    if (!problem->fresh)
        return "is for weights that come with the call; a plan has packed them";
    if (!rows || !cv_joined_weights(&p))
        return "needs rows without gaps in the result and in the weights";
    if (pixels < VL || p.n * pixels > CV_NOPACK_PIXELS)
        return "serves maps of a vector to 256 pixels in the batch";
    if (CV_(columns_bytes)(&p) > CV_COLUMNS_BYTES)
        return "serves windows that fit 8 MiB as columns";
    return NULL;
}

CV_ONCE double CV_(columns_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const ptrdiff_t k = p.icg * cv_taps(&p), pixels = cv_outputs(&p);
    const double vecs = (double)((pixels + VL - 1) / VL);
    return 500 + (double)(p.n * p.groups) * (CV_(nopack_ns)(p.ocg, k, pixels, 1) +
                                             CV_MAX2(1.8, CV_(packing)(&p)) * (double)k * vecs);
}

CV_ONCE void CV_(columns_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(columns_job) *j = CV_JOB(plan, CV_(columns_job));
    *j = (CV_(columns_job)){.p = cv_simplify(&problem->conv)};
    const cv_conv *p = &j->p;
    j->view = cv_view_of(p);
    const cv_view *v = &j->view;
    /* a number costs as much as that */
    const double work = (double)p->n * p->groups * v->k * v->pixels * 32;
    j->threads = cv_threads_for(work, CV_WORK_GEMM, problem->threads);
    const cv_conv q = {
        .n = p->n,
        .groups = p->groups,
        .icg = v->k,
        .ocg = p->ocg,
        .in = {1, 1, v->pixels},
        .k = {1, 1, 1},
        .out = {1, 1, v->pixels},
        .stride = {1, 1, 1},
        .dil = {1, 1, 1},
        .xs = {p->groups * v->k * v->pixels, v->pixels, v->pixels, v->pixels, 1},
        .ys = {p->ys[0], p->ys[1], v->pixels, v->pixels, 1},
        .ws = {p->ws[0], p->ws[1], 1, 1, 1, 1},
    };
    CV_(nopack_sizes)(&j->product, &q, problem->threads);
    plan->threads = CV_MAX2(j->threads, j->product.threads);
    plan->scratch = CV_(columns_bytes)(p);
}

static int CV_(columns_run)(const cv_plan *plan, const cv_call *call) {
    CV_(columns_job) j = *CV_JOB(plan, CV_(columns_job));
    j.x = call->x;
    j.columns = (T *)call->scratch;
    const int status =
        cv_parallel(CV_(columns_unit), &j, j.p.n * j.p.groups * j.view.runs, j.threads);
    if (status != CV_OK)
        return status;
    j.product.x = j.columns;
    j.product.w = call->w;
    j.product.bias = call->bias;
    j.product.y = call->y;
    return CV_(nopack_start)(&j.product);
}

CV_ROW(gemm_columns) = {CV_(columns_fits), CV_(columns_cost), CV_(columns_plan), NULL, NULL,
                        CV_(columns_run)};
#endif
