/* What `pool` gathers, spread again: gradients and unpooling.
 *
 *   scatter  each number of y to the plane position that its index names (maxima, minima,
 *   unpooling) spread   each number of y, divided as its average was, to every element of its
 *   window
 * A plane is filled by one thread, so nothing is added in an order that depends on threads.
 * Channels-last planes are walked CV_SPREAD channels at a time, which lie side by side.
 */
#ifndef CV_POOL_SPREAD
#define CV_POOL_SPREAD
#include "pool.h"

#define CV_SPREAD 64 /* bytes of channels side by side, channels last */

typedef struct {
    cv_pool p;
    const T *y;
    const int64_t *indices; /* NULL: spread */
    T *x, *scratch;
    /* channels side by side; blocks of them; planes (with their blocks) in a unit */
    ptrdiff_t inner, blocks, planes;
    ptrdiff_t inputs, all, scratch_each;
    const T *divide; /* taps counted along D, H and W, one after the other */
    int add, threads;
    int *bad; /* an index lay outside its plane */
} CV_(spread_job);

#if CV_FLOAT
CV_INLINE void CV_(scatter_row)(const CV_(spread_job) *j, const int plain, const ptrdiff_t inner,
                                const int add, const T *from, const int64_t *place, T *x) {
    const ptrdiff_t step = plain ? 1 : j->p.xs[4], ystep = plain ? 1 : j->p.ys[4],
                    count = j->p.out[2];
    const uint64_t inputs = (uint64_t)j->inputs;
    for (ptrdiff_t o = 0; o < count; o++, from += ystep, place += ystep) {
        for (ptrdiff_t c = 0; c < inner; c++) {
            const uint64_t i = (uint64_t)place[c];
            if (i >= inputs) {
                if (place[c] != -1)
                    __atomic_store_n(j->bad, 1, __ATOMIC_RELAXED);
                continue;
            }
            T *to = x + (ptrdiff_t)i * step + c;
            *to = add ? (T)(*to + from[c]) : from[c];
        }
    }
}

static void CV_(scatter_plane)(const CV_(spread_job) *j, ptrdiff_t inner, const T *y,
                               const int64_t *at, T *x) {
    const cv_pool *p = &j->p;
    double work = 0;
    for (ptrdiff_t z = 0; z < p->out[0]; z++) {
        for (ptrdiff_t r = 0; r < p->out[1]; r++) {
            const T *from = y + z * p->ys[2] + r * p->ys[3];
            const int64_t *place = at + z * p->ys[2] + r * p->ys[3];
            if (inner > 1 || p->xs[4] != 1 || p->ys[4] != 1)
                CV_(scatter_row)(j, 0, inner, j->add, from, place, x);
            else if (j->add)
                CV_(scatter_row)(j, 1, 1, 1, from, place, x);
            else
                CV_(scatter_row)(j, 1, 1, 0, from, place, x);
            if (cv_stop_after(&work, 4 * (double)(p->out[2] * inner)))
                return;
        }
    }
}
#endif

/* A number's share in an average; of integers there are sums only. */
CV_INLINE T CV_(share)(T number, T by) { return CV_FLOAT ? number / by : number; }

/* row[i] = sum of grad over the windows along W that hold i; row is zeroed here. */
CV_INLINE void CV_(spread_row)(const cv_pool *p, ptrdiff_t inner, const T *grad, T *row) {
    for (ptrdiff_t i = 0; i < p->in[2] * inner; i++)
        row[i] = 0;
    for (ptrdiff_t k = 0; k < p->k[2]; k++) {
        const ptrdiff_t s = p->stride[2], at = k * p->dil[2] - p->lo[2];
        const ptrdiff_t first = at >= 0 ? 0 : (-at + s - 1) / s;
        const ptrdiff_t end = at >= p->in[2] ? 0 : CV_MIN2(p->out[2], (p->in[2] - at + s - 1) / s);
        T *to = row + (first * s + at) * inner;
        const T *from = grad + first * inner;
        const ptrdiff_t count = end - first;
        if (s == 1) {
            /* outputs and inputs both lie side by side */
            for (ptrdiff_t i = 0; i < count * inner; i++)
                to[i] += from[i];
        } else if (inner == 1) {
            for (ptrdiff_t i = 0; i < count; i++)
                to[i * s] += from[i];
        } else {
            for (ptrdiff_t i = 0; i < count; i++) {
                for (ptrdiff_t c = 0; c < inner; c++)
                    to[i * s * inner + c] += from[i * inner + c];
            }
        }
    }
}

