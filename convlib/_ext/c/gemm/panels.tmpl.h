/* Implicit GEMM: any convolution as C[oc x pixels] = A[oc x K] · B[K x pixels], the B panels packed
 * as they are needed.
 *
 * A unit of work is a block of pixel panels by a range of output channels.  Per unit and block of
 * K: pack the B panels (they stay in L2), then run every A panel (it stays in L1) over them.  A 1x1
 * convolution needs no packing pass: its first A panel multiplies straight from the image and
 * stores the rows it reads.
 */
#ifndef CV_PANELS
#define CV_PANELS
#include "../layout/im2col.tmpl.h"
#include "../layout/weights.tmpl.h"
#include "tile.tmpl.h"
#include "view.h"

#define CV_KC 384               /* rows of K in a block: an A panel of 12 KB in L1 */
#define CV_B_BYTES (320 * 1024) /* B block: stays in a 1 MB L2 beside the rest */
/* Rows of x so far apart are no stream, and each is in another page; so much of x for each thread
 * is not in its L2 any more. */
#define CV_FAR_ROWS_BYTES 2048
#define CV_FAR_BYTES (1200 << 10)

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x, *a, *bias;
    T *y, *scratch;
    CV_(ending) ending;
    ptrdiff_t scratch_each;         /* elements per worker: B block, then one spare tile */
    ptrdiff_t vecs, blocks;         /* of one image's pixels; cut into blocks of vectors */
    ptrdiff_t oc_panels, oc_blocks; /* of a group's output channels; cut into blocks of panels */
    ptrdiff_t run_block, k_block;   /* runs and the most rows in a block of K */
    int in_place;                   /* B can be read straight from x */
    int ask;                        /* inputs of the next unit are asked for */
    int flat;                       /* a channel of y is one unbroken row */
    int threads;
} CV_(panels_job);

CV_INLINE ptrdiff_t CV_(most)(ptrdiff_t all, ptrdiff_t parts) { return (all + parts - 1) / parts; }

/* The first vector of a block.  Blocks mirror each other, so that two threads share an odd number
 * of them evenly if output channels are cut in halves. */
CV_INLINE ptrdiff_t CV_(block_at)(const CV_(panels_job) *j, ptrdiff_t i) {
    return (2 * i * j->vecs + j->blocks) / (2 * j->blocks);
}

/* Work of the busiest thread, in tiles of one vector, if each thread takes its range of the units;
 * packing: what a vector of B takes. */
static double CV_(panels_load)(const CV_(panels_job) *j, double packing) {
    const ptrdiff_t units = j->p.n * j->p.groups * j->blocks * j->oc_blocks;
    double most = 0;
    for (ptrdiff_t t = 0; t < j->threads; t++) {
        const ptrdiff_t end = cv_part(units, j->threads, t + 1);
        double load = 0;
        for (ptrdiff_t u = cv_part(units, j->threads, t); u < end; u++) {
            const ptrdiff_t oc = u % j->oc_blocks, block = u / j->oc_blocks % j->blocks;
            load += (double)(CV_(block_at)(j, block + 1) - CV_(block_at)(j, block)) *
                    ((double)(cv_part(j->oc_panels, j->oc_blocks, oc + 1) -
                              cv_part(j->oc_panels, j->oc_blocks, oc)) +
                     packing);
        }
        most = CV_MAX2(most, load);
    }
    return most;
}

/* ns to pack a vector of B. */
static double CV_(packing)(const cv_conv *p) {
    if (cv_in_place(p))
        return 0.1;
    /* a tap's geometry serves a block of channels */
    const double piece = 14.0 / (double)CV_MIN2(p->icg, CV_ICB);
    const double apart = 0.45 * VL; /* elements that are not neighbours are gathered one by one */
    const double each = piece + (p->xs[4] != 1 || p->stride[2] > 2 ? apart
                                 : p->stride[2] == 2               ? 1.6
                                                                   : 0.7);
    /* short rows fill a vector piece by piece */
    const double pieces = (double)(p->out[0] * p->out[1] * ((p->out[2] + VL - 1) / VL));
    return each * pieces / (double)((cv_outputs(p) + VL - 1) / VL);
}

/* Cut pixels further, and output channels, for each block of which the pixels are packed again, so
 * that threads finish together; a late one leaves its last unit to others, so these are small. */
