/* Winograd convolution F(m x m, r x r) along H and W: F(4, 3), F(2, 3) and F(2, 5), stride 1, float32.
 *
 * An m x m tile of outputs takes a^2 = (m+r-1)^2 products per pair of channels instead of m^2 r^2: 36 for 144, 16 for
 * 36, 36 for 100.  Lanes are channels, as in pixels.tmpl.h.  A unit of work is a block of up to CV_WINO_TILES tiles, whose
 * intermediate results stay in the caches:
 *   V[point][tile][c]  = B^T d B    the inputs d of a tile, from rows turned round to channels last
 *   M[point][tile][oc] = V U        one GEMM per point, inputs broadcast, for one panel of output channels
 *   y                  = A^T M A    turned round again, unless channels come last in y, too
 * Dilation puts a tile's inputs and outputs so far apart.  A window's slices along D are more products of one GEMM.
 * Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
 *
 * Infinities and NaN would spread over their tile: a tile with such an output is summed again window by window.
 */
#ifndef CV_WINO_TILES
#define CV_WINO_TILES 64
#define CV_WINO_SLICES 16 /* tiles of a slice in a block, where windows span slices: more slices share their inputs */
#define CV_WINO_SKEW 16   /* elements between planes of V, M or U: else a tile's planes fall into one cache set */
#define CV_WINO_FEW 16    /* fewer tiles than this do not repay the larger weights of F(4) */

/* Phases of the dilation along W that hold outputs. */
static inline __attribute__((unused)) ptrdiff_t cv_wino_across(const cv_conv *p) { return CV_MIN2(p->dil[2], p->out[2]); }

/* Tiles along an axis: of one phase of the dilation. */
static inline __attribute__((unused)) ptrdiff_t cv_wino_along(const cv_conv *p, int axis, ptrdiff_t m) {
    return ((p->out[axis] + p->dil[axis] - 1) / p->dil[axis] + m - 1) / m;
}

/* Of m x m outputs, in the batch. */
static inline __attribute__((unused)) double cv_wino_tiles(const cv_conv *p, int m) {
    const double phases = (double)CV_MIN2(p->dil[1], p->out[1]) * (double)cv_wino_across(p);
    return phases * (double)(p->n * p->out[0]) * (double)(cv_wino_along(p, 1, m) * cv_wino_along(p, 2, m));
}

static inline __attribute__((unused)) int cv_wino_m(const cv_conv *p) {
    return p->k[2] == 3 && cv_wino_tiles(p, 4) >= CV_WINO_FEW ? 4 : 2;
}

static inline __attribute__((unused)) int cv_wino_points(const cv_conv *p) {
    const int a = cv_wino_m(p) + (int)p->k[2] - 1;
    return a * a;
}

/* Slices of input under so many neighbouring slices of output. */
static inline __attribute__((unused)) ptrdiff_t cv_wino_slices(const cv_conv *p, ptrdiff_t count) {
    return (count - 1) * p->stride[0] + (p->k[0] - 1) * p->dil[0] + 1;
}
#endif
#define CV_WPX (CV_PX == 7 ? 8 : CV_PX) /* tiles at once: 24 accumulators of 32 registers, or 12 of 16 */

#include "winograd_axes.tmpl.h"

/* A block: of images, output slices, rows of tiles (phase by phase) and columns of tiles (of all phases). */
typedef struct {
    ptrdiff_t first[4], count[4];
} CV_(wino_block);

typedef struct {
    cv_conv p;
    int m, r, points, threads;
    const T *x, *w, *u, *bias;
    T *y, *scratch;
    ptrdiff_t k, vecs, panels, c_vecs;   /* products per point; vectors of output channels, panels, vectors of inputs */
    ptrdiff_t th;                        /* rows of tiles of a phase */
    ptrdiff_t size[4], cuts[4], blocks;  /* what is cut into blocks */
    ptrdiff_t most[4], slices, tiles;    /* in a block at most: counts, slices of input under it, tiles of output */
    ptrdiff_t span, parts;               /* a unit: so many blocks, by one of so many parts of the panels */
    ptrdiff_t row, v_row, v_plane, m_plane, v_size, stage, index;
    ptrdiff_t own, each;                 /* elements of weights that a worker transforms for itself; of all its scratch */
    ptrdiff_t held[CV_MAX_THREADS][2];   /* the blocks whose V a worker has, the group whose weights, and one more */
} CV_(wino_job);

