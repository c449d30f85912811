/* Direct convolution: depthwise, few channels, narrow groups – where packing for a GEMM would cost more than it saves.
 *
 * A tile is M outputs by NV vectors of a row, kept in registers.  All M outputs read the same input rows, so one load
 * serves M multiply-adds.  What the M outputs are is the only difference between the cases:
 *   rows      (one output channel): M output rows.  Input rows coincide when output rows lie `spacing` apart, with
 *             lcm(stride, dilation) input rows between them, and the kernel rows are taken in `phases` classes.
 *   channels  (several output channels in a group): M output channels of one row.
 * The geometry is worked out once per strip of rows, as a list of steps (one input row each); the tile only runs down
 * that list.  Columns next to the padding load under lane masks straight from the image: a padded copy of a small
 * plane, read back at once, costs more than the whole convolution.
 *
 * Each output is one chain of multiply-adds in an order that depends on the problem alone, so neither tiling nor
 * threads change a bit.
 */
#ifndef CV_DIRECT_ONCE
#define CV_DIRECT_ONCE
#define CV_DM 4                 /* outputs that share a load */
#define CV_DM_WIDE 8            /* channels that do, where rows are short and registers many */
#define CV_DIRECT_WORK 100000.0 /* multiply-adds that repay waking one more thread */

static inline ptrdiff_t cv_gcd(ptrdiff_t a, ptrdiff_t b) {
    while (b) {
        const ptrdiff_t r = a % b;
        a = b, b = r;
    }
    return a;
}

/* Cut work of so many multiply-adds into pieces: whole planes where there are enough, else lines of planes as well.
 * One piece for small work; else about 12 per thread, which evens out threads of unequal speed, and never more than a
 * few milliseconds each, as Ctrl-C is noticed between pieces. */
static inline void cv_cut(double work, int *threads, ptrdiff_t planes, ptrdiff_t lines, ptrdiff_t *plane_pieces,
                          ptrdiff_t *line_pieces) {
    *threads = (int)CV_MAX2(1, CV_MIN2((double)*threads, work / CV_DIRECT_WORK));
    const ptrdiff_t want = CV_MAX2(*threads == 1 ? 1 : 12 * (ptrdiff_t)*threads, (ptrdiff_t)(work / 5e7));
    *plane_pieces = CV_MIN2(planes, want);
    *line_pieces = CV_MIN2(lines, (want + *plane_pieces - 1) / *plane_pieces);
}
#endif

#undef CV_DNV /* vectors in a tile: 16 accumulators where there are 32 registers, 8 where there are 16 */
#if CV_VB == 64 || defined(__aarch64__)
#define CV_DNV 4
#else
#define CV_DNV 2
#endif

/* One input row, x and w as offsets: output m of the tile, m0 <= m < m1, multiplies it by the kernel row w + m * wstep. */
typedef struct {
    ptrdiff_t x, w;
    int m0, m1;
} CV_(step);

/* The lanes of one (tap, vector) whose input exists: of the vector at the first lane, of the next one (stride 2), and
 * of the outputs themselves (any other stride). */
typedef struct {
#if CV_VB == 64
    CV_GLUE(CV_MASK, CV_BITS) a, b;
#else
    short a0, a1, b0, b1;
#endif
    short lo, hi;
} CV_(lanes);

