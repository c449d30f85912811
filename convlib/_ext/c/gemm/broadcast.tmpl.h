/* The GEMM with its roles exchanged and no windows packed: lanes are output channels, and inputs
 * are broadcast.
 *
 * A tile is CV_PX pixels, or one less, by CV_NV vectors of output channels, or CV_FEW_PX by fewer:
 * 24 sums in 32 registers, or 12 in 16.  A window's inputs are segments of neighbouring numbers if
 * channels come last: kw·C of them under a row of taps, C under one tap if taps are apart.  So
 * pixels are read where they lie if channels come last and nothing is padded; else from a copy of
 * the strip of input under a strip of outputs, channels last, with its padding.  A copy costs
 * kh x kw times less than windows would, and any stride is free.  What lies between taps far apart,
 * and no window of the strip reads, is not copied.
 * Packed weights are [panel of channels][tap][c][lane].
 *
 * The same serves integers of 8 bits, whose lanes take several neighbours of a window at once:
 * int8/feed.tmpl.h has what differs.
 */
#ifndef CV_BROADCAST
#define CV_BROADCAST
#if CV_FLOAT
#include "../layout/ending.tmpl.h"
#endif
#include "broadcast_tile.tmpl.h"
#include "view.h"

#define CV_BROADCAST_TILES 16 /* tiles whose sums are kept before they go to y */

typedef struct {
    cv_conv p;
    const CV_(source) *x;
    const T *w, *bias;
    T *y;
#if CV_FLOAT
    CV_(ending) ending;
#endif
    char *scratch;
    cv_segment *segments;
    ptrdiff_t n_segments, chunk; /* segments; those whose weights stay in L2 together */
    /* lanes of inputs per output, rows of a panel; of output channels: vectors, panels, parts of
     * panels */
    ptrdiff_t k, rows, vecs, panels, parts;
    /* outputs of a strip along n, D, H, W; strips along each, and in all */
    ptrdiff_t count[4], strips[4], all;
    /* of the copy, or of x: size and strides (n, D, H, W); from window to window */
    ptrdiff_t size[4], pitch[4], step[4];
    ptrdiff_t
        dil[3]; /* from tap to tap there, which is less than in x where a copy leaves gaps out */
    /* elements of a run that is not cut; segments it is cut into */
    ptrdiff_t len, cuts;
    ptrdiff_t lanes, apart; /* that a run fills; runs of a row of taps */
    /* the most outputs of a strip; bytes of scratch per worker */
    ptrdiff_t pixels, each;
    /* elements of weights that a worker packs for itself, where it uses them */
    ptrdiff_t own;
    int in_place, straight, threads; /* straight: sums go straight to y */
    int spare;                       /* whether taps lie in padding, which may be left out */
    /* of integers of 8 bits: their problem's; 128 where x is signed; the zero point and the padding
     * of the copy; zero points of the weights */
    int shifted, wide_y, flip, zero, padding;
    const T *zeros;
} CV_(broadcast_job);

typedef void (*CV_(broadcast_fn))(const cv_segment *segments, ptrdiff_t n, const CV_(fed) *x,
                                  const ptrdiff_t *at, const T *w, const T *init, T *c,
                                  ptrdiff_t ldc);
#if defined(CV_BYTE_TILES)
#include "../int8/tiles.tmpl.h"
#define CV_TILE_SUMS(px, nv) CV_(unit_tile)(nv, segments, n, x, at, w, init, c, ldc)
#else
#define CV_TILE_SUMS(px, nv) \
    CV_(broadcast_tile)(px, nv, NULL, 0, segments, n, x, at, 0, w, init, c, ldc)
#endif
#define CV_PIXELS(name, px, nv)                                                          \
    static __attribute__((noinline)) void CV_(name)(                                     \
        const cv_segment *segments, ptrdiff_t n, const CV_(fed) *x, const ptrdiff_t *at, \
        const T *w, const T *init, T *c, ptrdiff_t ldc) {                                \
        CV_TILE_SUMS(px, nv);                                                            \
    }
CV_PIXELS(broadcast_1, CV_FEW_PX, 1)
CV_PIXELS(broadcast_2, CV_FEW_PX, 2)
#if CV_NV == 3
CV_PIXELS(broadcast_3, CV_FLOAT ? CV_PX : CV_FEW_PX, 3)
static const CV_(broadcast_fn)
    CV_(broadcast_tiles)[] = {CV_(broadcast_1), CV_(broadcast_2), CV_(broadcast_3)};
#else
static const CV_(broadcast_fn) CV_(broadcast_tiles)[] = {CV_(broadcast_1), CV_(broadcast_2)};
#endif
#if CV_FLOAT
CV_PIXELS(broadcast_less, CV_PX - 1, CV_NV)
#endif
#undef CV_PIXELS
#undef CV_TILE_SUMS

