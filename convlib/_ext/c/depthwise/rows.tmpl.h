/* Depthwise 3x3, 5x5 and 7x7, stride 1 or 2; 3x3 with stride 1 under any dilation.
 *
 * A column of a few vectors runs down the plane.  Each input row is loaded once and adds to every
 * output row whose window holds it; those stay in registers, for 3x3 with the weights.  Where a row
 * fills at most half a vector, two planes share it, one in each half.  Rows as far apart as the
 * dilation says are a plane of their own.
 */
#ifndef CV_DEPTHWISE_ROWS
#define CV_DEPTHWISE_ROWS
#include "../direct/lanes.tmpl.h"
#include "../layout/ending.tmpl.h"
#include "window.h"
#include "down.tmpl.h"
#include "along.tmpl.h"

/* output rows per strip: a column's lines stay in the first-level cache for the next column */
#define CV_DW_ROWS 36
#define CV_DW_COLUMNS (256 << 10) /* bytes of lanes of all columns, at most */

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    CV_(ending) ending;
    /* whether two planes share a vector, taps lie apart, and planes are asked for before their
     * columns */
    int pair, apart, far, threads;
    ptrdiff_t planes, plane_pieces, row_pieces, columns;
    ptrdiff_t before, inner; /* columns that the walk along rows takes, and those before them */
    CV_(dw_column) *column;  /* the others */
} CV_(dw_map);

/* The first output of column i. */
CV_INLINE ptrdiff_t CV_(dw_first)(const CV_(dw_map) *j, ptrdiff_t i) {
    return i * ((j->p.out[2] + VL - 1) / VL) / j->columns * VL;
}

/* Of a job, the rows of outputs from `phase` on that lie as far apart as taps do, and the rows of
 * inputs under them. */
CV_INLINE void CV_(dw_phase)(const cv_conv *p, ptrdiff_t phase, CV_(dw_job) *t) {
    const ptrdiff_t d = p->dil[1], iy = t->iy + phase, over = iy % d,
                    first = over < 0 ? over + d : over; /* row of x */
    t->x += first * t->xpitch;
    t->y += phase * t->ypitch;
    t->iy = (iy - first) / d;
    t->rows = (t->rows - phase + d - 1) / d;
    t->height = first < t->height ? (t->height - first - 1) / d + 1 : 0;
    t->xpitch *= d;
    t->ypitch *= d;
}

/* Output rows r .. r+rows-1 of planes p0 .. p1-1, which belong to one image. */
static void CV_(dw_strip)(const CV_(dw_map) *j, ptrdiff_t p0, ptrdiff_t p1, ptrdiff_t r,
                          ptrdiff_t rows) {
    const cv_conv *p = &j->p;
    const ptrdiff_t g = p0 % p->groups, n = p0 / p->groups, d = p->dil[1];
    CV_(dw_job) t = {
        .x = j->x + n * p->xs[0] + g * p->xs[1],
        .w = j->w + g * p->k[1] * p->k[2],
        .bias = j->bias ? j->bias + g : NULL,
        .y = j->y + n * p->ys[0] + g * p->ys[1] + r * p->ys[3],
        .planes = p1 - p0,
        .xplane = p->xs[1],
        .yplane = p->ys[1],
        .iy = r * p->stride[1] - p->lo[1],
        .rows = rows,
        .height = p->in[1],
        .lo = p->lo[2],
        .xpitch = p->xs[3],
        .ypitch = p->ys[3],
        .dx = p->dil[2],
    };
    if (j->inner)
        CV_(dw_inner)((int)p->k[2], CV_(dw_first)(j, j->before),
                      CV_(dw_first)(j, j->before + j->inner), &t);
    for (ptrdiff_t phase = 0; phase < CV_MIN2(d, rows); phase++) {
        CV_(dw_job) some = t;
        if (d > 1)
            CV_(dw_phase)(p, phase, &some);
        for (ptrdiff_t i = 0; i < j->columns - j->inner; i++) {
            some.column = j->column + i;
            const ptrdiff_t nv = some.column->nv;
            if (j->apart)
                CV_(dws_apart)[nv - 1](&some);
            else
                CV_(dws)[p->k[2] / 2 - 1][p->stride[2] - 1][j->pair ? 2 : some.column->masked]
                        [nv - 1](&some);
        }
    }
    CV_(end_rows)(&j->ending, t.y, t.planes, t.yplane, rows * p->ys[3]);
}

