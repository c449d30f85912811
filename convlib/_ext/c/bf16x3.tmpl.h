/* Convolution in float32 by a matrix unit for bfloat16.
 *
 * A float is the exact sum of three bfloat16 of falling size, x = x1 + x2 + x3, eight bits of it each.  The product x w
 * then is x1 w1 + (x1 w2 + x2 w1) + (x1 w3 + x2 w2 + x3 w1), and what that leaves out lies below 2^-23 of it.  The unit
 * sums in float32.  Six products at sixteen times the speed of vector multiply-adds remain well over twice as fast.
 * G. Henry, P. T. P. Tang, A. Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
 * Higher-Precision Computations", ARITH 2019.
 *
 * No im2col: a block of outputs takes the input rows under it as planes of pairs,
 *   S[pair of channels][part 1..3][image][phase][z][y][x]   two channels' bfloat16 to a 32-bit element,
 * padding included, one phase for each residue of a tap modulo the stride.  Pixels are numbered flat over the padded
 * rows, so a tap is an offset into the planes, and a tile of 16 pixels x 32 channels is 16 rows at one step.  Results
 * of numbers between rows are dropped.  Inputs of few channels have their taps spread over channels instead, else most
 * of a tile would be zeros.
 *
 * Infinities and NaN spoil the sum of their parts: outputs that are not finite are summed again, plainly.
 */
#include "bf16x3_feed.tmpl.h"

/* ---- products: up to 32 outputs x 32 pixels over all of K, to out[32][32]
 *
 * Six products a step; their order changes one operand at a time, and each output sums in the same order whatever the
 * tile it lies in. */
