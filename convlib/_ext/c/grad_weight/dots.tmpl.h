/* Weight gradients of few output channels: lanes are pixels of a row, and every sum is a dot
 * product. */
#ifndef CV_DOTS_H
#define CV_DOTS_H
#include "../direct/lanes.tmpl.h"

#define CV_GRAD_TAPS 5  /* taps of a row summed together */
#define CV_DOTS_M 4     /* sums that share a vector */
#define CV_DOTS_PART 64 /* vectors that are added up in a row: equal numbers lose up to 1e-6 */
#define CV_DOTS_ROWS 14 /* rows of x that meet the same vectors of registers */
#define CV_DOTS_NEAR (32 << 10) /* bytes of a plane that arrive as soon as they are needed */

typedef struct {
    cv_conv p;
    const T *x, *gy;
    T *gw;
    int threads;
    ptrdiff_t kx_blocks, m_blocks;
    /* the sums that share a vector are kernel rows, which share grad_y; else output channels, which
     * share x */
    int kernel_rows;
    int far; /* whether planes are read before they are summed: rows are met by leaps */
    int abreast;
    /* if so: pieces of rows, ranges of blocks of channels; elements of the sums of both */
    ptrdiff_t pieces, ranges, each;
    double *totals; /* of each unit, and behind them what each worker adds up in T */
    ptrdiff_t (*limits)[2];
} CV_(dot_job);

/* Lanes lo..hi-1 of a row, whose numbers lie `step` apart.  inner: all of them. */
CV_NOINLINE vec CV_(dot_spread)(const T *p, ptrdiff_t step, ptrdiff_t lo, ptrdiff_t hi) {
    return CV_(gather)(p, step, lo, hi);
}
CV_INLINE vec CV_(dot_lanes)(const int inner, const T *p, ptrdiff_t step, ptrdiff_t lo,
                             ptrdiff_t hi) {
    if (step != 1)
        return CV_(dot_spread)(p, step, inner ? 0 : lo, inner ? VL : hi);
    return inner ? CV_(load)(p) : CV_(load_range)(p, lo, hi);
}

/* The lanes lo[t]..hi[t]-1 that exist under each tap of a vector whose first output meets input
 * `at`; left as they are where every lane lies inside the image. */
CV_INLINE void CV_(dot_limits)(const int taps, const int inner, const cv_conv *p, ptrdiff_t at,
                               ptrdiff_t len, ptrdiff_t *lo, ptrdiff_t *hi) {
    CV_UNROLL(5)
    for (int t = 0; t < taps && !inner; t++) {
        hi[t] = VL;
        cv_lanes(at + t * p->dil[2], p->stride[2], p->in[2], len, &lo[t], &hi[t]);
    }
}

/* One vector of a row of outputs: acc[m][t] += grad_y · x for m output channels.  `inner`: every
 * lane lies inside the image. */
CV_INLINE void CV_(dot_step)(const int taps, const int inner, const CV_(dot_job) *j, const T *gy,
                             const T *x, ptrdiff_t at, ptrdiff_t len, int ms,
                             vec (*acc)[CV_GRAD_TAPS]) {
    const cv_conv *p = &j->p;
    const ptrdiff_t step = p->stride[2] * p->xs[4];
    vec v[CV_GRAD_TAPS] = {{0}};
    ptrdiff_t lo[CV_GRAD_TAPS] = {0}, hi[CV_GRAD_TAPS] = {0};
    CV_(dot_limits)(taps, inner, p, at, len, lo, hi);
    CV_UNROLL(4)
    for (int m = 0; m < CV_DOTS_M; m++) {
        if (m >= ms)
            break;
        const vec g = CV_(dot_lanes)(inner, gy + m * p->ys[1], p->ys[4], 0, len);
        CV_UNROLL(5)
        for (int t = 0; t < taps; t++) {
            if (m == 0)
                v[t] = CV_(dot_lanes)(inner, x + t * p->dil[2] * p->xs[4], step, lo[t], hi[t]);
            acc[m][t] += g * v[t];
        }
    }
}

