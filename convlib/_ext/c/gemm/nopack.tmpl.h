/* Windows over small maps: the same product with no panels packed.
 *
 * Channels of an image under 1x1 windows are rows of B as they lie, and weights are rows of A: a
 * tile broadcasts from MR rows of them at once.  A panel would be read too few times to repay its
 * packing.
 */
#ifndef CV_NOPACK
#define CV_NOPACK
#include "panels.tmpl.h"

/* channels at a time: rows of B of one tile stay in the first-level cache */
#define CV_NOPACK_K 192
/* more of them read a panel of weights often enough to repay its packing */
#define CV_NOPACK_PIXELS 256
#define CV_NOPACK_START 220          /* ns of each group of an image */
#define CV_NOPACK_BYTES (1000 << 10) /* of an image: it stays in the second-level cache */

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    CV_(ending) ending;
    /* pixels in tiles, their vectors, the tiles; odd pixels after them */
    ptrdiff_t pixels, vecs, tiles, odd;
    ptrdiff_t oc_panels, k_block;
    ptrdiff_t units; /* of an image and group */
    /* units are cut from all tiles, not from the output channels */
    int by_pixels;
    int threads;
} CV_(nopack_job);

/* One pixel of MR output channels: lanes are input channels, gathered in col. */
static void CV_(nopack_dots)(ptrdiff_t k, const T *a, ptrdiff_t row, const T *col,
                             const CV_(tile_out) *o) {
    vec acc[CV_MR], part[CV_MR]; /* apart, so that the loop keeps acc in registers */
    const T *from[CV_MR];
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++) {
        acc[m] = (vec){0};
        from[m] = a + CV_MIN2(m, o->rows - 1) * row;
    }
    ptrdiff_t i = 0;
    for (; i + VL <= k; i += VL) {
        const vec b = CV_(load)(col + i);
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++)
            acc[m] += b * CV_(load)(from[m] + i);
    }
    if (i < k) {
        const vec b = CV_(load)(col + i); /* zeros past k */
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++)
            acc[m] += b * CV_(load_n)(from[m] + i, k - i);
    }
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++)
        part[m] = acc[m];
    int left = CV_MR;
    CV_UNROLL(4)
    for (int lanes = VL; lanes > 1; lanes /= 2) { /* neighbours add up, two vectors become one */
        const int next = CV_MAX2(left / 2, 1);
        CV_UNROLL(8)
        for (int m = 0; m < next; m++) {
            const vec u = part[left > 1 ? 2 * m : 0], v = part[left > 1 ? 2 * m + 1 : 0];
            part[m] = CV_(even)(u, v) + CV_(odd)(u, v);
        }
        left = next;
    }
    T sums[CV_MR + VL];
    for (int m = 0; m < left; m++)
        CV_(store)(sums + m * VL, part[m]);
    for (ptrdiff_t m = 0; m < o->rows; m++)
        o->c[m * o->ldc] = sums[m] + (o->bias ? o->bias[m] : o->c[m * o->ldc]);
}

/* Where the tile of `last` lanes of a vector ends: rows oc and on, from pixel p0 on, over the
 * channels k0 .. k0+kc-1; bias and y are those of an image and group. */
CV_INLINE CV_(tile_out)
    CV_(nopack_out)(const CV_(nopack_job) *j, ptrdiff_t oc, ptrdiff_t p0, ptrdiff_t last,
                    ptrdiff_t k0, ptrdiff_t kc, const T *bias, T *y) {
    const cv_conv *p = &j->p;
    CV_(tile_out) o = {.c = y + oc * p->ys[1] + p0,
                       .ldc = p->ys[1],
                       .rows = CV_MIN2(CV_MR, p->ocg - oc),
                       .last = last,
                       .bias = k0 ? NULL : bias + (j->bias ? oc : 0)};
    if (k0 + kc == p->icg) {
        o.residual = j->ending.residual ? j->ending.residual + (o.c - j->y) : NULL;
        o.activation = j->ending.activation;
    }
    return o;
}

/* Tile i over the channels k0 .. k0+kc-1, for the panels [op0, op1) of output channels.  x, w, bias
 * and y are those of an image and group. */
