/* Windows of 2, 3 or 5 neighbouring rows and columns, stride 1: no scratch plane at all.
 *
 * A strip of some vectors of columns goes down the plane.  A row of the image comes in once, is
 * joined with what is kept of the rows before it, and the columns are joined by sliding in
 * registers.  Which lanes exist depends on the strip alone. Extremes that need not heed NaN take
 * half the instructions: a strip that turns out to hold one is done again.
 *
 * All heed a frame, see framed_strips.tmpl.h.
 */
#ifndef CV_POOL_STRIPS
#define CV_POOL_STRIPS
#include "window_rows.tmpl.h"

#if CV_CHEAP_MASKS && CV_REGISTERS == 32
#define CV_STRIP_VECTORS 3 /* as registers allow */
#else
#define CV_STRIP_VECTORS 2
#endif
#define CV_STRIP_ROWS 64 /* of a copy, which stays in the nearest cache */

/* What a strip keeps of the rows above, for one vector of columns: the last row; joins of two rows,
 * oldest first. */
typedef struct {
    vec row, pairs[3];
} CV_(above);

/* Take in a row, return the join of the last k. */
CV_INLINE vec CV_(take_row)(const int kind, const int nan_free, const int k, CV_(above) *a,
                            vec row) {
    const vec pair = CV_(meet)(kind, nan_free, a->row, row);
    vec v = k == 2 ? pair : CV_(meet)(kind, nan_free, a->pairs[0], row);
    if (k == 5)
        v = CV_(meet)(kind, nan_free, CV_(meet)(kind, nan_free, a->pairs[0], a->pairs[2]), row);
    a->row = row;
    a->pairs[0] = k == 5 ? a->pairs[1] : pair;
    a->pairs[1] = a->pairs[2];
    a->pairs[2] = pair;
    return v;
}

/* to[q] = k neighbouring lanes of v from each lane of v[q] on, q < nv; v[nv] is `start` unless
 * `next`. */
CV_INLINE void CV_(slide)(const int kind, const int nan_free, const int k, const int nv,
                          const int next, const vec *v, vec *to) {
    vec pairs[4];
    pairs[nv] = v[nv];
    if (next)
        pairs[nv] = CV_(meet)(kind, nan_free, v[nv], CV_SLIDE(v[nv], CV_(set1)(CV_START(kind)), 1));
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++)
        pairs[q] = CV_(meet)(kind, nan_free, v[q], CV_SLIDE(v[q], v[q + 1], 1));
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++) {
        to[q] = pairs[q];
        if (k == 3)
            to[q] = CV_(meet)(kind, nan_free, to[q], CV_SLIDE(v[q], v[q + 1], 2));
#if CV_VB * 8 / CV_BITS >= 4
        if (k == 5) {
            to[q] = CV_(meet)(kind, nan_free, to[q], CV_SLIDE(pairs[q], pairs[q + 1], 2));
            to[q] = CV_(meet)(kind, nan_free, to[q], CV_SLIDE(v[q], v[q + 1], 4));
        }
#endif
    }
}

/* What stands beside a row of the image, in the lanes of two vectors from a column on. */
typedef struct {
    CV_LANE_SET left, right[2]; /* the lanes that do not hold it */
    ptrdiff_t from[2];          /* what is repeated, seen from that column, or 0 */
    int filled[2];              /* by the value */
    T value;
} CV_(sides);

CV_INLINE CV_(sides) CV_(sides_of)(const CV_(pool_job) *j, ptrdiff_t ix) {
    const cv_pool *p = &j->p;
    const int64_t *source = j->frame->source[2];
    CV_(sides) s = {.left = CV_(lane_set)(-ix, VL), .value = j->value};
    for (int i = 0; i < 2; i++) {
        const int64_t from = source[i ? p->lo[2] + p->in[2] + p->hi[2] - 1 : 0];
        s.right[i] = CV_(lane_set)(0, p->in[2] - ix - i * VL);
        s.filled[i] = from < 0;
        s.from[i] = from < 0 ? 0 : from - ix;
    }
    return s;
}

