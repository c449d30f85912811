/* Depthwise 3x3, 5x5 and 7x7, stride 1 or 2.
 *
 * A column of a few vectors runs down the plane.  Each input row is loaded once and adds to every
 * output row whose window holds it; those stay in registers, for 3x3 with the weights.  Where a row
 * fills at most half a vector, two planes share it, one in each half.
 */
#ifndef CV_DEPTHWISE_ROWS
#define CV_DEPTHWISE_ROWS
#include "../direct/lanes.tmpl.h"
#include "../layout/ending.tmpl.h"
#include "window.h"

#define CV_WNV (CV_REGISTERS == 32 ? 4 : 2) /* vectors side by side, at most */
/* output rows per strip: a column's lines stay in the first-level cache for the next column */
#define CV_DW_ROWS 32
#define CV_DW_COLUMNS (256 << 10) /* bytes of lanes of all columns, at most */

/* Vectors side by side, and by tap the lanes whose input exists: only the outer vectors may touch
 * the padding. */
typedef struct {
    ptrdiff_t ox, last; /* first output; lanes of the last vector that are outputs */
    int nv, masked;
    CV_(lanes) left[7], right[7];
} CV_(dw_column);

/* A column of so many planes, one after the other. */
typedef struct {
    const T *x, *w, *bias; /* bias may be NULL */
    T *y;
    ptrdiff_t planes, xplane, yplane; /* and elements between them */
    ptrdiff_t iy, rows;               /* first input row, may lie in the padding; output rows */
    ptrdiff_t height, lo, xpitch, ypitch;
    const CV_(dw_column) *column;
} CV_(dw_job);

/* Lanes of the first of two planes that share a vector. */
static const CV_INT(CV_BITS) CV_(dw_low)[VL]
    __attribute__((aligned(CV_VB))) = {[0 ... VL / 2 - 1] = -1};

/* The vectors under tap kx of a row at p (whose partner is `other` elements on), and for stride 2
 * under the next in w. */
CV_INLINE void CV_(dw_fetch)(const int nv, const int s, const int pair, const int masked,
                             const CV_(dw_column) *c, int kx, const T *p, ptrdiff_t other, vec *v,
                             vec *w) {
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const CV_(lanes) *q = (i ? c->right : c->left) + kx;
        const int m = masked && (i == 0 || i == nv - 1);
        const T *x = p + kx + i * s * VL, *y = pair ? x + other : x + VL;
        const vec a = m ? CV_(load_some)(x, q->a) : CV_(load)(x);
        if (s == 2) {
            const vec b = m ? CV_(load_some)(y, q->b) : CV_(load)(y);
            v[i] = pair ? CV_(even)(a, b) : CV_(evens)(a, b);
            w[i] = pair ? CV_(odd)(a, b) : CV_(odds)(a, b);
        } else {
            v[i] = pair ? (vec)((ivec)a | (ivec)CV_(load_some)(y - VL / 2, q->b)) : a;
        }
    }
}

/* One input row: its outputs are `depth` rows, newest first; row d takes the kernel row s * d +
 * first. */
CV_INLINE void CV_(dw_row)(const int k, const int nv, const int s, const int pair, const int masked,
                           const int first, const CV_(dw_column) *c, const T *p, ptrdiff_t other,
                           const T *w, const vec *ready, vec (*acc)[CV_WNV]) {
    vec v[CV_WNV], next[CV_WNV];
    CV_UNROLL(7)
    for (int kx = 0; kx < k; kx++) {
        if (s == 1 || kx % 2 == 0)
            CV_(dw_fetch)(nv, s, pair, masked, c, kx, p, other, v, next);
        CV_UNROLL(7)
        for (int d = 0; d * s + first < k; d++) {
            const int at = (d * s + first) * k + kx;
            const vec a = pair || k == 3 ? ready[at] : CV_(set1)(w[at]);
            CV_UNROLL(4)
            for (int i = 0; i < nv; i++)
                acc[d][i] += a * (s == 2 && kx % 2 ? next[i] : v[i]);
        }
    }
}

CV_INLINE void CV_(dw_store)(const int nv, const int s, const int pair, const CV_(dw_column) *c,
                             T *y, ptrdiff_t other, vec bias, const vec *acc) {
    vec v[CV_WNV];
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        v[i] = acc[i] + bias;
        if (s == 2 && !pair)
            v[i] = CV_(in_order)(v[i]);
    }
    CV_UNROLL(4)
    for (int i = 0; i < nv - 1; i++)
        CV_(store)(y + i * VL, v[i]);
    const vec r = v[nv - 1];
    CV_(store_n)(y + (nv - 1) * VL, r, c->last);
    if (pair)
        CV_(store_n)(y + other, CV_SLIDE(r, r, VL / 2), c->last);
}