#if CV_FLOAT
/* Numbers before the gradients of a row, and behind them, that `spread_pairs` takes for 0. */
CV_INLINE ptrdiff_t CV_(spread_before)(const cv_pool *p) { return p->k[2] / 2; }
CV_INLINE ptrdiff_t CV_(spread_behind)(const cv_pool *p) {
    return CV_MAX2(0, (p->lo[2] + p->in[2]) / 2 + 1 - p->out[2]) + VL;
}

/* The same for windows without gaps, two elements apart: even taps meet every second element, odd
 * taps the others.  Up to 2 * VL numbers more are written to row. */
CV_INLINE void CV_(spread_pairs)(const cv_pool *p, const T *grad, T *row) {
    const ptrdiff_t first = p->lo[2] / 2, pairs = (p->lo[2] % 2 + p->in[2] + 1) / 2;
    for (ptrdiff_t i = 0; i < pairs; i += VL) {
        vec even = {0}, odd = {0};
        for (ptrdiff_t k = 0; k < p->k[2]; k += 2)
            even += CV_(load)(grad + first + i - k / 2);
        for (ptrdiff_t k = 1; k < p->k[2]; k += 2)
            odd += CV_(load)(grad + first + i - k / 2);
        CV_(store)(row + 2 * i, CV_(zip_low)(even, odd));
        CV_(store)(row + 2 * i + VL, CV_(zip_high)(even, odd));
    }
}
#endif

/* A row to x, whose elements are `step` apart. */
CV_NOINLINE void CV_(spread_put)(const T *row, ptrdiff_t n, ptrdiff_t inner, ptrdiff_t step,
                               int first, T *to) {
    if (step == inner) {
        n *= inner;
        inner = step = 1;
        if (first) {
            __builtin_memcpy(to, row, (size_t)n * sizeof(T));
            return;
        }
        for (ptrdiff_t i = 0; i < n; i++)
            to[i] += row[i];
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        for (ptrdiff_t c = 0; c < inner; c++)
            to[i * step + c] = first ? row[i * inner + c] : to[i * step + c] + row[i * inner + c];
    }
}

static void CV_(spread_plane)(const CV_(spread_job) *j, ptrdiff_t inner, const T *y, T *x,
                              T *scratch) {
    const cv_pool *p = &j->p;
    const T *dz = j->divide, *dy = dz + p->out[0], *dx = dy + p->out[1];
    const cv_meeting slices = cv_spread_meeting(p, 0), rows = cv_spread_meeting(p, 1);
    T *grad = scratch, *row = scratch + p->out[2] * inner;
    double work = 0;
#if CV_FLOAT
    const int pairs = j->inner == 1 && p->stride[2] == 2 && p->dil[2] == 1;
    if (pairs) {
        const ptrdiff_t before = CV_(spread_before)(p), behind = CV_(spread_behind)(p);
        memset(scratch, 0, (size_t)(before + p->out[2] + behind) * sizeof(T));
        grad += before;
        row = grad + p->out[2] + behind;
    }
#endif
    for (ptrdiff_t z = 0; z < p->out[0]; z++) {
        for (ptrdiff_t r = 0; r < p->out[1]; r++) {
            const T *from = y + z * p->ys[2] + r * p->ys[3], outer = dz[z] * dy[r];
            if (inner == 1 && p->ys[4] == 1) {
                for (ptrdiff_t o = 0; o < p->out[2]; o++)
                    grad[o] = CV_(share)(from[o], outer * dx[o]);
            } else {
                for (ptrdiff_t o = 0; o < p->out[2]; o++) {
                    for (ptrdiff_t c = 0; c < inner; c++)
                        grad[o * inner + c] =
                            CV_(share)(from[o * p->ys[4] + c], outer * dx[o]);
                }
            }
            const T *sums = row;
#if CV_FLOAT
            if (pairs) {
                CV_(spread_pairs)(p, grad, row);
                sums += p->lo[2] % 2;
            } else
#endif
                CV_(spread_row)(p, inner, grad, row);
            for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
                const ptrdiff_t iz = z * p->stride[0] + kz * p->dil[0] - p->lo[0];
                if (iz < 0 || iz >= p->in[0])
                    continue;
                const int top = cv_spread_first(slices, z, kz, p->k[0]);
                for (ptrdiff_t ky = 0; ky < p->k[1]; ky++) {
                    const ptrdiff_t iy = r * p->stride[1] + ky * p->dil[1] - p->lo[1];
                    if (iy < 0 || iy >= p->in[1])
                        continue;
                    CV_(spread_put)(sums, p->in[2], inner, p->xs[4],
                                    top && cv_spread_first(rows, r, ky, p->k[1]),
                                    x + iz * p->xs[2] + iy * p->xs[3]);
                }
                if (cv_stop_after(&work, (double)((p->k[1] + p->k[2]) * p->in[2] * inner)))
                    return;
            }
        }
    }
}