static double CV_(wino_products)(const cv_conv *p, int *points) {
    *points = cv_wino_points(p);
    return *points * cv_wino_tiles(p, cv_wino_m(p));
}

/* Elements of U before panel i of a group that has `vecs` vectors of output channels. */
CV_INLINE ptrdiff_t CV_(wino_before)(ptrdiff_t points, ptrdiff_t k, ptrdiff_t vecs, ptrdiff_t i) {
    const ptrdiff_t panels = CV_(pixels_panels)(vecs);
    return points * (k * CV_(pixels_lane)(vecs, panels, i) + CV_WINO_SKEW * i);
}

/* Of a group. */
CV_INLINE ptrdiff_t CV_(wino_group)(const cv_conv *p) {
    const ptrdiff_t vecs = (p->ocg + VL - 1) / VL;
    return vecs ? CV_(wino_before)(cv_wino_points(p), p->icg * p->k[0], vecs, CV_(pixels_panels)(vecs)) : 0;
}
static ptrdiff_t CV_(wino_size)(const cv_conv *p) { return p->groups * CV_(wino_group)(p); }

#include "winograd_weights.tmpl.h"

/* ---- plan */

CV_INLINE void CV_(wino_measure)(CV_(wino_job) *j) {
    const cv_conv *p = &j->p;
    j->blocks = 1;
    for (int a = 0; a < 4; a++) j->most[a] = (j->size[a] + j->cuts[a] - 1) / j->cuts[a], j->blocks *= j->cuts[a];
    j->slices = cv_wino_slices(p, j->most[1]);
    j->tiles = j->most[0] * j->most[1] * j->most[2] * j->most[3] * cv_wino_across(p);
}

/* Images first; then, where windows span slices, rows of tiles before slices. */
static void CV_(wino_cut)(CV_(wino_job) *j) {
    const int deep = j->p.k[0] > 1, axes[5] = {0, deep ? 2 : 1, deep ? 1 : 2, 2, 3};
    for (int a = 0; a < 4; a++) j->cuts[a] = 1;
    CV_(wino_measure)(j);
    for (int i = 0; i < 5; i++)
        while (j->tiles > CV_WINO_TILES && j->cuts[axes[i]] < j->size[axes[i]]) {
            if (deep && i == 1 && j->tiles <= CV_WINO_SLICES * j->most[1]) break;
            j->cuts[axes[i]]++;
            CV_(wino_measure)(j);
        }
    /* an even share for each thread: 5 blocks keep two threads busy for 3 each */
    for (ptrdiff_t all; (all = j->p.groups * j->blocks) > j->threads && all < 4 * j->threads && all % j->threads;) {
        const int a = j->cuts[0] > 1 && j->cuts[0] < j->size[0] ? 0 : j->cuts[2] < j->size[2] ? 2 : 1;
        if (j->cuts[a] == j->size[a]) break;
        j->cuts[a]++;
        CV_(wino_measure)(j);
    }
    while (j->p.groups * j->blocks * j->panels < 2 * j->threads && j->tiles > 2 * CV_WPX && j->cuts[2] < j->size[2]) {
        j->cuts[2]++;
        CV_(wino_measure)(j);
    }
}

/* The scratch of each worker.  Where blocks are too few to go round, or weights are large, a unit has one panel only;
 * whoever takes it computes V, rather than read what another thread wrote. */
static void CV_(wino_share)(CV_(wino_job) *j, int packed) {
    const cv_conv *p = &j->p;
    const ptrdiff_t a = j->m + j->r - 1, across = cv_wino_across(p);
    const ptrdiff_t weights = CV_(wino_group)(p), panel = CV_MIN2(j->vecs, CV_NV) * VL;
    const int large = !packed && j->threads * weights * (ptrdiff_t)sizeof(T) > CV_OWN_BYTES;
    const int split = j->p.groups * j->blocks < j->threads || large;
    j->parts = split ? j->panels : 1, j->span = split && !packed ? j->blocks : 1;
    j->own = packed ? 0 : split ? j->points * (j->k * panel + CV_WINO_SKEW) : weights;

    const ptrdiff_t width = p->dil[2] * (j->m * j->most[3] + j->r - 1);
    j->row = (width + VL) * VL;
    j->v_row = j->c_vecs * VL;
    j->v_plane = (j->most[0] * j->slices * j->most[2] * j->most[3] * across + CV_WPX / 2) * j->v_row + CV_WINO_SKEW;
    j->m_plane = (j->tiles + CV_WPX) * panel + CV_WINO_SKEW;
    j->v_size = j->points * j->v_plane;
    j->stage = CV_MAX2(width * a, j->m * j->most[2] * p->dil[2] * j->m * j->most[3]) * VL;
    j->index = CV_ROUND64(p->k[0] * (ptrdiff_t)sizeof(cv_run)) / (ptrdiff_t)sizeof(T);
    j->each = j->index + (a + 1) * j->row + j->stage + j->points * j->m_plane + j->span * j->v_size + j->own;
}