/* The job and its column are copies of this function's own: no store can change them, so masks stay
 * in registers. */
CV_INLINE void CV_(dw)(const int k, const int nv, const int s, const int pair, const int masked,
                       const CV_(dw_job) *job) {
    const CV_(dw_job) own = *job, *t = &own;
    const CV_(dw_column) column = *job->column, *c = &column;
    const ivec low = *(const ivec *)CV_(dw_low);
    const T *x = t->x + c->ox * s - t->lo, *w = t->w, none = 0, *bias = t->bias ? t->bias : &none;
    T *y = t->y + c->ox;
    const int deep = (k - 1) / s; /* output rows that an input row adds to, less one */
    for (ptrdiff_t plane = 0; plane < t->planes; plane += 1 + pair) {
        /* a last one alone is its own partner */
        const ptrdiff_t mate = pair && plane + 1 < t->planes;
        const ptrdiff_t xo = mate * t->xplane, yo = mate * t->yplane;
        vec ready[49], b = CV_(set1)(bias[0]), acc[7][CV_WNV];
        if (pair || k == 3) {
            CV_UNROLL(49)
            for (int i = 0; i < k * k; i++) {
                ready[i] = CV_(set1)(w[i]);
                if (pair)
                    ready[i] = CV_(select)(low, ready[i], CV_(set1)(w[k * k * mate + i]));
            }
        }
        if (pair)
            b = CV_(select)(low, b, CV_(set1)(bias[t->bias ? mate : 0]));
        CV_UNROLL(7)
        for (int d = 0; d <= deep; d++) {
            CV_UNROLL(4)
            for (int i = 0; i < nv; i++)
                acc[d][i] = (vec){0};
        }
        T *to = y;
        for (ptrdiff_t j = 0, iy = t->iy; j < t->rows + deep; j++, iy += s) {
            if (iy >= 0 && iy < t->height)
                CV_(dw_row)(k, nv, s, pair, masked, 0, c, x + iy * t->xpitch, xo, w, ready, acc);
            if (j >= deep) {
                CV_(dw_store)(nv, s, pair, c, to, yo, b, acc[deep]);
                to += t->ypitch;
            }
            if (s == 2 && iy + 1 >= 0 && iy + 1 < t->height)
                CV_(dw_row)(k, nv, s, pair, masked, 1, c, x + (iy + 1) * t->xpitch, xo, w, ready,
                            acc);
            CV_UNROLL(7)
            for (int d = deep; d >= 0; d--) {
                CV_UNROLL(4)
                for (int i = 0; i < nv; i++)
                    acc[d][i] = d ? acc[d - 1][i] : (vec){0};
            }
        }
        x += (1 + pair) * t->xplane;
        y += (1 + pair) * t->yplane;
        w += k * k * (1 + pair);
        if (t->bias)
            bias += 1 + pair;
    }
}

/* By [stride][touching the padding, or shared by two planes][vectors]. */
typedef void (*CV_(dw_fn))(const CV_(dw_job) *);
#define CV_DW(k, nv, s, pair, masked)                                                     \
    CV_NOINLINE void CV_(dw_##k##_##nv##_##s##_##pair##_##masked)(const CV_(dw_job) *t) { \
        CV_(dw)(k, nv, s, pair, masked, t);                                               \
    }