CV_INLINE void CV_(bf16_product)(const int ms, const int ns, const int last, const CV_(bf16_job) *j, const char *w,
                                 const uint32_t *x, T *out) {
    const ptrdiff_t size = (ptrdiff_t)sizeof *x, x_part = j->plane * size, x_step = (last ? j->row : 3 * j->plane) * size;
    const ptrdiff_t x_half = last ? 16 * x_step : 64, w_half = j->panel;
    const ptrdiff_t a_half = last ? x_half : w_half, a_part = last ? x_part : CV_BF16_TILE, a_step = last ? x_step : 64;
    const ptrdiff_t b_half = last ? w_half : x_half, b_part = last ? CV_BF16_TILE : x_part, b_step = last ? 64 : x_step;
    CV_FENCE();
    CV_TILE_ZERO(0);
    CV_TILE_ZERO(1);
    CV_TILE_ZERO(2);
    CV_TILE_ZERO(3);
#define CV_A(tile, half, part) CV_TILE_LOAD(tile, a + (half) * a_half + ((part) - 1) * a_part, a_step)
#define CV_B(tile, half, part) CV_TILE_LOAD(tile, b + (half) * b_half + ((part) - 1) * b_part, b_step)
/* loads stand between the products, just before the first that needs them */
#define CV_NEW_A(part)                                                   \
    CV_A(4, 0, part);                                                    \
    CV_TILE_DOT(0, 4, 6);                                                \
    if (ns > 1) { CV_TILE_DOT(1, 4, 7); }                                \
    if (ms > 1) { CV_A(5, 1, part); CV_TILE_DOT(2, 5, 6); }              \
    if (ms > 1 && ns > 1) { CV_TILE_DOT(3, 5, 7); }
#define CV_NEW_B(part)                                                   \
    CV_B(6, 0, part);                                                    \
    CV_TILE_DOT(0, 4, 6);                                                \
    if (ms > 1) { CV_TILE_DOT(2, 5, 6); }                                \
    if (ns > 1) { CV_B(7, 1, part); CV_TILE_DOT(1, 4, 7); }              \
    if (ms > 1 && ns > 1) { CV_TILE_DOT(3, 5, 7); }
    for (ptrdiff_t i = 0; i < j->view.blocks; i++, w += 3 * CV_BF16_TILE) {
        const char *from = (const char *)(x + j->at[i]), *a = last ? from : w, *b = last ? w : from;
        CV_B(6, 0, 1);
        if (ns > 1) { CV_B(7, 1, 1); }
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
    if (ns > 1) CV_TILE_STORE(1, out + 16, 32 * sizeof(T));
    if (ms > 1) CV_TILE_STORE(2, out + 16 * 32, 32 * sizeof(T));
    if (ms > 1 && ns > 1) CV_TILE_STORE(3, out + 16 * 32 + 16, 32 * sizeof(T));
    CV_FENCE();
}
typedef void (*CV_(bf16_product_fn))(const CV_(bf16_job) *, const char *w, const uint32_t *x, T *out);
#define CV_PRODUCT(ms, ns, last)                                                                                        \
    static __attribute__((noinline)) void CV_(bf16_product_##ms##ns##last)(const CV_(bf16_job) *j, const char *w,       \
                                                                           const uint32_t *x, T *out) {                 \
        CV_(bf16_product)(ms, ns, last, j, w, x, out);                                                                  \
    }
CV_PRODUCT(1, 1, 0) CV_PRODUCT(1, 2, 0) CV_PRODUCT(2, 1, 0) CV_PRODUCT(2, 2, 0)
CV_PRODUCT(1, 1, 1) CV_PRODUCT(1, 2, 1) CV_PRODUCT(2, 1, 1) CV_PRODUCT(2, 2, 1)
#undef CV_PRODUCT
/* [channels last][two tiles of rows][two of columns] */
static const CV_(bf16_product_fn) CV_(bf16_products)[2][2][2] = {
    {{CV_(bf16_product_110), CV_(bf16_product_120)}, {CV_(bf16_product_210), CV_(bf16_product_220)}},
    {{CV_(bf16_product_111), CV_(bf16_product_121)}, {CV_(bf16_product_211), CV_(bf16_product_221)}},
};

/* ---- outputs */

/* The output (n, z, y, x) that has the flat number `at` in a block; whether there is one. */
CV_INLINE int CV_(bf16_place)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t at, ptrdiff_t *o) {
    const ptrdiff_t phases = j->phases[0] * j->phases[1] * j->phases[2];
    ptrdiff_t i[4] = {0, 0, at / j->size[2], at % j->size[2]};
    if (i[2] >= j->size[1]) {
        i[1] = i[2] / j->size[1], i[2] %= j->size[1];
        if (i[1] >= j->size[0] * phases) i[0] = i[1] / (j->size[0] * phases), i[1] %= j->size[0] * phases;
    }
    int in = 1;
    for (int a = 0; a < 4; a++) in &= i[a] < q->count[a], o[a] = q->from[a] + i[a];
    return in;
}

/* The flat numbers first .. first+count-1 that are outputs, in runs. */
static int CV_(bf16_spans)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t first, ptrdiff_t count,
                           cv_span32 *span) {
    const ptrdiff_t *ys = j->p.ys;
    int n = 0;
    ptrdiff_t o[4];
    int in = CV_(bf16_place)(j, q, first, o);
    for (ptrdiff_t i = 0, len; i < count; i += len) {
        const ptrdiff_t x = o[3] - q->from[3];
        len = CV_MIN2(j->size[2] - x, count - i);
        if (in && x < q->count[3]) {
            const cv_span32 s = {i, o[0] * ys[0] + o[1] * ys[2] + o[2] * ys[3] + o[3] * ys[4], CV_MIN2(q->count[3] - x, len)};
            if (n && span[n - 1].src + span[n - 1].len == i && span[n - 1].dst + span[n - 1].len * ys[4] == s.dst)
                span[n - 1].len += s.len;
            else
                span[n++] = s;
        }
        o[3] = q->from[3]; /* the next row, most often of the same plane */
        if (in && ++o[2] < q->from[2] + q->count[2]) continue;
        if (i + len < count) in = CV_(bf16_place)(j, q, first + i + len, o);
    }
    return n;
}

