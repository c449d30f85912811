/* Winograd convolution F(m x m, 3 x 3), m = 4 or 2: stride 1, no dilation, float32.
 *
 * An m x m tile of outputs takes (m+2)^2 products per pair of channels instead of 9 m^2: 36 for 144, 16 for 36.  Lanes
 * are tiles.  A unit of work is a block of up to CV_WINO_TILES tiles, whose intermediate results stay in the caches:
 *   V[point][c][tile]  = B^T d B    the inputs d of a tile, from rows split into m phases by shuffles
 *   M[point][oc][tile] = U V        one GEMM per point: V is its B panel, the prepared weights U its A panels
 *   y                  = A^T M A    phases joined into rows again
 * F(4): points 0, +-3/4, +-3/2 and infinity; all entries of B and A are exact in binary, and the error is about twice
 * that of direct summation.  F(2): 0, +-1, infinity.  Lavin and Gray, "Fast Algorithms for Convolutional Neural
 * Networks", CVPR 2016.
 *
 * Infinities and NaN would spread over their tile: a tile with such an output is summed again window by window.
 */
#ifndef CV_WINO_TILES
#define CV_WINO_TILES 48
#define CV_WINO_SKEW 16 /* elements between two planes of V or M: else all of a tile's planes fall into one cache set */
#define CV_WINO_FAR (8 << 20) /* bytes of weights that no second-level cache holds */
#define CV_WINO_FEW 16  /* fewer tiles than this leave lanes of F(4) empty */

/* Neighbouring tiles of one row: the first is number t of its block and lies at (n, ty, tx). */
typedef struct {
    ptrdiff_t t, len, n, ty, tx;
} cv_tiles;

static inline __attribute__((unused)) int cv_wino_m(const cv_conv *p) {
    return p->n * ((p->out[1] + 3) / 4) * ((p->out[2] + 3) / 4) >= CV_WINO_FEW ? 4 : 2;
}
#endif

typedef struct {
    cv_conv p;
    int m, points, threads;
    const T *x, *w, *u, *bias;
    T *y, *scratch, *shared;           /* shared: V of all blocks, if split */
    ptrdiff_t th, tw, tiles;           /* tiles of an image's height and width; of the batch */
    ptrdiff_t vecs, blocks;            /* vectors of tiles; blocks per group */
    ptrdiff_t oc_panels, chunks;       /* chunks: parts of the channels, if split */
    ptrdiff_t v_plane, m_plane, v_size, each;
    ptrdiff_t own;                     /* elements of weights that a worker transforms for itself */
    ptrdiff_t held[CV_MAX_THREADS];    /* the group whose weights it has, and one more */
    int split;                         /* between output channels: blocks are too few to go round, or weights large */
    int first;                         /* large weights of a call are packed before all else: V would be larger still */
} CV_(wino_job);

static inline ptrdiff_t CV_(u_plane)(const cv_conv *p) {
    return (p->ocg + CV_MR - 1) / CV_MR * CV_MR * p->icg + CV_WINO_SKEW;
}

static void CV_(wino_plan)(CV_(wino_job) *j, const cv_conv *p, const cv_exec *e, int packed) {
    *j = (CV_(wino_job)){.p = *p, .m = cv_wino_m(p)};
    const ptrdiff_t a = j->m + 2, ld = CV_WINO_TILES + VL;
    j->points = (int)(a * a);
    j->th = (p->out[1] + j->m - 1) / j->m, j->tw = (p->out[2] + j->m - 1) / j->m;
    j->tiles = p->n * j->th * j->tw;
    j->vecs = (j->tiles + VL - 1) / VL;
    j->blocks = (j->vecs + CV_WINO_TILES / VL - 1) / (CV_WINO_TILES / VL);
    j->oc_panels = (p->ocg + CV_MR - 1) / CV_MR;
    const double work = (double)p->groups * p->ocg * p->icg * j->tiles * j->points;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);
    ptrdiff_t all = p->groups * j->blocks;
    if (all > j->threads && all < 4 * j->threads && all % j->threads) { /* 5 blocks keep two threads busy for 3 each */
        j->blocks = CV_MIN2(j->vecs, (j->blocks + j->threads - 1) / j->threads * j->threads);
        all = p->groups * j->blocks;
    }
    const ptrdiff_t weights = j->points * CV_(u_plane)(p);
    const int large = !packed && j->threads * weights * (ptrdiff_t)sizeof(T) > CV_OWN_BYTES;
    j->first = large && j->tiles > p->ocg;
    packed |= j->first;
    j->split = (all < 2 * j->threads && all % j->threads) || (large && !j->first);
    j->chunks = j->split ? 3 * j->threads : 1;
    j->chunks = CV_MAX2(1, CV_MIN2(j->chunks, CV_MIN2(j->oc_panels, p->icg))); /* there may be no channel at all */
    const ptrdiff_t panels = !packed && j->split ? 1 : (j->oc_panels + j->chunks - 1) / j->chunks;
    j->own = packed ? 0 : j->split ? j->points * (p->icg * CV_MR + CV_WINO_SKEW) : weights;
    j->v_plane = p->icg * CV_WINO_TILES + CV_WINO_SKEW;
    j->m_plane = panels * CV_MR * CV_WINO_TILES + CV_WINO_SKEW;
    j->v_size = j->points * j->v_plane;
    j->each = j->points * (j->m_plane + ld) + (j->split ? 0 : j->v_size) + j->own;
}

