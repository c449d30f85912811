/* How the broadcast GEMM cuts its work, and its row in the list. */
#ifndef CV_BROADCAST_PLAN
#define CV_BROADCAST_PLAN
#include "broadcast.tmpl.h"

/* a strip of input: stays in L2 beside a part of the weights, and is so long that these, which all
 * strips read, come from behind it seldom; processors with AVX-512 have 1 MB and more */
#define CV_BROADCAST_STRIP ((CV_VB == 64 ? 768 : 384) * 1024)
/* where reading all weights for each of so few outputs would be the limit */
#define CV_BROADCAST_MOST (6 * 1024 * 1024)
#define CV_BROADCAST_FEW 96             /* that many outputs */
#define CV_BROADCAST_PANEL (256 * 1024) /* weights of a panel that stay in L2 from tile to tile */
/* weights that all threads may pack for themselves: what others wrote comes slowly */
#define CV_OWN_BYTES (8 << 20)

#define CV_BROADCAST_START 100 /* ns of each group of an image */
#define CV_BROADCAST_EACH 320  /* ns of each strip, where these are many */

/* Outputs of a strip that is not cut for the sake of threads.  Threads divide the output channels
 * then, and each copies the inputs; of strips, each copies its own, but two of them write to the
 * lines of y where strips meet. */
static ptrdiff_t CV_(broadcast_enough)(const CV_(broadcast_job) *j) {
    const cv_conv *p = &j->p;
    if (cv_taps(p) > 1 || p->last) /* strips share inputs; no lines of y */
        return CV_BROADCAST_TILES * CV_PX;
    const double copying = (double)(p->n * cv_outputs(p) * p->icg) * CV_BROADCAST_COPY;
    const double meeting = (double)p->ocg * CV_MEET;
    return copying < meeting && j->panels >= CV_PANELS_EACH * j->threads
               ? PTRDIFF_MAX
               : CV_BROADCAST_TILES / 2 * CV_PX;
}

/* Cut the outputs into strips: images first, then slices, rows and columns. */
static void CV_(broadcast_cut)(CV_(broadcast_job) *j, ptrdiff_t max_workspace) {
    const cv_conv *p = &j->p;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    const ptrdiff_t enough = CV_(broadcast_enough)(j);
    for (int a = 0; a < 4; a++)
        j->count[a] = outs[a];
    for (int a = 0; a < 4; a++) {
        for (ptrdiff_t cuts = 1;; cuts += 1 + cuts / 16) {
            j->count[a] = (outs[a] + cuts - 1) / cuts;
            ptrdiff_t bytes = p->icg * (ptrdiff_t)sizeof(CV_(fed));
            j->pixels = j->all = 1;
            for (int b = 0; b < 4; b++) {
                j->size[b] = j->count[b];
                if (b && p->k[b - 1] > 1) {
                    const ptrdiff_t reach = (j->count[b] - 1) * p->stride[b - 1] + 1,
                                    dil = p->dil[b - 1]; /* what lies beyond may be left out */
                    j->dil[b - 1] = j->in_place ? dil : CV_MIN2(dil, reach);
                    j->size[b] = reach + (p->k[b - 1] - 1) * j->dil[b - 1];
                }
                j->strips[b] = (outs[b] + j->count[b] - 1) / j->count[b];
                bytes *= j->size[b];
                j->pixels *= j->count[b];
                j->all *= j->strips[b];
            }
            const ptrdiff_t taken = j->threads * CV_(broadcast_layout)(j, NULL, NULL) +
                                    j->n_segments * (ptrdiff_t)sizeof *j->segments;
            const int large = (bytes > CV_BROADCAST_STRIP && j->pixels > CV_BROADCAST_FEW) ||
                              bytes > CV_BROADCAST_MOST || j->pixels > 4096 ||
                              taken > max_workspace;
            const int few =
                j->threads > 1 && p->groups * j->all < 4 * j->threads && j->pixels > enough;
            if (!large && !few)
                return;
            if (j->count[a] == 1)
                break;
        }
    }
}

