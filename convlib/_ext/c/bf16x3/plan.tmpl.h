/* How the work of the matrix unit is cut, and its row in the list. */
#ifndef CV_BF16_PLAN
#define CV_BF16_PLAN
#include "bf16x3.tmpl.h"

/* Sizes of the planes under a block of step[] outputs. */
static void CV_(bf16_measure)(CV_(bf16_job) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    j->image = 1;
    j->blocks = 1;
    for (int a = 0; a < 3; a++) {
        j->size[a] = j->step[1 + a] + j->ext[a];
        j->image *= j->size[a] * j->phases[a];
    }
    for (int a = 0; a < 4; a++) {
        j->cuts[a] = (outs[a] + j->step[a] - 1) / j->step[a];
        j->blocks *= j->cuts[a];
    }
    /* an odd number of lines between the rows of a tile: they fall into different cache sets */
    j->plane = (j->step[0] * j->image + VL + 15) / 16 * 16;
    if (j->plane / 16 % 2 == 0)
        j->plane += 16;
    j->region = j->pairs * 3 * j->plane + 2 * CV_BF16_SIDE;
    if (!j->last)
        return;
    j->row = j->pairs / 16 % 2 ? j->pairs : j->pairs + 16; /* likewise odd */
    j->plane = j->step[0] * j->image * j->row;
    j->region = 3 * j->plane + CV_BF16_SIDE * j->row;
}

/* Cut the outputs until the planes of a block fit, and there are `want` blocks of a useful size. */
static void CV_(bf16_cut)(CV_(bf16_job) *j, ptrdiff_t bytes, ptrdiff_t want) {
    const cv_conv *p = &j->p;
    j->step[0] = p->n;
    j->step[1] = p->out[0];
    j->step[2] = p->out[1];
    j->step[3] = p->out[2];
    for (;;) {
        CV_(bf16_measure)(j);
        const ptrdiff_t pixels = j->step[0] * j->step[1] * j->step[2] * j->step[3];
        const int large = j->region * (ptrdiff_t)sizeof(uint32_t) > bytes;
        if (!large && (pixels <= 192 || p->groups * j->blocks >= want))
            return;
        int a = 0;
        while (a < 3 && j->step[a] == 1)
            a++;
        if (a == 3 && j->step[3] <= 2 * CV_BF16_SIDE)
            return;
        j->step[a] = (j->step[a] + 1) / 2;
        if (a == 3)
            j->step[a] = (j->step[a] + CV_BF16_SIDE - 1) / CV_BF16_SIDE * CV_BF16_SIDE;
    }
}

static void CV_(bf16_sizes)(CV_(bf16_job) *j, const cv_problem *problem) {
    *j = (CV_(bf16_job)){.p = cv_simplify(&problem->conv)};
    const cv_conv *p = &j->p;
    j->view = CV_(bf16_view_of)(p);
    j->last = CV_(bf16_last)(p, &j->view);
    j->pairs = (j->view.channels + CV_BF16_K - 1) / CV_BF16_K * 16;
    j->panel = j->view.blocks * 3 * CV_BF16_TILE;
    j->outs = CV_(bf16_outs)(p);
    j->parts = 1;
    for (int a = 0; a < 3; a++) {
        const ptrdiff_t s = p->stride[a], reach = (p->k[a] / j->view.spread[a] - 1) * p->dil[a];
        j->phases[a] = CV_MIN2(s, reach + 1);
        j->ext[a] = reach / s;
    }
    const double work = (double)p->n * p->groups * p->ocg * p->out[0] * p->out[1] * p->out[2] *
                        j->view.blocks * CV_BF16_K;
    j->threads = cv_threads_for(work, 2 * CV_WORK_GEMM, problem->threads);
    CV_(bf16_cut)(j, CV_MIN2(CV_BF16_BYTES, problem->max_workspace / (2 * j->threads)),
                  j->threads > 1 ? 3 * j->threads : 1);
    /* few pixels: their weights are more than they are, and each thread had better read its half
     * than all of them */
    const int few = p->groups == 1 && p->n * p->out[0] * p->out[1] * p->out[2] <= CV_BF16_FEW;
    if (j->threads == 1 || (p->groups * j->blocks >= 2 * j->threads && !few))
        return;
    CV_(bf16_cut)(j, CV_MIN2(CV_BF16_SHARED, problem->max_workspace / (4 * j->threads)), 1);
    j->shared = 1;
    while (p->groups * j->blocks * ((j->outs + 1) / 2) * j->parts < 4 * j->threads && j->parts < 4)
        j->parts++;
}

CV_INLINE ptrdiff_t CV_(bf16_regions)(const CV_(bf16_job) *j) {
    return j->shared ? j->p.groups * j->blocks : j->threads;
}

/* Bytes of packed weights, after which lies a note of whether there were tiny ones among them. */
#define CV_BF16_NOTE 64
CV_INLINE ptrdiff_t CV_(bf16_panels)(const CV_(bf16_job) *j) {
    return j->p.groups * j->outs * j->panel;
}

/* packed: weights are; else each worker splits two tiles of outputs at a time, where it uses
 * them. */
static ptrdiff_t CV_(bf16_scratch)(const CV_(bf16_job) *j, int packed) {
    return CV_(bf16_regions)(j) * j->region * (ptrdiff_t)sizeof(uint32_t) +
           (packed ? 0 : 2 * j->threads * j->panel);
}