/* Sum those outputs of channel oc again that are not finite; `step`: elements from one to the next in `from`. */
static __attribute__((noinline)) void CV_(bf16_mend)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g,
                                                     ptrdiff_t oc, ptrdiff_t first, const cv_span32 *s, const T *from,
                                                     ptrdiff_t step) {
    for (ptrdiff_t i = s->src; i < s->src + s->len; i++) {
        ptrdiff_t o[4];
        if (from[i * step] * 0 == 0 || !CV_(bf16_place)(j, q, first + i, o)) continue;
        j->y[(g * j->p.ocg + oc) * j->p.ys[1] + s->dst + (i - s->src) * j->p.ys[4]] =
            CV_(plain)(&j->p, j->x, j->w, j->bias, g, oc, o);
    }
}

/* Some rows of a product to y. */
static void CV_(bf16_out)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g, ptrdiff_t oc0, ptrdiff_t rows,
                          ptrdiff_t first, const cv_span32 *spans, int n, const T *out) {
    const ptrdiff_t step = j->p.ys[4];
    for (ptrdiff_t m = 0; m < rows; m++, out += CV_BF16_SIDE) {
        T *y = j->y + (g * j->p.ocg + oc0 + m) * j->p.ys[1];
        const vec bias = CV_(set1)(j->bias ? j->bias[g * j->p.ocg + oc0 + m] : 0);
        for (const cv_span32 *s = spans; s < spans + n; s++) {
            vec z = {0};
            for (ptrdiff_t i = 0; i < s->len; i += VL) {
                const ptrdiff_t lanes = CV_MIN2(VL, s->len - i);
                const vec v = CV_(load_n)(out + s->src + i, lanes), r = v + bias;
                T *to = y + s->dst + i * step;
                z += v * 0; /* NaN where the sum is not finite */
                if (step == 1) CV_(store_n)(to, r, lanes);
                else
                    for (ptrdiff_t l = 0; l < lanes; l++) to[l * step] = r[l];
            }
            if (CV_(any)(z != z)) CV_(bf16_mend)(j, q, g, oc0 + m, first, s, out, 1);
        }
    }
}

/* The same with channels last: a row of the product is a pixel. */
static void CV_(bf16_out_last)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g, ptrdiff_t oc0, ptrdiff_t outs,
                               ptrdiff_t first, const cv_span32 *spans, int n, const T *out) {
    const ptrdiff_t oc = g * j->p.ocg + oc0;
    vec bias[CV_BF16_SIDE / VL];
    for (int l = 0; l < CV_BF16_SIDE / VL; l++) bias[l] = (vec){0};
    for (ptrdiff_t l = 0; j->bias && l < outs; l += VL) bias[l / VL] = CV_(load_n)(j->bias + oc + l, CV_MIN2(VL, outs - l));
    for (const cv_span32 *s = spans; s < spans + n; s++) {
        vec z = {0};
        for (ptrdiff_t i = 0; i < s->len; i++) {
            T *y = j->y + oc + s->dst + i * j->p.ys[4];
            for (ptrdiff_t l = 0; l < outs; l += VL) {
                const vec v = CV_(load)(out + (s->src + i) * CV_BF16_SIDE + l), r = v + bias[l / VL];
                z += v * 0;
                if (outs - l >= VL) CV_(store)(y + l, r);
                else CV_(store_n)(y + l, r, outs - l);
            }
        }
        if (CV_(any)(z != z))
            for (ptrdiff_t l = 0; l < outs; l++) CV_(bf16_mend)(j, q, g, oc0 + l, first, s, out + l, CV_BF16_SIDE);
    }
}