/* Bytes of scratch.  Large weights of a call are packed before all else (`first`) where V would be larger still. */
static ptrdiff_t CV_(wino_plan)(CV_(wino_job) *j, const cv_conv *p, const cv_exec *e, int packed, int *first) {
    *j = (CV_(wino_job)){.p = *p, .m = cv_wino_m(p), .r = (int)p->k[2]};
    j->points = cv_wino_points(p);
    j->k = p->icg * p->k[0];
    j->vecs = (p->ocg + VL - 1) / VL, j->panels = CV_(pixels_panels)(j->vecs), j->c_vecs = (p->icg + VL - 1) / VL;
    j->th = cv_wino_along(p, 1, j->m);
    j->size[0] = p->n, j->size[1] = p->out[0], j->size[2] = CV_MIN2(p->dil[1], p->out[1]) * j->th;
    j->size[3] = cv_wino_along(p, 2, j->m);
    const double tiles = cv_wino_tiles(p, j->m);
    const ptrdiff_t weights = CV_(wino_size)(p) * (ptrdiff_t)sizeof(T);
    const double work = (double)(p->groups * p->ocg * j->k) * tiles * j->points;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);
    *first = !packed && j->threads * weights / p->groups > CV_OWN_BYTES && j->threads * tiles > p->ocg;
    for (;; j->threads--) {
        CV_(wino_cut)(j);
        CV_(wino_share)(j, packed || *first);
        const ptrdiff_t bytes = j->threads * j->each * (ptrdiff_t)sizeof(T) + (*first ? weights : 0);
        if (j->threads == 1 || bytes <= e->max_workspace) return bytes;
    }
}

static ptrdiff_t CV_(wino_workspace)(const cv_conv *p, const cv_exec *e, int packed) {
    CV_(wino_job) j;
    int first;
    return p->groups ? CV_(wino_plan)(&j, p, e, packed, &first) : 0;
}

static void CV_(wino_at_block)(const CV_(wino_job) *j, ptrdiff_t block, CV_(wino_block) *b) {
    for (int a = 3; a >= 0; block /= j->cuts[a--]) {
        const ptrdiff_t i = block % j->cuts[a];
        b->first[a] = i * j->size[a] / j->cuts[a];
        b->count[a] = (i + 1) * j->size[a] / j->cuts[a] - b->first[a];
    }
}

/* A worker's scratch. */
typedef struct {
    cv_run *runs; /* one per slice of the window */
    T *zeros, *rows, *turned, *mm, *v, *own; /* turned: columns of input, or a stage of output */
} CV_(wino_scratch);

CV_INLINE CV_(wino_scratch) CV_(wino_space)(const CV_(wino_job) *j, int worker) {
    CV_(wino_scratch) s;
    T *base = j->scratch + worker * j->each;
    const ptrdiff_t a = j->m + j->r - 1;
    s.runs = (cv_run *)base, s.zeros = base + j->index, s.rows = s.zeros + j->row, s.turned = s.rows + a * j->row;
    s.own = base + j->each - j->own, s.v = s.own - j->span * j->v_size, s.mm = s.v - j->points * j->m_plane;
    return s;
}

/* ---- inputs */

/* Columns first <= x < first + width of a row of input, which begins at `from`, to [x][lane]; zeros outside. */
CV_INLINE void CV_(wino_row)(const cv_conv *p, const T *from, ptrdiff_t first, ptrdiff_t width, ptrdiff_t channels, T *to) {
    const ptrdiff_t lo = CV_MIN2(CV_MAX2(-first, 0), width), hi = CV_MAX2(lo, CV_MIN2(p->in[2] - first, width));
    const ptrdiff_t step = p->xs[4];
    for (ptrdiff_t x = 0; x < lo; x++) CV_(store)(to + x * VL, (vec){0});
    from += (first + lo) * step;
    if (p->xs[1] == 1) {
        for (ptrdiff_t x = lo; x < hi; x++, from += step) CV_(store)(to + x * VL, CV_(load_n)(from, channels));
    } else {
        for (ptrdiff_t x = lo; x < hi; x += VL, from += VL * step) { /* what it stores past the end is overwritten */
            vec v[VL];
            CV_(turn_rows)(from, p->xs[1], step, channels, CV_MIN2(VL, hi - x), v);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++) CV_(store)(to + (x + i) * VL, v[i]);
        }
    }
    for (ptrdiff_t x = hi; x < width; x++) CV_(store)(to + x * VL, (vec){0});
}