static void CV_(panels_divide)(CV_(panels_job) *j) {
    const ptrdiff_t images = j->p.n * j->p.groups;
    const double packing = CV_(packing)(&j->p) * 0.86 * CV_PACE / CV_MR;
    /* blocks of two threads meet within a line of each row of y */
    const double tile = (double)(CV_MR * j->view.k) / CV_PACE;
    const double meeting = images % j->threads ? (double)j->p.ocg * CV_MEET / tile : 0;
    CV_(panels_job) q = *j;
    const ptrdiff_t cut = j->blocks, few = 8;
    double least = 0;
    for (ptrdiff_t oc_blocks = 1; oc_blocks <= CV_MIN2(j->oc_panels, CV_MAX2(few, j->threads));
         oc_blocks = oc_blocks == few ? CV_MAX2(few + 1, j->threads) : oc_blocks + 1) {
        q.oc_blocks = oc_blocks;
        for (int each = 1; each <= 6; each++) {
            const ptrdiff_t want = CV_(most)(each * j->threads, images * oc_blocks);
            q.blocks = CV_MAX2(cut, CV_MIN2(want, j->vecs));
            const double load =
                CV_(panels_load)(&q, packing) + (q.blocks > 1 ? meeting : 0) +
                0.1 * (double)(CV_(most)(q.vecs, q.blocks) * CV_(most)(q.oc_panels, q.oc_blocks));
            if (least && load >= least)
                continue;
            least = load;
            j->blocks = q.blocks;
            j->oc_blocks = oc_blocks;
        }
    }
}

static void CV_(panels_cut)(CV_(panels_job) *j, const cv_problem *problem) {
    *j = (CV_(panels_job)){.p = cv_simplify(&problem->conv)};
    const cv_conv *p = &j->p;
    j->view = cv_view_of(p);
    const cv_view *v = &j->view;
    j->vecs = (v->pixels + VL - 1) / VL;
    j->oc_panels = (p->ocg + CV_MR - 1) / CV_MR;
    const ptrdiff_t k_blocks = (v->k + CV_KC - 1) / CV_KC;
    j->run_block = (v->runs + k_blocks - 1) / k_blocks;
    j->k_block = CV_MIN2(v->k, j->run_block * CV_MIN2(CV_ICB, p->icg));
    j->threads = cv_threads_for(cv_products(p), CV_WORK_GEMM, problem->threads);
    j->in_place = cv_in_place(p);
    j->ask =
        j->in_place && p->xs[1] * (ptrdiff_t)sizeof(T) >= CV_FAR_ROWS_BYTES &&
        p->n * p->groups * p->icg * v->pixels * (ptrdiff_t)sizeof(T) >= j->threads * CV_FAR_BYTES;
    j->oc_blocks = 1;

    const ptrdiff_t vec_bytes = j->k_block * VL * (ptrdiff_t)sizeof(T);
    const ptrdiff_t spare = (CV_MR + 1) * CV_NV * VL * (ptrdiff_t)sizeof(T);
    while (j->threads > 1 && j->threads * (vec_bytes + spare) > problem->max_workspace)
        j->threads--;
    const ptrdiff_t room =
        CV_MIN2(CV_B_BYTES / (j->ask ? 2 : 1), problem->max_workspace / j->threads - spare);
    j->blocks = CV_(most)(j->vecs, CV_MAX2(1, room / vec_bytes));
    if (j->threads > 1 && p->n * p->groups * j->blocks < 6 * j->threads)
        CV_(panels_divide)(j);
    j->scratch_each = CV_(most)(j->vecs, j->blocks) * j->k_block * VL + (CV_MR + 1) * CV_NV * VL;
    j->flat = p->ys[4] == 1 && (p->out[1] == 1 || p->ys[3] == p->out[2]) &&
              (p->out[0] == 1 || p->ys[2] == p->out[1] * p->out[2]);
}

/* A tile whose outputs do not lie in one row (NHWC, strided out): rows through `tile`, then one by
 * one to y.  Whichever of channels and pixels lies closer together in y is innermost. */
static void CV_(scatter)(const CV_(panels_job) *j, const T *tile, ptrdiff_t ld, ptrdiff_t rows,
                         ptrdiff_t p0, ptrdiff_t count, const T *bias, T *y) {
    const cv_conv *p = &j->p;
    ptrdiff_t ox = p0 % p->out[2], oy = p0 / p->out[2] % p->out[1], oz = p0 / p->out[2] / p->out[1];
    const ptrdiff_t step = p->ys[4];
    for (ptrdiff_t i = 0, len; i < count; i += len) {
        T *at = y + oz * p->ys[2] + oy * p->ys[3] + ox * step;
        len = CV_MIN2(p->out[2] - ox, count - i);
        if (p->ys[1] < step) {
            for (ptrdiff_t l = 0; l < len; l++, at += step) {
                for (ptrdiff_t m = 0; m < rows; m++)
                    at[m * p->ys[1]] = tile[m * ld + i + l] + (bias ? bias[m] : at[m * p->ys[1]]);
            }
        } else {
            for (ptrdiff_t m = 0; m < rows; m++, at += p->ys[1]) {
                const T *from = tile + m * ld + i;
                if (bias) {
                    for (ptrdiff_t l = 0; l < len; l++)
                        at[l * step] = from[l] + bias[m];
                } else {
                    for (ptrdiff_t l = 0; l < len; l++)
                        at[l * step] += from[l];
                }
            }
        }
        ox = 0;
        if (++oy == p->out[1]) {
            oy = 0;
            oz++;
        }
    }
}