/* Where the planes of each block of K begin, shifted by its tap. */
static void CV_(bf16_offsets)(CV_(bf16_job) *j) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < j->view.blocks; i++) {
        const ptrdiff_t cb = i / j->view.taps;
        ptrdiff_t phase = 0, shift = 0, t[3];
        CV_(bf16_origin)(p, &j->view, 0, i % j->view.taps, t);
        for (int a = 0; a < 3; a++) {
            phase = phase * j->phases[a] + t[a] * p->dil[a] % p->stride[a];
            shift = shift * j->size[a] + t[a] * p->dil[a] / p->stride[a];
        }
        shift += phase * j->size[0] * j->size[1] * j->size[2];
        j->at[i] = j->last ? shift * j->row + cb * 16 : cb * 16 * 3 * j->plane + shift;
    }
}

/* ---- the row */

CV_ONCE const char *CV_(bf16_fits)(const cv_problem *problem) {
    return cv_any_work(&problem->conv) ? NULL : "has no work in an empty convolution";
}

/* The unit multiplies six parts about 2.5 times as fast as vectors multiply whole numbers.
 * Splitting inputs, turning sums round where channels come first, and splitting weights that come
 * with the call are paid on top; the emulation is for tests and never the fastest. */
CV_ONCE double CV_(bf16_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const CV_(bf16_view) v = CV_(bf16_view_of)(&p);
    const double pixels = (double)(p.n * p.groups) * (double)cv_outputs(&p);
    const double outs = (double)CV_(bf16_outs)(&p), steps = (double)v.blocks;
    if (!CV_AMX)
        return 1e3 * (1 + pixels * outs * steps);
    double ns = pixels * outs * steps * CV_BF16_K / (2.5 * CV_PACE);
    ns += pixels * ((double)v.channels * (p.last ? 0.10 : 0.16) + (p.last ? 0.4 : 3.0) * outs);
    if (problem->fresh)
        ns += (double)p.groups * outs * steps * 16 * CV_BF16_K * 0.35;
    return 1500 + ns;
}

CV_ONCE void CV_(bf16_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(bf16_job) *j = CV_JOB(plan, CV_(bf16_job));
    CV_(bf16_sizes)(j, problem);
    plan->threads = j->threads;
    plan->tables = CV_ROUND64(j->view.blocks * (ptrdiff_t)sizeof *j->at);
    /* Weights that are split once or twice in a call need no packing pass: each tile is split where
     * it is used, in L2. */
    const ptrdiff_t uses = j->shared ? j->blocks * j->parts : j->blocks,
                    own = CV_(bf16_scratch)(j, 0);
    if (problem->fresh && uses <= 2 && j->outs >= 2 * j->threads &&
        own + plan->tables <= problem->max_workspace) {
        plan->scratch = own;
        return;
    }
    plan->scratch = CV_(bf16_scratch)(j, 1);
    plan->packed = CV_(bf16_panels)(j) + CV_BF16_NOTE;
}

static void CV_(bf16_fill_table)(cv_plan *plan) {
    CV_(bf16_job) *j = CV_JOB(plan, CV_(bf16_job));
    j->at = (ptrdiff_t *)plan->table;
    CV_(bf16_offsets)(j);
}

typedef struct {
    const CV_(bf16_job) *j;
    const T *w;
    char *packed;
} CV_(bf16_pack_job);

static void CV_(bf16_pack_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_pack_job) *q = context;
    const CV_(bf16_job) *j = q->j;
    (void)worker;
    CV_(bf16_pack_tile)(&j->p, &j->view, q->w, unit / j->outs, unit % j->outs,
                        q->packed + unit * j->panel, (int *)(q->packed + CV_(bf16_panels)(j)));
}

static int CV_(bf16_pack)(const cv_plan *plan, const void *w, void *packed) {
    const CV_(bf16_job) *j = CV_JOB(plan, CV_(bf16_job));
    CV_(bf16_pack_job) q = {j, w, packed};
    *(int *)(q.packed + CV_(bf16_panels)(j)) = 0;
    const int threads =
        cv_threads_for((double)plan->packed / sizeof(T), CV_WORK_PACK, plan->problem.threads);
    return cv_parallel(CV_(bf16_pack_unit), &q, j->p.groups * j->outs, threads);
}

static int CV_(bf16_run)(const cv_plan *plan, const cv_call *call) {
    CV_(bf16_job) j = *CV_JOB(plan, CV_(bf16_job));
    j.x = call->x;
    j.w = call->w;
    j.packed = call->packed;
    j.bias = call->bias;
    j.y = call->y;
    j.scratch = (uint32_t *)call->scratch;
    j.tiles = (char *)(j.scratch + CV_(bf16_regions)(&j) * j.region);
    const ptrdiff_t blocks = j.p.groups * j.blocks;
    int tiny = j.packed && *(const int *)(j.packed + CV_(bf16_panels)(&j)), status = CV_OK;
    j.tiny = &tiny;
    if (j.shared && (!tiny || call->insist))
        status = cv_parallel(CV_(bf16_planes_unit), &j, blocks * (j.pairs / 16), j.threads);
    if (tiny && !call->insist)
        return status == CV_OK ? CV_UNFIT : status;
    if (status == CV_OK && j.shared)
        status = cv_parallel(CV_(bf16_multiply_unit), &j, blocks * ((j.outs + 1) / 2) * j.parts,
                             j.threads);
    else if (status == CV_OK)
        status = cv_parallel(CV_(bf16_unit), &j, blocks, j.threads);
    return status == CV_OK && tiny && !call->insist ? CV_UNFIT : status;
}

CV_ROW(bf16x3) = {CV_(bf16_fits),       CV_(bf16_cost), CV_(bf16_plan),
                  CV_(bf16_fill_table), CV_(bf16_pack), CV_(bf16_run)};
#endif