/* How many tiles of nv vectors so many pixels are cut into, and where tile t begins.  The last ones
 * of whole panels of floats are a pixel shorter, so that from CV_PX * CV_PX pixels on none is
 * computed in vain. */
CV_INLINE ptrdiff_t CV_(tiles_of)(ptrdiff_t nv, ptrdiff_t pixels) {
    const ptrdiff_t px = CV_FLOAT && nv == CV_NV ? CV_PX : CV_FEW_PX;
    return (pixels + px - 1) / px;
}
CV_INLINE ptrdiff_t CV_(tile_at)(ptrdiff_t nv, ptrdiff_t pixels, ptrdiff_t t) {
    if (!CV_FLOAT || nv < CV_NV)
        return t * CV_FEW_PX;
    const ptrdiff_t whole = pixels - (CV_PX - 1) * CV_(tiles_of)(nv, pixels);
    return t * CV_PX - CV_MAX2(t - CV_MAX2(whole, 0), 0);
}

#if CV_FLOAT
#include "copy.tmpl.h"
#else
#include "../int8/copy.tmpl.h"
#endif

/* ---- the copy of a strip */

/* How far element i of the copy lies from its first one along an axis of x: what no tap reads is
 * not copied. */
CV_INLINE ptrdiff_t CV_(broadcast_source)(const CV_(broadcast_job) *j, int a, ptrdiff_t i) {
    const cv_conv *p = &j->p;
    return p->k[a] == 1 ? i * p->stride[a] : i / j->dil[a] * p->dil[a] + i % j->dil[a];
}

/* The input under the outputs from `first` (n, z, y, x) on, that of group g. */
static void CV_(broadcast_copy)(const CV_(broadcast_job) *j, ptrdiff_t g, const ptrdiff_t *first,
                                ptrdiff_t images, CV_(fed) *dst) {
    const cv_conv *p = &j->p;
    const ptrdiff_t by = p->k[2] == 1 ? p->stride[2] : 1,
                    parts = p->k[2] > 1 && j->dil[2] < p->dil[2] ? p->k[2] : 1, /* of a row */
        part = j->size[3] / parts;
    ptrdiff_t from[3], lo, hi;
    for (int a = 0; a < 3; a++)
        from[a] = first[a + 1] * p->stride[a] - p->lo[a];
    cv_lanes(from[2], by, p->in[2], part, &lo, &hi);
    for (ptrdiff_t row = 0; row < images * j->size[1] * j->size[2]; row++) {
        const ptrdiff_t n = row / j->size[2] / j->size[1],
                        iz = from[0] + CV_(broadcast_source)(j, 0, row / j->size[2] % j->size[1]),
                        iy = from[1] + CV_(broadcast_source)(j, 1, row % j->size[2]);
        const int outside = iz < 0 || iz >= p->in[0] || iy < 0 || iy >= p->in[1];
        const CV_(source) *x = j->x + (first[0] + n) * p->xs[0] + g * p->icg * p->xs[1] +
                               iz * p->xs[2] + iy * p->xs[3];
        for (ptrdiff_t t = 0; t < parts; t++, dst += part * p->icg) {
            const ptrdiff_t ix = from[2] + t * p->dil[2];
            if (parts > 1)
                cv_lanes(ix, by, p->in[2], part, &lo, &hi);
            if (outside || lo >= hi) {
                CV_(feed_padding)(j, dst, part * p->icg);
                continue;
            }
            CV_(feed_padding)(j, dst, lo * p->icg);
            CV_(feed_row)(j, x + (ix + lo * by) * p->xs[4], by * p->xs[4], hi - lo,
                          dst + lo * p->icg);
            CV_(feed_padding)(j, dst + hi * p->icg, (part - hi) * p->icg);
        }
    }
}

#include "spare_taps.tmpl.h"

/* ---- units: a strip of outputs by a part of the panels of output channels */

typedef struct {
    ptrdiff_t held; /* the strip whose copy this worker has, and one more; 0: none */
    ptrdiff_t *at;  /* window of each output of it */
    CV_(fed) *copy;
    T *sums, *init, *own;
    char *packed;              /* which panels of that group lie in own, if it has room for all */
    CV_(broadcast_taps) *taps; /* of each CV_PX pixels */
    T *windows, *zeros; /* of weights with zero points: sums of x under each output; those points */
} CV_(broadcast_scratch);