CV_INLINE CV_(lanes) CV_(lanes_in)(ptrdiff_t a0, ptrdiff_t a1, ptrdiff_t b0, ptrdiff_t b1, ptrdiff_t lo, ptrdiff_t hi) {
#if CV_VB == 64
    return (CV_(lanes)){(CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(a0, a1), (CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(b0, b1),
                        (short)lo, (short)hi};
#else
    return (CV_(lanes)){(short)a0, (short)a1, (short)b0, (short)b1, (short)lo, (short)hi};
#endif
}

static CV_(lanes) CV_(lanes_of)(const cv_conv *p, ptrdiff_t ox, ptrdiff_t kx) {
    const ptrdiff_t ix = ox * p->stride[2] + kx * p->dil[2] - p->lo[2];
    ptrdiff_t a0, a1, b0, b1, lo, hi;
    cv_lanes(ix, 1, p->in[2], VL, &a0, &a1);
    cv_lanes(ix + VL, 1, p->in[2], VL, &b0, &b1);
    cv_lanes(ix, p->stride[2], p->in[2], CV_MIN2(VL, p->out[2] - ox), &lo, &hi);
    return CV_(lanes_in)(a0, a1, b0, b1, lo, hi);
}

#if CV_VB == 64
#define CV_LOAD_A(p, q) ((vec)CV_GLUE(_mm512_maskz_loadu_epi, CV_BITS)((q)->a, p))
#define CV_LOAD_B(p, q) ((vec)CV_GLUE(_mm512_maskz_loadu_epi, CV_BITS)((q)->b, p))
#else
#define CV_LOAD_A(p, q) CV_(load_range)(p, (q)->a0, (q)->a1)
#define CV_LOAD_B(p, q) CV_(load_range)(p, (q)->b0, (q)->b1)
#endif

/* A tile's place in the row: `masks` is NULL where every load lies inside the image. */
typedef struct {
    ptrdiff_t ox, last; /* first output; lanes of the last vector that are outputs */
    int nv;
    CV_(lanes) *masks; /* [kw][nv] */
} CV_(column);

typedef struct {
    const CV_(step) *steps;
    ptrdiff_t count, kw, dx, xstep, wstep; /* dx: elements between taps, xstep: between outputs */
    const T *x, *w;                        /* of the tile; the steps' offsets are added */
    const CV_(column) *column;
    T *y;
    ptrdiff_t ystep, ylane; /* elements between the M outputs, and between lanes */
    int rows;               /* of the M, those that exist */
    T bias[CV_DM_WIDE];
} CV_(tile_job);

/* The NV vectors under tap kx, and for stride 2 also those under tap kx + 1 when `pair` says they are neighbours. */
CV_INLINE void CV_(fetch)(const int nv, const int sw, const int masked, const CV_(tile_job) *t, const T *p,
                          const CV_(lanes) *q, vec *v, vec *w, const int pair) {
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        if (sw == 1) {
            v[i] = masked ? CV_LOAD_A(p + i * VL, q + i) : CV_(load)(p + i * VL);
        } else if (sw == 2) {
            const vec a = masked ? CV_LOAD_A(p + 2 * i * VL, q + i) : CV_(load)(p + 2 * i * VL);
            const vec b = masked ? CV_LOAD_B(p + (2 * i + 1) * VL, q + i) : CV_(load)(p + (2 * i + 1) * VL);
            v[i] = CV_(even)(a, b);
            if (pair) w[i] = CV_(odd)(a, b);
        } else {
            v[i] = CV_(gather)(p + i * VL * t->xstep, t->xstep, q[i].lo, q[i].hi);
        }
    }
}

CV_INLINE void CV_(multiply)(const int dm, const int nv, const int full, const CV_(step) *s, ptrdiff_t wstep, const T *w, const vec *v,
                             vec (*acc)[CV_DNV]) {
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        if (!full && (m < s->m0 || m >= s->m1)) continue;
        const vec a = CV_(set1)(w[m * wstep]);
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++) acc[m][i] += a * v[i];
    }
}

CV_INLINE void CV_(run_step)(const int dm, const int nv, const int sw, const int masked, const int pair, const int full,
                             const ptrdiff_t kw, const CV_(tile_job) *t, const CV_(step) *s, vec (*acc)[CV_DNV]) {
    const T *p = t->x + s->x, *w = t->w + s->w;
    const CV_(lanes) *q = t->column->masks;
    const ptrdiff_t wstep = t->wstep;
    vec v[CV_DNV], u[CV_DNV];
    ptrdiff_t kx = 0;
    if (pair) {
        CV_UNROLL(2)
        for (; kx + 1 < kw; kx += 2) {
            CV_(fetch)(nv, sw, masked, t, p + kx * t->dx, q + kx * nv, v, u, 1);
            CV_(multiply)(dm, nv, full, s, wstep, w + kx, v, acc);
            CV_(multiply)(dm, nv, full, s, wstep, w + kx + 1, u, acc);
        }
    }
    CV_UNROLL(3)
    for (; kx < kw; kx++) {
        CV_(fetch)(nv, sw, masked, t, p + kx * t->dx, q + kx * nv, v, u, 0);
        CV_(multiply)(dm, nv, full, s, wstep, w + kx, v, acc);
    }
}