/* All of a block, or one part of its pixels and one pair of tiles of its outputs. */
static void CV_(bf16_multiply)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g, ptrdiff_t out0, ptrdiff_t out1,
                               ptrdiff_t part, const uint32_t *region, int worker) {
    T out[CV_BF16_SIDE * CV_BF16_SIDE] __attribute__((aligned(64)));
    cv_span32 spans[CV_BF16_SIDE];
    const int merged = j->ext[0] + j->ext[1] + j->ext[2] == 0 && j->image == j->size[0] * j->size[1] * j->size[2];
    const ptrdiff_t slices = merged ? 1 : q->count[0] * q->count[1];
    ptrdiff_t all = (q->count[2] - 1) * j->size[2] + q->count[3]; /* flat numbers of a slice */
    if (merged) all += ((q->count[0] - 1) * j->size[0] + q->count[1] - 1) * j->size[1] * j->size[2];
    const ptrdiff_t panels = (all + CV_BF16_SIDE - 1) / CV_BF16_SIDE;
    CV_TILES_BEGIN();
    for (ptrdiff_t t = out0; t < out1; t += 2) {
        const int two = out1 - t > 1;
        const char *w;
        if (j->packed) {
            w = j->packed + (g * j->outs + t) * j->panel;
        } else {
            char *own = j->tiles + worker * 2 * j->panel;
            for (int h = 0; h <= two; h++) CV_(bf16_pack_tile)(&j->p, &j->view, j->w, g, t + h, own + h * j->panel);
            w = own;
        }
        for (ptrdiff_t i = part * slices * panels / j->parts; i < (part + 1) * slices * panels / j->parts; i++) {
            const ptrdiff_t slice = i / panels, at = i % panels * CV_BF16_SIDE, count = CV_MIN2(CV_BF16_SIDE, all - at);
            const ptrdiff_t first = at + slice / q->count[1] * j->image + slice % q->count[1] * j->size[1] * j->size[2];
            const int n = CV_(bf16_spans)(j, q, first, count, spans);
            if (!n) continue;
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
static void CV_(bf16_fill)(const CV_(bf16_job) *j, const CV_(bf16_block) *q, ptrdiff_t g, ptrdiff_t cb0, ptrdiff_t cb1,
                           uint32_t *region) {
    if (j->last) CV_(bf16_pixels)(j, q, g, cb0, cb1, region);
    else CV_(bf16_planes)(j, q, g, cb0 * 16, cb1 * 16, region);
}

static void CV_(bf16_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    const ptrdiff_t g = unit / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, unit % j->blocks);
    uint32_t *region = j->scratch + worker * j->region;
    CV_(bf16_fill)(j, &q, g, 0, j->pairs / 16, region);
    CV_(bf16_multiply)(j, &q, g, 0, j->outs, 0, region, worker);
}

/* The same in two steps: planes that all threads share, by ranges of channels; then products by tiles of outputs. */
static void CV_(bf16_planes_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    (void)worker;
    const ptrdiff_t tile = unit % (j->pairs / 16), b = unit / (j->pairs / 16), g = b / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, b % j->blocks);
    CV_(bf16_fill)(j, &q, g, tile, tile + 1, j->scratch + b * j->region);
}

static void CV_(bf16_multiply_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(bf16_job) *j = context;
    const ptrdiff_t sides = (j->outs + 1) / 2, part = unit % j->parts, t = unit / j->parts % sides * 2;
    const ptrdiff_t b = unit / j->parts / sides, g = b / j->blocks;
    const CV_(bf16_block) q = CV_(bf16_block_of)(j, b % j->blocks);
    CV_(bf16_multiply)(j, &q, g, t, CV_MIN2(t + 2, j->outs), part, j->scratch + b * j->region, worker);
}

/* Sizes of the planes under a block of step[] outputs. */
static void CV_(bf16_measure)(CV_(bf16_job) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    j->image = 1, j->blocks = 1;
    for (int a = 0; a < 3; a++) j->size[a] = j->step[1 + a] + j->ext[a], j->image *= j->size[a] * j->phases[a];
    for (int a = 0; a < 4; a++) j->cuts[a] = (outs[a] + j->step[a] - 1) / j->step[a], j->blocks *= j->cuts[a];
    /* an odd number of lines between the rows of a tile: they fall into different cache sets */
    j->plane = (j->step[0] * j->image + VL + 15) / 16 * 16;
    if (j->plane / 16 % 2 == 0) j->plane += 16;
    j->region = j->pairs * 3 * j->plane + 2 * CV_BF16_SIDE;
    if (!j->last) return;
    j->row = j->pairs / 16 % 2 ? j->pairs : j->pairs + 16; /* likewise odd */
    j->plane = j->step[0] * j->image * j->row;
    j->region = 3 * j->plane + CV_BF16_SIDE * j->row;
}

/* Cut the outputs until the planes of a block fit, and there are `want` blocks of a useful size. */
static void CV_(bf16_cut)(CV_(bf16_job) *j, ptrdiff_t bytes, ptrdiff_t want) {
    const cv_conv *p = &j->p;
    j->step[0] = p->n, j->step[1] = p->out[0], j->step[2] = p->out[1], j->step[3] = p->out[2];
    for (;;) {
        CV_(bf16_measure)(j);
        const ptrdiff_t pixels = j->step[0] * j->step[1] * j->step[2] * j->step[3];
        const int large = j->region * (ptrdiff_t)sizeof(uint32_t) > bytes;
        if (!large && (pixels <= 192 || p->groups * j->blocks >= want)) return;
        int a = 0;
        while (a < 3 && j->step[a] == 1) a++;
        if (a == 3 && j->step[3] <= 2 * CV_BF16_SIDE) return;
        j->step[a] = (j->step[a] + 1) / 2;
        if (a == 3) j->step[a] = (j->step[a] + CV_BF16_SIDE - 1) / CV_BF16_SIDE * CV_BF16_SIDE;
    }
}

static void CV_(bf16_plan)(CV_(bf16_job) *j, const cv_conv *conv, const cv_exec *e) {
    *j = (CV_(bf16_job)){.p = cv_simplify(conv)};
    const cv_conv *p = &j->p;
    j->view = CV_(bf16_view_of)(p);
    j->last = CV_(bf16_last)(p, &j->view);
    j->pairs = (j->view.channels + CV_BF16_K - 1) / CV_BF16_K * 16;
    j->panel = j->view.blocks * 3 * CV_BF16_TILE;
    j->outs = CV_(bf16_outs)(p);
    j->parts = 1;
    for (int a = 0; a < 3; a++) {
        const ptrdiff_t s = p->stride[a], reach = (p->k[a] / j->view.spread[a] - 1) * p->dil[a];
        j->phases[a] = CV_MIN2(s, reach + 1), j->ext[a] = reach / s;
    }
    const double work = (double)p->n * p->groups * p->ocg * p->out[0] * p->out[1] * p->out[2] * j->view.blocks * CV_BF16_K;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / (2 * CV_MIN_WORK));
    CV_(bf16_cut)(j, CV_MIN2(CV_BF16_BYTES, e->max_workspace / (2 * j->threads)), j->threads > 1 ? 3 * j->threads : 1);
    /* few pixels: their weights are more than they are, and each thread had better read its half than all of them */
    const int few = p->groups == 1 && p->n * p->out[0] * p->out[1] * p->out[2] <= CV_BF16_FEW;
    if (j->threads == 1 || (p->groups * j->blocks >= 2 * j->threads && !few)) return;
    CV_(bf16_cut)(j, CV_MIN2(CV_BF16_SHARED, e->max_workspace / (4 * j->threads)), 1);
    j->shared = 1;
    while (p->groups * j->blocks * ((j->outs + 1) / 2) * j->parts < 4 * j->threads && j->parts < 4) j->parts++;
}