/* Vectors side by side: sums of one alone wait for each other, those of many leave no registers. */
#define CV_DW_1(each, k, s, m) each(k, 1, s, m)
#define CV_DW_2(each, k, s, m) CV_DW_1(each, k, s, m) each(k, 2, s, m)
#define CV_DW_4(each, k, s, m) CV_DW_2(each, k, s, m) each(k, 3, s, m) each(k, 4, s, m)
#if CV_REGISTERS == 32
#define CV_DW_3_1 CV_DW_4
#define CV_DW_3_2 CV_DW_4
#define CV_DW_5_1 CV_DW_4
#define CV_DW_5_2 CV_DW_4
#define CV_DW_7_1 CV_DW_2
#define CV_DW_7_2 CV_DW_2
#else
#define CV_DW_3_1 CV_DW_2
#define CV_DW_3_2 CV_DW_1
#define CV_DW_5_1 CV_DW_2
#define CV_DW_5_2 CV_DW_2
#define CV_DW_7_1 CV_DW_1
#define CV_DW_7_2 CV_DW_1
#endif
#define CV_DW_DEFINE(k, nv, s, m) CV_DW(k, nv, s, 0, m)
#define CV_DW_NAME(k, nv, s, m) CV_(dw_##k##_##nv##_##s##_0_##m),
#define CV_DW_SET(k, s, m) CV_DW_##k##_##s(CV_DW_DEFINE, k, s, m)
#define CV_DW_ROW(k, s, m) {CV_DW_##k##_##s(CV_DW_NAME, k, s, m)}
#if CV_CHEAP_MASKS /* no second set */
#define CV_DW_ALL(k)                                           \
    CV_DW_SET(k, 1, 1) CV_DW_SET(k, 2, 1) CV_DW(k, 1, 1, 1, 1) \
    CV_DW(k, 1, 2, 1, 1)
#define CV_DW_PLAIN(k, s) CV_DW_ROW(k, s, 1)
#else
#define CV_DW_ALL(k)                                           \
    CV_DW_SET(k, 1, 1) CV_DW_SET(k, 2, 1) CV_DW(k, 1, 1, 1, 1) \
    CV_DW(k, 1, 2, 1, 1)                                       \
    CV_DW_SET(k, 1, 0) CV_DW_SET(k, 2, 0)
