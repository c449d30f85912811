/* Gradients in the input, and transposed convolutions, of one input channel to a group and stride 2
 * along the rows.
 *
 * Elements 2l and 2l+1 of a row of x take outputs l + d under the taps lo - 2d and lo + 1 - 2d, for
 * every d that has such taps: whole vectors of outputs are loaded once for both, and both sums are
 * interleaved in registers.  On the other axes any stride serves: a row of x knows its taps.  With
 * channels last, lanes are channels, and each element of a row sums what it takes.
 */
#ifndef CV_DEPTHWISE_TRANSPOSED
#define CV_DEPTHWISE_TRANSPOSED
#include "../direct/lanes.tmpl.h"

#define CV_UP_NV 4     /* vectors of pairs side by side, at most */
#define CV_UP_TAPS 15  /* of a row, at most */
#define CV_UP_SHIFTS 8 /* numbers d that so many taps have */
#define CV_UP_ROWS 32  /* rows of x per strip, as for depthwise_rows */
#define CV_UP_LAST (CV_VB < 64 ? 4 * VL : 2 * VL) /* channels side by side, where they come last */

#ifndef CV_UP_TERM
#define CV_UP_TERM
/* A row of outputs that a row of x takes, and the row of taps it takes it under: from the first of
 * a plane, and from those of a channel. */
typedef struct {
    ptrdiff_t y, w;
} cv_up_term;

/* A row of x, and the first of its terms; the last one's follow the row. */
typedef struct {
    ptrdiff_t x, term;
} cv_up_row;

/* The highest and the lowest number d that has taps. */
static ptrdiff_t cv_up_high(const cv_conv *p) { return (p->lo[2] + 1) / 2; }
static ptrdiff_t cv_up_low(const cv_conv *p) {
    return cv_up_high(p) - (p->k[2] + (p->lo[2] & 1) - 1) / 2;
}

/* Products of rows along an axis: outputs under a tap that reach an element. */
static double cv_up_terms(const cv_conv *p, int axis) {
    double all = 0;
    for (ptrdiff_t k = 0; k < p->k[axis]; k++) {
        ptrdiff_t lo, hi;
        cv_lanes(k * p->dil[axis] - p->lo[axis], p->stride[axis], p->in[axis], p->out[axis], &lo,
                 &hi);
        all += (double)(hi - lo);
    }
    return all;
}

/* The terms of row (z, y) of x, from t on; returns what follows them. */
static cv_up_term *cv_up_terms_of(const cv_conv *p, ptrdiff_t z, ptrdiff_t y, cv_up_term *t) {
    const ptrdiff_t taps = p->k[0] * p->k[1];
    for (ptrdiff_t i = 0; i < p->ocg * taps; i++) {
        const ptrdiff_t oc = i / taps, kz = i / p->k[1] % p->k[0], ky = i % p->k[1];
        const ptrdiff_t az = z + p->lo[0] - kz * p->dil[0], ay = y + p->lo[1] - ky * p->dil[1];
        const ptrdiff_t oz = az / p->stride[0], oy = ay / p->stride[1];
        if (az >= 0 && ay >= 0 && oz * p->stride[0] == az && oy * p->stride[1] == ay &&
            oz < p->out[0] && oy < p->out[1])
            *t++ = (cv_up_term){oc * p->ys[1] + oz * p->ys[2] + oy * p->ys[3], i * p->k[2]};
    }
    return t;
}
#endif

/* Four, two or one vectors of pairs from pair `first` on.  The last column, or the last vector of
 * the only one, overlaps the one before rather than end beyond the row. */
typedef struct {
    ptrdiff_t first, last;                    /* pair, and outputs from it to the last vector */
    ptrdiff_t stored;                         /* elements of the last vector's pairs */
    int whole;                                /* whether all outputs that they meet exist */
    CV_LANE_SET sets[CV_UP_SHIFTS][CV_UP_NV]; /* else those that do, by d from the highest down */
} CV_(up_column);

typedef struct {
    cv_conv p;
    const T *w, *y; /* w: turned round, [tap][channel], where channels come last */
    T *x;
    int threads;
    ptrdiff_t planes, plane_pieces, row_pieces, columns;
    int nv; /* vectors of each column */
    const cv_up_row *row;
    const cv_up_term *term;
} CV_(up_map);