/* Inputs of the unit after this one, which are asked for while this one is computed: rows of a
 * block of K by pixels, of whose lines the processor would see no stream. */
typedef struct {
    const T *x;
    ptrdiff_t rows, length, done;
} CV_(panels_next);

/* The rows from `done` to the part i of n. */
CV_INLINE void CV_(panels_ask)(CV_(panels_next) *next, ptrdiff_t step, ptrdiff_t i, ptrdiff_t n) {
    const ptrdiff_t until = cv_part(next->rows, n, i);
    for (; next->done < until; next->done++) {
        const T *row = next->x + next->done * step;
        for (ptrdiff_t l = 0; l < next->length; l += 64 / (ptrdiff_t)sizeof(T))
            __builtin_prefetch(row + l, 0, 2);
        __builtin_prefetch(row + next->length - 1, 0, 2);
    }
}

static void CV_(panels_unit)(void *ctx, ptrdiff_t unit, int worker) {
    static const T zeros[CV_MR];
    const CV_(panels_job) *j = ctx;
    const cv_conv *p = &j->p;
    const ptrdiff_t oc_block = unit % j->oc_blocks, rest = unit / j->oc_blocks,
                    block = rest % j->blocks;
    const ptrdiff_t v0 = CV_(block_at)(j, block), vecs = CV_(block_at)(j, block + 1) - v0;
    /* cut evenly: 13 vectors are 2+3+2+3+3, not 3+3+3+3+1 */
    const ptrdiff_t panels = CV_(most)(vecs, CV_NV);
    const cv_sizes cut = cv_sizes_of(vecs, panels);
    const ptrdiff_t g = rest / j->blocks % p->groups, n = rest / j->blocks / p->groups;
    const ptrdiff_t op0 = cv_part(j->oc_panels, j->oc_blocks, oc_block),
                    op1 = cv_part(j->oc_panels, j->oc_blocks, oc_block + 1);
    const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1];
    T *y = j->y + n * p->ys[0] + g * p->ocg * p->ys[1];
    const T *a = j->a + g * j->oc_panels * j->view.k * CV_MR;
    T *b = j->scratch + worker * j->scratch_each, *spare = b + j->scratch_each - CV_MR * CV_NV * VL;

    for (ptrdiff_t r0 = 0; r0 < j->view.runs; r0 += j->run_block) {
        const ptrdiff_t r1 = CV_MIN2(r0 + j->run_block, j->view.runs);
        const ptrdiff_t k0 = cv_run_start(p, &j->view, r0), kc = cv_run_start(p, &j->view, r1) - k0;
        CV_(panels_next) next = {0};
        ptrdiff_t tile = 0;
        if (j->ask && r1 < j->view.runs)
            next = (CV_(panels_next)){x + (k0 + kc) * p->xs[1] + v0 * VL,
                                      CV_MIN2(kc, j->view.k - k0 - kc), vecs * VL, 0};
        else if (j->ask && block + 1 < j->blocks)
            next = (CV_(panels_next)){x + (v0 + vecs) * VL, CV_MIN2(kc, j->view.k),
                                      CV_MIN2(vecs * VL, j->view.pixels - (v0 + vecs) * VL), 0};
        for (ptrdiff_t op = op0; op < op1; op++) {
            const T *panel_a = a + (op * j->view.k + k0) * CV_MR,
                    *bias = j->bias ? j->bias + g * p->ocg + op * CV_MR : zeros;
            const ptrdiff_t rows = CV_MIN2(CV_MR, p->ocg - op * CV_MR);
            T *bp = b;
            cv_sizes c = cut;
            for (ptrdiff_t i = 0, p0 = v0 * VL, width; i < panels; i++, p0 += width) {
                const ptrdiff_t nv = cv_next_size(&c);
                width = nv * VL;
                const ptrdiff_t count = CV_MIN2(width, j->view.pixels - p0);
                CV_(tile_out) o = {
                    .c = y + op * CV_MR * p->ys[1] + p0,
                    .ldc = p->ys[1],
                    .rows = rows,
                    .last = count - width + VL,
                    .next = panel_a + j->view.k * CV_MR,
                    .bias = r0 ? NULL : bias,
                };
                if (!j->flat) {
                    o.c = spare;
                    o.ldc = CV_NV * VL;
                    o.bias = zeros;
                } else if (r1 == j->view.runs) {
                    o.residual = j->ending.residual ? j->ending.residual + (o.c - j->y) : NULL;
                    o.activation = j->ending.activation;
                }
                if (op == op0 && j->in_place && count == width) {
                    (op1 - op0 > 1 ? CV_(tiles_copy) : CV_(tiles))[nv](
                        kc, panel_a, x + k0 *p->xs[1] + p0, p->xs[1], bp, &o);
                } else {
                    if (op == op0)
                        CV_(pack_panel)(p, &j->view, x, p0, count, width, r0, r1, 0, bp);
                    CV_(tiles)[nv](kc, panel_a, bp, width, NULL, &o);
                }
                if (!j->flat)
                    CV_(scatter)(j, spare, CV_NV * VL, rows, p0, count, r0 ? NULL : bias,
                                 y + op * CV_MR * p->ys[1]);
                if (next.done < next.rows)
                    CV_(panels_ask)(&next, p->xs[1], ++tile, (op1 - op0) * panels);
                bp += kc * width;
            }
        }
    }
}