static ptrdiff_t CV_(broadcast_layout)(const CV_(broadcast_job) *j, char *base,
                                       CV_(broadcast_scratch) *s) {
    const ptrdiff_t copy =
        j->in_place ? 0 : j->size[0] * j->size[1] * j->size[2] * j->size[3] * j->p.icg + CV_BEYOND;
    const ptrdiff_t sizes[9] = {
        (j->pixels + CV_MOST_PX) * (ptrdiff_t)sizeof(ptrdiff_t),
        copy * (ptrdiff_t)sizeof(CV_(fed)),
        CV_BROADCAST_TILES * CV_PX * CV_NV * VL * (ptrdiff_t)sizeof(T),
        CV_NV * VL * (ptrdiff_t)sizeof(T),
        j->own * (ptrdiff_t)sizeof(T),
        j->panels,
        j->shifted * (j->pixels + VL) * (ptrdiff_t)sizeof(T),
        j->shifted * CV_NV * VL * (ptrdiff_t)sizeof(T),
        j->spare * (j->pixels / CV_PX + 1) * (ptrdiff_t)sizeof *s->taps,
    };
    ptrdiff_t offset = CV_ROUND64((ptrdiff_t)sizeof *s), starts[9];
    for (int i = 0; i < 9; i++) {
        starts[i] = offset;
        offset += CV_ROUND64(sizes[i]);
    }
    if (s) {
        *s = (CV_(broadcast_scratch)){.at = (ptrdiff_t *)(base + starts[0]),
                                      .copy = (CV_(fed) *)(base + starts[1]),
                                      .sums = (T *)(base + starts[2]),
                                      .init = (T *)(base + starts[3]),
                                      .own = (T *)(base + starts[4]),
                                      .packed = base + starts[5],
                                      .windows = (T *)(base + starts[6]),
                                      .zeros = (T *)(base + starts[7]),
                                      .taps = (CV_(broadcast_taps) *)(base + starts[8])};
    }
    return offset;
}

/* Copy the strip unless this worker has it, and find the windows of its outputs, in x. */
static void CV_(broadcast_hold)(const CV_(broadcast_job) *j, CV_(broadcast_scratch) *s,
                                const CV_(fed) *x, ptrdiff_t g, ptrdiff_t strip,
                                const ptrdiff_t *first, const ptrdiff_t *count, ptrdiff_t pixels) {
    if (s->held == g * j->all + strip + 1)
        return;
    if ((s->held - 1) / j->all != g || !s->held)
        __builtin_memset(s->packed, 0, (size_t)j->panels);
    s->held = g * j->all + strip + 1;
    if (!j->in_place)
        CV_(broadcast_copy)(j, g, first, count[0], s->copy);
    ptrdiff_t i = 0;
    for (ptrdiff_t n = 0; n < count[0]; n++) {
        for (ptrdiff_t z = 0; z < count[1]; z++) {
            for (ptrdiff_t y = 0; y < count[2]; y++) {
                for (ptrdiff_t x = 0; x < count[3]; x++)
                    s->at[i++] = n * j->step[0] + z * j->step[1] + y * j->step[2] + x * j->step[3];
            }
        }
    }
    for (; i < pixels + CV_MOST_PX; i++)
        s->at[i] = s->at[pixels - 1];
#if !CV_FLOAT
    if (j->shifted)
        CV_(feed_windows)(j, x, s->at, pixels, s->windows);
#else
    (void)x;
    if (j->spare)
        CV_(broadcast_needed)(j, first, count, pixels, s->taps);
#endif
}

/* Tiles [t0, t1) of a strip, channels l0 .. l1-1 of a group, whose weights lie at w.
 * skip: what is padding for all pixels of a tile is left out. */