CV_INLINE vec CV_(beside)(const CV_(sides) *s, int q, vec row, const T *from) {
    const T *const begin[2] = {from, &s->value};
    row = CV_(fill_set)(row, s->right[q], CV_(set1)(begin[s->filled[1]][s->from[1]]));
    return q ? row : CV_(fill_set)(row, s->left, CV_(set1)(begin[s->filled[0]][s->from[0]]));
}

/* Rows oy .. end-1 of a strip of nv vectors of outputs, from column ox on; returns whether a
 * nan_free one met a NaN.
 * next: whether it needs a vector more of inputs; framed: whether columns of a frame are among
 * them; blank: what stands for rows above and below, of `start` unless there is a frame. */
CV_INLINE int CV_(strip)(const int kind, const int nan_free, const int k, const int nv,
                         const int next, const int framed, const CV_(pool_job) *j, const T *x, T *y,
                         ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end, const T *const *blank) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t ix = ox - j->p.lo[2], in = j->p.in[1], step = j->p.xs[3], ystep = j->p.ys[3];
    const int divided = kind > CV_MIN && j->divided;
    CV_LANE_SET there[4];
    ptrdiff_t wanted[3];
    CV_(divisor) by[3];
    CV_(above) above[4];
    CV_UNROLL(4)
    for (int q = 0; q < nv + 1; q++) {
        there[q] = CV_(lane_set)(-(ix + q * VL), j->p.in[2] - (ix + q * VL));
        above[q] = (CV_(above)){start, {start, start, start}};
    }
    CV_UNROLL(3)
    for (int q = 0; q < nv; q++) {
        wanted[q] = CV_MAX2(0, CV_MIN2(VL, j->p.out[2] - (ox + q * VL)));
        by[q] = divided ? CV_(divisor_at)(j, ox + q * VL) : (CV_(divisor)){.rest = -1};
    }
    CV_FLAGS bad = {0};
    CV_(sides) sides;
    if (framed)
        sides = CV_(sides_of)(j, ix);
    y += ox + oy * ystep;
    x += ix;
    for (ptrdiff_t r = oy - j->p.lo[1], o = oy + 1 - k; o < end; r++, o++) {
        const T *from = (size_t)r < (size_t)in ? x + r * step : blank[r >= 0] + ix;
        vec v[4], result[3];
        v[nv] = start;
        CV_UNROLL(4)
        for (int q = 0; q < nv + next; q++) {
            vec row = CV_(load_set)(from + q * VL, there[q]);
            if (nan_free && !framed)
                bad |= CV_(nans)(row);
            if (kind <= CV_MIN && !framed)
                row = CV_(fill_set)(row, there[q], start);
            if (framed)
                row = CV_(beside)(&sides, q, row, from);
            if (nan_free && framed)
                bad |= CV_(nans)(row);
            v[q] = CV_(take_row)(kind, nan_free, k, &above[q], row);
        }
        if (o < oy)
            continue; /* the first k - 1 rows */
        const ptrdiff_t counted = divided ? CV_(window)(j, 1, o).counted : 0;
        CV_(slide)(kind, nan_free, k, nv, next, v, result);
        CV_UNROLL(3)
        for (int q = 0; q < nv; q++) {
            if (divided) {
                CV_(divide_by)(&by[q], counted);
                result[q] = CV_(quotient)(result[q], &by[q]);
            }
            CV_(store_n)(y + q * VL, result[q], wanted[q]);
        }
        y += ystep;
    }
    return nan_free && CV_(any_flag)(bad);
}

/* A function for each, or the compiler would hold them all in one, and its registers in memory. */
typedef int (*CV_(strip_call))(const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t ox, ptrdiff_t oy,
                               ptrdiff_t end, const T *const *blank);
#define CV_STRIP(how, kind, nan_free, k, nv)                                                 \
    CV_NOINLINE int CV_(strip_##how##_##k##_##nv)(const CV_(pool_job) *j, const T *x, T *y,  \
                                                  ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end, \
                                                  const T *const *blank) {                   \
        const ptrdiff_t ix = ox - j->p.lo[2] + nv * VL;                                      \
        /* rare sums have one way to save code: they load no lane more */                    \
        if ((kind == CV_SUM && k != 3 && nv == 1) ||                                         \
            ix < CV_MIN2(j->p.in[2], j->p.out[2] + k - 1 - j->p.lo[2]))                      \
            return CV_(strip)(kind, nan_free, k, nv, 1, 0, j, x, y, ox, oy, end, blank);     \
        return CV_(strip)(kind, nan_free, k, nv, 0, 0, j, x, y, ox, oy, end, blank);         \
    }