CV_INLINE void CV_(run_tile)(const int dm, const int nv, const int sw, const int masked, const int pair, const int kw_const,
                             const CV_(tile_job) *t) {
    vec acc[CV_DM_WIDE][CV_DNV];
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++) acc[m][i] = (vec){0};
    }
    const ptrdiff_t kw = kw_const ? kw_const : t->kw;
    for (const CV_(step) *s = t->steps, *end = s + t->count; s < end; s++) {
        if (s->m0 == 0 && s->m1 == dm)
            CV_(run_step)(dm, nv, sw, masked, pair, 1, kw, t, s, acc);
        else
            CV_(run_step)(dm, nv, sw, masked, pair, 0, kw, t, s, acc);
    }
    CV_UNROLL(8)
    for (int m = 0; m < dm; m++) {
        if (m >= t->rows) break;
        T *y = t->y + m * t->ystep;
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++) {
            const vec r = acc[m][i] + CV_(set1)(t->bias[m]);
            const ptrdiff_t n = i == nv - 1 ? t->column->last : VL;
            if (sw) {
                if (n == VL) CV_(store)(y + i * VL, r);
                else CV_(store_n)(y + i * VL, r, n);
            } else
                for (ptrdiff_t l = 0; l < n; l++) y[(i * VL + l) * t->ylane] = r[l];
        }
    }
}

/* The tiles by [stride and kernel width][masked][vectors]. */
typedef void (*CV_(direct_tile))(const CV_(tile_job) *);
#define CV_TILE1(name, dm, nv, sw, masked, pair, kw) \
    static __attribute__((noinline)) void CV_(name##_##masked##_##nv)(const CV_(tile_job) *t) { \
        CV_(run_tile)(dm, nv, sw, masked, pair, kw, t);                                             \
    }
#if CV_DNV == 4
#define CV_TILES(name, sw, pair, kw)                                                                          \
    CV_TILE1(name, CV_DM, 1, sw, 0, pair, kw) CV_TILE1(name, CV_DM, 2, sw, 0, pair, kw) CV_TILE1(name, CV_DM, 3, sw, 0, pair, kw) \
    CV_TILE1(name, CV_DM, 4, sw, 0, pair, kw) CV_TILE1(name, CV_DM, 1, sw, 1, pair, kw) CV_TILE1(name, CV_DM, 2, sw, 1, pair, kw) \
    CV_TILE1(name, CV_DM, 3, sw, 1, pair, kw) CV_TILE1(name, CV_DM, 4, sw, 1, pair, kw)
