/* The GEMM with its roles exchanged and no windows packed, for groups of one or two vectors of output channels.
 *
 * Packing a window pays if many output channels read it; here there are 16 or 32.  Lanes are output channels, as in
 * swap.tmpl.h, and a tile is R x C neighbouring outputs: their inputs are broadcast straight from a copy of the rows
 * under a strip of outputs, which holds the padding too.  A copy costs kh x kw times less than windows would.
 * Only AVX-512 has the registers: 28 accumulators, two vectors of weights, a broadcast.
 */
#ifndef CV_NARROW_BYTES
#define CV_NARROW_BYTES (128 * 1024) /* the copy under a strip: stays in L2 beside the weights of a group */
#define CV_NARROW_SUMS 28            /* accumulators of a tile */
#endif
#if CV_VB == 64

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x, *w, *bias;
    T *y, *scratch;
    ptrdiff_t vecs, oc_panels;
    ptrdiff_t size[3], plane;       /* of the copy, per channel: slices, rows and their length */
    ptrdiff_t strip, strips, each;  /* rows of outputs in a strip; elements of scratch per worker */
    int wide, threads;              /* wide: tiles of 7 outputs, not of 4 */
} CV_(narrow_job);

/* The sums of one tile: rows of `c` outputs, s inputs apart, to sums[row * ow + column][lane]. */
CV_INLINE void CV_(narrow_tile)(const int nv, const int c, const int r, const int s, const CV_(narrow_job) *j, const T *x,
                                const T *w, T *sums) {
    vec acc[CV_NARROW_SUMS];
    CV_UNROLL(28)
    for (int i = 0; i < r * c * nv; i++) acc[i] = (vec){0};
    const ptrdiff_t pitch = s * j->size[2], plane = j->plane;
    for (ptrdiff_t ic0 = 0; ic0 < j->p.icg; ic0 += CV_ICB, x += CV_ICB * plane) {
        const ptrdiff_t ics = CV_MIN2(CV_ICB, j->p.icg - ic0);
        for (ptrdiff_t z = 0; z < j->p.k[0]; z++)
            for (ptrdiff_t ky = 0; ky < j->p.k[1]; ky++)
                for (ptrdiff_t kx = 0; kx < j->p.k[2]; kx++) {
                    const T *q = x + (z * j->size[1] + ky * j->p.dil[1]) * j->size[2] + kx * j->p.dil[2];
                    for (ptrdiff_t ic = 0; ic < ics; ic++, q += plane, w += nv * VL) {
                        vec b[2];
                        CV_UNROLL(2)
                        for (int v = 0; v < nv; v++) b[v] = CV_(load)(w + v * VL);
                        CV_UNROLL(6)
                        for (int y = 0; y < r; y++) {
                            CV_UNROLL(7)
                            for (int i = 0; i < c; i++) {
                                const vec a = CV_(set1)(q[y * pitch + i * s]);
                                CV_UNROLL(2)
                                for (int v = 0; v < nv; v++) acc[(y * c + i) * nv + v] += a * b[v];
                            }
                        }
                    }
                }
    }
    CV_UNROLL(6)
    for (int y = 0; y < r; y++) {
        CV_UNROLL(7)
        for (int i = 0; i < c; i++) {
            CV_UNROLL(2)
            for (int v = 0; v < nv; v++)
                CV_(store)(sums + ((y * j->p.out[2] + i) * nv + v) * VL, acc[(y * c + i) * nv + v]);
        }
    }
}

/* By [stride][vectors][outputs in a row of the tile][rows]. */
typedef void (*CV_(narrow_fn))(const CV_(narrow_job) *, const T *x, const T *w, T *sums);
#define CV_NARROW(nv, c, r, s)                                                                                       \
    static __attribute__((noinline)) void CV_(narrow_##nv##_##c##_##r##_##s)(const CV_(narrow_job) *j, const T *x, \
                                                                             const T *w, T *sums) {                 \
        CV_(narrow_tile)(nv, c, r, s, j, x, w, sums);                                                                \
    }
