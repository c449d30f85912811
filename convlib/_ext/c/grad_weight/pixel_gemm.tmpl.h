/* Weight gradients: grad_w[oc][ic, tap] is the sum over all images and outputs of grad_y[oc] times
 * x[ic] under the tap. Here as a GEMM whose long axis is the pixels, for several output channels.
 *
 * Lanes are output channels: grad_y is turned round once, [panel][pixel][lane].  Rows are (ic, tap)
 * pairs, each an offset into the image, and their numbers are broadcast straight from it; only an
 * image with padding is copied first, into its zero border.  Blocks of pixels are summed in an
 * order that depends on the problem and the scratch limit alone, never on threads.
 */
#ifndef CV_PIXEL_GEMM
#define CV_PIXEL_GEMM
#include "../gemm/view.h"
#include "../layout/transpose.tmpl.h"

/* pixels in a block: B panel of 60 KB, read from L2, beside 8 rows of x in L1 */
#define CV_GRAD_PIXELS 320
/* pixels added up in a row: of equal numbers these and the sums of a block lose less than 1e-6 */
#define CV_GRAD_RUN (CV_FLOAT ? 54 : CV_GRAD_PIXELS)
/* bytes of turned grad_y and copied x that one pass over images aims at */
#define CV_GRAD_PASS (8 << 20)
#define CV_GRAD_SUMS (256 << 10) /* bytes of sums that a unit keeps while it walks the pixels */

#ifndef CV_STRETCH
#define CV_STRETCH
/* Neighbouring outputs of one row: where they begin in x and grad_y, and in the turned panel. */
typedef struct {
    ptrdiff_t x, y, at, len;
} cv_stretch;
#endif

typedef struct {
    cv_conv p; /* xs are the strides of x, or of its padded copy */
    cv_conv given;
    const T *source, *x, *gy;
    T *gw, *copy, *b;
    double *sums;    /* long sums go on in double */
    ptrdiff_t *rows; /* offset in x of each (ic, tap); the last one again up to a whole panel */
    cv_stretch *stretches;
    ptrdiff_t stretch_count, pixels, size[3]; /* pixels of a pass; size: of the copy */
    ptrdiff_t k, k_panels, k_block, k_blocks, vecs, oc_panels, oc_block, oc_blocks, lanes;
    ptrdiff_t first, images, sums_each;
    int copies, threads;
} CV_(pixels_job);

CV_INLINE ptrdiff_t CV_(pixels_lane)(const CV_(pixels_job) *j, ptrdiff_t panel) {
    return panel * j->vecs / j->oc_panels * VL;
}

/* ---- what it is given */

/* One stretch of grad_y, every channel of a group, into the panels. */
static void CV_(pixels_transpose_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pixels_job) *j = context;
    const cv_conv *p = &j->p;
    (void)worker;
    const ptrdiff_t g = unit / j->stretch_count;
    const cv_stretch s = j->stretches[unit % j->stretch_count];
    for (ptrdiff_t panel = 0; panel < j->oc_panels; panel++) {
        const ptrdiff_t l0 = CV_(pixels_lane)(j, panel),
                        width = CV_(pixels_lane)(j, panel + 1) - l0;
        T *dst = j->b + (g * j->lanes + l0) * j->pixels + s.at * width;
        for (ptrdiff_t l = 0; l < width; l += VL) {
            const ptrdiff_t channels = CV_MIN2(VL, p->ocg - l0 - l);
            const T *src = j->gy + s.y + (g * p->ocg + l0 + l) * p->ys[1];
            if (p->ys[1] == 1) {
                for (ptrdiff_t i = 0; i < s.len; i++)
                    CV_(store)(dst + i * width + l, CV_(load_n)(src + i * p->ys[4], channels));
                continue;
            }
            for (ptrdiff_t i = 0; i < s.len; i += VL) {
                const ptrdiff_t count = CV_MIN2(VL, s.len - i);
                vec v[VL];
                CV_(transpose_rows)(src + i * p->ys[4], p->ys[1], p->ys[4], channels, count, v);
                for (ptrdiff_t at = 0; at < count; at++)
                    CV_(store)(dst + (i + at) * width + l, v[at]);
            }
        }
    }
}

