/* M = V U by one GEMM for each point, and y = A^T M A. */
#ifndef CV_WINO_OUTPUTS
#define CV_WINO_OUTPUTS
#include "../layout/nhwc_out.tmpl.h"
#include "job.tmpl.h"
#if CV_FLOAT
#include "axes.tmpl.h"
#include "range.tmpl.h"
#else
#include "../int8/wino_outputs.tmpl.h"
#endif

/* ---- products */

typedef void (*CV_(wino_fn))(const cv_segment *segments, ptrdiff_t n, const T *x, ptrdiff_t pitch,
                             const T *w, const char *far, ptrdiff_t each, const T *init, T *c);
#define CV_WINO_TILE(kind, pitch, px, nv)                                                        \
    CV_NOINLINE void CV_(wino_##kind##_##px##_##nv)(                                             \
        const cv_segment *segments, ptrdiff_t n, const T *x, ptrdiff_t apart, const T *w,        \
        const char *far, ptrdiff_t each, const T *init, T *c) {                                  \
        (void)apart;                                                                             \
        CV_(broadcast_tile)(px, nv, nv == CV_NV ? far : NULL, each, segments, n,                 \
                            (const CV_(fed) *)x, NULL, (pitch) * CV_DEPTH, w, init, c, nv * VL); \
    }
#define CV_WINO_PAIR(kind, pitch, px) \
    CV_WINO_TILE(kind, pitch, px, 1) CV_WINO_TILE(kind, pitch, px, 2)
#define CV_WINO_BOTH(kind, px) CV_(wino_##kind##_##px##_1), CV_(wino_##kind##_##px##_2)
#if CV_NV == 3
#define CV_WINO_PX(kind, pitch, px) CV_WINO_PAIR(kind, pitch, px) CV_WINO_TILE(kind, pitch, px, 3)
#define CV_WINO_ENTRY(kind, px) {CV_WINO_BOTH(kind, px), CV_(wino_##kind##_##px##_3)}
#else
#define CV_WINO_PX CV_WINO_PAIR
#define CV_WINO_ENTRY(kind, px) {CV_WINO_BOTH(kind, px)}
#endif
/* Tiles are cut evenly, so that from half as many as fit on, each number occurs. */
#if CV_PX == 8
#define CV_WINO_FNS(kind, pitch)                                                \
    CV_WINO_PX(kind, pitch, 4)                                                  \
    CV_WINO_PX(kind, pitch, 5)                                                  \
    CV_WINO_PX(kind, pitch, 6)                                                  \
    CV_WINO_PX(kind, pitch, 7)                                                  \
    CV_WINO_PX(kind, pitch, 8)                                                  \
    static const CV_(wino_fn) CV_(wino_##kind##_fns)[][CV_NV] = {               \
        CV_WINO_ENTRY(kind, 4), CV_WINO_ENTRY(kind, 5), CV_WINO_ENTRY(kind, 6), \
        CV_WINO_ENTRY(kind, 7), CV_WINO_ENTRY(kind, 8)};