/* Outputs at y by the weights of both elements of each pair, or of one of them. */
CV_INLINE void CV_(up_add)(const int nv, const int masked, const int even, const int odd,
                           const CV_LANE_SET *set, ptrdiff_t last, const T *y, const T *w,
                           vec (*acc)[CV_UP_NV]) {
    const vec a = CV_(set1)(even ? w[0] : 0), b = CV_(set1)(odd ? w[1] : 0);
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const T *from = y + (i == nv - 1 ? last : i * VL);
        const vec v =
            masked && (i == 0 || i == nv - 1) ? CV_(load_set)(from, set[i]) : CV_(load)(from);
        if (even)
            acc[0][i] += a * v;
        if (odd)
            acc[1][i] += b * v;
    }
}

/* So many rows of a plane of x, from the first output and the weights of its channel. */
CV_INLINE void CV_(up)(const int nv, const int masked, const CV_(up_map) *j,
                       const CV_(up_column) *column, const T *y, const T *w, T *x,
                       const cv_up_row *row, ptrdiff_t rows) {
    const CV_(up_column) own = *column, *c = &own;
    const ptrdiff_t taps = j->p.k[2], lead = j->p.lo[2] & 1;
    const cv_up_term *term = j->term + row->term;
    y += c->first + cv_up_high(&j->p);
    x += 2 * c->first;
    for (; rows > 0; rows--, row++) {
        const cv_up_term *end = j->term + row[1].term;
        vec acc[2][CV_UP_NV];
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++)
            acc[0][i] = acc[1][i] = (vec){0};
        for (; term < end; term++) {
            const T *from = y + term->y, *by = w + term->w;
            const CV_LANE_SET *set = c->sets[0];
            if (lead) {
                CV_(up_add)(nv, masked, 0, 1, set, c->last, from, by - 1, acc);
                set += CV_UP_NV;
                from--;
                by++;
            }
            CV_UNROLL(1)
            for (ptrdiff_t k = taps - lead; k > 1; k -= 2, set += CV_UP_NV, from--, by += 2)
                CV_(up_add)(nv, masked, 1, 1, set, c->last, from, by, acc);
            if ((taps - lead) & 1)
                CV_(up_add)(nv, masked, 1, 0, set, c->last, from, by, acc);
        }
        T *to = x + row->x;
        CV_UNROLL(4)
        for (int i = 0; i < nv - 1; i++) {
            CV_(store)(to + 2 * i * VL, CV_(zip_low)(acc[0][i], acc[1][i]));
            CV_(store)(to + 2 * i * VL + VL, CV_(zip_high)(acc[0][i], acc[1][i]));
        }
        const vec low = CV_(zip_low)(acc[0][nv - 1], acc[1][nv - 1]),
                  high = CV_(zip_high)(acc[0][nv - 1], acc[1][nv - 1]);
        to += 2 * c->last;
        if (c->stored == 2 * VL) {
            CV_(store)(to, low);
            CV_(store)(to + VL, high);
        } else if (c->stored >= VL) {
            CV_(store)(to, low);
            CV_(store_n)(to + VL, high, c->stored - VL);
        } else {
            CV_(store_n)(to, low, c->stored);
        }
    }
}

typedef void (*CV_(up_fn))(const CV_(up_map) *, const CV_(up_column) *, const T *, const T *, T *,
                           const cv_up_row *, ptrdiff_t);
#define CV_UP(nv, masked)                                                                        \
    CV_NOINLINE void CV_(up_##nv##_##masked)(const CV_(up_map) *j, const CV_(up_column) *column, \
                                             const T *y, const T *w, T *x, const cv_up_row *row, \
                                             ptrdiff_t rows) {                                   \
        CV_(up)(nv, masked, j, column, y, w, x, row, rows);                                      \
    }
CV_UP(1, 1)
CV_UP(2, 1)
CV_UP(4, 1)
/* By vectors / 2; the last one for four whose outputs all exist, if masks are worth avoiding. */
#if CV_CHEAP_MASKS
static const CV_(up_fn) CV_(ups)[] = {CV_(up_1_1), CV_(up_2_1), CV_(up_4_1)};
#else
CV_UP(4, 0)
static const CV_(up_fn) CV_(ups)[] = {CV_(up_1_1), CV_(up_2_1), CV_(up_4_1), CV_(up_4_0)};
#endif
#undef CV_UP