/* ---- the row */

CV_ONCE const char *CV_(panels_fits)(const cv_problem *problem) {
    return cv_any_work(&problem->conv) ? NULL : "has no work in an empty convolution";
}

/* Panels are read from L2 once for each panel of weights; windows are packed once for each block of
 * those. */
CV_ONCE double CV_(panels_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const double images = (double)(p.n * p.groups), k = (double)(p.icg * cv_taps(&p));
    const double vecs = (double)((cv_outputs(&p) + VL - 1) / VL);
    const double rows = (double)((p.ocg + CV_MR - 1) / CV_MR * CV_MR);
    double each = rows / (0.86 * CV_PACE) + CV_(packing)(&p);
    /* few weights: each channel of a large map is another page to its panel */
    if (cv_in_place(&p) && (double)(p.icg * p.out[2]) * sizeof(T) > CV_FAR)
        each = CV_MAX2(each, CV_PIECE * CV_VB);
    double ns = images * (90 + vecs * k * each);
    if (p.ys[4] != 1)
        ns += images * vecs * VL * (double)p.ocg * 0.7;
    if (problem->fresh)
        ns += 0.4 * (double)p.groups * rows * k;
    return 300 + ns;
}

CV_ONCE void CV_(panels_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(panels_job) *j = CV_JOB(plan, CV_(panels_job));
    CV_(panels_cut)(j, problem);
    plan->threads = j->threads;
    plan->ends = j->flat && CV_(endable)(&problem->conv);
    plan->scratch = j->threads * j->scratch_each * (ptrdiff_t)sizeof(T);
    plan->packed = j->p.groups * j->oc_panels * CV_MR * j->view.k * (ptrdiff_t)sizeof(T);
}

typedef struct {
    const CV_(panels_job) *j;
    const T *w;
    T *packed;
    ptrdiff_t units;
} CV_(panels_pack_job);

static void CV_(panels_pack_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(panels_pack_job) *q = context;
    const CV_(panels_job) *j = q->j;
    (void)worker;
    const ptrdiff_t all = j->p.groups * j->oc_panels;
    for (ptrdiff_t i = cv_part(all, q->units, unit); i < cv_part(all, q->units, unit + 1); i++)
        CV_(pack_weights)(&j->p, &j->view, q->w + i / j->oc_panels * j->p.ws[0],
                          i % j->oc_panels * CV_MR, q->packed + i * j->view.k * CV_MR);
}

static int CV_(panels_pack)(const cv_plan *plan, const void *w, void *packed) {
    const CV_(panels_job) *j = CV_JOB(plan, CV_(panels_job));
    const double size = (double)(plan->packed / (ptrdiff_t)sizeof(T));
    const int threads = cv_threads_for(size, CV_WORK_PACK, plan->problem.threads);
    CV_(panels_pack_job) q = {j, w, packed, 0};
    q.units = CV_MIN2(j->p.groups * j->oc_panels, threads == 1 ? 1 : 4 * threads);
    return cv_parallel(CV_(panels_pack_unit), &q, q.units, threads);
}

static int CV_(panels_run)(const cv_plan *plan, const cv_call *call) {
    CV_(panels_job) j = *CV_JOB(plan, CV_(panels_job));
    j.x = call->x;
    j.a = call->packed;
    j.bias = call->bias;
    j.y = call->y;
    j.ending = CV_(ending_of)(call);
    j.scratch = (T *)call->scratch;
    return cv_parallel(CV_(panels_unit), &j, j.p.n * j.p.groups * j.blocks * j.oc_blocks,
                       j.threads);
}

CV_ROW(gemm_panels) = {CV_(panels_fits), CV_(panels_cost), CV_(panels_plan), NULL,
                       CV_(panels_pack), CV_(panels_run)};
#endif