/* One plane of x into its zero border. */
static void CV_(pixels_copy_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pixels_job) *j = context;
    const cv_conv *g = &j->given;
    (void)worker;
    const ptrdiff_t channels = g->groups * g->icg, plane = j->size[0] * j->size[1] * j->size[2];
    const T *src = j->source + (j->first + unit / channels) * g->xs[0] + unit % channels * g->xs[1];
    T *dst = j->copy + unit * plane;
    const ptrdiff_t lo = CV_MIN2(g->lo[2], j->size[2]),
                    end = CV_MAX2(lo, CV_MIN2(j->size[2], g->lo[2] + g->in[2]));
    for (ptrdiff_t line = 0; line < j->size[0] * j->size[1]; line++, dst += j->size[2]) {
        const ptrdiff_t z = line / j->size[1] - g->lo[0], y = line % j->size[1] - g->lo[1];
        const int in = z >= 0 && z < g->in[0] && y >= 0 && y < g->in[1];
        const T *row = src + z * g->xs[2] + y * g->xs[3];
        for (ptrdiff_t i = 0; i < (in ? lo : j->size[2]); i++)
            dst[i] = 0;
        if (!in)
            continue;
        ptrdiff_t i = lo;
        for (row -= g->lo[2] * g->xs[4]; g->xs[4] == 1 && i + VL <= end; i += VL)
            CV_(store)(dst + i, CV_(load)(row + i));
        for (; i < end; i++)
            dst[i] = row[i * g->xs[4]];
        for (; i < j->size[2]; i++)
            dst[i] = 0;
    }
}

/* ---- the sums */

CV_INLINE void CV_(pixels_tile)(const int nv, const cv_stretch *s, const cv_stretch *end,
                                ptrdiff_t step, const T *x, const ptrdiff_t *rows, const T *b,
                                T *sums, double *c) {
    ptrdiff_t done = 0; /* pixels of stretch s */
    for (int begun = 0; s < end; begun = 1) {
        vec acc[CV_MR][CV_NV];
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++) {
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++)
                acc[m][v] = (vec){0};
        }
        for (ptrdiff_t left = CV_GRAD_RUN, n; s < end && left; left -= n) {
            const T *at[CV_MR];
            CV_UNROLL(16)
            for (int m = 0; m < CV_MR; m++)
                at[m] = x + s->x + done * step + rows[m];
            n = CV_MIN2(left, s->len - done);
            for (ptrdiff_t i = 0; i < n * step; i += step, b += nv * VL) {
                vec bv[CV_NV];
                CV_UNROLL(4)
                for (int v = 0; v < nv; v++)
                    bv[v] = CV_(load)(b + v * VL);
                CV_UNROLL(16)
                for (int m = 0; m < CV_MR; m++) {
                    const vec a = CV_(set1)(at[m][i]);
                    CV_UNROLL(4)
                    for (int v = 0; v < nv; v++)
                        acc[m][v] += a * bv[v];
                }
            }
            done += n;
            if (done == s->len) {
                s++;
                done = 0;
            }
        }
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++) {
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++) {
                T *sum = sums + (m * nv + v) * VL;
                CV_(store)(sum, CV_FLOAT && begun ? acc[m][v] + CV_(load)(sum) : acc[m][v]);
            }
        }
    }
    for (int i = 0; c && i < CV_MR * nv * VL; i++)
        c[i] += (double)sums[i];
}

CV_NOINLINE void CV_(pixels_tiles)(int nv, const cv_stretch *s, const cv_stretch *end,
                                   ptrdiff_t step, const T *x, const ptrdiff_t *rows, const T *b,
                                   T *sums, double *c) {
    if (nv == 1)
        CV_(pixels_tile)(1, s, end, step, x, rows, b, sums, c);
    else if (nv == 2)
        CV_(pixels_tile)(2, s, end, step, x, rows, b, sums, c);
#if CV_NV == 3
    else
        CV_(pixels_tile)(3, s, end, step, x, rows, b, sums, c);
#endif
}

