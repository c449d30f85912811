/* The tiles of direct convolution: M outputs by some vectors of a row, in registers. */
#ifndef CV_DIRECT_TILE
#define CV_DIRECT_TILE
#include "lanes.tmpl.h"

#define CV_DM 4 /* outputs that share a load */
/* channels that do, under windows 3 wide, where rows are short and registers many */
#define CV_DM_WIDE 8
#if CV_REGISTERS == 32
#define CV_DNV 4 /* vectors in a tile: 16 accumulators, or 12, or 8 */
#elif CV_VB == 32
#define CV_DNV 3
#else
#define CV_DNV 2
#endif
#define CV_STEPS_AHEAD 12 /* whose rows are asked for */
#define CV_LINE_TILES 3 /* of a single row, computed together */
/* The same under a stride and windows 3 wide or not.  With 16 registers the pairs of stride 2 need
 * those of the third vector, and windows of 3x3 wait for memory, which likes whole lines. */
#define CV_WIDEST(sw, k3) (CV_DNV == 3 && ((sw) == 2 || (k3)) ? 2 : CV_DNV)

/* One input row, x and w as offsets: output m of the tile, m0 <= m < m1, multiplies it by the
 * kernel row w + m * wstep. */
typedef struct {
    ptrdiff_t x, w;
    int m0, m1;
} CV_(step);

/* A tile's place in the row: `masks` is NULL where every load lies inside the image. */
typedef struct {
    ptrdiff_t ox, last; /* first output; lanes of the last vector that are outputs */
    int nv;
    const CV_(lanes) *masks; /* [kw][nv] */
} CV_(column);

typedef struct {
    const CV_(step) *steps;
    ptrdiff_t count, kw, dx, xstep, wstep; /* dx: elements between taps, xstep: between outputs */
    const T *x, *w;                        /* of the tile; the steps' offsets are added */
    const CV_(column) *column; /* the last of the run */
    ptrdiff_t run;             /* tiles side by side, all like it */
    T *y;
    ptrdiff_t ystep, ylane; /* elements between the M outputs, and between lanes */
    int rows;               /* of the M, those that exist */
    T bias[CV_DM_WIDE];
} CV_(tile_job);

/* The NV vectors under tap kx, and for stride 2 also those under tap kx + 1 when `pair` says they
 * are neighbours. */
CV_INLINE void CV_(fetch)(const int nv, const int sw, const int masked, const CV_(tile_job) *t,
                          const T *p, const CV_(lanes) *q, vec *v, vec *w, const int pair) {
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        if (sw == 1) {
            v[i] = masked ? CV_(load_some)(p + i * VL, q[i].a) : CV_(load)(p + i * VL);
        } else if (sw == 2) {
            const vec a =
                masked ? CV_(load_some)(p + 2 * i * VL, q[i].a) : CV_(load)(p + 2 * i * VL);
            const vec b = masked ? CV_(load_some)(p + (2 * i + 1) * VL, q[i].b)
                                 : CV_(load)(p + (2 * i + 1) * VL);
            v[i] = CV_(evens)(a, b);
            if (pair)
                w[i] = CV_(odds)(a, b);
        } else {
            const T *at = p + i * VL * t->xstep;
            v[i] = masked ? CV_(gather_some)(at, t->xstep, q[i].lo, q[i].hi)
                          : CV_(gather_all)(at, t->xstep);
        }
    }
}

/* Outputs m0 .. m1-1, or where m1 is 0 those of the step. */
CV_INLINE void CV_(multiply)(const int dm, const int nv, const int m0, const int m1,
                             const CV_(step) *s, ptrdiff_t wstep, const T *w, const vec *v,
                             vec (*acc)[CV_DNV]) {
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        if (m1 ? m < m0 || m >= m1 : m < s->m0 || m >= s->m1)
            continue;
        const vec a = CV_(set1)(w[m * wstep]);
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++)
            acc[m][i] += a * v[i];
    }
}