static void CV_(spread_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(spread_job) *j = context;
    const cv_pool *p = &j->p;
    for (ptrdiff_t i = unit * j->planes; i < CV_MIN2((unit + 1) * j->planes, j->all); i++) {
        const ptrdiff_t n = i / j->blocks, c = i % j->blocks * j->inner,
                        inner = CV_MIN2(j->inner, p->c - c);
        T *x = j->x + n * p->xs[0] + c * p->xs[1];
        const ptrdiff_t y = n * p->ys[0] + c * p->ys[1];
#if CV_FLOAT
        if (j->indices) {
            cv_spread_zeros(0, j->inputs, inner, p->xs[4], sizeof(T), x);
            CV_(scatter_plane)(j, inner, j->y + y, j->indices + y, x);
            continue;
        }
#endif
        /* what no window meets */
        const ptrdiff_t slices = cv_spread_met(p, 0), slice = p->in[1] * p->in[2];
        for (ptrdiff_t z = 0; z < slices; z++)
            cv_spread_zeros(z * slice + cv_spread_met(p, 1) * p->in[2], (z + 1) * slice, inner,
                            p->xs[4], sizeof(T), x);
        cv_spread_zeros(slices * slice, j->inputs, inner, p->xs[4], sizeof(T), x);
        CV_(spread_plane)(j, inner, j->y + y, x, j->scratch + worker * j->scratch_each);
    }
}

/* ---- the rows */

/* A plane of x must be one unbroken row of its xs[4]. */
static const char *CV_(spread_unfit)(const cv_pool *p) {
    if (!cv_pool_any_work(p) || !p->in[0] || !p->in[1] || !p->in[2])
        return "has no work in an empty pooling";
    if (p->xs[3] != p->xs[4] * p->in[2] || p->xs[2] != p->xs[3] * p->in[1])
        return "needs planes without gaps";
    return p->xs[4] != 1 && p->c > 1 && (p->xs[1] != 1 || p->ys[1] != 1)
               ? "needs both arrays in one layout"
               : NULL;
}

static CV_(spread_job) *CV_(spread_begin)(const cv_problem *problem, cv_plan *plan, double reads) {
    CV_(spread_job) *j = CV_JOB(plan, CV_(spread_job));
    *j = (CV_(spread_job)){.p = problem->pool, .add = problem->add, .threads = problem->threads};
    const cv_pool *p = &j->p;
    j->inputs = p->in[0] * p->in[1] * p->in[2];
    j->inner = p->xs[4] == 1 ? 1 : CV_SPREAD / (ptrdiff_t)sizeof(T);
    j->blocks = (p->c + j->inner - 1) / j->inner;
    j->all = p->n * j->blocks;
    const double outputs = (double)(p->out[0] * p->out[1] * p->out[2]);
    const double work = (double)j->all * (double)j->inner * ((double)j->inputs + outputs * reads);
    const ptrdiff_t units = cv_pool_cut(work, j->all, &j->threads);
    j->planes = (j->all + units - 1) / units;
    return j;
}