/* The sums of a tile, [row][lane], to where each of `lanes` output channels has its weights. */
CV_INLINE void CV_(pixels_deliver)(const T *tile, ptrdiff_t width, ptrdiff_t lanes, ptrdiff_t rows,
                                   T *to, ptrdiff_t k) {
    for (ptrdiff_t l = 0; l < lanes; l += VL) {
        for (ptrdiff_t m = 0; m < rows; m += VL) {
            vec v[VL];
            CV_(transpose_rows)(tile + m * width + l, width, 1, CV_MIN2(VL, CV_MR - m), VL, v);
            for (ptrdiff_t i = 0; i < CV_MIN2(VL, lanes - l); i++)
                CV_(store_n)(to + (l + i) * k + m, v[i], CV_MIN2(VL, rows - m));
        }
    }
}

/* A block of rows by a block of panels, over all pixels of the pass. */
static void CV_(pixels_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pixels_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t kb = unit % j->k_blocks, ob = unit / j->k_blocks % j->oc_blocks,
                    g = unit / j->k_blocks / j->oc_blocks;
    const ptrdiff_t k0 = kb * j->k_block, k1 = CV_MIN2(k0 + j->k_block, j->k_panels);
    const ptrdiff_t o0 = ob * j->oc_block, o1 = CV_MIN2(o0 + j->oc_block, j->oc_panels);
    const ptrdiff_t step = p->stride[2] * p->xs[4];
    const T *x = j->x + g * p->icg * p->xs[1], *b = j->b + g * j->lanes * j->pixels;
    double *sums = j->sums + worker * j->sums_each;
    const cv_stretch *all = j->stretches + j->stretch_count, *end;
    T tile[CV_MR * CV_NV * VL];

    memset(sums, 0, (size_t)j->sums_each * sizeof(double));
    for (const cv_stretch *s = j->stretches; s < all; s = end) {
        for (end = s + 1; end < all && end->at + end->len - s->at <= CV_GRAD_PIXELS;)
            end++;
        const int once = s == j->stretches && end == all && p->n == j->images;
        double *c = sums;
        for (ptrdiff_t kp = k0; kp < k1; kp++) {
            for (ptrdiff_t op = o0; op < o1; op++) {
                const ptrdiff_t l0 = CV_(pixels_lane)(j, op),
                                width = CV_(pixels_lane)(j, op + 1) - l0;
                CV_(pixels_tiles)((int)(width / VL), s, end, step, x, j->rows + kp * CV_MR,
                                  b + l0 * j->pixels + s->at * width, tile, once ? NULL : c);
                T *to = j->gw + (g * p->ocg + l0) * j->k + kp * CV_MR;
                const ptrdiff_t lanes = CV_MIN2(width, p->ocg - l0),
                                rows = CV_MIN2(CV_MR, j->k - kp * CV_MR);
                if (once) { /* few pixels: no sums to go on with */
                    CV_(pixels_deliver)(tile, width, lanes, rows, to, j->k);
                    continue;
                }
                if (end == all) {
                    for (ptrdiff_t l = 0; l < lanes && j->first; l++)
                        for (ptrdiff_t m = 0; m < rows; m++)
                            c[m * width + l] += (double)to[l * j->k + m];
                    for (ptrdiff_t i = 0; i < CV_MR * width; i += VL) {
                        for (int l = 0; l < VL; l++)
                            tile[i + l] = (T)c[i + l];
                    }
                    CV_(pixels_deliver)(tile, width, lanes, rows, to, j->k);
                }
                c += CV_MR * width;
            }
        }
    }
}

/* ---- plan */

/* Cut rows and panels into units: enough for the threads, each within CV_GRAD_SUMS, with the least
 * reading.  Every block of rows reads the turned grad_y again, every block of panels reads x
 * again. */