/* V of the tiles of a row of them, for a vector of channels: first along H, column by column, then along W. */
CV_INLINE void CV_(wino_tiles)(const int a, const int m, const CV_(wino_job) *j, const T *const *row, ptrdiff_t tiles,
                               ptrdiff_t width, T *turned, T *v) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p);
    for (ptrdiff_t x = 0; x < width; x++) {
        vec d[6], r[6];
        CV_UNROLL(6)
        for (int s = 0; s < a; s++) d[s] = CV_(load)(row[s] + x * VL);
        CV_(wino_bt)(a, d, r);
        CV_UNROLL(6)
        for (int s = 0; s < a; s++) CV_(store)(turned + (x * a + s) * VL, r[s]);
    }
    for (ptrdiff_t t = 0; t < tiles; t++)
        for (ptrdiff_t phase = 0; phase < across; phase++, v += j->v_row) {
            const T *from = turned + (t * m * gap + phase) * a * VL;
            CV_UNROLL(6)
            for (int s = 0; s < a; s++) {
                vec d[6], r[6];
                CV_UNROLL(6)
                for (int q = 0; q < a; q++) d[q] = CV_(load)(from + (q * gap * a + s) * VL);
                CV_(wino_bt)(a, d, r);
                CV_UNROLL(6)
                for (int q = 0; q < a; q++) CV_(store)(v + (s * a + q) * j->v_plane, r[q]);
            }
        }
}

/* The inputs of group g under a block to V. */
CV_INLINE void CV_(wino_in)(const int m, const int r, const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                            const CV_(wino_scratch) *s, T *v) {
    const int a = m + r - 1;
    const cv_conv *p = &j->p;
    const ptrdiff_t slices = cv_wino_slices(p, b->count[1]);
    const ptrdiff_t width = p->dil[2] * (m * b->count[3] + r - 1), left = b->first[3] * m * p->dil[2] - p->lo[2];
    const ptrdiff_t next = b->count[3] * cv_wino_across(p) * j->v_row;
    for (ptrdiff_t c = 0; c < p->icg; c += VL) {
        T *to = v + c;
        for (ptrdiff_t i = 0; i < b->count[0] * slices; i++) {
            const ptrdiff_t n = b->first[0] + i / slices, z = b->first[1] * p->stride[0] - p->lo[0] + i % slices;
            const T *x = j->x + n * p->xs[0] + (g * p->icg + c) * p->xs[1] + z * p->xs[2], *row[6];
            T *slot[6];
            for (int q = 0; q < a; q++) slot[q] = s->rows + q * j->row;
            for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++, to += next) {
                const ptrdiff_t phase = t / j->th, top = phase - p->lo[1] + t % j->th * m * p->dil[1];
                const int kept = t > b->first[2] && t % j->th ? r - 1 : 0; /* rows shared with the tiles above */
                T *turn[6];
                for (int q = 0; q < a; q++) turn[q] = slot[(q + m) % a];
                for (int q = 0; q < a; q++) slot[q] = turn[q];
                for (int q = 0; q < kept; q++) row[q] = row[q + m];
                for (int q = kept; q < a; q++) {
                    const ptrdiff_t y = top + q * p->dil[1];
                    row[q] = s->zeros;
                    if (z < 0 || z >= p->in[0] || y < 0 || y >= p->in[1]) continue;
                    CV_(wino_row)(p, x + y * p->xs[3], left, width, CV_MIN2(VL, p->icg - c), slot[q]);
                    row[q] = slot[q];
                }
                CV_(wino_tiles)(a, m, j, row, b->count[3], width, s->turned, to);
            }
        }
    }
}

/* ---- products */

typedef void (*CV_(wino_fn))(const cv_run *runs, ptrdiff_t n, const T *x, ptrdiff_t pitch, const T *w, const T *init, T *c);
#define CV_WINO_TILE(px, nv)                                                                                          \
    static __attribute__((noinline)) void CV_(wino_##px##_##nv)(const cv_run *runs, ptrdiff_t n, const T *x,         \
                                                                ptrdiff_t pitch, const T *w, const T *init, T *c) {  \
        CV_(pixels_tile)(px, nv, nv == CV_NV, runs, n, x, NULL, pitch, w, init, c, nv * VL);                          \
    }
