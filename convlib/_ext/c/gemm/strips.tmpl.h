/* Few input channels: windows are read where they lie in a copy of a strip of the input.
 *
 * The copy has the padding, and each row of it is split by the stride: what a tap reads for
 * neighbouring outputs lies side by side.  So the rows of B are places in the copy, and nothing is
 * packed for each of them; that of a stem is smaller than the panels of its windows by kh x kw over
 * the stride.  Lanes are pixels of one row of outputs.
 */
#ifndef CV_STRIPS
#define CV_STRIPS
#include "panels.tmpl.h"

/* products of an output, at most: a panel of weights stays in L1 */
#define CV_STRIP_K 512
#define CV_STRIP_BYTES (256 << 10) /* of a copy: it stays in L2 beside the weights */

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x, *a, *bias;
    T *y, *scratch;
    CV_(ending) ending;
    ptrdiff_t phases, phase, row; /* of a row of the copy: how many, elements of one, of all */
    ptrdiff_t height;             /* rows of a channel's slice */
    ptrdiff_t rows, pieces;       /* rows of outputs of a strip; strips of a plane */
    ptrdiff_t each;               /* elements of a copy */
    ptrdiff_t oc_panels, vecs, tiles;
    const ptrdiff_t *at; /* rows of B, in the order of the weights */
    int threads;
} CV_(strips_job);

typedef void (*CV_(apart_fn))(ptrdiff_t k, const T *a, const T *b, const ptrdiff_t *at,
                              const CV_(tile_out) *o);
#define CV_APART(nv)                                                                     \
    CV_NOINLINE void CV_(tile_apart_##nv)(ptrdiff_t k, const T *a, const T *b,           \
                                          const ptrdiff_t *at, const CV_(tile_out) *o) { \
        CV_(tile)(nv, 0, 0, 1, k, a, 0, 0, b, 0, at, NULL, o);                           \
    }
CV_APART(1)
CV_APART(2)
#if CV_NV == 3
CV_APART(3)
static const CV_(apart_fn) CV_(tiles_apart)[] = {NULL, CV_(tile_apart_1), CV_(tile_apart_2),
                                                 CV_(tile_apart_3)};
#else
static const CV_(apart_fn) CV_(tiles_apart)[] = {NULL, CV_(tile_apart_1), CV_(tile_apart_2)};
#endif
#undef CV_APART

/* Whether rows are split by whole vectors, not element by element. */
CV_INLINE int CV_(strips_by_vectors)(const CV_(strips_job) *j) {
    const ptrdiff_t stride = j->p.stride[2];
    return stride == 1 || ((stride == 2 || stride == 4) && j->phases == stride);
}

/* The vector at x + at of a row of `size` elements, zero where there are none. */
CV_INLINE vec CV_(strips_load)(const T *x, ptrdiff_t at, ptrdiff_t size, int inside) {
    return inside ? CV_(load)(x + at) : CV_(load_set)(x + at, CV_(lane_set)(-at, size - at));
}
/* Two of them as their even and their odd elements. */
CV_INLINE void CV_(strips_split)(const T *x, ptrdiff_t at, ptrdiff_t size, int inside, vec *even,
                                 vec *odd) {
    const vec a = CV_(strips_load)(x, at, size, inside),
              b = CV_(strips_load)(x, at + VL, size, inside);
    *even = CV_(even)(a, b);
    *odd = CV_(odd)(a, b);
}

/* A row of the input, or of zeros (NULL), split by the stride. */
CV_NOINLINE void CV_(strips_row)(const CV_(strips_job) *j, const T *x, T *dst) {
    const cv_conv *p = &j->p;
    if (!x) {
        __builtin_memset(dst, 0, (size_t)j->row * sizeof(T));
        return;
    }
    const ptrdiff_t stride = p->stride[2], before = p->lo[2], size = p->in[2], phases = j->phases,
                    phase = j->phase;
    const int vectors = CV_(strips_by_vectors)(j);
    vec even[2], odd[2];
    for (ptrdiff_t q = 0; q < phase; q += VL) {
        const ptrdiff_t at = q * stride - before;
        const int inside = at >= 0 && at + VL * phases <= size;
        if (!vectors) {
            for (ptrdiff_t i = 0; i < phases; i++) {
                ptrdiff_t lo, hi;
                cv_lanes(at + i, stride, size, VL, &lo, &hi);
                CV_(store)(dst + i * phase + q, CV_(gather)(x + at + i, stride, lo, hi));
            }
        } else if (stride == 1) {
            CV_(store)(dst + q, CV_(strips_load)(x, at, size, inside));
        } else if (stride == 2) {
            CV_(strips_split)(x, at, size, inside, even, odd);
            CV_(store)(dst + q, even[0]);
            CV_(store)(dst + phase + q, odd[0]);
        } else {
            CV_(strips_split)(x, at, size, inside, even, odd);
            CV_(strips_split)(x, at + 2 * VL, size, inside, even + 1, odd + 1);
            CV_(store)(dst + q, CV_(even)(even[0], even[1]));
            CV_(store)(dst + phase + q, CV_(even)(odd[0], odd[1]));
            CV_(store)(dst + 2 * phase + q, CV_(odd)(even[0], even[1]));
            CV_(store)(dst + 3 * phase + q, CV_(odd)(odd[0], odd[1]));
        }
    }
}