/* How many runs a window has, of how many elements, and the lanes that these fill. */
static void CV_(broadcast_runs)(CV_(broadcast_job) *j) {
    const cv_conv *p = &j->p;
    const int joined = p->k[2] == 1 || (p->dil[2] == 1 && (!j->in_place || p->xs[4] == p->icg));
    const ptrdiff_t most = CV_BROADCAST_PANEL / (CV_NV * VL * (ptrdiff_t)sizeof(T));
    j->apart = joined ? 1 : p->k[2];
    j->len = joined ? p->k[2] * p->icg : p->icg;
    j->lanes = (j->len + CV_DEPTH - 1) / CV_DEPTH;
    j->cuts = (j->lanes + most - 1) / most;
    j->n_segments = p->k[0] * p->k[1] * j->apart * j->cuts;
    j->chunk = CV_MAX2(1, most / ((j->lanes + j->cuts - 1) / j->cuts));
    j->k = p->k[0] * p->k[1] * j->apart * j->lanes;
    j->rows = CV_HEAD + j->k;
}

/* How far windows reach along an axis, from the first element on. */
CV_INLINE ptrdiff_t CV_(broadcast_reach)(const cv_conv *p, int a) {
    return (p->out[a] - 1) * p->stride[a] - p->lo[a] + (p->k[a] - 1) * p->dil[a] + 1;
}

/* fresh: weights are not packed; own > 0 then, if each worker can pack what it uses of them. */
static void CV_(broadcast_sizes)(CV_(broadcast_job) *j, const cv_problem *problem, int fresh) {
    *j = (CV_(broadcast_job)){
        .p = cv_simplify(&problem->conv), .shifted = problem->shifted, .wide_y = problem->wide_y};
    const cv_conv *p = &j->p;
    j->vecs = (p->ocg + VL - 1) / VL;
    j->panels = CV_(lane_panels)(j->vecs);
    j->in_place = CV_(feed_in_place)(problem);
    for (int a = 0; a < 3; a++)
        j->in_place &= !p->lo[a] && CV_(broadcast_reach)(p, a) <= p->in[a];
    CV_(broadcast_runs)(j);
    for (int a = 0; a < 3; a++)
        j->spare |= CV_FLOAT && (p->lo[a] > 0 || CV_(broadcast_reach)(p, a) > p->in[a]) &&
                    (a < 2 || j->apart > 1);
    j->straight = p->ys[1] == 1 && !j->wide_y && p->ys[3] == p->out[2] * p->ys[4] &&
                  p->ys[2] == p->out[1] * p->ys[3] &&
                  (p->n == 1 || p->ys[0] == p->out[0] * p->ys[2]);
    j->threads = cv_threads_for(cv_products(p), CV_WORK_GEMM, problem->threads);
    for (;; j->threads--) {
        j->own = 0;
        CV_(broadcast_cut)(j, problem->max_workspace);
        const ptrdiff_t all = j->vecs * VL * j->rows;
        /* one strip: each panel is read by one worker only, so room for one is enough */
        j->own = !fresh                                   ? 0
                 : j->all == 1 && j->panels >= j->threads ? j->rows * CV_MIN2(CV_NV, j->vecs) * VL
                 : j->threads * all * (ptrdiff_t)sizeof(T) <= CV_OWN_BYTES ? all
                                                                           : 0;
        j->each = CV_(broadcast_layout)(j, NULL, NULL);
        if (j->threads == 1 || j->threads * j->each <= problem->max_workspace)
            break;
    }
    const ptrdiff_t want = j->threads > 1 ? 12 * j->threads : 1;
    j->parts = CV_MIN2(j->panels, (want + p->groups * j->all - 1) / (p->groups * j->all));
    j->pitch[0] = p->xs[0];
    j->pitch[1] = p->xs[2];
    j->pitch[2] = p->xs[3];
    j->pitch[3] = p->xs[4];
    if (!j->in_place) {
        j->pitch[3] = p->icg;
        for (int a = 2; a >= 0; a--)
            j->pitch[a] = j->pitch[a + 1] * j->size[a + 1];
    }
    for (int a = 0; a < 4; a++)
        j->step[a] = j->pitch[a] * (a && (j->in_place || p->k[a - 1] > 1) ? p->stride[a - 1] : 1);
}

/* Segments under a row of taps if its inputs lie side by side; long ones are cut, so that a panel's
 * part stays in L2. */