static void CV_(pixels_cut)(CV_(pixels_job) *j, int threads) {
    const cv_conv *p = &j->p;
    j->threads = cv_threads_for(cv_products(p), CV_WORK_GEMM, threads);
    const ptrdiff_t want = j->threads == 1 ? 1 : 4 * j->threads,
                    panel = CV_MR * CV_NV * VL * (ptrdiff_t)sizeof(double);
    const double each = (double)p->icg * p->stride[0] * p->stride[1] * p->stride[2];
    double best = -1;
    for (ptrdiff_t blocks = 1; blocks <= j->oc_panels; blocks++) {
        const ptrdiff_t oc_block = (j->oc_panels + blocks - 1) / blocks,
                        oc_blocks = (j->oc_panels + oc_block - 1) / oc_block;
        ptrdiff_t k_blocks =
            CV_MIN2(j->k_panels, (want + p->groups * oc_blocks - 1) / (p->groups * oc_blocks));
        const ptrdiff_t most = CV_MAX2(1, CV_GRAD_SUMS / (panel * oc_block));
        const ptrdiff_t k_block = CV_MIN2(most, (j->k_panels + k_blocks - 1) / k_blocks);
        k_blocks = (j->k_panels + k_block - 1) / k_block;
        const double cost = (double)k_blocks * p->ocg + (double)oc_blocks * each;
        if (best >= 0 && cost >= best)
            continue;
        best = cost;
        j->oc_block = oc_block;
        j->oc_blocks = oc_blocks;
        j->k_block = k_block;
        j->k_blocks = k_blocks;
    }
    j->sums_each = j->k_block * CV_MR * CV_MIN2(j->oc_block * CV_NV, j->vecs) * VL;
}

static void CV_(pixels_sizes)(CV_(pixels_job) *j, const cv_problem *problem) {
    const cv_conv *given = &problem->conv;
    *j = (CV_(pixels_job)){.given = *given};
    for (int a = 0; a < 3; a++) {
        j->size[a] = (given->out[a] - 1) * given->stride[a] + (given->k[a] - 1) * given->dil[a] + 1;
        j->copies |= given->lo[a] != 0 || j->size[a] > given->in[a];
    }
    const ptrdiff_t channels = given->groups * given->icg,
                    plane = j->size[0] * j->size[1] * j->size[2];
    if (j->copies) {
        j->p = *given;
        j->p.xs[4] = 1;
        j->p.xs[3] = j->size[2];
        j->p.xs[2] = j->size[1] * j->size[2];
        j->p.xs[1] = plane;
        j->p.xs[0] = channels * plane;
    } else {
        j->p = cv_simplify(given);
    }
    const cv_conv *p = &j->p;
    j->k = p->icg * p->k[0] * p->k[1] * p->k[2];
    j->k_panels = (j->k + CV_MR - 1) / CV_MR;
    j->vecs = (p->ocg + VL - 1) / VL;
    j->oc_panels = (j->vecs + CV_NV - 1) / CV_NV;
    j->lanes = j->vecs * VL;
    CV_(pixels_cut)(j, problem->threads);
    const ptrdiff_t outputs = p->out[0] * p->out[1] * p->out[2];
    const ptrdiff_t image = (p->groups * j->lanes * outputs + (j->copies ? channels * plane : 0)) *
                            (ptrdiff_t)sizeof(T);
    j->images =
        CV_MAX2(1, CV_MIN2(p->n, CV_MIN2(CV_GRAD_PASS, problem->max_workspace / 2) / image));
    j->pixels = j->images * outputs;
    j->stretch_count =
        j->images * p->out[0] * p->out[1] * ((p->out[2] + CV_GRAD_PIXELS - 1) / CV_GRAD_PIXELS);
}

static ptrdiff_t CV_(pixels_bytes)(const CV_(pixels_job) *j) {
    const ptrdiff_t copy = j->copies ? j->images * j->p.xs[0] : 0;
    return (j->p.groups * j->lanes * j->pixels + copy) * (ptrdiff_t)sizeof(T) +
           j->threads * j->sums_each * (ptrdiff_t)sizeof(double) +
           j->stretch_count * (ptrdiff_t)sizeof(cv_stretch) +
           j->k_panels * CV_MR * (ptrdiff_t)sizeof(ptrdiff_t);
}

static void CV_(pixels_rows)(CV_(pixels_job) *j) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < j->k_panels * CV_MR; i++) {
        const ptrdiff_t row = CV_MIN2(i, j->k - 1), tap = row / p->k[2];
        j->rows[i] = tap / p->k[1] / p->k[0] * p->xs[1] +
                     tap / p->k[1] % p->k[0] * p->dil[0] * p->xs[2] +
                     tap % p->k[1] * p->dil[1] * p->xs[3] + row % p->k[2] * p->dil[2] * p->xs[4];
    }
}