static void CV_(broadcast_block)(const CV_(broadcast_job) *j, const CV_(broadcast_scratch) *s,
                                 const CV_(fed) *x, const T *w, ptrdiff_t oc, ptrdiff_t outs,
                                 ptrdiff_t nv, const int skip, ptrdiff_t pixel, ptrdiff_t pixels,
                                 ptrdiff_t t0, ptrdiff_t t1) {
    const cv_conv *p = &j->p;
    const ptrdiff_t ld = nv * VL, b0 = CV_(tile_at)(nv, pixels, t0),
                    end = CV_(tile_at)(nv, pixels, t1), b1 = CV_MIN2(end, pixels);
    /* those that go straight to y: not the last tile, if it has less pixels than it computes */
    const ptrdiff_t whole =
        !j->straight || outs != ld ? 0 : (end == b1 ? b1 : CV_(tile_at)(nv, pixels, t1 - 1)) - b0;
    T *y = j->y + oc * p->ys[1];
    for (ptrdiff_t r = 0; r < j->n_segments; r += j->chunk) {
        const ptrdiff_t beyond = CV_MIN2(r + j->chunk, j->n_segments);
        for (ptrdiff_t t = t0, i = b0, next; t < t1; t++, i = next) {
            next = CV_(tile_at)(nv, pixels, t + 1);
            const int direct = i - b0 < whole;
            const T *init = r ? NULL : s->init;
            T *c = direct ? y + (pixel + i) * p->ys[4] : s->sums + (i - b0) * ld;
            const ptrdiff_t ldc = direct ? p->ys[4] : ld;
            CV_(broadcast_fn) tile = CV_(broadcast_tiles)[nv - 1];
#if CV_FLOAT
            if (nv == CV_NV && next - i < CV_PX)
                tile = CV_(broadcast_less);
            const CV_(broadcast_taps) need =
                skip ? CV_(taps_of_tile)(s->taps, i, CV_MIN2(next, pixels))
                     : (CV_(broadcast_taps)){.all = 1};
            if (!need.all) {
                CV_(broadcast_tile_sums)(j, tile, &need, r, beyond, x, s->at + i, w, ld, init, c,
                                         ldc);
                continue;
            }
#endif
            tile(j->segments + r, beyond - r, x, s->at + i, w + CV_(lanes_before)(j, r) * ld, init,
                 c, ldc);
        }
    }
#if !CV_FLOAT
    if (j->shifted) {
        const T *windows = s->windows + b0;
        CV_(feed_end)(s->zeros, windows, whole, nv, y + (pixel + b0) * p->ys[4], p->ys[4]);
        CV_(feed_end)(s->zeros, windows + whole, b1 - b0 - whole, nv, s->sums + whole * ld, ld);
    }
#endif
    if (b0 + whole < b1)
        CV_(deliver)(j, pixel + b0 + whole, b1 - b0 - whole, oc, outs, s->sums + whole * ld, ld);
#if CV_FLOAT
    CV_(end_pixels)(p, &j->ending, pixel + b0, b1 - b0, outs, y);
#endif
}

static void CV_(broadcast_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(broadcast_job) *j = context;
    const cv_conv *p = &j->p;
    CV_(broadcast_scratch) *s = (CV_(broadcast_scratch) *)(j->scratch + worker * j->each);
    const ptrdiff_t part = unit % j->parts, strip = unit / j->parts % j->all,
                    g = unit / j->parts / j->all;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    ptrdiff_t first[4], count[4], rest = strip, pixel = 0, pixels = 1;
    for (int a = 3; a >= 0; a--) {
        first[a] = rest % j->strips[a] * j->count[a];
        rest /= j->strips[a];
        count[a] = CV_MIN2(j->count[a], outs[a] - first[a]);
        pixels *= count[a];
    }
    /* axes after one that is cut are whole */
    for (int a = 0; a < 4; a++)
        pixel = pixel * outs[a] + first[a];
    const CV_(fed) *x = s->copy;
    if (j->in_place) {
        x = (const CV_(fed) *)j->x + first[0] * p->xs[0] + g * p->icg * p->xs[1];
        for (int a = 0; a < 3; a++)
            x += first[a + 1] * p->stride[a] * p->xs[a + 2];
    }
    CV_(broadcast_hold)(j, s, x, g, strip, first, count, pixels);
#if defined(CV_BYTE_TILES)
    CV_TILES_BEGIN();
#endif
    for (ptrdiff_t i = part * j->panels / j->parts; i < (part + 1) * j->panels / j->parts; i++) {
        const ptrdiff_t l0 = CV_(lane_of)(j->vecs, j->panels, i),
                        l1 = CV_(lane_of)(j->vecs, j->panels, i + 1);
        const ptrdiff_t oc = g * p->ocg + l0, real = CV_MIN2(l1, p->ocg) - l0;
        const T *w = j->own ? s->own + (j->all > 1 ? l0 * j->rows : 0)
                            : j->w + (g * j->vecs * VL + l0) * j->rows;
        if (CV_FLOAT && j->own && !(j->all > 1 && s->packed[i]))
            CV_(feed_weights)(j, j->w, g, l0, l1, (T *)w);
        s->packed[i] = 1;
        for (ptrdiff_t l = 0; l < l1 - l0; l++)
            s->init[l] = j->bias && l < real ? j->bias[oc + l] : 0;
#if !CV_FLOAT
        CV_(feed_init)(j, w, oc, real, l1 - l0, s->init, s->zeros);
#endif
        const int skip = CV_FLOAT && j->spare && w[0] == 0;
        w += CV_HEAD * (l1 - l0);
        const ptrdiff_t nv = (l1 - l0) / VL, tiles = CV_(tiles_of)(nv, pixels);
        for (ptrdiff_t t = 0; t < tiles; t += CV_BROADCAST_TILES)
            CV_(broadcast_block)(j, s, x, w, oc, real, nv, skip, pixel, pixels, t,
                                 CV_MIN2(t + CV_BROADCAST_TILES, tiles));
    }
#if defined(CV_BYTE_TILES)
    CV_TILES_END();
#endif
}
#endif