static ptrdiff_t CV_(wino_size)(const cv_conv *p) {
    const ptrdiff_t a = cv_wino_m(p) + 2;
    return a * a * p->groups * CV_(u_plane)(p);
}

static ptrdiff_t CV_(wino_workspace)(const cv_conv *p, const cv_exec *e, int packed) {
    CV_(wino_job) j;
    CV_(wino_plan)(&j, p, e, packed);
    const ptrdiff_t shared = j.split ? p->groups * j.blocks * j.v_size : 0;
    return (j.threads * j.each + shared + (j.first ? CV_(wino_size)(p) : 0)) * (ptrdiff_t)sizeof(T);
}

/* Block b's first tile and number of tiles; vectors are cut evenly. */
CV_INLINE ptrdiff_t CV_(wino_first)(const CV_(wino_job) *j, ptrdiff_t b) {
    return CV_MIN2(b * j->vecs / j->blocks * VL, j->tiles);
}

static int CV_(wino_spans)(const CV_(wino_job) *j, ptrdiff_t first, ptrdiff_t count, cv_tiles *s) {
    int n = 0;
    for (ptrdiff_t t = 0; t < count; t += s[n++].len) {
        const ptrdiff_t at = first + t, tx = at % j->tw;
        s[n] = (cv_tiles){t, CV_MIN2(j->tw - tx, count - t), at / j->tw / j->th, at / j->tw % j->th, tx};
    }
    return n;
}

/* ---- one axis of the transforms */

CV_INLINE void CV_(wino_bt)(const int m, const vec *d, const int s, vec *r) {
    if (m == 4) {
        const vec e1 = 0.25f * d[4 * s] - 0.5625f * d[2 * s], o1 = 0.1875f * d[3 * s] - 0.421875f * d[s];
        const vec e2 = 0.5f * d[4 * s] - 0.28125f * d[2 * s], o2 = 0.75f * d[3 * s] - 0.421875f * d[s];
        r[0] = 0.31640625f * d[0] - 0.703125f * d[2 * s] + 0.25f * d[4 * s];
        r[1] = e1 + o1, r[2] = e1 - o1, r[3] = e2 + o2, r[4] = e2 - o2;
        r[5] = 0.31640625f * d[s] - 0.703125f * d[3 * s] + 0.25f * d[5 * s];
    } else {
        r[0] = d[0] - d[2 * s], r[1] = d[s] + d[2 * s], r[2] = d[2 * s] - d[s], r[3] = d[s] - d[3 * s];
    }
}

CV_INLINE void CV_(wino_at)(const int m, const vec *v, const int s, vec *r) {
    if (m == 4) {
        const vec p1 = v[s] + v[2 * s], m1 = v[s] - v[2 * s], p2 = v[3 * s] + v[4 * s], m2 = v[3 * s] - v[4 * s];
        r[0] = v[0] + p1 + p2, r[1] = 0.75f * m1 + 1.5f * m2, r[2] = 0.5625f * p1 + 2.25f * p2;
        r[3] = 0.421875f * m1 + 3.375f * m2 + v[5 * s];
    } else {
        r[0] = v[0] + v[s] + v[2 * s], r[1] = v[s] - v[2 * s] - v[3 * s];
    }
}