/* Long sums go on in double, lane by lane. */
typedef double CV_(dot_totals)[CV_DOTS_M][CV_GRAD_TAPS][VL];
CV_NOINLINE void CV_(dot_flush)(int ms, int taps, vec (*acc)[CV_GRAD_TAPS],
                                CV_(dot_totals) totals) {
    for (int m = 0; m < ms; m++) {
        for (int t = 0; t < taps; t++) {
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++)
                totals[m][t][i] += (double)acc[m][t][i];
            acc[m][t] = (vec){0};
        }
    }
}

typedef struct {
    ptrdiff_t g, ic, kz, ky, kx, oc;
    ptrdiff_t taps; /* at most as many as are summed: what others come to is not kept */
    int ms;         /* sums in this block of m */
} CV_(dot_place);

/* The sums of a place to its gradients. */
CV_NOINLINE void CV_(dot_store)(int kernel_rows, const CV_(dot_job) *j, const CV_(dot_place) *at,
                                CV_(dot_totals) totals) {
    const cv_conv *p = &j->p;
    for (int m = 0; m < at->ms; m++) {
        for (int t = 0; t < at->taps; t++) {
            const ptrdiff_t line =
                (at->ic * p->k[0] + at->kz) * p->k[1] + at->ky + (kernel_rows ? m : 0);
            const ptrdiff_t oc = at->oc + (kernel_rows ? 0 : m);
            double sum = 0;
            for (int i = 0; i < VL; i++)
                sum += totals[m][t][i];
            j->gw[(oc * p->icg * p->k[0] * p->k[1] + line) * p->k[2] + at->kx + t] = (T)sum;
        }
    }
}

/* The planes of x and grad_y that meet in output slice i of the batch, whose part `part` is summed
 * next; 0 if x has none there. */
CV_NOINLINE int CV_(dot_planes)(const CV_(dot_job) *j, const CV_(dot_place) *at, ptrdiff_t i,
                                ptrdiff_t part, const T **x, const T **gy) {
    const cv_conv *p = &j->p;
    const ptrdiff_t oz = i % p->out[0], n = i / p->out[0],
                    z = oz * p->stride[0] + at->kz * p->dil[0] - p->lo[0];
    if (j->far && !oz && !part)
        CV_(ask_planes)(p, j->x, j->gy, n * p->groups + at->g, n * p->groups + at->g + 1);
    if (z < 0 || z >= p->in[0])
        return 0;
    *x = j->x + n * p->xs[0] + (at->g * p->icg + at->ic) * p->xs[1] + z * p->xs[2];
    *gy = j->gy + n * p->ys[0] + at->oc * p->ys[1] + oz * p->ys[2];
    return 1;
}

/* The sums of one place, of some output channels, over all images and outputs. */
CV_INLINE void CV_(dot_sums)(const int taps, const CV_(dot_job) *j, const CV_(dot_place) *at) {
    const cv_conv *p = &j->p;
    const ptrdiff_t kx = at->kx * p->dil[2] - p->lo[2],
                    span = (taps - 1) * p->dil[2] + (VL - 1) * p->stride[2];
    vec acc[CV_DOTS_M][CV_GRAD_TAPS] = {{{0}}};
    CV_(dot_totals) totals = {{{0}}};
    ptrdiff_t added = 0;
    for (ptrdiff_t row = 0; row < p->n * p->out[0] * p->out[1]; row++) {
        const ptrdiff_t oy = row % p->out[1], y = oy * p->stride[1] + at->ky * p->dil[1] - p->lo[1];
        const T *x, *gy;
        if (y < 0 || y >= p->in[1] || !CV_(dot_planes)(j, at, row / p->out[1], 1, &x, &gy))
            continue;
        gy += oy * p->ys[3];
        x += y * p->xs[3] + kx * p->xs[4];
        for (ptrdiff_t o = 0; o < p->out[2]; o += VL) {
            const ptrdiff_t len = CV_MIN2(VL, p->out[2] - o), first = o * p->stride[2] + kx;
            const T *go = gy + o * p->ys[4], *xo = x + o * p->stride[2] * p->xs[4];
            if (len == VL && first >= 0 && first + span < p->in[2])
                CV_(dot_step)(taps, 1, j, go, xo, first, len, at->ms, acc);
            else
                CV_(dot_step)(taps, 0, j, go, xo, first, len, at->ms, acc);
            if (++added % CV_DOTS_PART == 0)
                CV_(dot_flush)(at->ms, taps, acc, totals);
        }
    }
    CV_(dot_flush)(at->ms, taps, acc, totals);
    CV_(dot_store)(0, j, at, totals);
}