CV_INLINE void CV_(run_step)(const int dm, const int nv, const int sw, const int masked,
                             const int pair, const int m0, const int m1, const ptrdiff_t kw,
                             const CV_(tile_job) *t, ptrdiff_t ox, const CV_(step) *s,
                             vec (*acc)[CV_DNV]) {
    const T *p = t->x + ox * t->xstep + s->x, *w = t->w + s->w;
    const CV_(lanes) *q = t->column->masks;
    const ptrdiff_t wstep = t->wstep;
    vec v[CV_DNV], u[CV_DNV];
    ptrdiff_t kx = 0;
    if (pair) {
        CV_UNROLL(1)
        for (; kx + 1 < kw; kx += 2) {
            CV_(fetch)(nv, sw, masked, t, p + kx * t->dx, q + kx * nv, v, u, 1);
            CV_(multiply)(dm, nv, m0, m1, s, wstep, w + kx, v, acc);
            CV_(multiply)(dm, nv, m0, m1, s, wstep, w + kx + 1, u, acc);
        }
    }
    CV_UNROLL(3)
    for (; kx < kw; kx++) {
        CV_(fetch)(nv, sw, masked, t, p + kx * t->dx, q + kx * nv, v, u, 0);
        CV_(multiply)(dm, nv, m0, m1, s, wstep, w + kx, v, acc);
    }
}

CV_INLINE void CV_(one_tile)(const int dm, const int nv, const int sw, const int masked,
                             const int pair, const int kw_const, const CV_(tile_job) *t,
                             ptrdiff_t ox, ptrdiff_t last) {
    vec acc[CV_DM_WIDE][CV_DNV];
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++)
            acc[m][i] = (vec){0};
    }
    const ptrdiff_t kw = kw_const ? kw_const : t->kw;
    /* rows that few outputs meet have code of their own where most tiles are served */
    const int apart = CV_VB > 16 && sw == 1 && !masked && dm == CV_DM &&
                      nv == CV_WIDEST(sw, kw_const == 3);
    for (const CV_(step) *s = t->steps, *end = s + t->count; s < end; s++) {
        if (end - s > CV_STEPS_AHEAD) /* of many channels, whose rows are no stream */
            __builtin_prefetch(t->x + ox * t->xstep + s[CV_STEPS_AHEAD].x);
        if (s->m0 == 0 && s->m1 == dm)
            CV_(run_step)(dm, nv, sw, masked, pair, 0, dm, kw, t, ox, s, acc);
        else if (apart && s->m0 == 0 && s->m1 == 1)
            CV_(run_step)(dm, nv, sw, masked, pair, 0, 1, kw, t, ox, s, acc);
        else if (apart && s->m0 == 0 && s->m1 == 2)
            CV_(run_step)(dm, nv, sw, masked, pair, 0, 2, kw, t, ox, s, acc);
        else if (apart && s->m0 == 0 && s->m1 == 3)
            CV_(run_step)(dm, nv, sw, masked, pair, 0, 3, kw, t, ox, s, acc);
        else if (apart && s->m0 == 1 && s->m1 == 4)
            CV_(run_step)(dm, nv, sw, masked, pair, 1, 4, kw, t, ox, s, acc);
        else if (apart && s->m0 == 2 && s->m1 == 4)
            CV_(run_step)(dm, nv, sw, masked, pair, 2, 4, kw, t, ox, s, acc);
        else if (apart && s->m0 == 3 && s->m1 == 4)
            CV_(run_step)(dm, nv, sw, masked, pair, 3, 4, kw, t, ox, s, acc);
        else
            CV_(run_step)(dm, nv, sw, masked, pair, 0, 0, kw, t, ox, s, acc);
    }
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        if (m >= t->rows)
            break;
        T *y = t->y + m * t->ystep + (sw ? ox : ox * t->ylane);
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++) {
            const vec sum = acc[m][i] + CV_(set1)(t->bias[m]);
            const vec r = sw == 2 ? CV_(in_order)(sum) : sum;
            const ptrdiff_t n = i == nv - 1 ? last : VL;
            if (sw) {
                if (n == VL)
                    CV_(store)(y + i * VL, r);
                else
                    CV_(store_n)(y + i * VL, r, n);
            } else {
                for (ptrdiff_t l = 0; l < n; l++)
                    y[(i * VL + l) * t->ylane] = r[l];
            }
        }
    }
}