/* The strip under rows r0 .. r1-1 of outputs at depth oz. */
static void CV_(strips_copy)(const CV_(strips_job) *j, const T *x, ptrdiff_t oz, ptrdiff_t r0,
                             ptrdiff_t r1, T *dst) {
    const cv_conv *p = &j->p;
    const ptrdiff_t height = (r1 - r0 - 1) * p->stride[1] + (p->k[1] - 1) * p->dil[1] + 1;
    for (ptrdiff_t i = 0; i < p->icg * p->k[0]; i++, dst += j->height * j->row) {
        const ptrdiff_t iz = oz * p->stride[0] + i % p->k[0] * p->dil[0] - p->lo[0];
        const T *slice = x + i / p->k[0] * p->xs[1] + iz * p->xs[2];
        for (ptrdiff_t y = 0; y < height; y++) {
            const ptrdiff_t iy = r0 * p->stride[1] - p->lo[1] + y;
            const int real = iz >= 0 && iz < p->in[0] && iy >= 0 && iy < p->in[1];
            CV_(strips_row)(j, real ? slice + iy * p->xs[3] : NULL, dst + y * j->row);
        }
    }
}

static void CV_(strips_unit)(void *context, ptrdiff_t unit, int worker) {
    static const T zeros[CV_MR];
    const CV_(strips_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t piece = unit % j->pieces, oz = unit / j->pieces % p->out[0],
                    plane = unit / j->pieces / p->out[0];
    const ptrdiff_t g = plane % p->groups, n = plane / p->groups;
    const ptrdiff_t r0 = cv_part(p->out[1], j->pieces, piece),
                    r1 = cv_part(p->out[1], j->pieces, piece + 1);
    const cv_sizes cut = cv_sizes_of(j->vecs, j->tiles);
    T *copy = j->scratch + worker * j->each;
    double work = 0;
    CV_(strips_copy)(j, j->x + n * p->xs[0] + g * p->icg * p->xs[1], oz, r0, r1, copy);
    for (ptrdiff_t r = r0; r < r1; r++) {
        const T *b = copy + (r - r0) * p->stride[1] * j->row;
        for (ptrdiff_t op = 0; op < j->oc_panels; op++) {
            const ptrdiff_t oc = g * p->ocg + op * CV_MR;
            const T *a = j->a + (g * j->oc_panels + op) * j->view.k * CV_MR;
            T *y = j->y + n * p->ys[0] + oc * p->ys[1] + oz * p->ys[2] + r * p->ys[3];
            const int plain = !j->ending.residual; /* an activation is applied in registers then */
            cv_sizes c = cut;
            for (ptrdiff_t v0 = 0, v1; v0 < j->vecs; v0 = v1) {
                v1 = v0 + cv_next_size(&c);
                const CV_(tile_out) o = {
                    .c = y + v0 * VL,
                    .ldc = p->ys[1],
                    .rows = CV_MIN2(CV_MR, p->ocg - op * CV_MR),
                    .last = CV_MIN2(VL, p->out[2] - (v1 - 1) * VL),
                    .bias = j->bias ? j->bias + oc : zeros,
                    .activation = plain ? j->ending.activation : 0,
                };
                CV_(tiles_apart)[v1 - v0](j->view.k, a, b + v0 * VL, j->at, &o);
                if (!plain)
                    CV_(end_rows)(&j->ending, o.c, o.rows, o.ldc, (v1 - v0 - 1) * VL + o.last);
            }
            if (cv_stop_after(&work, (double)(j->view.k * CV_MR * j->vecs * VL)))
                return;
        }
    }
}

/* ---- the row */

static void CV_(strips_sizes)(CV_(strips_job) *j, const cv_problem *problem) {
    *j = (CV_(strips_job)){.p = problem->conv};
    const cv_conv *p = &j->p;
    const ptrdiff_t reach = (p->k[2] - 1) * p->dil[2];
    j->view = cv_view_of(p);
    j->vecs = (p->out[2] + VL - 1) / VL;
    j->tiles = (j->vecs + CV_NV - 1) / CV_NV;
    j->oc_panels = (p->ocg + CV_MR - 1) / CV_MR;
    j->phases = CV_MIN2(p->stride[2], reach + 1);
    j->phase = (j->vecs + (reach / p->stride[2] + VL - 1) / VL) * VL;
    j->row = j->phases * j->phase;
    j->threads = cv_threads_for(cv_products(p), CV_WORK_GEMM, problem->threads);
    const ptrdiff_t planes = p->n * p->groups * p->out[0];
    const ptrdiff_t want = j->threads > 1 ? 8 * j->threads : 1,
                    tables = CV_ROUND64(j->view.k * (ptrdiff_t)sizeof *j->at);
    for (j->pieces = CV_MIN2(p->out[1], (want + planes - 1) / planes);;
         j->pieces += 1 + j->pieces / 8) {
        j->rows = (p->out[1] + j->pieces - 1) / j->pieces;
        j->height = (j->rows - 1) * p->stride[1] + (p->k[1] - 1) * p->dil[1] + 1;
        j->each = p->icg * p->k[0] * j->height * j->row;
        const ptrdiff_t bytes = j->each * (ptrdiff_t)sizeof(T);
        if (j->rows == 1 ||
            (bytes <= CV_STRIP_BYTES && j->threads * bytes + tables <= problem->max_workspace))
            break;
    }
    j->pieces = (p->out[1] + j->rows - 1) / j->rows;
}

CV_ONCE const char *CV_(strips_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "serves channels first";
    if (p->out[1] == 1)
        return "serves planes, of which it cuts the rows";
    if (cv_taps(p) == 1)
        return "serves windows of several taps, which share a copy";
    if (p->icg * cv_taps(p) > CV_STRIP_K)
        return "serves sums of at most 512 products";
    CV_(strips_job) j;
    CV_(strips_sizes)(&j, problem);
    return j.each * (ptrdiff_t)sizeof(T) <= CV_STRIP_BYTES
               ? NULL
               : "serves rows whose windows' inputs stay in the second-level cache";
}

CV_ONCE double CV_(strips_cost)(const cv_problem *problem) {
    CV_(strips_job) j;
    CV_(strips_sizes)(&j, problem);
    const cv_conv *p = &j.p;
    const double planes = (double)(p->n * p->groups * p->out[0]), k = (double)j.view.k;
    const double rows = planes * (double)p->out[1], panels = (double)j.oc_panels;
    const double copies = planes * (double)j.pieces * (double)j.each;
    /* by vectors those at both ends take masks */
    const double apart = CV_(strips_by_vectors)(&j) ? 1.5 / VL + 8.0 / (double)j.phase : 1.0;
    /* the rows of B of many channels come from the second-level cache */
    const double each = k / ((CV_REGISTERS == 32 ? 0.91 : 0.97) * CV_PACE) *
                        (1 + (double)p->icg / 240);
    double ns = rows * panels * CV_MR * (double)j.vecs * (each + 0.4) +
                rows * panels * (double)j.tiles * 2 + copies * apart;
    if (problem->fresh)
        ns += 0.3 * (double)p->groups * panels * CV_MR * k;
    return 500 + ns;
}

CV_ONCE void CV_(strips_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(strips_job) *j = CV_JOB(plan, CV_(strips_job));
    CV_(strips_sizes)(j, problem);
    plan->threads = j->threads;
    plan->ends = CV_(endable)(&problem->conv);
    plan->scratch = j->threads * j->each * (ptrdiff_t)sizeof(T);
    plan->tables = CV_ROUND64(j->view.k * (ptrdiff_t)sizeof *j->at);
    plan->packed = j->p.groups * j->oc_panels * CV_MR * j->view.k * (ptrdiff_t)sizeof(T);
}

CV_ONCE void CV_(strips_fill)(cv_plan *plan) {
    CV_(strips_job) *j = CV_JOB(plan, CV_(strips_job));
    const cv_conv *p = &j->p;
    ptrdiff_t *at = (ptrdiff_t *)plan->table;
    j->at = at;
    for (ptrdiff_t r = 0; r < j->view.runs; r++) {
        const ptrdiff_t ic0 = r / j->view.taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        const ptrdiff_t tap = r % j->view.taps, x = tap % p->k[2] * p->dil[2];
        const ptrdiff_t y = tap / p->k[2] % p->k[1] * p->dil[1], z = tap / p->k[2] / p->k[1];
        for (ptrdiff_t ic = ic0; ic < ic1; ic++)
            *at++ = ((ic * p->k[0] + z) * j->height + y) * j->row + x % p->stride[2] * j->phase +
                    x / p->stride[2];
    }
}

static int CV_(strips_pack)(const cv_plan *plan, const void *w, void *packed) {
    const CV_(strips_job) *j = CV_JOB(plan, CV_(strips_job));
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < p->groups * j->oc_panels; i++)
        CV_(pack_weights)(p, &j->view, (const T *)w + i / j->oc_panels * p->ws[0],
                          i % j->oc_panels * CV_MR, (T *)packed + i * j->view.k * CV_MR);
    return CV_OK;
}

static int CV_(strips_run)(const cv_plan *plan, const cv_call *call) {
    CV_(strips_job) j = *CV_JOB(plan, CV_(strips_job));
    j.x = call->x;
    j.a = call->packed;
    j.bias = call->bias;
    j.y = call->y;
    j.ending = CV_(ending_of)(call);
    j.scratch = (T *)call->scratch;
    return cv_parallel(CV_(strips_unit), &j, j.p.n * j.p.groups * j.p.out[0] * j.pieces, j.threads);
}

CV_ROW(gemm_strips) = {CV_(strips_fits), CV_(strips_cost), CV_(strips_plan),
                       CV_(strips_fill), CV_(strips_pack), CV_(strips_run)};
#endif