/* Sums between memory, where others may write them, and registers. */
CV_INLINE void CV_(dot_take)(const int ms, const int taps, vec (*from)[CV_GRAD_TAPS],
                             vec (*to)[CV_GRAD_TAPS]) {
    CV_UNROLL(4)
    for (int m = 0; m < ms; m++) {
        CV_UNROLL(5)
        for (int t = 0; t < taps; t++)
            to[m][t] = from[m][t];
    }
}

/* Rows of x that lie as far apart as kernel rows, and those of grad_y that they meet: the first
 * meets number `top`, where there are numbers 0 .. last. */
typedef struct {
    ptrdiff_t n, xs, ys, top, last;
} CV_(dot_rows);

/* Vectors of such rows: acc[m][t] += grad_y · x for kernel rows m, whose rows of grad_y wait in
 * registers. */
CV_INLINE void CV_(dot_column)(const int taps, const int inner, const CV_(dot_job) *j,
                               const CV_(dot_rows) *rows, const T *gy, const T *x, ptrdiff_t at,
                               ptrdiff_t len, int ms, vec (*acc)[CV_GRAD_TAPS]) {
    const cv_conv *p = &j->p;
    const ptrdiff_t step = p->stride[2] * p->xs[4], top = rows->top, last = rows->last, n = rows->n,
                    xs = rows->xs, ys = rows->ys;
    ptrdiff_t lo[CV_GRAD_TAPS] = {0}, hi[CV_GRAD_TAPS] = {0};
    vec g[CV_DOTS_M] = {{0}}, sums[CV_DOTS_M][CV_GRAD_TAPS];
    CV_(dot_take)(CV_DOTS_M, taps, acc, sums);
    CV_(dot_limits)(taps, inner, p, at, len, lo, hi);
    for (int m = 1; m < ms; m++) { /* met before the first row of x */
        if (top - m >= 0 && top - m <= last)
            g[m - 1] = CV_(dot_lanes)(inner, gy + (top - m) * ys, p->ys[4], 0, len);
    }
    for (ptrdiff_t y = 0; y < n; y++, x += xs) {
        const ptrdiff_t oy = top + y;
        const ptrdiff_t m0 = CV_MAX2(oy - last, 0), m1 = CV_MIN2(ms, oy + 1);
        vec v[CV_GRAD_TAPS];
        __builtin_prefetch(x + CV_DOTS_ROWS * xs);
        __builtin_prefetch(gy + (oy + CV_DOTS_ROWS) * ys);
        CV_UNROLL(4)
        for (int m = CV_DOTS_M - 1; m > 0; m--)
            g[m] = g[m - 1];
        if (oy >= 0 && oy <= last)
            g[0] = CV_(dot_lanes)(inner, gy + oy * ys, p->ys[4], 0, len);
        CV_UNROLL(5)
        for (int t = 0; t < taps; t++)
            v[t] = CV_(dot_lanes)(inner, x + t * p->dil[2] * p->xs[4], step, lo[t], hi[t]);
        CV_UNROLL(4)
        for (int m = 0; m < CV_DOTS_M; m++) {
            if (m < m0 || m >= m1)
                continue;
            CV_UNROLL(5)
            for (int t = 0; t < taps; t++)
                sums[m][t] += g[m] * v[t];
        }
    }
    CV_(dot_take)(CV_DOTS_M, taps, sums, acc);
}

/* The sums of neighbouring kernel rows, over all images and outputs: each row of x is loaded once
 * for all of them.  A few rows at a time, so that memory is read in its order. */