static CV_(up_column) CV_(up_column_at)(const CV_(up_map) *j, ptrdiff_t i) {
    const cv_conv *p = &j->p;
    const ptrdiff_t pairs = (p->in[2] + 1) / 2, wide = j->nv * VL;
    CV_(up_column) c = {.first = i * wide, .last = wide - VL};
    if (j->columns > 1)
        c.first = CV_MIN2(c.first, pairs - wide);
    else
        c.last = CV_MAX2(0, CV_MIN2(c.last, pairs - VL));
    const ptrdiff_t end = c.first + c.last;
    c.stored = CV_MIN2(2 * VL, p->in[2] - 2 * end);
    const ptrdiff_t high = cv_up_high(p), low = cv_up_low(p);
    c.whole = !CV_CHEAP_MASKS && j->nv == 4 && c.first + low >= 0 && end + VL + high <= p->out[2];
    for (ptrdiff_t d = high; d >= low && !c.whole; d--) {
        for (int v = 0; v < j->nv; v++) {
            const ptrdiff_t at = (v == j->nv - 1 ? end : c.first + v * VL) + d;
            c.sets[high - d][v] = CV_(lane_set)(-at, p->out[2] - at);
        }
    }
    return c;
}

static void CV_(up_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(up_map) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t rc = unit % j->row_pieces, pc = unit / j->row_pieces;
    const ptrdiff_t all = p->in[0] * p->in[1], end = cv_part(all, j->row_pieces, rc + 1);
    const ptrdiff_t p0 = cv_part(j->planes, j->plane_pieces, pc),
                    p1 = cv_part(j->planes, j->plane_pieces, pc + 1);
    double work = 0;
    (void)worker;
    for (ptrdiff_t q0 = p0, q1; q0 < p1; q0 = q1) {
        /* lines of a plane stay near */
        q1 = j->columns > 1 ? q0 + 1 : p1;
        for (ptrdiff_t r = cv_part(all, j->row_pieces, rc), rows; r < end; r += rows) {
            rows = CV_MIN2(CV_UP_ROWS, end - r);
            for (ptrdiff_t i = 0; i < j->columns; i++) {
                const CV_(up_column) column = CV_(up_column_at)(j, i);
                for (ptrdiff_t q = q0; q < q1; q++) {
                    const ptrdiff_t n = q / p->groups, c = q % p->groups;
                    CV_(ups)[column.whole ? 3 : j->nv / 2](
                        j, &column, j->y + n * p->ys[0] + c * p->ocg * p->ys[1],
                        j->w + c * p->ocg * cv_taps(p), j->x + n * p->xs[0] + c * p->xs[1],
                        j->row + r, rows);
                    if (cv_stop_after(&work, (double)(rows * j->nv * VL * p->ocg * cv_taps(p))))
                        return;
                }
            }
        }
    }
}

/* A row of x, channels last, from the first output of an image. */
CV_NOINLINE void CV_(up_pixels)(const CV_(up_map) *j, const cv_up_row *row, const T *y, T *x) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < p->in[2]; i++, x += p->xs[4]) {
        const ptrdiff_t at = i + p->lo[2]; /* every other tap meets an output that exists */
        const ptrdiff_t k0 = CV_MAX2(at & 1, at - 2 * (p->out[2] - 1)),
                        k1 = CV_MIN2(at, p->k[2] - 1);
        for (ptrdiff_t c = 0; c < p->groups; c += CV_UP_LAST) {
            c = CV_MIN2(c, p->groups - CV_UP_LAST); /* the last ones may be done once more */
            vec acc[CV_UP_LAST / VL] = {{0}};
            for (ptrdiff_t t = row[0].term; t < row[1].term; t++) {
                const T *from = y + j->term[t].y + (at - k0) / 2 * p->ys[4] + c,
                        *w = j->w + (j->term[t].w + k0) * p->groups + c;
                for (ptrdiff_t k = k0; k <= k1; k += 2, from -= p->ys[4], w += 2 * p->groups) {
                    for (int v = 0; v < CV_UP_LAST / VL; v++)
                        acc[v] += CV_(load)(from + v * VL) * CV_(load)(w + v * VL);
                }
            }
            for (int v = 0; v < CV_UP_LAST / VL; v++)
                CV_(store)(x + c + v * VL, acc[v]);
        }
    }
}

static void CV_(up_last_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(up_map) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t rows = p->in[0] * p->in[1], all = p->n * rows;
    (void)worker;
    for (ptrdiff_t i = cv_part(all, j->row_pieces, unit); i < cv_part(all, j->row_pieces, unit + 1);
         i++) {
        const cv_up_row *row = j->row + i % rows;
        CV_(up_pixels)(j, row, j->y + i / rows * p->ys[0], j->x + i / rows * p->xs[0] + row->x);
    }
}

/* ---- the row */

static int CV_(up_last)(const cv_conv *p) {
    return p->ocg == 1 && p->xs[1] == 1 && p->ys[1] == 1 && p->groups >= CV_UP_LAST;
}