static void CV_(nopack_tile)(const CV_(nopack_job) *j, ptrdiff_t i, ptrdiff_t k0, ptrdiff_t kc,
                             const T *x, const T *w, const T *bias, ptrdiff_t op0, ptrdiff_t op1,
                             T *y) {
    const cv_conv *p = &j->p;
    const ptrdiff_t v0 = i * j->vecs / j->tiles, nv = (i + 1) * j->vecs / j->tiles - v0,
                    p0 = v0 * VL;
    const ptrdiff_t last = CV_MIN2(VL, j->pixels - p0 - (nv - 1) * VL);
    for (ptrdiff_t oc = op0 * CV_MR; oc < op1 * CV_MR; oc += CV_MR) {
        const CV_(tile_out) o = CV_(nopack_out)(j, oc, p0, last, k0, kc, bias, y);
        CV_(tiles_nopack)[nv](kc, w + oc * p->ws[1] + k0 * p->ws[2], p->ws[1], p->ws[2],
                              x + k0 * p->xs[1] + p0, p->xs[1], &o);
    }
}

/* The same for the pixel p0, that no tile holds. */
static void CV_(nopack_pixel)(const CV_(nopack_job) *j, ptrdiff_t p0, ptrdiff_t k0, ptrdiff_t kc,
                              const T *x, const T *w, const T *bias, ptrdiff_t op0, ptrdiff_t op1,
                              T *y) {
    const cv_conv *p = &j->p;
    T col[CV_KC + VL];
    for (ptrdiff_t k = 0; k < kc + VL; k++)
        col[k] = k < kc ? x[(k0 + k) * p->xs[1] + p0] : 0;
    for (ptrdiff_t oc = op0 * CV_MR; oc < op1 * CV_MR; oc += CV_MR) {
        const CV_(tile_out) o = CV_(nopack_out)(j, oc, p0, 1, k0, kc, bias, y);
        CV_(nopack_dots)(kc, w + oc * p->ws[1] + k0, p->ws[1], col, &o);
        if (k0 + kc == p->icg)
            CV_(end_rows)(&j->ending, o.c, o.rows, o.ldc, 1);
    }
}

static void CV_(nopack_unit)(void *ctx, ptrdiff_t unit, int worker) {
    static const T zeros[CV_MR];
    const CV_(nopack_job) *j = ctx;
    const cv_conv *p = &j->p;
    (void)worker;
    const ptrdiff_t u = unit % j->units, g = unit / j->units % p->groups,
                    n = unit / j->units / p->groups;
    const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1], *w = j->w + g * p->ws[0];
    const T *bias = j->bias ? j->bias + g * p->ocg : zeros;
    T *y = j->y + n * p->ys[0] + g * p->ocg * p->ys[1];
    const ptrdiff_t parts = j->tiles + j->odd, rows = j->oc_panels,
                    all = j->by_pixels ? parts * rows : rows;
    const ptrdiff_t first = u * all / j->units, end = (u + 1) * all / j->units;
    for (ptrdiff_t k0 = 0; k0 < p->icg; k0 += j->k_block) {
        const ptrdiff_t kc = CV_MIN2(j->k_block, p->icg - k0);
        for (ptrdiff_t i = j->by_pixels ? first / rows : 0;
             i < (j->by_pixels ? (end + rows - 1) / rows : parts); i++) {
            /* (part, panel) pairs before this part */
            const ptrdiff_t row = j->by_pixels ? i * rows : 0;
            const ptrdiff_t op0 = CV_MAX2(first - row, 0), op1 = CV_MIN2(end - row, rows);
            if (i < j->tiles)
                CV_(nopack_tile)(j, i, k0, kc, x, w, bias, op0, op1, y);
            else
                CV_(nopack_pixel)(j, j->pixels + i - j->tiles, k0, kc, x, w, bias, op0, op1, y);
        }
    }
}

/* ---- the row */