#if CV_NV == 3
#define CV_WINO_TILE_ROW(px) CV_WINO_TILE(px, 1) CV_WINO_TILE(px, 2) CV_WINO_TILE(px, 3)
#define CV_WINO_ENTRY(px) {CV_(wino_##px##_1), CV_(wino_##px##_2), CV_(wino_##px##_3)}
#else
#define CV_WINO_TILE_ROW(px) CV_WINO_TILE(px, 1) CV_WINO_TILE(px, 2)
#define CV_WINO_ENTRY(px) {CV_(wino_##px##_1), CV_(wino_##px##_2)}
#endif
CV_WINO_TILE_ROW(4)
#if CV_PX == 7 /* tiles are cut evenly, so that from half as many as fit on, each number occurs */
CV_WINO_TILE_ROW(5) CV_WINO_TILE_ROW(6) CV_WINO_TILE_ROW(7) CV_WINO_TILE_ROW(8)
static const CV_(wino_fn) CV_(wino_fns)[][CV_NV] = {CV_WINO_ENTRY(4), CV_WINO_ENTRY(5), CV_WINO_ENTRY(6), CV_WINO_ENTRY(7),
                                                    CV_WINO_ENTRY(8)};
#else
CV_WINO_TILE_ROW(2) CV_WINO_TILE_ROW(3)
static const CV_(wino_fn) CV_(wino_fns)[][CV_NV] = {CV_WINO_ENTRY(2), CV_WINO_ENTRY(3), CV_WINO_ENTRY(4)};
#endif
#undef CV_WINO_TILE
#undef CV_WINO_TILE_ROW
#undef CV_WINO_ENTRY

/* M of a panel of nv vectors of output channels, whose weights lie at u. */
static void CV_(wino_multiply)(const CV_(wino_job) *j, const CV_(wino_block) *b, ptrdiff_t nv, const T *u, const T *v,
                               const CV_(wino_scratch) *s) {
    static const T zeros[CV_NV * VL];
    const cv_conv *p = &j->p;
    const ptrdiff_t slice = b->count[2] * b->count[3] * cv_wino_across(p), step = slice * j->v_row;
    const ptrdiff_t slices = cv_wino_slices(p, b->count[1]), ld = nv * VL;
    /* tiles of all slices lie in a row, unless windows span slices or step over them */
    const int even = slices == b->count[1], groups = even ? 1 : (int)(b->count[0] * b->count[1]);
    const ptrdiff_t tiles = even ? b->count[0] * b->count[1] * slice : slice, least = CV_WPX / 2;
    const ptrdiff_t parts = (tiles + CV_WPX - 1) / CV_WPX;
    for (ptrdiff_t z = 0; z < p->k[0]; z++) s->runs[z] = (cv_run){z * p->dil[0] * step, j->p.icg};
    T *mm = s->mm;
    for (int point = 0; point < j->points; point++, u += j->k * ld + CV_WINO_SKEW, v += j->v_plane, mm += j->m_plane)
        for (ptrdiff_t g = 0; g < groups; g++) {
            const T *x = v + (g / b->count[1] * slices + g % b->count[1] * p->stride[0]) * step;
            for (ptrdiff_t i = 0; i < parts; i++) {
                const ptrdiff_t t = i * tiles / parts, count = CV_MAX2(least, (i + 1) * tiles / parts - t);
                CV_(wino_fns)[count - least][nv - 1](s->runs, p->k[0], x + t * j->v_row, j->v_row, u, zeros,
                                                     mm + (g * tiles + t) * ld);
            }
        }
}

/* ---- outputs */

/* A tile of which some outputs are not finite (z: NaN there): sum those again.  Its first output is `first` (n, z, y, x) of
 * the batch, and lies at `to` in a stage `width` columns wide. */
static __attribute__((noinline)) void CV_(wino_mend)(const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc, ptrdiff_t outs, vec z,
                                                     const ptrdiff_t *first, ptrdiff_t width, T *to) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t l = 0; l < outs; l++) {
        if (z[l] == 0) continue;
        for (int i = 0; i < j->m * j->m; i++) {
            const ptrdiff_t y = i / j->m, x = i % j->m * p->dil[2];
            const ptrdiff_t at[4] = {first[0], first[1], first[2] + y * p->dil[1], first[3] + x};
            if (at[2] >= p->out[1] || at[3] >= p->out[2]) continue;
            to[(y * width + x) * VL + l] = CV_(plain)(p, j->x, j->w, j->bias, g, oc + l, at);
        }
    }
}