#include "winograd_weights.tmpl.h"

/* ---- inputs */

/* Elements first <= i < end of p, p + step, … split into phases: r[q] holds elements q, q + m, q + 2m, …, or 0. */
CV_INLINE void CV_(wino_split)(const int m, const T *p, ptrdiff_t step, ptrdiff_t first, ptrdiff_t end, vec *r) {
    vec v[2][4];
    if (step == 1 && first <= 0 && end >= m * (VL + 1)) {
        CV_UNROLL(4)
        for (int i = 0; i < m; i++) v[0][i] = CV_(load)(p + i * VL), v[1][i] = CV_(load)(p + i * VL + m);
    } else {
        CV_UNROLL(4)
        for (int i = 0; i < m; i++) {
            CV_UNROLL(2)
            for (int q = 0; q < 2; q++) {
                const ptrdiff_t at = i * VL + q * m;
                const ptrdiff_t lo = CV_MAX2(CV_MIN2(first - at, VL), 0), hi = CV_MAX2(CV_MIN2(end - at, VL), lo);
                v[q][i] = CV_(gather)(p + at * step, step, lo, hi);
            }
        }
    }
    if (m == 4) {
        const vec e0 = CV_(even)(v[0][0], v[0][1]), e1 = CV_(even)(v[0][2], v[0][3]);
        const vec o0 = CV_(odd)(v[0][0], v[0][1]), o1 = CV_(odd)(v[0][2], v[0][3]);
        r[0] = CV_(even)(e0, e1), r[1] = CV_(even)(o0, o1), r[2] = CV_(odd)(e0, e1), r[3] = CV_(odd)(o0, o1);
        r[4] = CV_(even)(CV_(even)(v[1][0], v[1][1]), CV_(even)(v[1][2], v[1][3]));
        r[5] = CV_(even)(CV_(odd)(v[1][0], v[1][1]), CV_(odd)(v[1][2], v[1][3]));
    } else {
        r[0] = CV_(even)(v[0][0], v[0][1]), r[1] = CV_(odd)(v[0][0], v[0][1]);
        r[2] = CV_(even)(v[1][0], v[1][1]), r[3] = CV_(odd)(v[1][0], v[1][1]);
    }
}

CV_INLINE void CV_(wino_in)(const int m, const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t first, ptrdiff_t count,
                            ptrdiff_t c0, ptrdiff_t c1, T *v, T *d) {
    const int a = m + 2, ld = CV_WINO_TILES + VL;
    const cv_conv *p = &j->p;
    cv_tiles spans[CV_WINO_TILES];
    const int n = CV_(wino_spans)(j, first, count, spans);
    for (ptrdiff_t c = c0; c < c1; c++) {
        for (int i = 0; i < n; i++) {
            const cv_tiles s = spans[i];
            const T *plane = j->x + s.n * p->xs[0] + (g * p->icg + c) * p->xs[1];
            for (int r = 0; r < a; r++) {
                const ptrdiff_t iy = s.ty * m - p->lo[1] + r;
                T *to = d + r * a * ld + s.t;
                for (ptrdiff_t k = 0; k < s.len; k += VL) {
                    const ptrdiff_t ix = (s.tx + k) * m - p->lo[2];
                    vec phase[6] = {0};
                    if (iy >= 0 && iy < p->in[1])
                        CV_(wino_split)(m, plane + iy * p->xs[3] + ix * p->xs[4], p->xs[4], -ix, p->in[2] - ix, phase);
                    CV_UNROLL(6)
                    for (int q = 0; q < a; q++) CV_(store)(to + q * ld + k, phase[q]);
                }
            }
        }
        for (ptrdiff_t i = 0; i < count; i += VL) {
            vec half[36], in[6], r[6];
            CV_UNROLL(6)
            for (int q = 0; q < a; q++) {
                CV_UNROLL(6)
                for (int y = 0; y < a; y++) in[y] = CV_(load)(d + (y * a + q) * ld + i);
                CV_(wino_bt)(m, in, 1, r);
                CV_UNROLL(6)
                for (int y = 0; y < a; y++) half[y * a + q] = r[y];
            }
            CV_UNROLL(6)
            for (int y = 0; y < a; y++) {
                CV_(wino_bt)(m, half + y * a, 1, r);
                CV_UNROLL(6)
                for (int q = 0; q < a; q++) CV_(store)(v + (y * a + q) * j->v_plane + c * CV_WINO_TILES + i, r[q]);
            }
        }
    }
}