static void CV_(nopack_sizes)(CV_(nopack_job) *j, const cv_conv *p, int threads) {
    *j = (CV_(nopack_job)){.p = *p};
    j->oc_panels = (p->ocg + CV_MR - 1) / CV_MR;
    j->odd = p->out[2] % VL;
    if (p->ws[2] != 1 || (j->odd > 1 && p->out[2] > VL))
        j->odd = 0;
    j->pixels = p->out[2] - j->odd;
    j->vecs = (j->pixels + VL - 1) / VL;
    j->tiles = (j->vecs + CV_NV - 1) / CV_NV;
    const ptrdiff_t blocks = (p->icg + CV_NOPACK_K - 1) / CV_NOPACK_K;
    j->k_block = (p->icg + blocks - 1) / blocks;
    j->by_pixels = j->pixels > 4 * p->ocg;
    j->threads = cv_threads_for(cv_products(p), CV_WORK_GEMM, threads);
    const ptrdiff_t pairs = j->oc_panels * (j->by_pixels ? j->tiles + j->odd : 1);
    j->units = j->threads == 1 ? 1 : CV_MIN2(pairs, CV_MAX2(1, 4 * j->threads / p->n / p->groups));
}

static int CV_(nopack_start)(const CV_(nopack_job) *j) {
    return cv_parallel(CV_(nopack_unit), (void *)j, j->p.n * j->p.groups * j->units, j->threads);
}

CV_ONCE const char *CV_(nopack_fits)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const ptrdiff_t pixels = p.out[2];
    if (!cv_any_work(&p))
        return "has no work in an empty convolution";
    if (!cv_in_place(&p) || p.ys[4] != 1)
        return "serves windows of one element over unbroken rows";
    if (pixels < VL && p.ws[2] != 1)
        return "needs a row of pixels, or weights whose channels lie side by side";
    if (pixels > CV_NOPACK_PIXELS)
        return "serves maps of 256 pixels at most";
    if (p.icg * pixels * (ptrdiff_t)sizeof(T) > CV_NOPACK_BYTES)
        return "serves images that stay in the second-level cache";
    return NULL;
}

/* ns of the product of an image and group, over k numbers of each of so many pixels.
 * joined: weights lie side by side, and an odd pixel is taken as dot products. */
CV_INLINE double CV_(nopack_ns)(ptrdiff_t ocg, ptrdiff_t k, ptrdiff_t pixels, int joined) {
    const ptrdiff_t odd = joined && (pixels % VL == 1 || pixels < VL) ? pixels % VL : 0;
    const ptrdiff_t vecs = (pixels - odd + VL - 1) / VL;
    const double panels = (double)((ocg + CV_MR - 1) / CV_MR),
                 blocks = (double)((k + CV_NOPACK_K - 1) / CV_NOPACK_K),
                 tiles = (double)((vecs + CV_NV - 1) / CV_NV);
    return panels * CV_MR * (double)k * ((double)vecs + (double)odd * 1.6 / VL) / (0.85 * CV_PACE) +
           panels * blocks * (6 * tiles + 30 * (double)odd) + CV_NOPACK_START;
}

CV_ONCE double CV_(nopack_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const double images = (double)(p.n * p.groups),
                 bytes = images * (double)(p.ocg * p.icg) * sizeof(T);
    double ns = 250 + images * CV_(nopack_ns)(p.ocg, p.icg, p.out[2], p.ws[2] == 1);
    /* far weights are read in short pieces of long rows; who packs them first does so, too */
    if (!problem->fresh && bytes > CV_FAR)
        ns += 0.03 * bytes;
    return ns;
}

CV_ONCE void CV_(nopack_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(nopack_job) *j = CV_JOB(plan, CV_(nopack_job));
    const cv_conv p = cv_simplify(&problem->conv);
    CV_(nopack_sizes)(j, &p, problem->threads);
    plan->threads = j->threads;
    plan->ends = CV_(endable)(&problem->conv);
}

static int CV_(nopack_run)(const cv_plan *plan, const cv_call *call) {
    CV_(nopack_job) j = *CV_JOB(plan, CV_(nopack_job));
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    j.ending = CV_(ending_of)(call);
    return CV_(nopack_start)(&j);
}

CV_ROW(gemm_nopack) = {CV_(nopack_fits), CV_(nopack_cost), CV_(nopack_plan), NULL, NULL,
                       CV_(nopack_run)};
#endif