CV_INLINE void CV_(dot_columns)(const int taps, const CV_(dot_job) *j, const CV_(dot_place) *at) {
    const cv_conv *p = &j->p;
    const ptrdiff_t kx = at->kx * p->dil[2] - p->lo[2],
                    span = (taps - 1) * p->dil[2] + (VL - 1) * p->stride[2];
    vec acc[CV_DOTS_M][CV_GRAD_TAPS] = {{{0}}};
    CV_(dot_totals) totals = {{{0}}};
    /* the rows from each of the first `apart` on */
    const ptrdiff_t apart = CV_MIN2(p->dil[1], p->in[1]);
    const ptrdiff_t blocks = ((p->in[1] - 1) / p->dil[1] + CV_DOTS_ROWS) / CV_DOTS_ROWS;
    CV_(dot_rows) rows = {.xs = p->dil[1] * p->xs[3], .ys = p->dil[1] * p->ys[3]};
    ptrdiff_t added = 0;
    for (ptrdiff_t i = 0; i < p->n * p->out[0] * apart * blocks; i++) {
        const ptrdiff_t y = i / blocks % apart + i % blocks * CV_DOTS_ROWS * p->dil[1];
        const T *x, *gy;
        if (y >= p->in[1] || !CV_(dot_planes)(j, at, i / blocks / apart, 1, &x, &gy))
            continue;
        rows.n = CV_MIN2((p->in[1] - 1 - y) / p->dil[1] + 1, CV_DOTS_ROWS);
        /* of grad_y: its numbers begin at row `begin` */
        const ptrdiff_t meets = y + p->lo[1] - at->ky * p->dil[1];
        const ptrdiff_t over = meets % p->dil[1], begin = over < 0 ? over + p->dil[1] : over;
        rows.top = (meets - begin) / p->dil[1];
        rows.last = begin < p->out[1] ? (p->out[1] - 1 - begin) / p->dil[1] : -1;
        gy += begin * p->ys[3];
        x += y * p->xs[3] + kx * p->xs[4];
        for (ptrdiff_t o = 0; o < p->out[2]; o += VL) {
            const ptrdiff_t len = CV_MIN2(VL, p->out[2] - o), first = o * p->stride[2] + kx;
            const T *go = gy + o * p->ys[4], *xo = x + o * p->stride[2] * p->xs[4];
            if (len == VL && first >= 0 && first + span < p->in[2])
                CV_(dot_column)(taps, 1, j, &rows, go, xo, first, len, at->ms, acc);
            else
                CV_(dot_column)(taps, 0, j, &rows, go, xo, first, len, at->ms, acc);
            added += rows.n;
            if (added > CV_DOTS_PART - CV_DOTS_ROWS) {
                CV_(dot_flush)(at->ms, taps, acc, totals);
                added = 0;
            }
        }
    }
    CV_(dot_flush)(at->ms, taps, acc, totals);
    CV_(dot_store)(1, j, at, totals);
}

#include "abreast.tmpl.h"
#include "halves.tmpl.h"
#include "repeat.tmpl.h"

#define CV_DOTS(taps)                                                                    \
    CV_NOINLINE void CV_(dots_##taps)(const CV_(dot_job) *j, const CV_(dot_place) *at) { \
        if (!j->kernel_rows)                                                             \
            CV_(dot_sums)(taps, j, at);                                                  \
        else if (j->p.stride[1] == 1)                                                    \
            CV_(dot_columns)(taps, j, at);                                               \
        else                                                                             \
            CV_(dot_halves)(taps, at->ms, j, at);                                        \
    }
#ifdef CV_FLOOR
CV_DOTS(1)
#else
CV_DOTS(3)
CV_DOTS(5)
#endif
#undef CV_DOTS

/* One (group, block of m, input channel, kz, ky, block of kx). */
static void CV_(dot_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(dot_job) *j = context;
    const cv_conv *p = &j->p;
    (void)worker;
    const ptrdiff_t kxb = unit % j->kx_blocks, mb = unit / j->kx_blocks % j->m_blocks;
    ptrdiff_t rest = unit / j->kx_blocks / j->m_blocks;
    CV_(dot_place) at = {.kx = kxb * p->k[2] / j->kx_blocks, .ky = mb * CV_DOTS_M};
    if (!j->kernel_rows) {
        at.ky = rest % p->k[1];
        rest /= p->k[1];
    }
    at.kz = rest % p->k[0];
    at.ic = rest / p->k[0] % p->icg;
    at.g = rest / p->k[0] / p->icg;
    at.oc = at.g * p->ocg + (j->kernel_rows ? 0 : mb * CV_DOTS_M);
    at.ms = (int)CV_MIN2(CV_DOTS_M, (j->kernel_rows ? p->k[1] : p->ocg) - mb * CV_DOTS_M);
#ifdef CV_NAMED
    if (CV_(dot_repeated)(p)) {
        CV_(dot_repeats)(j, &at);
        return;
    }
#endif
    const ptrdiff_t end = (kxb + 1) * p->k[2] / j->kx_blocks;
#ifdef CV_FLOOR
    for (at.taps = 1; at.kx < end; at.kx++)
        CV_(dots_1)(j, &at);
#else
    at.taps = end - at.kx;
    if (at.taps > 3)
        CV_(dots_5)(j, &at);
    else
        CV_(dots_3)(j, &at);
#endif
}