CV_INLINE ptrdiff_t CV_(bf16_table)(const CV_(bf16_job) *j) { return (j->view.blocks * (ptrdiff_t)sizeof *j->at + 63) / 64 * 64; }

CV_INLINE ptrdiff_t CV_(bf16_regions)(const CV_(bf16_job) *j) { return j->shared ? j->p.groups * j->blocks : j->threads; }

static ptrdiff_t CV_(bf16_scratch)(const CV_(bf16_job) *j, int packed) {
    return CV_(bf16_table)(j) + CV_(bf16_regions)(j) * j->region * (ptrdiff_t)sizeof(uint32_t) +
           (packed ? 0 : 2 * j->threads * j->panel);
}

static ptrdiff_t CV_(bf16_workspace)(const cv_conv *p, const cv_exec *e) {
    CV_(bf16_job) j;
    CV_(bf16_plan)(&j, p, e);
    return CV_(bf16_scratch)(&j, 1);
}

/* Where the planes of each block of K begin, shifted by its tap. */
static void CV_(bf16_offsets)(CV_(bf16_job) *j) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < j->view.blocks; i++) {
        const ptrdiff_t cb = i / j->view.taps;
        ptrdiff_t phase = 0, shift = 0, t[3];
        CV_(bf16_origin)(p, &j->view, 0, i % j->view.taps, t);
        for (int a = 0; a < 3; a++) {
            phase = phase * j->phases[a] + t[a] * p->dil[a] % p->stride[a];
            shift = shift * j->size[a] + t[a] * p->dil[a] / p->stride[a];
        }
        shift += phase * j->size[0] * j->size[1] * j->size[2];
        j->at[i] = j->last ? shift * j->row + cb * 16 : cb * 16 * 3 * j->plane + shift;
    }
}