#define CV_DW_PLAIN(k, s) CV_DW_ROW(k, s, 0)
#endif
#define CV_DW_TABLE(k)                                                       \
    {                                                                        \
        {CV_DW_PLAIN(k, 1), CV_DW_ROW(k, 1, 1), {CV_(dw_##k##_1_1_1_1)}}, {  \
            CV_DW_PLAIN(k, 2), CV_DW_ROW(k, 2, 1), { CV_(dw_##k##_1_2_1_1) } \
        }                                                                    \
    }
CV_DW_ALL(3)
CV_DW_ALL(5)
CV_DW_ALL(7)
static const CV_(dw_fn) CV_(dws)[3][2][3][CV_WNV] = {CV_DW_TABLE(3), CV_DW_TABLE(5),
                                                     CV_DW_TABLE(7)};
#undef CV_DW
#undef CV_DW_1
#undef CV_DW_2
#undef CV_DW_4
#undef CV_DW_3_1
#undef CV_DW_3_2
#undef CV_DW_5_1
#undef CV_DW_5_2
#undef CV_DW_7_1
#undef CV_DW_7_2
#undef CV_DW_DEFINE
#undef CV_DW_NAME
#undef CV_DW_SET
#undef CV_DW_ROW
#undef CV_DW_ALL
#undef CV_DW_PLAIN
#undef CV_DW_TABLE

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    CV_(ending) ending;
    int pair, threads;
    ptrdiff_t planes, plane_pieces, row_pieces, columns;
    CV_(dw_column) *column;
} CV_(dw_map);

/* Output rows r .. r+rows-1 of planes p0 .. p1-1, which belong to one image. */
static void CV_(dw_strip)(const CV_(dw_map) *j, ptrdiff_t p0, ptrdiff_t p1, ptrdiff_t r,
                          ptrdiff_t rows) {
    const cv_conv *p = &j->p;
    const ptrdiff_t g = p0 % p->groups, n = p0 / p->groups;
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
    };
    for (ptrdiff_t i = 0; i < j->columns; i++) {
        t.column = j->column + i;
        CV_(dws)[p->k[2] / 2 - 1][p->stride[2] - 1][j->pair ? 2 : t.column->masked]
                [t.column->nv - 1](&t);
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
        p1 = j->columns > 1 ? p0 + 1 : CV_MIN2(end, (p0 / p->groups + 1) * p->groups);
        for (ptrdiff_t r = r0; r < r1; r += CV_DW_ROWS)
            CV_(dw_strip)(j, p0, p1, r, CV_MIN2(CV_DW_ROWS, r1 - r));
    }
}

/* Lanes of the vector whose first output is ox, under tap kx. */
static CV_(lanes) CV_(dw_lanes)(const CV_(dw_map) *j, ptrdiff_t ox, ptrdiff_t kx) {
    const cv_conv *p = &j->p;
    const ptrdiff_t s = p->stride[2], ix = ox * s + kx - p->lo[2], half = VL / 2;
    ptrdiff_t a0, a1, b0, b1;
    if (!j->pair)
        return CV_(lanes_of)(p, ox, kx);
    cv_lanes(ix, 1, p->in[2], s == 1 ? half : VL, &a0, &a1);
    b0 = s == 1 ? a0 + half : a0;
    b1 = s == 1 ? a1 + half : a1;
    return CV_(lanes_in)(a0, a1, b0, b1, 0, 0);
}

static void CV_(dw_columns)(CV_(dw_map) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL, s = p->stride[2];
    for (ptrdiff_t i = 0; i < j->columns; i++) {
        CV_(dw_column) *c = j->column + i;
        const ptrdiff_t v0 = i * vecs / j->columns, v1 = (i + 1) * vecs / j->columns;
        c->ox = v0 * VL;
        c->nv = (int)(v1 - v0);
        c->last = CV_MIN2(VL, p->out[2] - (v1 - 1) * VL);
        c->masked = c->ox * s < p->lo[2] || v1 * VL * s - p->lo[2] + p->k[2] - 1 > p->in[2];
        for (int kx = 0; kx < p->k[2]; kx++) {
            c->left[kx] = CV_(dw_lanes)(j, c->ox, kx);
            c->right[kx] = CV_(dw_lanes)(j, (v1 - 1) * VL, kx);
        }
    }
}

/* ---- the row */

static void CV_(dw_sizes)(CV_(dw_map) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    *j = (CV_(dw_map)){.p = *p, .threads = problem->threads, .planes = p->n * p->groups};
    /* inner vectors load unmasked */
    const ptrdiff_t inner = (vecs - 1) * VL - 1,
                    end = (inner + 1) * p->stride[2] - p->lo[2] + p->k[2] - 1;
    const CV_(dw_fn) *fns = CV_(dws)[p->k[2] / 2 - 1][p->stride[2] - 1][0];
    ptrdiff_t most = p->lo[2] <= VL && end <= p->in[2] ? CV_WNV : 2;
    while (!fns[most - 1])
        most--;
    j->pair = j->planes > 1 && 2 * p->out[2] <= VL;
    j->columns = (vecs + most - 1) / most;
    const ptrdiff_t planes = (j->planes + j->pair) / (1 + j->pair);
    cv_cut(cv_products(p), &j->threads, planes, (p->out[1] + 7) / 8, &j->plane_pieces,
           &j->row_pieces);
}

CV_ONCE const char *CV_(dw_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (!cv_depthwise_window(p))
        return "serves depthwise windows of 3x3, 5x5 and 7x7 with stride 1 or 2";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "serves channels first";
    if (!CV_(plain_weights)(p))
        return "takes contiguous weights";
    CV_(dw_map) j;
    CV_(dw_sizes)(&j, problem);
    return j.columns * (ptrdiff_t)sizeof *j.column <= CV_DW_COLUMNS
               ? NULL
               : "serves rows of some thousand vectors at most";
}

CV_ONCE double CV_(dw_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const int pair = p->n * p->groups > 1 && 2 * p->out[2] <= VL;
    const double vecs = pair ? 0.5 : (double)((p->out[2] + VL - 1) / VL),
                 rows = (double)(p->n * p->groups * p->out[1]);
    const double k = (double)p->k[2], load = p->stride[2] == 1 ? k : 3.5 * k;
    const double shared = !pair ? 1 : CV_CHEAP_MASKS ? 1.7 : 3;
    /* loads under masks at both ends of a row, and under stride 2 their shuffles, which nothing
     * hides in a column of one vector */
    const double ends = CV_MIN2(2 / vecs, 1);
    const double each = p->stride[2] == 1 ? 0.18 + 0.37 * ends : 0.75 + 0.85 * ends;
    const double alone = CV_CHEAP_MASKS ? 0 : each * k;
    /* narrow columns of rows that share a cache set */
    const int share = CV_REGISTERS != 32 && p->xs[3] * (ptrdiff_t)sizeof(T) % 4096 == 0;
    const double sets = !share ? 0 : p->k[2] == 7 ? 5 : 0.1 * k;
    const double vector = k * k / (0.9 * CV_PACE) + (0.6 * load + 2) / CV_PACE + alone + sets;
    return 300 + shared * rows * vecs * vector;
}

CV_ONCE void CV_(dw_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(dw_map) *j = CV_JOB(plan, CV_(dw_map));
    CV_(dw_sizes)(j, problem);
    plan->threads = j->threads;
    plan->ends = CV_(endable)(&problem->conv);
    plan->tables = CV_ROUND64(j->columns * (ptrdiff_t)sizeof *j->column);
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