static void CV_(dw_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(dw_map) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t rc = unit % j->row_pieces, pc = unit / j->row_pieces;
    const ptrdiff_t end = (pc + 1) * j->planes / j->plane_pieces;
    const ptrdiff_t r0 = rc * p->out[1] / j->row_pieces, r1 = (rc + 1) * p->out[1] / j->row_pieces;
    (void)worker;
    for (ptrdiff_t p0 = pc * j->planes / j->plane_pieces, p1; p0 < end; p0 = p1) {
        /* lines of a plane stay near */
        p1 = j->columns > 1 || j->apart
                 ? p0 + 1
                 : CV_MIN2(end, (p0 / p->groups + 1) * p->groups);
        if (j->far)
            CV_(ask_planes)(p, j->x, j->y, p0, p1);
        for (ptrdiff_t r = r0; r < r1; r += CV_DW_ROWS)
            CV_(dw_strip)(j, p0, p1, r, CV_MIN2(CV_DW_ROWS, r1 - r));
    }
}

/* Lanes of the vector whose first output is ox, under tap kx. */
CV_ONCE CV_(lanes) CV_(dw_lanes)(const CV_(dw_map) *j, ptrdiff_t ox, ptrdiff_t kx) {
    const cv_conv *p = &j->p;
    const ptrdiff_t s = p->stride[2], ix = ox * s + kx * p->dil[2] - p->lo[2],
                    half = VL / 2;
    ptrdiff_t a0, a1, b0, b1;
    if (!j->pair)
        return CV_(lanes_of)(p, ox, kx);
    cv_lanes(ix, 1, p->in[2], s == 1 ? half : VL, &a0, &a1);
    b0 = s == 1 ? a0 + half : a0;
    b1 = s == 1 ? a1 + half : a1;
    return CV_(lanes_in)(a0, a1, b0, b1, 0, 0);
}

/* Whether column i touches the padding, or has lanes that are no outputs. */
CV_ONCE int CV_(dw_masked)(const CV_(dw_map) *j, ptrdiff_t i) {
    const cv_conv *p = &j->p;
    const ptrdiff_t s = p->stride[2], end = CV_(dw_first)(j, i + 1);
    return CV_(dw_first)(j, i) * s < p->lo[2] ||
           end * s - p->lo[2] + (p->k[2] - 1) * p->dil[2] > p->in[2] ||
           end > p->out[2];
}

CV_ONCE void CV_(dw_columns)(CV_(dw_map) *j) {
    const cv_conv *p = &j->p;
    const CV_(dw_fn) *fns = CV_(dws)[p->k[2] / 2 - 1][p->stride[2] - 1][0];
    CV_(dw_column) *c = j->column;
    for (ptrdiff_t i = 0; i < j->columns; i++, c++) {
        if (j->inner && i == j->before)
            i += j->inner;
        const ptrdiff_t last = CV_(dw_first)(j, i + 1) - VL;
        c->ox = CV_(dw_first)(j, i);
        c->nv = (int)((last - c->ox) / VL + 1);
        c->last = CV_MIN2(VL, p->out[2] - last);
        c->masked = CV_(dw_masked)(j, i) || !fns[c->nv - 1];
        for (int kx = 0; kx < p->k[2]; kx++) {
            c->left[kx] = CV_(dw_lanes)(j, c->ox, kx);
            c->right[kx] = CV_(dw_lanes)(j, last, kx);
        }
    }
}

/* ---- the row */

/* Whether two planes share a vector. */
CV_INLINE int CV_(dw_paired)(const cv_conv *p) {
    return CV_DW_PAIRS && p->n * p->groups > 1 && 2 * p->out[2] <= VL && !cv_depthwise_apart(p);
}

CV_ONCE void CV_(dw_sizes)(CV_(dw_map) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    *j = (CV_(dw_map)){.p = *p, .threads = problem->threads, .planes = p->n * p->groups};
    /* inner vectors load unmasked */
    const ptrdiff_t inner = (vecs - 1) * VL - 1,
                    end = (inner + 1) * p->stride[2] - p->lo[2] + (p->k[2] - 1) * p->dil[2];
    const CV_(dw_fn) *fns = CV_(dws)[p->k[2] / 2 - 1][p->stride[2] - 1][1];
    ptrdiff_t most = p->lo[2] <= VL && end <= p->in[2] ? CV_WNV : 2;
    j->apart = cv_depthwise_apart(p);
    most = j->apart ? CV_MIN2(most, CV_DW_APART) : most;
    while (!fns[most - 1])
        most--;
    j->pair = CV_(dw_paired)(p);
    j->columns = (vecs + most - 1) / most;
    while (j->before < j->columns && CV_(dw_masked)(j, j->before))
        j->before++;
    while (j->before + j->inner < j->columns && !CV_(dw_masked)(j, j->before + j->inner))
        j->inner++;
    const ptrdiff_t from = CV_(dw_first)(j, j->before), to = CV_(dw_first)(j, j->before + j->inner);
    if (j->pair || !CV_(dw_inside)(p, (to - from) / VL))
        j->inner = 0;
    const ptrdiff_t planes = (j->planes + j->pair) / (1 + j->pair);
    cv_cut(cv_products(p), &j->threads, planes, (p->out[1] + 7) / 8, &j->plane_pieces,
           &j->row_pieces);
    j->far = j->apart && j->row_pieces == 1 && CV_(planes_far)(p);
}