static int CV_(bf16_run)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed, const T *bias,
                                 T *y) {
    CV_(bf16_job) j;
    CV_(bf16_plan)(&j, p, e);
    char *scratch = cv_alloc((size_t)CV_(bf16_scratch)(&j, packed != NULL));
    if (!scratch) return CV_NOMEM;
    j.at = (ptrdiff_t *)scratch;
    j.scratch = (uint32_t *)(scratch + CV_(bf16_table)(&j));
    j.x = x, j.w = w, j.packed = (const char *)packed, j.bias = bias, j.y = y;
    j.tiles = (char *)(j.scratch + CV_(bf16_regions)(&j) * j.region);
    CV_(bf16_offsets)(&j);
    const ptrdiff_t blocks = j.p.groups * j.blocks;
    int status;
    if (!j.shared) {
        status = cv_parallel(CV_(bf16_unit), &j, blocks, j.threads);
    } else {
        status = cv_parallel(CV_(bf16_planes_unit), &j, blocks * (j.pairs / 16), j.threads);
        if (status == CV_OK)
            status = cv_parallel(CV_(bf16_multiply_unit), &j, blocks * ((j.outs + 1) / 2) * j.parts, j.threads);
    }
    cv_free(scratch);
    return status;
}

/* Weights that are split once or twice in a call need no packing pass: each tile is split where it is used, in L2. */
static int CV_(bf16_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed, const T *bias, T *y) {
    static const CV_(way) way = {CV_(bf16_size), CV_(bf16_pack), CV_(bf16_run)};
    if (!packed && p->n && p->groups && p->ocg && p->out[0] && p->out[1] && p->out[2]) {
        CV_(bf16_job) j;
        CV_(bf16_plan)(&j, p, e);
        if ((j.shared ? j.blocks * j.parts : j.blocks) <= 2 && j.outs >= 2 * j.threads &&
            CV_(bf16_scratch)(&j, 0) <= e->max_workspace)
            return CV_(bf16_run)(p, e, x, w, NULL, bias, y);
    }
    return CV_(run_way)(&way, p, e, x, w, packed, bias, y);
}