#define CV_ROW(name) \
    {{CV_(name##_0_1), CV_(name##_0_2), CV_(name##_0_3), CV_(name##_0_4)}, \
     {CV_(name##_1_1), CV_(name##_1_2), CV_(name##_1_3), CV_(name##_1_4)}}
#else
#define CV_TILES(name, sw, pair, kw) \
    CV_TILE1(name, CV_DM, 1, sw, 0, pair, kw) CV_TILE1(name, CV_DM, 2, sw, 0, pair, kw) \
    CV_TILE1(name, CV_DM, 1, sw, 1, pair, kw) CV_TILE1(name, CV_DM, 2, sw, 1, pair, kw)
#define CV_ROW(name) {{CV_(name##_0_1), CV_(name##_0_2)}, {CV_(name##_1_1), CV_(name##_1_2)}}
#endif
CV_TILES(s1, 1, 0, 0)
CV_TILES(s1k3, 1, 0, 3)
CV_TILES(s2, 2, 0, 0)
CV_TILES(s2pair, 2, 1, 0)
CV_TILES(s2k3, 2, 1, 3)
CV_TILE1(any, CV_DM, 1, 0, 1, 0, 0)
static const CV_(direct_tile) CV_(direct_tiles)[5][2][CV_DNV] = {CV_ROW(s1), CV_ROW(s1k3), CV_ROW(s2), CV_ROW(s2pair),
                                                                 CV_ROW(s2k3)};
#if CV_DNV == 4
#define CV_WIDE(name, sw, pair, kw)                                                           \
    CV_TILE1(name, CV_DM_WIDE, 1, sw, 0, pair, kw) CV_TILE1(name, CV_DM_WIDE, 2, sw, 0, pair, kw) \
    CV_TILE1(name, CV_DM_WIDE, 1, sw, 1, pair, kw) CV_TILE1(name, CV_DM_WIDE, 2, sw, 1, pair, kw)
#define CV_WIDE_ROW(name) {{CV_(name##_0_1), CV_(name##_0_2)}, {CV_(name##_1_1), CV_(name##_1_2)}}
CV_WIDE(wide_s1, 1, 0, 0)
CV_WIDE(wide_s1k3, 1, 0, 3)
CV_WIDE(wide_s2, 2, 0, 0)
CV_WIDE(wide_s2pair, 2, 1, 0)
CV_WIDE(wide_s2k3, 2, 1, 3)
static const CV_(direct_tile) CV_(wide_tiles)[5][2][CV_DNV] = {CV_WIDE_ROW(wide_s1), CV_WIDE_ROW(wide_s1k3),
                                                               CV_WIDE_ROW(wide_s2), CV_WIDE_ROW(wide_s2pair),
                                                               CV_WIDE_ROW(wide_s2k3)};
#undef CV_WIDE
#undef CV_WIDE_ROW
#endif
#undef CV_TILE1
#undef CV_TILES
#undef CV_ROW

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    int channels;                          /* the M outputs are channels, not rows */
    ptrdiff_t oc_blocks, taps;             /* tiles of channels in a group; taps of a kernel */
    ptrdiff_t spacing, phases, strips;     /* see above; strips of rows in a plane */
    ptrdiff_t columns, max_steps;
    ptrdiff_t planes, plane_pieces;        /* images x groups, and into how many pieces they are cut */
    ptrdiff_t lines, line_pieces;          /* tiles of channels x depths x strips */
    CV_(column) *column;
    CV_(step) *steps;                      /* max_steps per worker */
    const CV_(direct_tile) (*tiles)[CV_DNV];
} CV_(direct_job);

/* Rows of strip s of a plane: first, first + spacing, … ; returns how many. */
static int CV_(strip_rows)(const CV_(direct_job) *j, ptrdiff_t s, ptrdiff_t *first) {
    for (ptrdiff_t a = 0;; a++) {
        const ptrdiff_t rows = (j->p.out[1] - a + j->spacing - 1) / j->spacing;
        const ptrdiff_t m = j->channels ? 1 : CV_DM, strips = (rows + m - 1) / m;
        if (s < strips) {
            const ptrdiff_t r0 = s * rows / strips, r1 = (s + 1) * rows / strips;
            *first = a + r0 * j->spacing;
            return (int)(r1 - r0);
        }
        s -= strips;
    }
}

/* The steps of the strip whose first output row is (oz, oy), with `rows` rows or channels; returns how many. */
static ptrdiff_t CV_(list_steps)(const CV_(direct_job) *j, ptrdiff_t oz, ptrdiff_t oy, int rows, CV_(step) *list) {
    const cv_conv *p = &j->p;
    const ptrdiff_t phases = CV_MIN2(j->phases, p->k[1]), gap = j->phases * p->dil[1];
    const int m = j->channels ? 1 : rows;
    CV_(step) *s = list;
    for (ptrdiff_t ic = 0; ic < p->icg; ic++)
        for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
            const ptrdiff_t iz = oz * p->stride[0] + kz * p->dil[0] - p->lo[0];
            if (iz < 0 || iz >= p->in[0]) continue;
            const ptrdiff_t xz = ic * p->xs[1] + iz * p->xs[2], wz = (ic * p->k[0] + kz) * p->k[1] * p->k[2];
            for (ptrdiff_t ph = 0; ph < phases; ph++) {
                const ptrdiff_t kp = (p->k[1] - ph + j->phases - 1) / j->phases; /* kernel rows of this phase */
                ptrdiff_t iy = oy * p->stride[1] + ph * p->dil[1] - p->lo[1];
                for (ptrdiff_t r = 0; r < kp + m - 1; r++, iy += gap) {
                    if (iy < 0 || iy >= p->in[1]) continue;
                    *s++ = (CV_(step)){xz + iy * p->xs[3], wz + (ph + r * j->phases) * p->k[2],
                                       j->channels ? 0 : (int)CV_MAX2(0, r - kp + 1),
                                       j->channels ? rows : (int)CV_MIN2(m, r + 1)};
                }
            }
        }
    return s - list;
}

/* One line: a strip of rows at one depth, for one tile of channels, in planes p0 .. p1-1; a plane is one group of one
 * image.  The list of steps is the same for all of them. */
static void CV_(direct_line)(const CV_(direct_job) *j, ptrdiff_t line, ptrdiff_t p0, ptrdiff_t p1, CV_(step) *steps) {
    const cv_conv *p = &j->p;
    const ptrdiff_t strip = line % j->strips, oz = line / j->strips % p->out[0], ob = line / j->strips / p->out[0];
    const ptrdiff_t oc0 = ob * p->ocg / j->oc_blocks, oc1 = (ob + 1) * p->ocg / j->oc_blocks, k = p->icg * j->taps;
    ptrdiff_t oy;
    const int strip_rows = CV_(strip_rows)(j, strip, &oy), rows = j->channels ? (int)(oc1 - oc0) : strip_rows;
    CV_(tile_job) t = {.steps = steps, .kw = p->k[2], .dx = p->dil[2] * p->xs[4], .xstep = p->stride[2] * p->xs[4],
                       .ylane = p->ys[4], .rows = rows};
    t.wstep = j->channels ? k : -j->phases * p->k[2];
    t.ystep = j->channels ? p->ys[1] : j->spacing * p->ys[3];
    t.count = CV_(list_steps)(j, oz, oy, rows, steps);
    ptrdiff_t g = p0 % p->groups, n = p0 / p->groups;
    for (ptrdiff_t plane = p0; plane < p1; plane++) {
        const ptrdiff_t oc = g * p->ocg + oc0;
        const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1];
        T *y = j->y + n * p->ys[0] + oc * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
        t.w = j->w + oc * k;
        for (int m = 0; m < rows; m++) t.bias[m] = j->bias ? j->bias[j->channels ? oc + m : oc] : 0;
        for (const CV_(column) *c = j->column, *end = c + j->columns; c < end; c++) {
            t.column = c;
            t.x = x + (c->ox * p->stride[2] - p->lo[2]) * p->xs[4];
            t.y = y + c->ox * p->ys[4];
            (j->tiles ? j->tiles[c->masks != NULL][c->nv - 1] : CV_(any_1_1))(&t);
        }
        if (++g == p->groups) g = 0, n++;
    }
}

static void CV_(direct_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(direct_job) *j = context;
    const ptrdiff_t lc = unit % j->line_pieces, pc = unit / j->line_pieces;
    for (ptrdiff_t l = lc * j->lines / j->line_pieces; l < (lc + 1) * j->lines / j->line_pieces; l++)
        CV_(direct_line)(j, l, pc * j->planes / j->plane_pieces, (pc + 1) * j->planes / j->plane_pieces,
                         j->steps + worker * j->max_steps);
}

/* Cut a row of outputs into tiles of even width, and mask those that touch the padding. */
static void CV_(cut_columns)(CV_(direct_job) *j, CV_(lanes) *masks) {
    const cv_conv *p = &j->p;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    for (ptrdiff_t i = 0; i < j->columns; i++) {
        CV_(column) *c = j->column + i;
        const ptrdiff_t v0 = i * vecs / j->columns, v1 = (i + 1) * vecs / j->columns;
        c->ox = v0 * VL, c->nv = (int)(v1 - v0);
        c->last = CV_MIN2(VL, p->out[2] - (v1 - 1) * VL);
        const ptrdiff_t first = c->ox * p->stride[2] - p->lo[2];
        const ptrdiff_t end = first + (p->k[2] - 1) * p->dil[2] + c->nv * VL * p->stride[2];
        if (first >= 0 && end <= p->in[2] && j->tiles) {
            c->masks = NULL;
            continue;
        }
        c->masks = masks;
        for (ptrdiff_t kx = 0; kx < p->k[2]; kx++)
            for (int v = 0; v < c->nv; v++) *masks++ = CV_(lanes_of)(p, c->ox + v * VL, kx);
    }
}

static void CV_(plan_direct)(CV_(direct_job) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t sh = p->stride[1], dh = p->dil[1], every = sh / cv_gcd(sh, dh) * dh;
    j->taps = p->k[0] * p->k[1] * p->k[2];
    j->channels = p->ocg > 1;
    j->spacing = j->channels ? 1 : every / sh;
    j->phases = j->channels ? 1 : every / dh;
    j->oc_blocks = j->channels ? (p->ocg + CV_DM - 1) / CV_DM : 1;
    j->strips = 0;
    for (ptrdiff_t a = 0; a < CV_MIN2(j->spacing, p->out[1]); a++) {
        const ptrdiff_t rows = (p->out[1] - a + j->spacing - 1) / j->spacing, m = j->channels ? 1 : CV_DM;
        j->strips += (rows + m - 1) / m;
    }
    j->planes = p->n * p->groups;
    j->max_steps = p->icg * p->k[0] * (p->k[1] + CV_MIN2(j->phases, p->k[1]) * (CV_DM - 1));
    const int unit = p->xs[4] == 1 && p->ys[4] == 1, three = p->k[2] == 3, pair = p->dil[2] == 1;
    const int which = p->stride[2] == 1 ? three : !pair ? 2 : three ? 4 : 3;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    j->columns = vecs;
    if (!unit || p->stride[2] > 2) return;
    j->tiles = CV_(direct_tiles)[which];
    j->columns = (vecs + CV_DNV - 1) / CV_DNV;
#if CV_DNV == 4
    if (p->ocg > CV_DM && vecs <= 2) j->tiles = CV_(wide_tiles)[which], j->oc_blocks = (p->ocg + CV_DM_WIDE - 1) / CV_DM_WIDE;
#endif
}

#include "depthwise.tmpl.h"
#include "depthwise_last.tmpl.h"
#include "flat.tmpl.h"
#include "depthwise_deep.tmpl.h"

static int CV_(direct)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *bias, T *y) {
    int threads = e->threads;
    CV_(direct_job) j = {.p = *p, .x = x, .w = w, .bias = bias, .y = y};
    if (!p->n || !p->groups || !p->ocg || !p->out[0] || !p->out[1] || !p->out[2]) return CV_OK;
    if (CV_(deep_fits)(p)) {
        CV_(deep_job) d = {.x = x, .w = w, .bias = bias, .y = y};
        if (CV_(deep_plan)(&d, p, e, &threads)) return CV_(deep_conv)(&d, threads);
        threads = e->threads;
    }
    if (CV_(dw_fits)(p)) return CV_(dw_conv)(p, x, w, bias, y, threads);
    if (CV_(last_fits)(p)) return CV_(last_conv)(p, x, w, bias, y, threads);
#if CV_VB == 64
    if (CV_(flat_fits)(p)) return CV_(flat_conv)(p, x, w, bias, y, threads);
#endif
    CV_(plan_direct)(&j);
    j.lines = j.oc_blocks * p->out[0] * j.strips;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    const double work = (double)j.planes * p->ocg * p->out[0] * p->out[1] * p->out[2] * p->icg * j.taps;
    cv_cut(work, &threads, j.planes, j.lines, &j.plane_pieces, &j.line_pieces);
    const size_t columns = (size_t)j.columns * sizeof(CV_(column)), masks = (size_t)(vecs * p->k[2]) * sizeof(CV_(lanes));
    const size_t head = (columns + masks + 63) / 64 * 64, steps = (size_t)(threads * j.max_steps) * sizeof(CV_(step));
    char *scratch = cv_alloc(head + steps);
    if (!scratch) return CV_NOMEM;
    j.column = (CV_(column) *)scratch;
    j.steps = (CV_(step) *)(scratch + head);
    CV_(cut_columns)(&j, (CV_(lanes) *)(scratch + columns));
    const int status = cv_parallel(CV_(direct_task), &j, j.plane_pieces * j.line_pieces, threads);
    cv_free(scratch);
    return status;
}

/* Scratch that grows with the problem: the other kernels take a few KB, masks and offsets. */
static ptrdiff_t CV_(direct_workspace)(const cv_conv *p, const cv_exec *e) {
    CV_(deep_job) d;
    int threads;
    if (!CV_(deep_fits)(p) || !CV_(deep_plan)(&d, p, e, &threads)) return 0;
    return threads * d.each * (ptrdiff_t)sizeof(T);
}
#undef CV_LOAD_A
#undef CV_LOAD_B