CV_ONCE const char *CV_(dw_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (!cv_depthwise_window(p) && !(cv_depthwise_apart(p) && p->k[2] == 3))
        return "serves depthwise windows of 3x3, 5x5 and 7x7 with stride 1 or 2, and of 3x3 with "
               "stride 1 and dilations less than the map";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "serves channels first";
    if (!CV_(plain_weights)(p))
        return "takes contiguous weights";
    CV_(dw_map) j;
    CV_(dw_sizes)(&j, problem);
    return (j.columns - j.inner) * (ptrdiff_t)sizeof *j.column <= CV_DW_COLUMNS
               ? NULL
               : "serves rows of some thousand vectors at most";
}

CV_ONCE double CV_(dw_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const int pair = CV_(dw_paired)(p);
    const double vecs = pair ? 0.5 : (double)((p->out[2] + VL - 1) / VL),
                 rows = (double)(p->n * p->groups * p->out[1]);
    const double k = (double)p->k[2], load = p->stride[2] == 1 ? k : 3.5 * k;
    const double shared = !pair ? 1 : CV_CHEAP_MASKS ? 1.7 : 3;
    /* loads under masks at both ends of a row, and under stride 2 their shuffles, which nothing
     * hides in a column of one vector */
    const double ends = CV_MIN2(2 / vecs, 1);
    const double each = p->stride[2] == 1 ? 0.18 + 0.37 * ends : 0.75 + 0.85 * ends;
    const int along = CV_(dw_inside)(p, (ptrdiff_t)vecs - 2);
    const double alone = CV_CHEAP_MASKS || along ? 0 : each * k;
    /* narrow columns of rows that share a cache set, or of planes that are far */
    const int share = CV_REGISTERS != 32 && p->xs[3] * (ptrdiff_t)sizeof(T) % 4096 == 0;
    const int far = CV_(dw_bytes)(p->in[1], p->xs[3]) > CV_DW_FAR;
    const double lines = far ? 0.07 * CV_VB * k * (double)p->stride[2] : 0,
                 sets = !share ? 0 : p->k[2] == 7 ? 5 : 0.1 * k;
    const double vector = k * k / (0.9 * CV_PACE) + (0.6 * load + 2) / CV_PACE + alone +
                          (along ? 0 : lines + sets);
    /* each phase of the dilation begins with k - 1 rows that end no output, all under masks */
    const double phase = (double)p->out[1] / (double)p->dil[1];
    const double phases =
        cv_depthwise_apart(p) ? 1.3 * (phase + (p->dil[1] > 1) * (k - 1)) / phase : 1;
    return 300 + shared * rows * vecs * vector * phases;
}

CV_ONCE void CV_(dw_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(dw_map) *j = CV_JOB(plan, CV_(dw_map));
    CV_(dw_sizes)(j, problem);
    plan->threads = j->threads;
    plan->ends = CV_(endable)(&problem->conv);
    /* as if none went along rows: those of the borders of an image may not, and take no more */
    const ptrdiff_t all = CV_MIN2(j->columns * (ptrdiff_t)sizeof *j->column, CV_DW_COLUMNS);
    plan->tables = CV_ROUND64(all);
}

CV_ONCE void CV_(dw_fill)(cv_plan *plan) {
    CV_(dw_map) *j = CV_JOB(plan, CV_(dw_map));
    j->column = (CV_(dw_column) *)plan->table;
    CV_(dw_columns)(j);
}

static int CV_(dw_run)(const cv_plan *plan, const cv_call *call) {
    CV_(dw_map) j = *CV_JOB(plan, CV_(dw_map));
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    j.ending = CV_(ending_of)(call);
    const int status = cv_parallel(CV_(dw_task), &j, j.plane_pieces * j.row_pieces, j.threads);
    if (status == CV_OK)
        CV_(poison)(&j.p, j.w, j.y);
    return status;
}

CV_ROW(depthwise_rows) = {CV_(dw_fits), CV_(dw_cost), CV_(dw_plan),
                          CV_(dw_fill), NULL,         CV_(dw_run)};
#endif