static void CV_(broadcast_segments)(const CV_(broadcast_job) *j) {
    const cv_conv *p = &j->p;
    cv_segment *segment = j->segments;
    for (ptrdiff_t z = 0; z < p->k[0]; z++) {
        for (ptrdiff_t y = 0; y < p->k[1]; y++) {
            for (ptrdiff_t x = 0; x < j->apart; x++) {
                for (ptrdiff_t i = 0; i < j->cuts; i++, segment++) {
                    const ptrdiff_t begin = i * j->lanes / j->cuts,
                                    end = (i + 1) * j->lanes / j->cuts;
                    segment->at = z * j->dil[0] * j->pitch[1] + y * j->dil[1] * j->pitch[2] +
                                  x * j->dil[2] * j->pitch[3] + begin * CV_DEPTH;
                    segment->len = end - begin;
                }
            }
        }
    }
}

/* ---- the row */

#if CV_FLOAT
CV_ONCE const char *CV_(broadcast_fits)(const cv_problem *problem) {
    return cv_any_work(&problem->conv) ? NULL : "has no work in an empty convolution";
}

/* The part of the taps that lie in x, over all outputs; of very many, some are looked at.  Taps of
 * a row that lie side by side are not told apart. */
CV_ONCE double CV_(broadcast_share)(const cv_conv *p) {
    double share = 1;
    for (int a = 0; a < (p->dil[2] > 1 ? 3 : 2); a++) {
        const ptrdiff_t step = p->k[a] / 1024 + 1;
        ptrdiff_t taps = 0, looked = 0;
        for (ptrdiff_t k = 0; k < p->k[a]; k += step, looked++) {
            ptrdiff_t lo, hi;
            cv_lanes(k * p->dil[a] - p->lo[a], p->stride[a], p->in[a], p->out[a], &lo, &hi);
            hi = CV_MAX2(hi, lo);
            if (a == 2 && hi > lo) /* tiles of a row that need it for some of their pixels */
                hi = CV_MIN2(hi + ((lo > 0) + (hi < p->out[a])) * (CV_PX - 1), lo + p->out[a]);
            taps += hi - lo;
        }
        share *= (double)taps / ((double)looked * (double)p->out[a]);
    }
    return share;
}

/* What strips copy of an input whose windows have gaps: a row once for each tap that reads it.
 * strips: how many there are. */
CV_ONCE double CV_(broadcast_copied)(const cv_problem *problem, double *strips) {
    CV_(broadcast_job) j;
    cv_problem alone = *problem;
    alone.threads = 1;
    CV_(broadcast_sizes)(&j, &alone, 0);
    *strips = (double)j.p.groups * (double)j.all;
    return *strips * (double)j.p.icg * (double)(j.size[0] * j.size[1]) *
           (double)(j.size[2] * j.size[3]);
}

/* Pixels are copied to channels last and sums are brought back, unless channels come last
 * already. */
CV_ONCE double CV_(broadcast_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const double pixels = (double)(p.n * p.groups) * (double)cv_outputs(&p),
                 k = (double)(p.icg * cv_taps(&p)) * CV_(broadcast_share)(&p);
    const double vecs = (double)((p.ocg + VL - 1) / VL);
    double strips = 0;
    double inputs = (double)(p.n * p.groups * p.icg), copied = inputs; /* with its padding */
    for (int a = 0; a < 3; a++) {
        inputs *= (double)(p.k[a] == 1 ? p.out[a] : p.in[a]);
        copied *= (double)(p.k[a] == 1 ? p.out[a] : CV_(broadcast_reach)(&p, a) + p.lo[a]);
    }
    if (p.dil[0] > 1 || p.dil[1] > 1 || p.dil[2] > 1)
        inputs = copied = CV_(broadcast_copied)(problem, &strips);
    /* one vector of outputs: six sums of 16 registers wait for each other, and with two loads in a
     * cycle broadcasts are the limit */
    const double pace = (CV_REGISTERS == 32 ? 0.86 : vecs > 1 ? 0.94 : 0.70) * CV_PACE;
    double ns = pixels * vecs * (k / pace + (p.last ? 0.5 : 3.2)) +
                (double)(p.n * p.groups) * CV_BROADCAST_START;
    ns += strips * CV_BROADCAST_EACH;
    if (!p.last)
        ns += inputs * (p.icg <= 4 ? 0.15 : CV_BROADCAST_COPY);
    else if (p.lo[0] || p.lo[1] || p.lo[2])
        ns += inputs * (0.6 / VL + 2.0 / (double)p.icg);
    if (p.last && p.ocg % VL) /* parts of vectors are stored number by number */
        ns += pixels * 5;
    if (copied > inputs)
        ns += (copied - inputs) * 0.05;
    if (problem->fresh)
        ns += (p.ws[1] == 1 ? 0.8 : 3.0) * (double)p.groups * vecs * k;
    return 400 + ns;
}
#endif