/* A single row of outputs, n vectors of it at a time: so few sums as those of a tile would wait for
 * each other.  They are summed in the same order. */
CV_INLINE void CV_(one_line)(const int n, const int kw_const, const CV_(tile_job) *t,
                             ptrdiff_t ox) {
    const ptrdiff_t kw = kw_const ? kw_const : t->kw;
    vec acc[CV_LINE_TILES * CV_DNV];
    CV_UNROLL(12)
    for (int i = 0; i < n; i++)
        acc[i] = (vec){0};
    for (const CV_(step) *s = t->steps, *end = s + t->count; s < end; s++) {
        const T *x = t->x + ox + s->x, *w = t->w + s->w;
        CV_UNROLL(1)
        for (ptrdiff_t kx = 0; kx < kw; kx++, x += t->dx) {
            const vec a = CV_(set1)(w[kx]);
            CV_UNROLL(12)
            for (int i = 0; i < n; i++)
                acc[i] += a * CV_(load)(x + i * VL);
        }
    }
    CV_UNROLL(12)
    for (int i = 0; i < n; i++)
        CV_(store)(t->y + ox + i * VL, acc[i] + CV_(set1)(t->bias[0]));
}

CV_INLINE void CV_(run_tile)(const int dm, const int nv, const int sw, const int masked,
                             const int pair, const int kw_const, const CV_(tile_job) *t) {
    const ptrdiff_t end = masked ? 0 : (t->run - 1) * nv * VL;
    ptrdiff_t ox = 0;
    if (CV_VB > 16 && sw == 1 && !masked && dm == CV_DM && t->rows == 1) {
        for (; ox + (CV_LINE_TILES - 1) * nv * VL < end; ox += CV_LINE_TILES * nv * VL)
            CV_(one_line)(CV_LINE_TILES * nv, kw_const, t, ox);
    }
    for (; ox <= end; ox += nv * VL)
        CV_(one_tile)(dm, nv, sw, masked, pair, kw_const, t, ox, ox < end ? VL : t->column->last);
}

/* The tiles by [stride 1 or 2, windows 3 wide or not][masked][vectors]; taps under stride 2 are
 * neighbours, and two of them are loaded at once.  Other strides and gaps go element by element.
 * Where masks are at hand, only the widest tile has a second form without. */
typedef void (*CV_(direct_tile))(const CV_(tile_job) *);
#define CV_TILE1(name, dm, nv, sw, masked, pair, kw)                       \
    CV_NOINLINE void CV_(name##_##masked##_##nv)(const CV_(tile_job) *t) { \
        CV_(run_tile)(dm, nv, sw, masked, pair, kw, t);                    \
    }
#if CV_VB > 16
#define CV_BARE1(name, dm, nv, sw, pair, kw)
#define CV_BARE(name, nv) NULL
#else
#define CV_BARE1(name, dm, nv, sw, pair, kw) CV_TILE1(name, dm, nv, sw, 0, pair, kw)
#define CV_BARE(name, nv) CV_(name##_0_##nv)
#endif
#define CV_TILES2(name, sw, pair, kw)         \
    CV_BARE1(name, CV_DM, 1, sw, pair, kw)    \
    CV_TILE1(name, CV_DM, 2, sw, 0, pair, kw) \
    CV_TILE1(name, CV_DM, 1, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM, 2, sw, 1, pair, kw)