/* The outputs of one tile from M, its points m_plane apart, to a stage `width` columns wide, of which `left` remain. */
CV_INLINE vec CV_(wino_untile)(const int m, const int a, const T *from, ptrdiff_t m_plane, vec bias, ptrdiff_t gap,
                               ptrdiff_t width, ptrdiff_t left, T *to) {
    vec half[24], z = {0};
    CV_UNROLL(6)
    for (int q = 0; q < a; q++) {
        vec in[6], r[4];
        CV_UNROLL(6)
        for (int y = 0; y < a; y++) in[y] = CV_(load)(from + (y * a + q) * m_plane);
        CV_(wino_at)(m, a, in, r);
        CV_UNROLL(4)
        for (int y = 0; y < m; y++) half[y * a + q] = r[y];
    }
    CV_UNROLL(4)
    for (int y = 0; y < m; y++) {
        vec r[4];
        CV_(wino_at)(m, a, half + y * a, r);
        CV_UNROLL(4)
        for (int q = 0; q < m; q++) {
            r[q] += bias;
            z += r[q] * (T)0; /* NaN where the output is not finite */
            if (q * gap < left) CV_(store)(to + (y * width + q * gap) * VL, r[q]);
        }
    }
    return z;
}

/* Panel l0 .. of group g, nv vectors, to y. */
CV_INLINE void CV_(wino_out)(const int m, const int r, const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                             ptrdiff_t l0, ptrdiff_t nv, const CV_(wino_scratch) *s) {
    const cv_conv *p = &j->p;
    const ptrdiff_t gap = p->dil[2], across = cv_wino_across(p), down = p->dil[1], ld = nv * VL;
    const ptrdiff_t left = b->first[3] * m * gap, width = CV_MIN2(p->out[2] - left, b->count[3] * m * gap);
    for (ptrdiff_t l = l0; l < l0 + ld; l += VL) {
        const ptrdiff_t oc = g * p->ocg + l, outs = CV_MIN2(VL, p->ocg - l);
        const vec bias = j->bias ? CV_(load_n)(j->bias + oc, outs) : (vec){0};
        const T *from = s->mm + l - l0;
        for (ptrdiff_t i = 0; i < b->count[0] * b->count[1]; i++) {
            const ptrdiff_t n = b->first[0] + i / b->count[1], z = b->first[1] + i % b->count[1];
            T *to = s->turned;
            ptrdiff_t rows = 0; /* waiting at s->turned */
            for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++) {
                const ptrdiff_t y = t / j->th + t % j->th * m * down;
                for (ptrdiff_t tx = 0; tx < b->count[3]; tx++)
                    for (ptrdiff_t phase = 0; phase < across; phase++, from += ld) {
                        const ptrdiff_t x = tx * m * gap + phase;
                        const vec nan = CV_(wino_untile)(m, m + r - 1, from, j->m_plane, bias, gap, width, width - x,
                                                         to + x * VL);
                        if (CV_(any)(nan != nan))
                            CV_(wino_mend)(j, g, l, outs, nan, (ptrdiff_t[4]){n, z, y, left + x}, width, to + x * VL);
                    }
                rows += CV_MAX2(0, CV_MIN2(m, (p->out[1] - y + down - 1) / down));
                to = s->turned + rows * width * VL;
                const int whole = down == 1 && width == p->out[2]; /* rows of one image go together */
                if (whole && t + 1 < b->first[2] + b->count[2]) continue;
                const ptrdiff_t first = whole ? b->first[2] * m : y;
                const ptrdiff_t pixel = ((n * p->out[0] + z) * p->out[1] + first) * p->out[2] + left;
                T *y0 = j->y + oc * p->ys[1];
                if (whole) CV_(pixels_out)(p, pixel, rows * width, outs, s->turned, VL, y0);
                for (ptrdiff_t q = 0; q < rows && !whole; q++)
                    CV_(pixels_out)(p, pixel + q * down * p->out[2], width, outs, s->turned + q * width * VL, VL, y0);
                rows = 0, to = s->turned;
            }
        }
    }
}

#include "winograd_units.tmpl.h"