/* ---- the row */

CV_ONCE const char *CV_(dots_fits)(const cv_problem *problem) {
    return cv_any_work(&problem->conv) ? NULL : "has no work in an empty convolution";
}

CV_ONCE double CV_(dots_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)((p->out[2] + VL - 1) / VL),
                 lines = (double)p->n * (double)(p->out[0] * p->out[1]);
    const double sums = (double)(p->groups * p->ocg * p->icg * cv_taps(p));
    const double load = CV_(dot_repeated)(p)                                 ? 6 / CV_PACE
                        : CV_(dot_abreast)(p)                                ? 0
                        : p->xs[4] != 1 || p->ys[4] != 1 || p->stride[2] > 2 ? 0.5 * VL
                        : p->stride[2] == 2                                  ? 1.5 / CV_PACE
                                                                             : 0;
    return 1000 + sums * (lines * vecs * (5.0 / CV_PACE + load / CV_DOTS_M) + 5);
}

/* Whether kernel rows share what they load. */
static int CV_(dot_shared)(const cv_conv *p) {
    return p->ocg == 1 && (p->stride[1] == 1 || CV_(dot_halved)(p) || CV_(dot_repeated)(p));
}

CV_ONCE void CV_(dots_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(dot_job) *j = CV_JOB(plan, CV_(dot_job));
    *j = (CV_(dot_job)){.p = problem->conv, .kernel_rows = CV_(dot_shared)(&problem->conv)};
    j->far = j->kernel_rows && j->p.stride[1] > 1 && CV_(planes_far)(&j->p) &&
             CV_(plane_bytes)(&j->p) > CV_DOTS_NEAR;
    j->m_blocks = ((j->kernel_rows ? j->p.k[1] : j->p.ocg) + CV_DOTS_M - 1) / CV_DOTS_M;
    j->kx_blocks = CV_(dot_repeated)(&j->p) ? 1 : (j->p.k[2] + CV_GRAD_TAPS - 1) / CV_GRAD_TAPS;
    j->threads = cv_threads_for(cv_products(&j->p), CV_WORK_DIRECT, problem->threads);
    if (CV_(dot_abreast)(&j->p))
        plan->scratch = CV_(abreast_plan)(j, problem->max_workspace);
    plan->threads = j->threads;
}

static int CV_(dots_run)(const cv_plan *plan, const cv_call *call) {
    CV_(dot_job) j = *CV_JOB(plan, CV_(dot_job));
    const cv_conv *p = &j.p;
    j.x = call->x;
    j.gy = call->y;
    j.gw = (T *)call->w;
#ifndef CV_FLOOR
    if (j.abreast) {
        j.limits = (ptrdiff_t(*)[2])call->scratch;
        j.totals = (double *)(j.limits + p->k[2]);
        for (ptrdiff_t kx = 0; kx < p->k[2]; kx++)
            cv_lanes(kx * p->dil[2] - p->lo[2], p->stride[2], p->in[2], p->out[2],
                     &j.limits[kx][0], &j.limits[kx][1]);
        const int status = cv_parallel(CV_(abreast_unit), &j, j.pieces * j.ranges, j.threads);
        if (status == CV_OK)
            CV_(abreast_store)(&j);
        return status;
    }
#endif
    const ptrdiff_t rows = p->k[0] * (j.kernel_rows ? 1 : p->k[1]);
    return cv_parallel(CV_(dot_unit), &j, p->groups * p->icg * rows * j.m_blocks * j.kx_blocks,
                       j.threads);
}

CV_ROW(dots) = {CV_(dots_fits), CV_(dots_cost), CV_(dots_plan), NULL, NULL, CV_(dots_run)};
#endif