CV_ONCE void CV_(broadcast_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(broadcast_job) *j = CV_JOB(plan, CV_(broadcast_job));
    CV_(broadcast_sizes)(j, problem, CV_FLOAT && problem->fresh);
    plan->tables = CV_ROUND64(j->n_segments * (ptrdiff_t)sizeof *j->segments);
    plan->scratch = j->threads * j->each;
    if (!j->own || plan->scratch + plan->tables > problem->max_workspace) {
        CV_(broadcast_sizes)(j, problem, 0);
        plan->scratch = j->threads * j->each;
        plan->packed = j->p.groups * j->vecs * VL * j->rows * (ptrdiff_t)sizeof(T);
#if defined(CV_BYTE_TILES)
        plan->packed += CV_WEIGHTS_BEYOND;
#endif
    }
    plan->threads = j->threads;
#if CV_FLOAT
    plan->ends = CV_(endable)(&problem->conv);
#endif
}

CV_ONCE void CV_(broadcast_fill)(cv_plan *plan) {
    CV_(broadcast_job) *j = CV_JOB(plan, CV_(broadcast_job));
    j->segments = (cv_segment *)plan->table;
    CV_(broadcast_segments)(j);
}

typedef struct {
    const CV_(broadcast_job) *j;
    const T *w;
    T *packed;
    ptrdiff_t units;
} CV_(broadcast_pack_job);

static void CV_(broadcast_pack_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(broadcast_pack_job) *q = context;
    const CV_(broadcast_job) *j = q->j;
    (void)worker;
    const ptrdiff_t all = j->p.groups * j->panels;
    for (ptrdiff_t i = cv_part(all, q->units, unit); i < cv_part(all, q->units, unit + 1); i++) {
        const ptrdiff_t g = i / j->panels, l0 = CV_(lane_of)(j->vecs, j->panels, i % j->panels);
        const ptrdiff_t l1 = CV_(lane_of)(j->vecs, j->panels, i % j->panels + 1);
        CV_(feed_weights)(j, q->w, g, l0, l1, q->packed + (g * j->vecs * VL + l0) * j->rows);
    }
}

static int CV_(broadcast_pack)(const cv_plan *plan, const void *w, void *packed) {
    const CV_(broadcast_job) *j = CV_JOB(plan, CV_(broadcast_job));
    const double size = (double)(plan->packed / (ptrdiff_t)sizeof(T));
    const int threads = cv_threads_for(size, CV_WORK_PACK, plan->problem.threads);
    CV_(broadcast_pack_job) q = {j, w, packed, 0};
    q.units = CV_MIN2(j->p.groups * j->panels, threads == 1 ? 1 : 4 * threads);
    return cv_parallel(CV_(broadcast_pack_unit), &q, q.units, threads);
}

static int CV_(broadcast_run)(const cv_plan *plan, const cv_call *call) {
    CV_(broadcast_job) j = *CV_JOB(plan, CV_(broadcast_job));
    j.x = call->x;
    j.w = j.own ? call->w : call->packed;
    j.bias = call->bias;
    j.y = call->y;
    CV_(feed_begin)(&j, call);
    j.scratch = call->scratch;
    for (int i = 0; i < j.threads; i++) {
        char *mine = j.scratch + i * j.each;
        CV_(broadcast_layout)(&j, mine, (CV_(broadcast_scratch) *)mine);
    }
    return cv_parallel(CV_(broadcast_unit), &j, j.p.groups * j.all * j.parts, j.threads);
}

#if CV_FLOAT
CV_ROW(gemm_broadcast) = {CV_(broadcast_fits), CV_(broadcast_cost), CV_(broadcast_plan),
                          CV_(broadcast_fill), CV_(broadcast_pack), CV_(broadcast_run)};
#endif
#endif