/* ---- products: M of `panels` panels of output channels, whose weights lie at u, points `plane` apart */

static void CV_(wino_multiply)(const CV_(wino_job) *j, ptrdiff_t count, ptrdiff_t panels, const T *u, ptrdiff_t plane,
                               const T *v, T *mm) {
    static const T zeros[CV_MR];
    const ptrdiff_t c_all = j->p.icg, vecs = (count + VL - 1) / VL, parts = (vecs + CV_NV - 1) / CV_NV;
    const CV_(tile_fn) *tiles = j->points * plane * (ptrdiff_t)sizeof(T) > CV_WINO_FAR ? CV_(tiles_far) : CV_(tiles);
    for (int point = 0; point < j->points; point++, u += plane, v += j->v_plane, mm += j->m_plane)
        for (ptrdiff_t op = 0; op < panels; op++)
            for (ptrdiff_t i = 0; i < parts; i++) {
                const ptrdiff_t v0 = i * vecs / parts, v1 = (i + 1) * vecs / parts;
                const CV_(tile_out) o = {mm + op * CV_MR * CV_WINO_TILES + v0 * VL, CV_WINO_TILES, CV_MR, VL, zeros};
                tiles[v1 - v0](c_all, u + op * c_all * CV_MR, v + v0 * VL, CV_WINO_TILES, NULL, &o);
            }
}

/* ---- outputs */

/* Phases back into one row: to[m * i + q] = from[q * ld + i], count elements of it. */
CV_INLINE void CV_(wino_join)(const int m, const T *from, T *to, ptrdiff_t step, ptrdiff_t count) {
    const int ld = CV_WINO_TILES + VL;
    vec r[4];
    if (m == 4) {
        const vec a = CV_(load)(from), b = CV_(load)(from + ld);
        const vec c = CV_(load)(from + 2 * ld), d = CV_(load)(from + 3 * ld);
        const vec e0 = CV_(zip_low)(a, c), e1 = CV_(zip_high)(a, c), o0 = CV_(zip_low)(b, d), o1 = CV_(zip_high)(b, d);
        r[0] = CV_(zip_low)(e0, o0), r[1] = CV_(zip_high)(e0, o0);
        r[2] = CV_(zip_low)(e1, o1), r[3] = CV_(zip_high)(e1, o1);
    } else {
        r[0] = CV_(zip_low)(CV_(load)(from), CV_(load)(from + ld));
        r[1] = CV_(zip_high)(CV_(load)(from), CV_(load)(from + ld));
    }
    CV_UNROLL(4)
    for (int i = 0; i < m; i++) {
        const ptrdiff_t n = CV_MIN2(count - i * VL, VL);
        if (n <= 0) break;
        if (step == 1)
            CV_(store_n)(to + i * VL, r[i], n);
        else
            for (ptrdiff_t l = 0; l < n; l++) to[(i * VL + l) * step] = r[i][l];
    }
}

/* Tiles first .. first+VL-1 of which some are not finite: sum those again. */
static __attribute__((noinline)) void CV_(wino_mend)(const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc, ptrdiff_t first,
                                                     ptrdiff_t count, vec z, T *o) {
    const int m = j->m, ld = CV_WINO_TILES + VL;
    for (ptrdiff_t l = 0; l < CV_MIN2(count, VL); l++) {
        if (z[l] == 0) continue;
        const ptrdiff_t t = first + l, tx = t % j->tw, ty = t / j->tw % j->th, n = t / j->tw / j->th;
        for (int i = 0; i < m * m; i++) {
            const ptrdiff_t at[4] = {n, 0, ty * m + i / m, tx * m + i % m};
            if (at[2] < j->p.out[1] && at[3] < j->p.out[2])
                o[i * ld + l] = CV_(plain)(&j->p, j->x, j->w, j->bias, g, oc, at);
        }
    }
}