#elif CV_FEW_PX == 6
#define CV_WINO_FNS(kind, pitch)                                                            \
    CV_WINO_TILE(kind, pitch, 2, 3)                                                         \
    CV_WINO_PX(kind, pitch, 3)                                                              \
    CV_WINO_PX(kind, pitch, 4)                                                              \
    CV_WINO_PAIR(kind, pitch, 5)                                                            \
    CV_WINO_PAIR(kind, pitch, 6)                                                            \
    static const CV_(wino_fn)                                                               \
        CV_(wino_##kind##_fns)[][CV_NV] = {{CV_WINO_BOTH(kind, 3), CV_(wino_##kind##_2_3)}, \
                                           {CV_WINO_BOTH(kind, 4), CV_(wino_##kind##_3_3)}, \
                                           {CV_WINO_BOTH(kind, 5), CV_(wino_##kind##_4_3)}, \
                                           {CV_WINO_BOTH(kind, 6)}};
#else
#define CV_WINO_THREE(kind, pitch, a, b, c)                       \
    CV_WINO_PX(kind, pitch, a)                                    \
    CV_WINO_PX(kind, pitch, b)                                    \
    CV_WINO_PX(kind, pitch, c)                                    \
    static const CV_(wino_fn) CV_(wino_##kind##_fns)[][CV_NV] = { \
        CV_WINO_ENTRY(kind, a), CV_WINO_ENTRY(kind, b), CV_WINO_ENTRY(kind, c)};
#if CV_PX == 3
#define CV_WINO_FNS(kind, pitch) CV_WINO_THREE(kind, pitch, 1, 2, 3)
#else
#define CV_WINO_FNS(kind, pitch) CV_WINO_THREE(kind, pitch, 2, 3, 4)
#endif
#endif
CV_WINO_FNS(apart, apart)
#if CV_HALF_LINES
CV_WINO_FNS(near, VL)
#endif
#undef CV_WINO_TILE
#undef CV_WINO_PAIR
#undef CV_WINO_BOTH
#undef CV_WINO_PX
#undef CV_WINO_ENTRY
#undef CV_WINO_THREE
#undef CV_WINO_FNS

/* The plane of U that a point takes. */
CV_INLINE ptrdiff_t CV_(wino_plane)(const CV_(wino_job) *j, int point) {
    const int a = j->a[1], sorts = CV_(wino_sorts)(a, j->m[1], j->s[1]);
    return CV_MIN2(point / a, j->planes / sorts - 1) * sorts + CV_MIN2(point % a, sorts - 1);
}

/* M of a panel of nv vectors of output channels, whose weights lie at u. */
static void CV_(wino_multiply)(const CV_(wino_job) *j, const CV_(wino_block) *b, ptrdiff_t nv,
                               const T *u, const T *v, const CV_(wino_scratch) *s) {
    static const T zeros[CV_NV * VL];
    const cv_conv *p = &j->p;
    const ptrdiff_t slice = b->count[2] * b->count[3] * cv_wino_across(p), step = slice * j->v_row;
    const ptrdiff_t slices = cv_wino_slices(p, b->count[1]), ld = nv * VL;
    /* tiles of all slices lie in a row, unless windows span slices or step over them */
    const int even = slices == b->count[1], groups = even ? 1 : (int)(b->count[0] * b->count[1]);
    const ptrdiff_t tiles = even ? b->count[0] * b->count[1] * slice : slice;
    const ptrdiff_t px = CV_FEW_PX == 6 && nv < CV_NV ? CV_FEW_PX : CV_PX, least = px / 2,
                    parts = (tiles + px - 1) / px;
    ptrdiff_t segments = 0;
    for (ptrdiff_t z = 0; z < p->k[0]; z++) {
        for (ptrdiff_t c = 0, left = CV_(wino_lanes)(p); left > 0; c++, left -= j->v_row)
            s->segments[segments++] = (cv_segment){(z * p->dil[0] * step + c * j->v_vec) * CV_DEPTH,
                                                   CV_MIN2(left, j->v_row)};
    }
    const CV_(wino_fn)(*fns)[CV_NV] = CV_(wino_apart_fns);
#if CV_HALF_LINES
    if (j->v_row == VL)
        fns = CV_(wino_near_fns);
#endif
    T *mm = s->mm;
    /* all tiles of a point ask for a part each of the next point's weights, or the next panel's */
    const ptrdiff_t plane = j->k * ld + CV_WINO_SKEW, all = groups * parts,
                    each = (ld * (ptrdiff_t)sizeof(T) + all - 1) / all;
    for (int point = 0; point < j->points; point++, v += j->v_plane, mm += j->m_plane) {
        const T *panel = u + CV_(wino_plane)(j, point) * plane;
        const ptrdiff_t next = point + 1 < j->points ? CV_(wino_plane)(j, point + 1) : j->planes;
        const char *far = (const char *)(u + next * plane);
        for (ptrdiff_t g = 0; g < groups; g++) {
            const T *x = v + (g / b->count[1] * slices + g % b->count[1] * p->stride[0]) * step;
            for (ptrdiff_t i = 0; i < parts; i++, far += j->k * each) {
                const ptrdiff_t t = i * tiles / parts,
                                count = CV_MAX2(least, (i + 1) * tiles / parts - t);
                fns[count - least][nv - 1](s->segments, segments, x + t * j->v_row, j->v_row, panel,
                                           far, each, zeros, mm + (g * tiles + t) * ld);
            }
        }
    }
}

/* ---- outputs */

#if CV_FLOAT
CV_INLINE void CV_(wino_begin)(CV_(wino_job) *j, const cv_call *call) {
    j->ending = CV_(ending_of)(call);
}

CV_INLINE vec CV_(wino_bias)(const int a, const CV_(wino_job) *j, const T *u, ptrdiff_t ld,
                             ptrdiff_t oc, ptrdiff_t outs) {
    (void)a, (void)u, (void)ld;
    return j->bias ? CV_(load_n)(j->bias + oc, outs) : (vec){0};
}

CV_INLINE vec CV_(wino_sum)(vec transformed, vec bias) { return transformed + bias; }

static void CV_(wino_deliver)(const CV_(wino_job) *j, ptrdiff_t pixel, ptrdiff_t count,
                              ptrdiff_t oc, ptrdiff_t outs, const T *sums) {
    T *y = j->y + oc * j->p.ys[1];
    CV_(nhwc_out)(&j->p, pixel, count, outs, sums, VL, y);
    CV_(end_pixels)(&j->p, &j->ending, pixel, count, outs, y);
}
#endif

/* The outputs of one tile from M, its points `plane` bytes apart, to a stage `width` columns wide;
 * of the tile's columns, which lie `gap` apart, it has so many.  NaN in what it returns, the flag
 * included, asks for plain sums (floats). */
CV_INLINE vec CV_(wino_untile)(const int mh, const int ah, const int mw, const int aw,
                               const T *from, ptrdiff_t plane, vec bias, T flag, ptrdiff_t gap,
                               ptrdiff_t width, ptrdiff_t columns, T *to) {
    CV_(wino_out_t) half[36];
    vec z = {0};
    if (ah == 1) {
        CV_UNROLL(9)
        for (int q = 0; q < aw; q++)
            half[q] = (CV_(wino_out_t))CV_(load)((const T *)((const char *)from + q * plane));
    } else {
        CV_UNROLL(CV_REGISTERS > 16 ? 9 : 1) /* where `half` does not fit in registers anyway */
        for (int q = 0; q < aw; q++) {
            CV_(wino_out_t) in[9], r[4];
            const char *column = (const char *)from + q * plane;
            CV_UNROLL(9)
            for (int y = 0; y < ah; y++)
                in[y] = (CV_(wino_out_t))CV_(load)((const T *)(column + y * aw * plane));
            CV_(wino_at)(mh, ah, in, r);
            CV_UNROLL(4)
            for (int y = 0; y < mh; y++)
                half[y * aw + q] = r[y];
        }
    }
    CV_UNROLL(CV_REGISTERS > 16 ? 4 : 1)
    for (int y = 0; y < mh; y++, to += width * VL) {
        CV_(wino_out_t) r[4];
        vec sum[4] = {0};
        CV_(wino_at)(mw, aw, half + y * aw, r);
        CV_UNROLL(4)
        for (int q = 0; q < mw; q++) {
            sum[q] = CV_(wino_sum)(r[q], bias);
            if (q < columns)
                CV_(store)(to + q * gap * VL, sum[q]);
        }
        if (CV_FLOAT) /* no long chain, for which the next tile would wait */
            z += mw == 2 ? sum[0] + sum[1] : (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    return CV_FLOAT ? z * (T)0 + flag : z; /* NaN where an output is not finite */
}

/* A row of tiles of output channels oc .. of group g, its first output `at` (n, z, y, x) of the
 * batch, from M to a stage.  Of lines the tile lies along W here, whichever axis it lies along. */
typedef void (*CV_(wino_untiles_fn))(const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc,
                                     const ptrdiff_t *at, ptrdiff_t tiles, ptrdiff_t width,
                                     vec bias, const T *from, ptrdiff_t ld, const T *flag, T *to);
CV_INLINE void CV_(wino_untiles)(const int mh, const int ah, const int mw, const int aw,
                                 const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc,
                                 const ptrdiff_t *at, ptrdiff_t tiles, ptrdiff_t width, vec bias,
                                 const T *from, ptrdiff_t ld, const T *flag, T *to) {
    const ptrdiff_t gap = j->p.dil[2], across = cv_wino_across(&j->p),
                    plane = j->m_plane * (ptrdiff_t)sizeof(T);
    const int down = mh == 1 && j->m[0] > 1;
    for (ptrdiff_t t = 0; t < tiles; t++) {
        for (ptrdiff_t phase = 0; phase < across; phase++, from += ld, flag++) {
            const ptrdiff_t x = t * j->m[1] * gap + phase;
            const ptrdiff_t columns =
                down || width - x > (mw - 1) * gap ? mw : (width - x + gap - 1) / gap;
            const vec nan =
                CV_(wino_untile)(mh, ah, mw, aw, from, plane, bias, CV_FLOAT ? *flag : 0,
                                 down ? width : gap, width, columns, to + x * VL);
#if CV_FLOAT
            if (CV_(any)(nan != nan))
                CV_(wino_recompute)(j, g, oc, CV_MIN2(VL, j->p.ocg - oc), nan,
                                    (ptrdiff_t[4]){at[0], at[1], at[2], at[3] + x}, width,
                                    to + x * VL);
#else
            (void)nan, (void)g, (void)oc, (void)at;
#endif
        }
    }
}

#define CV_WINO_UNTILES(mh, ah, mw, aw)                                                          \
    CV_NOINLINE void CV_(wino_untiles_##mh##_##mw##_##aw)(                                       \
        const CV_(wino_job) *j, ptrdiff_t g, ptrdiff_t oc, const ptrdiff_t *at, ptrdiff_t tiles, \
        ptrdiff_t width, vec bias, const T *from, ptrdiff_t ld, const T *flag, T *to) {          \
        CV_(wino_untiles)(mh, ah, mw, aw, j, g, oc, at, tiles, width, bias, from, ld, flag, to); \
    }
CV_WINO_UNTILES(4, 6, 4, 6)
#if CV_FLOAT
CV_WINO_UNTILES(2, 6, 2, 6)
CV_WINO_UNTILES(2, 4, 2, 4)
CV_WINO_UNTILES(4, 6, 2, 4)
CV_WINO_UNTILES(2, 5, 2, 5)
CV_WINO_UNTILES(4, 9, 4, 9)
CV_WINO_UNTILES(1, 1, 4, 6)
CV_WINO_UNTILES(1, 1, 4, 8)
CV_WINO_UNTILES(1, 1, 2, 8)
#endif
#undef CV_WINO_UNTILES

static CV_(wino_untiles_fn) CV_(wino_untiles_for)(const CV_(wino_job) *j) {
#if CV_FLOAT
    if (j->points == 6)
        return CV_(wino_untiles_1_4_6);
    if (j->points == 8)
        return j->m[0] * j->m[1] == 4 ? CV_(wino_untiles_1_4_8) : CV_(wino_untiles_1_2_8);
    if (j->points == 6 * 4)
        return CV_(wino_untiles_4_2_4);
    if (j->a[0] == 9)
        return CV_(wino_untiles_4_4_9);
    if (j->m[0] == 2)
        return j->a[0] == 4   ? CV_(wino_untiles_2_2_4)
               : j->a[0] == 5 ? CV_(wino_untiles_2_2_5)
                              : CV_(wino_untiles_2_2_6);
#endif
    (void)j;
    return CV_(wino_untiles_4_4_6);
}

/* Panel l0 .. of group g, nv vectors, whose weights lie at u, to y. */
static void CV_(wino_out)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                          ptrdiff_t l0, ptrdiff_t nv, const T *u, const CV_(wino_scratch) *s,
                          const T *flags) {
    const CV_(wino_untiles_fn) untiles = CV_(wino_untiles_for)(j);
    const cv_conv *p = &j->p;
    const ptrdiff_t columns = j->m[1] * p->dil[2], m = j->m[0], down = p->dil[1], ld = nv * VL;
    const ptrdiff_t left = b->first[3] * columns,
                    width = CV_MIN2(p->out[2] - left, b->count[3] * columns),
                    row = b->count[3] * cv_wino_across(p);
    for (ptrdiff_t l = l0; l < l0 + ld; l += VL) {
        const ptrdiff_t oc = g * p->ocg + l, outs = CV_MIN2(VL, p->ocg - l);
        const vec bias = CV_(wino_bias)(j->a[1], j, u + l - l0, ld, oc, outs);
        const T *from = s->mm + l - l0, *flag = flags;
        for (ptrdiff_t i = 0; i < b->count[0] * b->count[1]; i++) {
            const ptrdiff_t n = b->first[0] + i / b->count[1], z = b->first[1] + i % b->count[1];
            T *to = s->turned;
            ptrdiff_t rows = 0; /* waiting at s->turned */
            for (ptrdiff_t t = b->first[2]; t < b->first[2] + b->count[2]; t++) {
                const ptrdiff_t y = t / j->th + t % j->th * m * down;
                untiles(j, g, l, (ptrdiff_t[4]){n, z, y, left}, b->count[3], width, bias, from, ld,
                        flag, to);
                from += row * ld;
                flag += row;
                rows += CV_MAX2(0, CV_MIN2(m, (p->out[1] - y + down - 1) / down));
                to = s->turned + rows * width * VL;
                /* rows of one image go together */
                const int whole = down == 1 && width == p->out[2];
                if (whole && t + 1 < b->first[2] + b->count[2])
                    continue;
                const ptrdiff_t first = whole ? b->first[2] * m : y;
                const ptrdiff_t pixel =
                    ((n * p->out[0] + z) * p->out[1] + first) * p->out[2] + left;
                const ptrdiff_t runs = whole ? 1 : rows, run = whole ? rows * width : width;
                for (ptrdiff_t q = 0; q < runs; q++) {
                    const ptrdiff_t at = pixel + q * down * p->out[2];
                    CV_(wino_deliver)(j, at, run, oc, outs, s->turned + q * run * VL);
                }
                rows = 0;
                to = s->turned;
            }
        }
    }
}
#endif
