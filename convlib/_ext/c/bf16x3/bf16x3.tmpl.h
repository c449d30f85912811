/* Convolution in float32 by a matrix unit for bfloat16.
 *
 * A float is the exact sum of three bfloat16 of falling size, x = x1 + x2 + x3, eight bits of it
 * each.  The product x w then is x1 w1 + (x1 w2 + x2 w1) + (x1 w3 + x2 w2 + x3 w1), and what that
 * leaves out lies below 2^-23 of it.  The unit sums in float32.  Six products at sixteen times the
 * speed of vector multiply-adds remain well over twice as fast.
 * G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype
 * For
 * Higher-Precision Computations", ARITH 2019.
 *
 * No im2col: a block of outputs takes the input rows under it as planes of pairs,
 *   S[pair of channels][part 1..3][image][phase][z][y][x]   two channels' bfloat16 to a 32-bit
 *   element,
 * padding included, one phase for each residue of a tap modulo the stride.  Pixels are numbered
 * flat over the padded rows, so a tap is an offset into the planes, and a tile of 16 pixels x 32
 * channels is 16 rows at one step.  Results of numbers between rows are dropped.  Inputs of few
 * channels have their taps spread over channels instead, else most of a tile would be zeros.
 *
 * Infinities and NaN spoil the sum of their parts: outputs that are not finite are summed again,
 * plainly.  Numbers below 2^-100 lose digits of their lower parts: where there are any, the call is
 * one for direct summation.
 */
#ifndef CV_BF16X3
#define CV_BF16X3
#include "../simd/tiles.h"
#include "feed.tmpl.h"
#include "outputs.tmpl.h"

/* ---- products: up to 32 outputs x 32 pixels over all of K, to out[32][32]
 *
 * Six products a step; their order changes one operand at a time, and each output sums in the same
 * order whatever the tile it lies in. */
CV_INLINE void CV_(bf16_product)(const int ms, const int ns, const int last, const CV_(bf16_job) *j,
                                 const char *w, const uint32_t *x, T *out) {
    const ptrdiff_t size = (ptrdiff_t)sizeof *x, x_part = j->plane * size,
                    x_step = (last ? j->row : 3 * j->plane) * size;
    const ptrdiff_t x_half = last ? 16 * x_step : 64, w_half = j->panel;
    const ptrdiff_t a_half = last ? x_half : w_half, a_part = last ? x_part : CV_BF16_TILE,
                    a_step = last ? x_step : 64;
    const ptrdiff_t b_half = last ? w_half : x_half, b_part = last ? CV_BF16_TILE : x_part,
                    b_step = last ? 64 : x_step;
    CV_FENCE();
    CV_TILE_ZERO(0);
    CV_TILE_ZERO(1);
    CV_TILE_ZERO(2);
    CV_TILE_ZERO(3);
#define CV_A(tile, half, part) CV_TILE_LOAD(tile, a + (half) * a_half + ((part)-1) * a_part, a_step)
#define CV_B(tile, half, part) CV_TILE_LOAD(tile, b + (half) * b_half + ((part)-1) * b_part, b_step)
/* loads stand between the products, just before the first that needs them */
#define CV_NEW_A(part)        \
    CV_A(4, 0, part);         \
    CV_TILE_DOT(0, 4, 6);     \
    if (ns > 1) {             \
        CV_TILE_DOT(1, 4, 7); \
    }                         \
    if (ms > 1) {             \
        CV_A(5, 1, part);     \
        CV_TILE_DOT(2, 5, 6); \
    }                         \
    if (ms > 1 && ns > 1) {   \
        CV_TILE_DOT(3, 5, 7); \
    }
#define CV_NEW_B(part)        \
    CV_B(6, 0, part);         \
    CV_TILE_DOT(0, 4, 6);     \
    if (ms > 1) {             \
        CV_TILE_DOT(2, 5, 6); \
    }                         \
    if (ns > 1) {             \
        CV_B(7, 1, part);     \
        CV_TILE_DOT(1, 4, 7); \
    }                         \
    if (ms > 1 && ns > 1) {   \
        CV_TILE_DOT(3, 5, 7); \
    }
    for (ptrdiff_t i = 0; i < j->view.blocks; i++, w += 3 * CV_BF16_TILE) {
        const char *from = (const char *)(x + j->at[i]), *a = last ? from : w, *b = last ? w : from;
        CV_B(6, 0, 1);
        if (ns > 1) {
            CV_B(7, 1, 1);
        }
        CV_NEW_A(3)
        CV_NEW_A(1)
        CV_NEW_A(2)
        CV_NEW_B(2)
        CV_NEW_A(1)
        CV_NEW_B(3)
    }
#undef CV_A
#undef CV_B
#undef CV_NEW_A
#undef CV_NEW_B
    CV_TILE_STORE(0, out, 32 * sizeof(T));
    if (ns > 1)
        CV_TILE_STORE(1, out + 16, 32 * sizeof(T));
    if (ms > 1)
        CV_TILE_STORE(2, out + 16 * 32, 32 * sizeof(T));
    if (ms > 1 && ns > 1)
        CV_TILE_STORE(3, out + 16 * 32 + 16, 32 * sizeof(T));
    CV_FENCE();
}
typedef void (*CV_(bf16_product_fn))(const CV_(bf16_job) *, const char *w, const uint32_t *x,
                                     T *out);
#define CV_PRODUCT(ms, ns, last)                                                             \
    CV_NOINLINE void CV_(bf16_product_##ms##ns##last)(const CV_(bf16_job) *j, const char *w, \
                                                      const uint32_t *x, T *out) {           \
        CV_(bf16_product)(ms, ns, last, j, w, x, out);                                       \
    }