CV_INLINE void CV_(wino_out)(const int m, const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t first, ptrdiff_t count,
                             ptrdiff_t op0, ptrdiff_t op1, const T *mm, T *o) {
    const int a = m + 2, ld = CV_WINO_TILES + VL;
    const cv_conv *p = &j->p;
    cv_tiles spans[CV_WINO_TILES];
    const int n = CV_(wino_spans)(j, first, count, spans);
    for (ptrdiff_t oc = op0 * CV_MR; oc < CV_MIN2(op1 * CV_MR, p->ocg); oc++) {
        const T *from = mm + (oc - op0 * CV_MR) * CV_WINO_TILES;
        const vec bias = CV_(set1)(j->bias ? j->bias[g * p->ocg + oc] : 0);
        for (ptrdiff_t i = 0; i < count; i += VL) {
            vec half[24], in[6], r[4], z = {0};
            CV_UNROLL(6)
            for (int q = 0; q < a; q++) {
                CV_UNROLL(6)
                for (int y = 0; y < a; y++) in[y] = CV_(load)(from + (y * a + q) * j->m_plane + i);
                CV_(wino_at)(m, in, 1, r);
                CV_UNROLL(4)
                for (int y = 0; y < m; y++) half[y * a + q] = r[y];
            }
            CV_UNROLL(4)
            for (int y = 0; y < m; y++) {
                CV_(wino_at)(m, half + y * a, 1, r);
                CV_UNROLL(4)
                for (int q = 0; q < m; q++) {
                    r[q] += bias;
                    z += r[q] * (T)0; /* NaN where the output is not finite */
                    CV_(store)(o + (y * m + q) * ld + i, r[q]);
                }
            }
            if (CV_(any)(z != z)) CV_(wino_mend)(j, g, oc, first + i, count - i, z, o + i);
        }
        for (int i = 0; i < n; i++) {
            const cv_tiles s = spans[i];
            T *plane = j->y + s.n * p->ys[0] + (g * p->ocg + oc) * p->ys[1];
            for (int y = 0; y < m && s.ty * m + y < p->out[1]; y++)
                for (ptrdiff_t k = 0; k < s.len; k += VL) {
                    const ptrdiff_t ox = (s.tx + k) * m, left = CV_MIN2((s.len - k) * m, p->out[2] - ox);
                    CV_(wino_join)(m, o + y * m * ld + s.t + k, plane + (s.ty * m + y) * p->ys[3] + ox * p->ys[4],
                                   p->ys[4], left);
                }
        }
    }
}

/* ---- units */

#define CV_WINO(step, ...) \
    do { \
        if (j->m == 4) CV_(step)(4, __VA_ARGS__); \
        else CV_(step)(2, __VA_ARGS__); \
    } while (0)

/* Worker's scratch: M, then the phases of one channel, then V unless it is shared, then weights of its own. */
CV_INLINE T *CV_(wino_phases)(const CV_(wino_job) *j, int worker) {
    return j->scratch + worker * j->each + j->points * j->m_plane;
}
CV_INLINE T *CV_(wino_own)(const CV_(wino_job) *j, int worker) { return j->scratch + (worker + 1) * j->each - j->own; }

static void CV_(wino_unit)(void *context, ptrdiff_t unit, int worker) {
    CV_(wino_job) *j = context;
    const ptrdiff_t g = unit / j->blocks, b = unit % j->blocks, first = CV_(wino_first)(j, b), plane = CV_(u_plane)(&j->p);
    const ptrdiff_t count = CV_(wino_first)(j, b + 1) - first;
    T *mm = j->scratch + worker * j->each, *phases = CV_(wino_phases)(j, worker), *own = CV_(wino_own)(j, worker);
    T *v = phases + j->points * (CV_WINO_TILES + VL);
    CV_WINO(wino_in, j, g, first, count, 0, j->p.icg, v, phases);
    if (j->own && j->held[worker] != g + 1) { /* each thread its own: numbers another one wrote come slowly */
        for (ptrdiff_t op = 0; op < j->oc_panels; op++)
            CV_(wino_pack_panel)(&j->p, j->w + g * j->p.ws[0], op, own + op * j->p.icg * CV_MR, plane);
        j->held[worker] = g + 1;
    }
    CV_(wino_multiply)(j, count, j->oc_panels, j->own ? own : j->u + g * j->points * plane, plane, v, mm);
    CV_WINO(wino_out, j, g, first, count, 0, j->oc_panels, mm, phases);
}