static int CV_(spread_start)(CV_(spread_job) *j, const cv_call *call) {
    int bad = 0;
    j->x = (T *)call->x;
    j->y = call->y;
    j->bad = &bad;
    const int status =
        cv_parallel(CV_(spread_unit), j, (j->all + j->planes - 1) / j->planes, j->threads);
    return status ? status : bad ? CV_BAD_INDEX : CV_OK;
}

#if CV_FLOAT
CV_ONCE const char *CV_(scatter_fits)(const cv_problem *problem) {
    return problem->indices ? CV_(spread_unfit)(&problem->pool) : "needs places";
}

CV_ONCE double CV_(scatter_cost)(const cv_problem *problem) {
    return 300 + cv_pool_work(&problem->pool, 2);
}

CV_ONCE void CV_(scatter_plan)(const cv_problem *problem, cv_plan *plan) {
    plan->threads = CV_(spread_begin)(problem, plan, 2)->threads;
}

static int CV_(scatter_run)(const cv_plan *plan, const cv_call *call) {
    CV_(spread_job) j = *CV_JOB(plan, CV_(spread_job));
    j.indices = call->indices;
    return CV_(spread_start)(&j, call);
}

CV_ROW(scatter) = {CV_(scatter_fits), CV_(scatter_cost), CV_(scatter_plan), NULL, NULL,
                   CV_(scatter_run)};
#endif

CV_ONCE const char *CV_(spread_fits)(const cv_problem *problem) {
    if (problem->indices)
        return "spreads over windows, not to places";
    if (!CV_FLOAT && problem->pool.kind == CV_AVG)
        return "spreads averages of floats only";
    return CV_(spread_unfit)(&problem->pool);
}

CV_ONCE double CV_(spread_cost)(const cv_problem *problem) {
    return 300 + cv_pool_work(&problem->pool, 4) * 0.3;
}

CV_ONCE void CV_(spread_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(spread_job) *j = CV_(spread_begin)(problem, plan, 4);
    const cv_pool *p = &j->p;
    j->scratch_each = (p->in[2] + p->out[2]) * j->inner;
#if CV_FLOAT
    if (j->inner == 1 && p->stride[2] == 2)
        j->scratch_each += CV_(spread_before)(p) + CV_(spread_behind)(p) + 2 * VL + 2;
#endif
    plan->threads = j->threads;
    plan->scratch = j->threads * j->scratch_each * (ptrdiff_t)sizeof(T);
    plan->tables = CV_ROUND64((p->out[0] + p->out[1] + p->out[2]) * (ptrdiff_t)sizeof(T));
}

CV_ONCE void CV_(spread_fill)(cv_plan *plan) {
    CV_(spread_job) *j = CV_JOB(plan, CV_(spread_job));
    const cv_pool *p = &j->p;
    const int counting = p->kind == CV_AVG && p->divisor == 0;
    T *d = (T *)plan->table;
    j->divide = d;
    for (int a = 0; a < 3; a++) {
        for (ptrdiff_t o = 0; o < p->out[a]; o++)
            *d++ = counting                      ? (T)cv_window_of(p, a, o).counted
                   : a == 2 && p->kind == CV_AVG ? (T)p->divisor
                                                 : 1;
    }
}

static int CV_(spread_run)(const cv_plan *plan, const cv_call *call) {
    CV_(spread_job) j = *CV_JOB(plan, CV_(spread_job));
    j.scratch = (T *)call->scratch;
    return CV_(spread_start)(&j, call);
}

CV_ROW(spread) = {CV_(spread_fits), CV_(spread_cost), CV_(spread_plan), CV_(spread_fill), NULL,
                  CV_(spread_run)};
#endif