CV_PRODUCT(1, 1, 0)
CV_PRODUCT(1, 2, 0)
CV_PRODUCT(2, 1, 0)
CV_PRODUCT(2, 2, 0)
CV_PRODUCT(1, 1, 1)
CV_PRODUCT(1, 2, 1)
CV_PRODUCT(2, 1, 1)
CV_PRODUCT(2, 2, 1)
#undef CV_PRODUCT
/* [channels last][two tiles of rows][two of columns] */
static const CV_(bf16_product_fn) CV_(bf16_products)[2][2][2] = {
    {{CV_(bf16_product_110), CV_(bf16_product_120)},
     {CV_(bf16_product_210), CV_(bf16_product_220)}},
    {{CV_(bf16_product_111), CV_(bf16_product_121)},
     {CV_(bf16_product_211), CV_(bf16_product_221)}},
};

/* All of a block, or one part of its pixels and one pair of tiles of its outputs. */
static void CV_(bf16_multiply)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                               ptrdiff_t out0, ptrdiff_t out1, ptrdiff_t part,
                               const uint32_t *region, int worker) {
    T out[CV_BF16_SIDE * CV_BF16_SIDE] __attribute__((aligned(64)));
    cv_span32 spans[CV_BF16_SIDE];
    const int merged =
        j->ext[0] + j->ext[1] + j->ext[2] == 0 && j->image == j->size[0] * j->size[1] * j->size[2];
    const ptrdiff_t slices = merged ? 1 : q->count[0] * q->count[1];
    ptrdiff_t all = (q->count[2] - 1) * j->size[2] + q->count[3]; /* flat numbers of a slice */
    if (merged)
        all += ((q->count[0] - 1) * j->size[0] + q->count[1] - 1) * j->size[1] * j->size[2];
    const ptrdiff_t panels = (all + CV_BF16_SIDE - 1) / CV_BF16_SIDE;
    CV_TILES_BEGIN();
    for (ptrdiff_t t = out0; t < out1; t += 2) {
        const int two = out1 - t > 1;
        const char *w;
        if (j->packed) {
            w = j->packed + (g * j->outs + t) * j->panel;
        } else {
            char *own = j->tiles + worker * 2 * j->panel;
            for (int h = 0; h <= two; h++)
                CV_(bf16_pack_tile)(&j->p, &j->view, j->w, g, t + h, own + h * j->panel,
                                    j->tiny);
            w = own;
        }
        for (ptrdiff_t i = part * slices * panels / j->parts;
             i < (part + 1) * slices * panels / j->parts; i++) {
            const ptrdiff_t slice = i / panels, at = i % panels * CV_BF16_SIDE,
                            count = CV_MIN2(CV_BF16_SIDE, all - at);
            const ptrdiff_t first =
                at + slice / q->count[1] * j->image + slice % q->count[1] * j->size[1] * j->size[2];
            const int n = CV_(bf16_spans)(j, q, first, count, spans);
            if (!n)
                continue;
            const ptrdiff_t outs = CV_MIN2(16 + 16 * two, j->p.ocg - t * 16);
            if (j->last) {
                CV_(bf16_products)[1][count > 16][two](j, w, region + first * j->row, out);
                CV_(bf16_out_last)(j, q, g, t * 16, outs, first, spans, n, out);
            } else {
                CV_(bf16_products)[0][two][count > 16](j, w, region + first, out);
                CV_(bf16_out)(j, q, g, t * 16, outs, first, spans, n, out);
            }
        }
    }
    CV_TILES_END();
}

/* ---- units */

CV_INLINE CV_(bf16_block) CV_(bf16_block_of)(const CV_(bf16_job) *j, ptrdiff_t b) {
    const ptrdiff_t outs[4] = {j->p.n, j->p.out[0], j->p.out[1], j->p.out[2]};
    CV_(bf16_block) q;
    for (int a = 3; a >= 0; b /= j->cuts[a], a--) {
        q.from[a] = b % j->cuts[a] * j->step[a];
        q.count[a] = CV_MIN2(j->step[a], outs[a] - q.from[a]);
    }
    return q;
}

/* The planes of blocks cb0 .. cb1-1 of channels. */
CV_ONCE void CV_(bf16_fill)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                           ptrdiff_t cb0, ptrdiff_t cb1, uint32_t *region) {
    if (j->last)
        CV_(bf16_pixels)(j, q, g, cb0, cb1, region);
    else
        CV_(bf16_planes)(j, q, g, cb0 * 16, cb1 * 16, region);
}

static void CV_(bf16_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    const ptrdiff_t g = unit / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, unit % j->blocks);
    uint32_t *region = j->scratch + worker * j->region;
    CV_(bf16_fill)(j, &q, g, 0, j->pairs / 16, region);
    CV_(bf16_multiply)(j, &q, g, 0, j->outs, 0, region, worker);
}

/* The same in two steps: planes that all threads share, by ranges of channels; then products by
 * tiles of outputs. */
static void CV_(bf16_planes_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    (void)worker;
    const ptrdiff_t tile = unit % (j->pairs / 16), b = unit / (j->pairs / 16), g = b / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, b % j->blocks);
    CV_(bf16_fill)(j, &q, g, tile, tile + 1, j->scratch + b * j->region);
}

static void CV_(bf16_multiply_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    const ptrdiff_t sides = (j->outs + 1) / 2, part = unit % j->parts,
                    t = unit / j->parts % sides * 2;
    const ptrdiff_t b = unit / j->parts / sides, g = b / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, b % j->blocks);
    CV_(bf16_multiply)(j, &q, g, t, CV_MIN2(t + 2, j->outs), part, j->scratch + b * j->region,
                       worker);
}
#endif