CV_ONCE const char *CV_(up_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (p->icg != 1)
        return "serves groups of one input channel";
    if (p->stride[2] != 2 || p->dil[2] != 1)
        return "serves stride 2 and dilation 1 along the rows";
    if (p->k[2] > CV_UP_TAPS)
        return "serves windows of at most 15 columns";
    if (((p->in[2] > 1 && p->xs[4] != 1) || (p->out[2] > 1 && p->ys[4] != 1)) &&
        !CV_(up_last)(p))
        return "serves channels first, or last and depthwise, some vectors of them";
    return CV_(plain_weights)(p) ? NULL : "takes contiguous weights";
}

CV_ONCE double CV_(up_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)(((p->in[2] + 1) / 2 + VL - 1) / VL);
    const double rows = (double)(p->n * p->groups * p->in[0] * p->in[1]);
    const double taps = (double)(p->ocg * cv_taps(p)) / (double)(p->stride[0] * p->stride[1]);
    if (CV_(up_last)(p))
        return 300 + rows * (double)p->in[2] / VL * (3 + 0.8 * taps) / CV_PACE;
    /* loads limit, wide vectors cross lines; a store of some lanes of the only vector waits */
    const double each = CV_CHEAP_MASKS ? 1.4 : 2.1, ends = CV_CHEAP_MASKS ? 8 : 6;
    const double start = CV_CHEAP_MASKS || p->in[2] >= 2 * VL ? 2.5 : 7.5;
    return 300 + rows * (start + vecs * (ends + each * taps) / CV_PACE);
}

CV_ONCE void CV_(up_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(up_map) *j = CV_JOB(plan, CV_(up_map));
    const cv_conv *p = &problem->conv;
    *j = (CV_(up_map)){.p = *p, .threads = problem->threads, .planes = p->n * p->groups};
    const ptrdiff_t rows = p->in[0] * p->in[1], pairs = (p->in[2] + 1) / 2,
                    vecs = (pairs + VL - 1) / VL;
    /* of four, those in the middle load outputs that exist */
    const ptrdiff_t end = (vecs > 4 ? pairs - VL : 3 * VL) + cv_up_high(p);
    const int four = vecs >= 4 && cv_up_low(p) >= -VL && end <= p->out[2];
    j->nv = four ? 4 : vecs >= 2 ? 2 : 1;
    j->columns = (vecs + j->nv - 1) / j->nv;
    const double elements = (double)(j->planes * rows) * (double)p->in[2];
    const int last = CV_(up_last)(p);
    cv_cut(cv_products(p) + elements, &j->threads, last ? 1 : j->planes,
           last ? p->n * rows : (rows + 7) / 8, &j->plane_pieces, &j->row_pieces);
    plan->scratch = last ? cv_taps(p) * p->groups * (ptrdiff_t)sizeof(T) : 0;
    plan->threads = j->threads;
    const double terms = (double)p->ocg * cv_up_terms(p, 0) * cv_up_terms(p, 1);
    plan->tables = CV_ROUND64((rows + 1) * (ptrdiff_t)sizeof *j->row +
                              (ptrdiff_t)terms * (ptrdiff_t)sizeof *j->term);
}

CV_ONCE void CV_(up_fill)(cv_plan *plan) {
    CV_(up_map) *j = CV_JOB(plan, CV_(up_map));
    const cv_conv *p = &j->p;
    const ptrdiff_t rows = p->in[0] * p->in[1];
    cv_up_row *row = (cv_up_row *)plan->table;
    cv_up_term *const term = (cv_up_term *)(row + rows + 1), *t = term;
    j->row = row;
    j->term = term;
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t z = r / p->in[1], y = r % p->in[1];
        row[r] = (cv_up_row){z * p->xs[2] + y * p->xs[3], t - term};
        t = cv_up_terms_of(p, z, y, t);
    }
    row[rows] = (cv_up_row){0, t - term};
}

static int CV_(up_run)(const cv_plan *plan, const cv_call *call) {
    CV_(up_map) j = *CV_JOB(plan, CV_(up_map));
    j.x = (T *)call->x;
    j.w = call->w;
    j.y = call->y;
    const int last = CV_(up_last)(&j.p);
    if (last) {
        CV_(turn_weights)(call->w, cv_taps(&j.p), j.p.groups, j.p.groups, (T *)call->scratch);
        j.w = (T *)call->scratch;
    }
    return cv_parallel(last ? CV_(up_last_task) : CV_(up_task), &j, j.plane_pieces * j.row_pieces,
                       j.threads);
}

CV_ROW(depthwise_transposed) = {CV_(up_fits), CV_(up_cost), CV_(up_plan),
                                CV_(up_fill), NULL,         CV_(up_run)};
#endif