/* The same in two regions: first V by ranges of input channels, then the rest by ranges of output channels. */
static void CV_(wino_in_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(wino_job) *j = context;
    const ptrdiff_t i = unit % j->chunks, all = unit / j->chunks, g = all / j->blocks, b = all % j->blocks;
    const ptrdiff_t first = CV_(wino_first)(j, b), count = CV_(wino_first)(j, b + 1) - first;
    const ptrdiff_t c0 = i * j->p.icg / j->chunks, c1 = (i + 1) * j->p.icg / j->chunks;
    CV_WINO(wino_in, j, g, first, count, c0, c1, j->shared + all * j->v_size, CV_(wino_phases)(j, worker));
}

static void CV_(wino_out_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(wino_job) *j = context;
    const ptrdiff_t i = unit % j->chunks, all = unit / j->chunks, g = all / j->blocks, b = all % j->blocks;
    const ptrdiff_t first = CV_(wino_first)(j, b), count = CV_(wino_first)(j, b + 1) - first, plane = CV_(u_plane)(&j->p);
    const ptrdiff_t op0 = i * j->oc_panels / j->chunks, op1 = (i + 1) * j->oc_panels / j->chunks;
    T *mm = j->scratch + worker * j->each;
    CV_(wino_multiply)(j, count, op1 - op0, j->u + g * j->points * plane + op0 * j->p.icg * CV_MR, plane,
                       j->shared + all * j->v_size, mm);
    CV_WINO(wino_out, j, g, first, count, op0, op1, mm, CV_(wino_phases)(j, worker));
}

/* Weights that are not packed: one panel at a time, which stays in L2, for the tiles of all blocks. */
static void CV_(wino_fresh_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(wino_job) *j = context;
    const ptrdiff_t op = unit % j->oc_panels, g = unit / j->oc_panels, plane = j->p.icg * CV_MR + CV_WINO_SKEW;
    T *mm = j->scratch + worker * j->each, *own = CV_(wino_own)(j, worker);
    CV_(wino_pack_panel)(&j->p, j->w + g * j->p.ws[0], op, own, plane);
    for (ptrdiff_t b = 0; b < j->blocks; b++) {
        const ptrdiff_t first = CV_(wino_first)(j, b), count = CV_(wino_first)(j, b + 1) - first;
        CV_(wino_multiply)(j, count, 1, own, plane, j->shared + (g * j->blocks + b) * j->v_size, mm);
        CV_WINO(wino_out, j, g, first, count, op, op + 1, mm, CV_(wino_phases)(j, worker));
    }
}
#undef CV_WINO

/* u: packed weights, or NULL. */
static int CV_(wino_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *u, const T *bias, T *y) {
    CV_(wino_job) j;
    if (!p->n || !p->groups || !p->ocg || !p->out[1] || !p->out[2]) return CV_OK;
    CV_(wino_plan)(&j, p, e, u != NULL);
    j.scratch = cv_alloc((size_t)CV_(wino_workspace)(p, e, u != NULL));
    if (!j.scratch) return CV_NOMEM;
    j.shared = j.scratch + j.threads * j.each;
    j.x = x, j.w = w, j.u = u, j.bias = bias, j.y = y;
    /* lanes past a block's last tile are computed too: let them start from numbers */
    for (int i = 0; i < j.threads; i++)
        __builtin_memset(CV_(wino_phases)(&j, i), 0, (size_t)(j.points * (CV_WINO_TILES + VL)) * sizeof(T));
    const ptrdiff_t blocks = p->groups * j.blocks;
    int status = CV_OK;
    if (j.first) {
        T *all = j.shared + (j.split ? blocks * j.v_size : 0);
        status = CV_(wino_pack)(p, e, w, all);
        j.u = all;
    }
    if (status == CV_OK && j.split) status = cv_parallel(CV_(wino_in_unit), &j, blocks * j.chunks, j.threads);
    if (status == CV_OK)
        status = !j.split ? cv_parallel(CV_(wino_unit), &j, blocks, j.threads)
                 : j.u    ? cv_parallel(CV_(wino_out_unit), &j, blocks * j.chunks, j.threads)
                          : cv_parallel(CV_(wino_fresh_unit), &j, p->groups * j.oc_panels, j.threads);
    cv_free(j.scratch);
    return status;
}