#if CV_STRIP_VECTORS == 3
#define CV_STRIPS(how, kind, nan_free)                                            \
    CV_STRIP(how, kind, nan_free, 2, 1)                                           \
    CV_STRIP(how, kind, nan_free, 2, 2)                                           \
    CV_STRIP(how, kind, nan_free, 2, 3)                                           \
    CV_STRIP(how, kind, nan_free, 3, 1)                                           \
    CV_STRIP(how, kind, nan_free, 3, 2)                                           \
    CV_STRIP(how, kind, nan_free, 3, 3)                                           \
    CV_STRIP(how, kind, nan_free, 5, 1)                                           \
    CV_STRIP(how, kind, nan_free, 5, 2)                                           \
    CV_STRIP(how, kind, nan_free, 5, 3)                                           \
    static const CV_(strip_call) CV_(strips_##how)[3][CV_STRIP_VECTORS] = {       \
        {CV_(strip_##how##_2_1), CV_(strip_##how##_2_2), CV_(strip_##how##_2_3)}, \
        {CV_(strip_##how##_3_1), CV_(strip_##how##_3_2), CV_(strip_##how##_3_3)}, \
        {CV_(strip_##how##_5_1), CV_(strip_##how##_5_2), CV_(strip_##how##_5_3)}};
#else
#define CV_STRIPS(how, kind, nan_free)                                      \
    CV_STRIP(how, kind, nan_free, 2, 1)                                     \
    CV_STRIP(how, kind, nan_free, 2, 2)                                     \
    CV_STRIP(how, kind, nan_free, 3, 1)                                     \
    CV_STRIP(how, kind, nan_free, 3, 2)                                     \
    CV_STRIP(how, kind, nan_free, 5, 1)                                     \
    CV_STRIP(how, kind, nan_free, 5, 2)                                     \
    static const CV_(strip_call) CV_(strips_##how)[3][CV_STRIP_VECTORS] = { \
        {CV_(strip_##how##_2_1), CV_(strip_##how##_2_2)},                   \
        {CV_(strip_##how##_3_1), CV_(strip_##how##_3_2)},                   \
        {CV_(strip_##how##_5_1), CV_(strip_##how##_5_2)}};
#endif
/* With NaN among the numbers, one vector at a time is enough. */
#define CV_STRIPS_ONE(how, kind)                          \
    CV_STRIP(how, kind, 0, 2, 1)                          \
    CV_STRIP(how, kind, 0, 3, 1)                          \
    CV_STRIP(how, kind, 0, 5, 1)                          \
    static const CV_(strip_call) CV_(strips_##how)[3] = { \
        CV_(strip_##how##_2_1), CV_(strip_##how##_3_1), CV_(strip_##how##_5_1)};
CV_STRIPS(sum, CV_SUM, 0)
CV_STRIPS(free_max, CV_MAX, 1)
CV_STRIPS(free_min, CV_MIN, 1)
CV_STRIPS_ONE(max, CV_MAX)
CV_STRIPS_ONE(min, CV_MIN)
#undef CV_STRIPS_ONE
#undef CV_STRIP
#undef CV_STRIPS

/* Numbers that a row takes in the scratch. */
CV_INLINE ptrdiff_t CV_(line_room)(const cv_pool *p) { return (p->in[2] + 2 * VL - 1) / VL * VL; }

CV_INLINE void CV_(fill_line)(const CV_(pool_job) *j, T *line, T value) {
    for (ptrdiff_t i = 0; i < j->p.in[2]; i += VL)
        CV_(store)(line + i, CV_(set1)(value));
}

/* Rows oy .. end-1 of nv vectors of outputs from column ox on. */
CV_INLINE void CV_(strip_rows)(const int kind, ptrdiff_t nv, const CV_(pool_job) *j, const T *x,
                               T *y, ptrdiff_t ox, ptrdiff_t oy, ptrdiff_t end,
                               const T *const *blank) {
    const ptrdiff_t k = j->p.k[2] / 2 - (j->p.k[2] == 2); /* 2, 3, 5: 0, 1, 2 */
    const CV_(strip_call) careful = kind == CV_MAX ? CV_(strips_max)[k] : CV_(strips_min)[k];
    const CV_(strip_call) *quick =
        kind == CV_MAX ? CV_(strips_free_max)[k] : CV_(strips_free_min)[k];
    if (kind > CV_MIN) {
        CV_(strips_sum)[k][nv - 1](j, x, y, ox, oy, end, blank);
    } else if (quick[nv - 1](j, x, y, ox, oy, end, blank)) {
        for (ptrdiff_t v = 0; v < nv; v++)
            careful(j, x, y, ox + v * VL, oy, end, blank);
    }
}

#if CV_FLOAT
#include "framed_strips.tmpl.h"
#endif

/* Rows of outputs oy .. end-1 of one plane; scratch: room for a row. */
CV_INLINE void CV_(strips)(const int kind, const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t oy,
                           ptrdiff_t end, T *scratch) {
    const cv_pool *p = &j->p;
    const T *const blank[2] = {scratch, scratch};
    if (p->lo[1] || cv_reach(p, 1, p->out[1]) > p->in[1])
        CV_(fill_line)(j, scratch, CV_START(kind));
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += CV_STRIP_VECTORS * VL)
        CV_(strip_rows)(kind, CV_MIN2(CV_STRIP_VECTORS, (p->out[2] - ox + VL - 1) / VL), j, x, y,
                        ox, oy, end, blank);
}

/* Some rows of outputs of one plane. */
CV_INLINE void CV_(strips_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t plane = item / j->cuts[1] / p->out[0], n = plane / p->c, c = plane % p->c;
    /* a window of one slice has no padding there */
    const T *x = j->x + n * p->xs[0] + c * p->xs[1] + oz * p->stride[0] * p->xs[2];
    T *y = j->y + n * p->ys[0] + c * p->ys[1] + oz * p->ys[2];
    const ptrdiff_t end = CV_MIN2(oy + j->step[1], p->out[1]);
#if CV_FLOAT
    if (j->frame) {
        CV_(strips_framed)(j, x, y, oy, end, (T *)scratch);
        return;
    }
#endif
    CV_(strips)(kind, j, x, y, oy, end, (T *)scratch);
}

/* ---- the row */

CV_ONCE const char *CV_(strips_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const ptrdiff_t k = p->k[2];
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (problem->indices || p->adaptive)
        return "serves windows of one size, without places";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "needs rows whose elements lie side by side";
    if (p->k[0] != 1 || p->k[1] != k || (k != 2 && k != 3 && (k != 5 || VL < 4)))
        return "serves windows of 2x2, 3x3 and 5x5";
    return p->stride[1] * p->stride[2] * p->dil[1] * p->dil[2] == 1
               ? NULL
               : "serves stride and dilation 1";
}

CV_ONCE double CV_(strips_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double vecs = (double)((p->out[2] + VL - 1) / VL), rows = (double)p->out[1];
    return 300 + (double)p->n * (double)p->c * (double)p->out[0] * vecs *
                     (rows * (4 + 1.6 * (double)p->k[2]) + 12) / CV_PACE;
}

CV_ONCE void CV_(strips_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    CV_(cut_rows)(j, j->p.n * j->p.c, 8);
    const cv_pool *p = &j->p;
    plan->frames = CV_FLOAT && p->lo[0] + p->hi[0] == 0;
    for (int a = 1; a < 3; a++)
        plan->frames = plan->frames && CV_MAX2(p->lo[a], p->hi[a]) <= p->k[2] / 2;
    /* under a frame a strip is copied: two vectors of each row */
    ptrdiff_t room = CV_(line_room)(p);
    if (plan->frames && p->lo[1] + p->hi[1] + p->lo[2] + p->hi[2])
        room += (CV_MIN2(j->step[1], CV_STRIP_ROWS) + p->k[2] - 1) * 2 * VL;
    j->scratch_each = CV_ROUND64(room * (ptrdiff_t)sizeof(T));
    CV_(pool_end)(j, cv_pool_work(p, 3), plan);
}

CV_POOL_ROW(strips, CV_(strips_item), CV_(strips_fits), CV_(strips_cost), CV_(strips_plan))
#endif
