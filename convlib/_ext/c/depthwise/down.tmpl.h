/* Depthwise windows down columns of a few vectors, and a table of the functions that do so. Part of
 * rows.tmpl.h, whose jobs these are. */
#ifndef CV_DW_DOWN_H
#define CV_DW_DOWN_H

/* whether narrow planes share vectors: of four lanes or less, few are so narrow */
#define CV_DW_PAIRS (CV_VB * 8 / CV_BITS > 4)
#define CV_WNV (CV_REGISTERS == 32 ? 4 : 2) /* vectors side by side, at most */

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
    ptrdiff_t dx; /* from tap to tap of a row */
    const CV_(dw_column) *column;
} CV_(dw_job);

/* Lanes of the first of two planes that share a vector. */
static const CV_INT(CV_BITS) CV_(dw_low)[VL]
    __attribute__((aligned(CV_VB))) = {[0 ... VL / 2 - 1] = -1};

/* The vectors under tap kx of a row at p (whose partner is `other` elements on), and for stride 2
 * under the next in w. */
CV_INLINE void CV_(dw_fetch)(const int nv, const int s, const int pair, const int masked,
                             const CV_(dw_column) *c, int kx, ptrdiff_t dx, const T *p,
                             ptrdiff_t other, vec *v, vec *w) {
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const CV_(lanes) *q = (i ? c->right : c->left) + kx;
        const int m = masked && (i == 0 || i == nv - 1);
        const T *x = p + kx * dx + i * s * VL, *y = pair ? x + other : x + VL;
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
                           const int first, const CV_(dw_column) *c, ptrdiff_t dx, const T *p,
                           ptrdiff_t other, const T *w, const vec *ready, vec (*acc)[CV_WNV]) {
    vec v[CV_WNV], next[CV_WNV];
    CV_UNROLL(7)
    for (int kx = 0; kx < k; kx++) {
        if (s == 1 || kx % 2 == 0)
            CV_(dw_fetch)(nv, s, pair, masked, c, kx, dx, p, other, v, next);
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
                       const int apart, const CV_(dw_job) *job) {
    const CV_(dw_job) own = *job, *t = &own;
    const CV_(dw_column) column = *job->column, *c = &column;
    const ivec low = *(const ivec *)CV_(dw_low);
    const T *x = t->x + c->ox * s - t->lo, *w = t->w, none = 0, *bias = t->bias ? t->bias : &none;
    T *y = t->y + c->ox;
    const ptrdiff_t dx = apart ? t->dx : 1;
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
                CV_(dw_row)(k, nv, s, pair, masked, 0, c, dx, x + iy * t->xpitch, xo, w, ready,
                            acc);
            if (j >= deep) {
                CV_(dw_store)(nv, s, pair, c, to, yo, b, acc[deep]);
                to += t->ypitch;
            }
            if (s == 2 && iy + 1 >= 0 && iy + 1 < t->height)
                CV_(dw_row)(k, nv, s, pair, masked, 1, c, dx, x + (iy + 1) * t->xpitch, xo, w,
                            ready, acc);
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
        CV_(dw)(k, nv, s, pair, masked, 0, t);                                            \
    }
/* Taps of a row apart, whatever touches the padding: for 3x3, as so many distances are no constants
 * of the code. */
#define CV_DW_APART 2 /* vectors side by side, at most */
CV_NOINLINE void CV_(dw_apart_1)(const CV_(dw_job) *t) { CV_(dw)(3, 1, 1, 0, 1, 1, t); }
CV_NOINLINE void CV_(dw_apart_2)(const CV_(dw_job) *t) { CV_(dw)(3, 2, 1, 0, 1, 1, t); }
static const CV_(dw_fn) CV_(dws_apart)[CV_DW_APART] = {CV_(dw_apart_1), CV_(dw_apart_2)};

/* Vectors side by side: sums of one alone wait for each other, those of many leave no registers. */
#if CV_REGISTERS == 32
#define CV_DW_3_1 CV_DW_UP_TO_3
#define CV_DW_3_2 CV_DW_UP_TO_4
#define CV_DW_5_1 CV_DW_UP_TO_4
#define CV_DW_5_2 CV_DW_UP_TO_4
#define CV_DW_7_1 CV_DW_UP_TO_2
#define CV_DW_7_2 CV_DW_UP_TO_2
#else
#define CV_DW_3_1 CV_DW_UP_TO_2
#define CV_DW_3_2 CV_DW_UP_TO_1
#define CV_DW_5_1 CV_DW_UP_TO_2
#define CV_DW_5_2 CV_DW_UP_TO_2
#define CV_DW_7_1 CV_DW_UP_TO_1
#define CV_DW_7_2 CV_DW_UP_TO_1
#endif
#define CV_DW_UP_TO_1(each, k, s, m) each(k, 1, s, m)
/* of two, a column of one is the first and touches the padding */
#define CV_DW_UP_TO_2(each, k, s, m) CV_DW_IF_##m(each(k, 1, s, m)) each(k, 2, s, m)
#define CV_DW_UP_TO_3(each, k, s, m) each(k, 1, s, m) each(k, 2, s, m) each(k, 3, s, m)
#define CV_DW_UP_TO_4(each, k, s, m) \
    each(k, 1, s, m) each(k, 2, s, m) each(k, 3, s, m) each(k, 4, s, m)
#define CV_DW_IF_0(once)
#define CV_DW_IF_1(once) once
#define CV_DW_DEFINE(k, nv, s, m) CV_DW(k, nv, s, 0, m)
#define CV_DW_NAME(k, nv, s, m) [nv - 1] = CV_(dw_##k##_##nv##_##s##_0_##m),
#define CV_DW_SET(k, s, m) CV_DW_##k##_##s(CV_DW_DEFINE, k, s, m)
#define CV_DW_ROW(k, s, m) {CV_DW_##k##_##s(CV_DW_NAME, k, s, m)}
#if CV_CHEAP_MASKS /* no second set */
#define CV_DW_PLAIN(k, s) CV_DW_ROW(k, s, 1)
#define CV_DW_BARE(k)
#else
#define CV_DW_PLAIN(k, s) CV_DW_ROW(k, s, 0)
#define CV_DW_BARE(k) CV_DW_SET(k, 1, 0) CV_DW_SET(k, 2, 0)
#endif
#if CV_DW_PAIRS
#define CV_DW_SHARED(k) CV_DW(k, 1, 1, 1, 1) CV_DW(k, 1, 2, 1, 1)
#define CV_DW_PAIR(k, s) CV_(dw_##k##_1_##s##_1_1)
#else
#define CV_DW_SHARED(k)
#define CV_DW_PAIR(k, s) NULL
#endif
#define CV_DW_ALL(k) CV_DW_SET(k, 1, 1) CV_DW_SET(k, 2, 1) CV_DW_SHARED(k) CV_DW_BARE(k)
#define CV_DW_TABLE(k)                                               \
    {                                                                \
        {CV_DW_PLAIN(k, 1), CV_DW_ROW(k, 1, 1), {CV_DW_PAIR(k, 1)}}, \
            {CV_DW_PLAIN(k, 2), CV_DW_ROW(k, 2, 1), {CV_DW_PAIR(k, 2)}}, \
    }
CV_DW_ALL(3)
CV_DW_ALL(5)
CV_DW_ALL(7)
static const CV_(dw_fn) CV_(dws)[3][2][3][CV_WNV] = {CV_DW_TABLE(3), CV_DW_TABLE(5),
                                                     CV_DW_TABLE(7)};
#undef CV_DW
#undef CV_DW_UP_TO_1
#undef CV_DW_UP_TO_2
#undef CV_DW_UP_TO_3
#undef CV_DW_UP_TO_4
#undef CV_DW_IF_0
#undef CV_DW_IF_1
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
#undef CV_DW_BARE
#undef CV_DW_SHARED
#undef CV_DW_PAIR
#undef CV_DW_ALL
#undef CV_DW_PLAIN
#undef CV_DW_TABLE
#endif