static void CV_(pixels_stretch)(CV_(pixels_job) *j) {
    const cv_conv *p = &j->p;
    cv_stretch *s = j->stretches;
    ptrdiff_t at = 0;
    for (ptrdiff_t n = 0; n < j->images; n++) {
        for (ptrdiff_t z = 0; z < p->out[0]; z++) {
            for (ptrdiff_t y = 0; y < p->out[1]; y++) {
                for (ptrdiff_t x = 0; x < p->out[2]; x += CV_GRAD_PIXELS, s++) {
                    const ptrdiff_t len = CV_MIN2(CV_GRAD_PIXELS, p->out[2] - x);
                    s->x = n * p->xs[0] + z * p->stride[0] * p->xs[2] +
                           y * p->stride[1] * p->xs[3] + x * p->stride[2] * p->xs[4];
                    s->y = n * p->ys[0] + z * p->ys[2] + y * p->ys[3] + x * p->ys[4];
                    s->at = at;
                    s->len = len;
                    at += len;
                }
            }
        }
    }
    j->stretch_count = s - j->stretches;
    j->pixels = at;
}

/* ---- the row */

CV_ONCE const char *CV_(pixels_fits)(const cv_problem *problem) {
    return cv_any_work(&problem->conv) ? NULL : "has no work in an empty convolution";
}

/* grad_y is turned round and x is copied, if it has padding; few output channels leave lanes
 * empty. */
CV_ONCE double CV_(pixels_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double pixels = (double)p->n * (double)p->groups * (double)cv_outputs(p),
                 k = (double)(p->icg * cv_taps(p));
    const double vecs = (double)((p->ocg + VL - 1) / VL), rows = (k + CV_MR - 1) / CV_MR * CV_MR;
    return 2000 + pixels * vecs * (rows / (0.6 * CV_PACE) + 2.5);
}

CV_ONCE void CV_(pixels_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pixels_job) *j = CV_JOB(plan, CV_(pixels_job));
    CV_(pixels_sizes)(j, problem);
    plan->threads = j->threads;
    plan->scratch = CV_(pixels_bytes)(j);
}

static int CV_(pixels_run)(const cv_plan *plan, const cv_call *call) {
    CV_(pixels_job) j = *CV_JOB(plan, CV_(pixels_job));
    const T *x = call->x, *gy = call->y;
    j.source = x;
    j.gw = (T *)call->w;
    j.rows = (ptrdiff_t *)call->scratch;
    j.stretches = (cv_stretch *)(j.rows + j.k_panels * CV_MR);
    j.sums = (double *)(j.stretches + j.stretch_count);
    j.b = (T *)(j.sums + j.threads * j.sums_each);
    j.copy = j.b + j.p.groups * j.lanes * j.pixels;
    CV_(pixels_rows)(&j);
    const ptrdiff_t pass = j.images;
    int status = CV_OK;
    for (; j.first < j.p.n && status == CV_OK; j.first += pass) {
        j.images = CV_MIN2(pass, j.p.n - j.first);
        CV_(pixels_stretch)(&j);
        j.x = j.copies ? j.copy : x + j.first * j.p.xs[0];
        j.gy = gy + j.first * j.p.ys[0];
        if (j.copies)
            status =
                cv_parallel(CV_(pixels_copy_unit), &j, j.images * j.p.groups * j.p.icg, j.threads);
        if (!status)
            status = cv_parallel(CV_(pixels_transpose_unit), &j, j.p.groups * j.stretch_count,
                                 j.threads);
        if (!status)
            status =
                cv_parallel(CV_(pixels_unit), &j, j.p.groups * j.oc_blocks * j.k_blocks, j.threads);
    }
    return status;
}

CV_ROW(pixel_gemm) = {CV_(pixels_fits), CV_(pixels_cost), CV_(pixels_plan), NULL, NULL,
                      CV_(pixels_run)};
#endif