#define CV_NARROW_SET(s)                                                                                             \
    CV_NARROW(1, 4, 1, s) CV_NARROW(1, 4, 2, s) CV_NARROW(1, 4, 3, s) CV_NARROW(1, 4, 4, s) CV_NARROW(1, 4, 5, s)    \
    CV_NARROW(1, 4, 6, s) CV_NARROW(1, 7, 1, s) CV_NARROW(1, 7, 2, s) CV_NARROW(1, 7, 3, s) CV_NARROW(1, 7, 4, s)    \
    CV_NARROW(2, 4, 1, s) CV_NARROW(2, 4, 2, s) CV_NARROW(2, 4, 3, s) CV_NARROW(2, 7, 1, s) CV_NARROW(2, 7, 2, s)
#define CV_NARROW_TABLE(s)                                                                                           \
    {{{CV_(narrow_1_4_1_##s), CV_(narrow_1_4_2_##s), CV_(narrow_1_4_3_##s), CV_(narrow_1_4_4_##s),                   \
       CV_(narrow_1_4_5_##s), CV_(narrow_1_4_6_##s)},                                                                \
      {CV_(narrow_1_7_1_##s), CV_(narrow_1_7_2_##s), CV_(narrow_1_7_3_##s), CV_(narrow_1_7_4_##s)}},                 \
     {{CV_(narrow_2_4_1_##s), CV_(narrow_2_4_2_##s), CV_(narrow_2_4_3_##s)},                                         \
      {CV_(narrow_2_7_1_##s), CV_(narrow_2_7_2_##s)}}}
CV_NARROW_SET(1) CV_NARROW_SET(2)
static const CV_(narrow_fn) CV_(narrows)[2][2][2][6] = {CV_NARROW_TABLE(1), CV_NARROW_TABLE(2)};
#undef CV_NARROW
#undef CV_NARROW_SET
#undef CV_NARROW_TABLE

/* The rows under a strip, each between its zeros: [channel][slice][row][column]. */
static void CV_(narrow_copy)(const CV_(narrow_job) *j, const T *x, ptrdiff_t oz, ptrdiff_t oy, ptrdiff_t rows, T *copy) {
    const cv_conv *p = &j->p;
    const ptrdiff_t need = (rows - 1) * p->stride[1] + (p->k[1] - 1) * p->dil[1] + 1, step = p->xs[4];
    for (ptrdiff_t at = 0; at < j->size[2]; at += VL) {
        ptrdiff_t lo, hi;
        cv_lanes(at - p->lo[2], 1, p->in[2], VL, &lo, &hi);
        const CV_LANE_SET some = CV_(lane_set)(lo, hi), room = CV_(lane_set)(0, j->size[2] - at);
        for (ptrdiff_t z = 0; z < p->k[0]; z++)
            for (ptrdiff_t y = 0; y < need; y++) {
                const ptrdiff_t iz = oz * p->stride[0] + z * p->dil[0] - p->lo[0], iy = oy * p->stride[1] + y - p->lo[1];
                const int in = iz >= 0 && iz < p->in[0] && iy >= 0 && iy < p->in[1];
                const T *from = x + iz * p->xs[2] + iy * p->xs[3] + (at - p->lo[2]) * step;
                T *to = copy + (z * j->size[1] + y) * j->size[2] + at;
                for (ptrdiff_t ic = 0; ic < p->icg; ic++, from += p->xs[1], to += j->plane)
                    CV_(store_set)(to, !in ? (vec){0} : step == 1 ? CV_(load_set)(from, some) : CV_(gather)(from, step, lo, hi),
                                   room);
            }
    }
}

/* The sums of `rows` rows to y, turned round: VL pixels by VL channels at a time. */
static void CV_(narrow_out)(const CV_(narrow_job) *j, ptrdiff_t rows, ptrdiff_t ld, ptrdiff_t outs, const T *bias,
                            const T *sums, T *y) {
    const cv_conv *p = &j->p;
    const ptrdiff_t flat = p->ys[4] == 1 && p->ys[3] == p->out[2], len = flat ? rows * p->out[2] : p->out[2];
    for (ptrdiff_t row = 0; row < (flat ? 1 : rows); row++, y += p->ys[3], sums += len * ld)
        for (ptrdiff_t i = 0; i < len; i += VL)
            for (ptrdiff_t l = 0; l < outs; l += VL) {
                const ptrdiff_t pixels = CV_MIN2(VL, len - i), lanes = CV_MIN2(VL, outs - l);
                T *to = y + l * p->ys[1] + i * p->ys[4];
                vec v[VL];
                CV_UNROLL(16)
                for (int k = 0; k < VL; k++) v[k] = CV_(load)(sums + CV_MIN2(i + k, len - 1) * ld + l);
                CV_(turn)(v);
                for (ptrdiff_t k = 0; k < lanes; k++, to += p->ys[1]) {
                    const vec r = v[k] + CV_(set1)(bias ? bias[l + k] : 0);
                    if (p->ys[4] == 1) CV_(store_n)(to, r, pixels);
                    else
                        for (ptrdiff_t q = 0; q < pixels; q++) to[q * p->ys[4]] = r[q];
                }
            }
}

static void CV_(narrow_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(narrow_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t strip = unit % j->strips, oz = unit / j->strips % p->out[0], plane = unit / j->strips / p->out[0];
    const ptrdiff_t g = plane % p->groups, n = plane / p->groups, oy = strip * j->strip;
    const ptrdiff_t rows = CV_MIN2(j->strip, p->out[1] - oy), c = j->wide ? 7 : 4;
    T *copy = j->scratch + worker * j->each, *sums = copy + (p->icg * j->plane + VL - 1) / VL * VL;
    CV_(narrow_copy)(j, j->x + n * p->xs[0] + g * p->icg * p->xs[1], oz, oy, rows, copy);
    for (ptrdiff_t panel = 0; panel < j->oc_panels; panel++) {
        const ptrdiff_t l0 = CV_(swap_lane)(j->vecs, j->oc_panels, panel);
        const ptrdiff_t l1 = CV_(swap_lane)(j->vecs, j->oc_panels, panel + 1), nv = (l1 - l0) / VL, oc = g * p->ocg + l0;
        const ptrdiff_t most = c == 4 ? 6 / nv : 4 / nv, tiles = (rows + most - 1) / most;
        for (ptrdiff_t t = 0; t < tiles; t++) {
            const ptrdiff_t r0 = t * rows / tiles, r = (t + 1) * rows / tiles - r0;
            for (ptrdiff_t x = 0; x < p->out[2]; x += c) {
                const ptrdiff_t at = CV_MIN2(x, p->out[2] - c); /* the last tile begins early rather than end late */
                CV_(narrows)[p->stride[2] - 1][nv - 1][j->wide][r - 1](
                    j, copy + (r0 * j->size[2] + at) * p->stride[2], j->w + (g * j->vecs * VL + l0) * j->view.k,
                    sums + (r0 * p->out[2] + at) * nv * VL);
            }
        }
        CV_(narrow_out)(j, rows, nv * VL, CV_MIN2(l1, p->ocg) - l0, j->bias ? j->bias + oc : NULL, sums,
                        j->y + n * p->ys[0] + oc * p->ys[1] + oz * p->ys[2] + oy * p->ys[3]);
    }
}

/* Sizes of the copy for strips of so many rows. */
static void CV_(narrow_measure)(CV_(narrow_job) *j, ptrdiff_t strip) {
    const cv_conv *p = &j->p;
    j->strip = strip, j->strips = (p->out[1] + strip - 1) / strip;
    j->size[0] = p->k[0];
    j->size[1] = (strip - 1) * p->stride[1] + (p->k[1] - 1) * p->dil[1] + 1;
    j->size[2] = (p->out[2] - 1) * p->stride[2] + (p->k[2] - 1) * p->dil[2] + 1;
    j->plane = j->size[0] * j->size[1] * j->size[2];
    j->each = (p->icg * j->plane + VL - 1) / VL * VL + strip * p->out[2] * CV_MIN2(j->vecs, 2) * VL;
}

/* Whether lanes, rows and the copy suit; depends on the problem alone, as the weights are packed for it. */
static int CV_(narrow)(const cv_conv *p) {
    CV_(narrow_job) j = {.p = *p, .vecs = (p->ocg + VL - 1) / VL};
    const int square = (p->stride[1] == p->stride[2] || p->out[1] == 1) && p->stride[2] <= 2;
    if (p->last || !square || (j.vecs != 1 && j.vecs != 2 && j.vecs != 4) || 4 * p->ocg < 3 * j.vecs * VL) return 0;
    if (p->out[2] < 4 || p->out[1] < 1 || p->k[0] * p->k[1] * p->k[2] == 1 || p->icg < 4) return 0;
    CV_(narrow_measure)(&j, 1);
    return p->icg * j.plane * (ptrdiff_t)sizeof(T) <= CV_NARROW_BYTES;
}

static void CV_(narrow_plan)(CV_(narrow_job) *j, const cv_conv *p, const cv_exec *e) {
    *j = (CV_(narrow_job)){.p = *p, .view = cv_view_of(p), .vecs = (p->ocg + VL - 1) / VL};
    j->oc_panels = (j->vecs + CV_NV - 1) / CV_NV;
    j->wide = p->out[2] >= 7 && (p->out[2] + 6) / 7 * 7 <= (p->out[2] + 3) / 4 * 4;
    const double work = (double)p->n * p->groups * p->ocg * j->view.pixels * j->view.k;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);
    const ptrdiff_t planes = p->n * p->groups * p->out[0];
    for (ptrdiff_t cuts = 1;; cuts++) {
        CV_(narrow_measure)(j, (p->out[1] + cuts - 1) / cuts);
        const int large = p->icg * j->plane * (ptrdiff_t)sizeof(T) > CV_NARROW_BYTES ||
                          j->threads * j->each * (ptrdiff_t)sizeof(T) > e->max_workspace;
        const int few = j->threads > 1 && planes * j->strips < 4 * j->threads;
        if (j->strip == 1 || !(large || (few && j->strip > 8))) break;
    }
    while (j->threads > 1 && j->threads * j->each * (ptrdiff_t)sizeof(T) > e->max_workspace) j->threads--;
}

static ptrdiff_t CV_(narrow_workspace)(const cv_conv *p, const cv_exec *e) {
    CV_(narrow_job) j;
    CV_(narrow_plan)(&j, p, e);
    return j.threads * j.each * (ptrdiff_t)sizeof(T);
}

static int CV_(narrow_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *bias, T *y) {
    CV_(narrow_job) j;
    CV_(narrow_plan)(&j, p, e);
    j.x = x, j.w = w, j.bias = bias, j.y = y;
    j.scratch = cv_alloc((size_t)(j.threads * j.each) * sizeof(T));
    if (!j.scratch) return CV_NOMEM;
    const int status = cv_parallel(CV_(narrow_unit), &j, p->n * p->groups * p->out[0] * j.strips, j.threads);
    cv_free(j.scratch);
    return status;
}
#else
static int CV_(narrow)(const cv_conv *p) {
    (void)p;
    return 0;
}
static ptrdiff_t CV_(narrow_workspace)(const cv_conv *p, const cv_exec *e) {
    (void)p, (void)e;
    return 0;
}
static int CV_(narrow_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *bias, T *y) {
    (void)p, (void)e, (void)x, (void)w, (void)bias, (void)y;
    return CV_OK;
}
#endif