#define CV_TILE_ROW2(name) \
    { {CV_BARE(name, 1), CV_(name##_0_2)}, {CV_(name##_1_1), CV_(name##_1_2)}, }
#if CV_DNV == 4
#define CV_TILES(name, sw, pair, kw)          \
    CV_BARE1(name, CV_DM, 1, sw, pair, kw)    \
    CV_BARE1(name, CV_DM, 2, sw, pair, kw)    \
    CV_BARE1(name, CV_DM, 3, sw, pair, kw)    \
    CV_TILE1(name, CV_DM, 4, sw, 0, pair, kw) \
    CV_TILE1(name, CV_DM, 1, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM, 2, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM, 3, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM, 4, sw, 1, pair, kw)
#define CV_TILE_ROW(name)                                                         \
    {                                                                             \
        {CV_BARE(name, 1), CV_BARE(name, 2), CV_BARE(name, 3), CV_(name##_0_4)},  \
            {CV_(name##_1_1), CV_(name##_1_2), CV_(name##_1_3), CV_(name##_1_4)}, \
    }
CV_TILES(s1, 1, 0, 0)
#define CV_S1_ROW CV_TILE_ROW(s1)
#elif CV_DNV == 3
#define CV_TILES CV_TILES2
#define CV_TILE_ROW CV_TILE_ROW2
CV_TILE1(s1, CV_DM, 3, 1, 0, 0, 0)
CV_TILE1(s1, CV_DM, 1, 1, 1, 0, 0)
CV_TILE1(s1, CV_DM, 2, 1, 1, 0, 0)
CV_TILE1(s1, CV_DM, 3, 1, 1, 0, 0)
#define CV_S1_ROW \
    { {NULL, NULL, CV_(s1_0_3)}, {CV_(s1_1_1), CV_(s1_1_2), CV_(s1_1_3)}, }
#else
#define CV_TILES CV_TILES2
#define CV_TILE_ROW CV_TILE_ROW2
CV_TILES(s1, 1, 0, 0)
#define CV_S1_ROW CV_TILE_ROW(s1)
#endif
CV_TILES(s2, 2, 1, 0)
CV_TILE1(any, CV_DM, 1, 0, 0, 0, 0)
CV_TILE1(any, CV_DM, 1, 0, 1, 0, 0)
#ifdef CV_FLOOR
static const CV_(direct_tile) CV_(direct_tiles)[4][2][CV_DNV] = {CV_S1_ROW, CV_S1_ROW,
                                                                 CV_TILE_ROW(s2), CV_TILE_ROW(s2)};
#else
CV_TILES(s1k3, 1, 0, 3)
CV_TILES(s2k3, 2, 1, 3)
static const CV_(direct_tile) CV_(direct_tiles)[4][2][CV_DNV] = {
    CV_S1_ROW, CV_TILE_ROW(s1k3), CV_TILE_ROW(s2), CV_TILE_ROW(s2k3)};
#endif
#if CV_DNV == 4
#define CV_WIDE_TILES(name, sw, pair, kw)          \
    CV_BARE1(name, CV_DM_WIDE, 1, sw, pair, kw)    \
    CV_BARE1(name, CV_DM_WIDE, 2, sw, pair, kw)    \
    CV_TILE1(name, CV_DM_WIDE, 1, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM_WIDE, 2, sw, 1, pair, kw)
#define CV_WIDE_ROW(name) \
    { {CV_BARE(name, 1), CV_BARE(name, 2)}, {CV_(name##_1_1), CV_(name##_1_2)}, }
CV_WIDE_TILES(wide_s1k3, 1, 0, 3)
CV_WIDE_TILES(wide_s2k3, 2, 1, 3)
static const CV_(direct_tile) CV_(wide_tiles)[2][2][CV_DNV] = {CV_WIDE_ROW(wide_s1k3),
                                                               CV_WIDE_ROW(wide_s2k3)};
#undef CV_WIDE_TILES
#undef CV_WIDE_ROW
#endif
#undef CV_TILE1
#undef CV_BARE1
#undef CV_BARE
#undef CV_TILES
#undef CV_TILE_ROW
#undef CV_TILES2
#undef CV_TILE_ROW2
#undef CV_S1_ROW
#endif
