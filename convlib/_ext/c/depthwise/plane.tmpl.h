/* Small planes: rows shorter than two vectors would leave lanes idle, so the plane is taken as one
 * long row.
 *
 * That needs input and output planes of one shape, without gaps, and stride 1; then tap (ky, kx) is
 * a constant offset, and a mask per (tap, vector) drops what crossed an edge.  Only AVX-512 loads
 * under such masks cheaply; narrower vectors fit short rows anyway. */
#if CV_CHEAP_MASKS && !defined(CV_DEPTHWISE_PLANE)
#define CV_DEPTHWISE_PLANE
#include "../direct/lanes.tmpl.h"
#include "window.h"

#define CV_PLANE_VECS 8            /* vectors at once */
#define CV_PLANE_TABLE (256 << 10) /* bytes of masks and offsets, at most */

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    int threads;
    ptrdiff_t taps, size, vecs, groups, planes, pieces; /* groups of up to CV_PLANE_VECS vectors */
    ptrdiff_t *offset;                                  /* [taps] */
    CV_LANE_SET *masks; /* [vecs][taps] in groups: [group][tap][vector] */
} CV_(plane_job);

CV_INLINE void CV_(plane)(const int nv, const CV_(plane_job) *j, const CV_LANE_SET *q, const T *x,
                          const T *w, T bias, T *y, ptrdiff_t last) {
    vec acc[CV_PLANE_VECS];
    CV_UNROLL(8)
    for (int i = 0; i < nv; i++)
        acc[i] = (vec){0};
    for (ptrdiff_t t = 0; t < j->taps; t++, q += nv) {
        const T *p = x + j->offset[t];
        const vec a = CV_(set1)(w[t]);
        CV_UNROLL(8)
        for (int i = 0; i < nv; i++)
            acc[i] += a * CV_(load_set)(p + i * VL, q[i]);
    }
    CV_UNROLL(8)
    for (int i = 0; i < nv - 1; i++)
        CV_(store)(y + i * VL, acc[i] + CV_(set1)(bias));
    CV_(store_n)(y + (nv - 1) * VL, acc[nv - 1] + CV_(set1)(bias), last);
}

static void CV_(plane_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(plane_job) *j = context;
    (void)worker;
    for (ptrdiff_t plane = unit * j->planes / j->pieces; plane < (unit + 1) * j->planes / j->pieces;
         plane++) {
        const ptrdiff_t g = plane % j->p.groups, n = plane / j->p.groups;
        const T *x = j->x + n * j->p.xs[0] + g * j->p.xs[1], *w = j->w + g * j->taps;
        T *y = j->y + n * j->p.ys[0] + g * j->p.ys[1];
        const T bias = j->bias ? j->bias[g] : 0;
        for (ptrdiff_t i = 0; i < j->groups; i++) {
            const ptrdiff_t v0 = i * j->vecs / j->groups, v1 = (i + 1) * j->vecs / j->groups;
            const ptrdiff_t last = CV_MIN2(VL, j->size - (v1 - 1) * VL);
            const CV_LANE_SET *q = j->masks + v0 * j->taps;
            switch (v1 - v0) {
#define CV_CASE(nv)                                                    \
    case nv:                                                           \
        CV_(plane)(nv, j, q, x + v0 * VL, w, bias, y + v0 * VL, last); \
        break;
                CV_CASE(1)
                CV_CASE(2)
                CV_CASE(3)
                CV_CASE(4)
                CV_CASE(5)
                CV_CASE(6)
                CV_CASE(7)
                CV_CASE(8)
#undef CV_CASE
            }
        }
    }
}

static void CV_(plane_masks)(CV_(plane_job) *j) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < j->groups; i++) {
        const ptrdiff_t v0 = i * j->vecs / j->groups, v1 = (i + 1) * j->vecs / j->groups;
        CV_LANE_SET *q = j->masks + v0 * j->taps;
        for (ptrdiff_t t = 0; t < j->taps; t++) {
            const ptrdiff_t dx = t % p->k[2] * p->dil[2] - p->lo[2],
                            dy = t / p->k[2] * p->dil[1] - p->lo[1];
            j->offset[t] = dy * p->in[2] + dx;
            for (ptrdiff_t v = v0; v < v1; v++, q++) {
                *q = 0;
                for (ptrdiff_t l = v * VL; l < CV_MIN2((v + 1) * VL, j->size); l++) {
                    const ptrdiff_t ix = l % p->in[2] + dx, iy = l / p->in[2] + dy;
                    if (ix >= 0 && ix < p->in[2] && iy >= 0 && iy < p->in[1])
                        *q |= (CV_LANE_SET)((uint64_t)1 << (l - v * VL));
                }
            }
        }
    }
}

/* ---- the row */

static ptrdiff_t CV_(plane_table)(const CV_(plane_job) *j) {
    return CV_ROUND64(j->taps *
                      (ptrdiff_t)(sizeof *j->offset + (size_t)j->vecs * sizeof *j->masks));
}

static void CV_(plane_sizes)(CV_(plane_job) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    ptrdiff_t one;
    *j = (CV_(plane_job)){.p = *p, .threads = problem->threads};
    j->taps = cv_taps(p);
    j->size = p->in[1] * p->in[2];
    j->planes = p->n * p->groups;
    j->vecs = (j->size + VL - 1) / VL;
    j->groups = (j->vecs + CV_PLANE_VECS - 1) / CV_PLANE_VECS;
    cv_cut(cv_products(p), &j->threads, j->planes, 1, &j->pieces, &one);
}

CV_ONCE const char *CV_(plane_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (!cv_depthwise_plane(p))
        return "serves depthwise windows";
    for (int i = 1; i < 3; i++) {
        if (p->stride[i] != 1 || p->in[i] != p->out[i])
            return "serves stride 1 and results of the input's size";
    }
    if (p->xs[4] != 1 || p->ys[4] != 1 || p->xs[3] != p->in[2] || p->ys[3] != p->in[2])
        return "needs planes without gaps";
    if (!CV_(plain_weights)(p))
        return "takes contiguous weights";
    CV_(plane_job) j;
    CV_(plane_sizes)(&j, problem);
    return CV_(plane_table)(&j) <= CV_PLANE_TABLE ? NULL
                                                  : "serves small planes: its masks are a table";
}

CV_ONCE double CV_(plane_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)((p->in[1] * p->in[2] + VL - 1) / VL), taps = (double)cv_taps(p);
    return 300 + (double)(p->n * p->groups) * (15 + vecs * (taps * 2.3 + 5) / CV_PACE);
}

CV_ONCE void CV_(plane_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(plane_job) *j = CV_JOB(plan, CV_(plane_job));
    CV_(plane_sizes)(j, problem);
    plan->threads = j->threads;
    plan->tables = CV_(plane_table)(j);
}

CV_ONCE void CV_(plane_fill)(cv_plan *plan) {
    CV_(plane_job) *j = CV_JOB(plan, CV_(plane_job));
    j->offset = (ptrdiff_t *)plan->table;
    j->masks = (void *)(j->offset + j->taps);
    CV_(plane_masks)(j);
}

static int CV_(plane_run)(const cv_plan *plan, const cv_call *call) {
    CV_(plane_job) j = *CV_JOB(plan, CV_(plane_job));
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    return cv_parallel(CV_(plane_task), &j, j.pieces, j.threads);
}

CV_ROW(depthwise_plane) = {CV_(plane_fits), CV_(plane_cost), CV_(plane_plan), CV_(plane_fill), NULL,
                           CV_(plane_run)};
#endif
