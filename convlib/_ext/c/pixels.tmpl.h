/* The GEMM with its roles exchanged and no windows packed: lanes are output channels, and inputs are broadcast.
 *
 * A tile is CV_PX pixels by up to CV_NV vectors of output channels.  A window's inputs are runs of neighbouring numbers
 * if channels come last: kw·C of them under a row of taps, C under one tap if taps are apart.  So pixels are read where
 * they lie if channels come last and nothing is padded; else from a copy of the strip of input under a strip of outputs,
 * channels last, with its padding.  A copy costs kh x kw times less than windows would, and any stride is free.
 * Packed weights are [panel of channels][tap][c][lane].
 */
#ifndef CV_PIXELS_STRIP
#define CV_PIXELS_STRIP (384 * 1024)  /* a strip of input: stays in L2 beside a part of the weights */
#define CV_PIXELS_MOST (1536 * 1024)  /* a strip of so few outputs that reading all weights for each would be the limit */
#define CV_PIXELS_FEW 96              /* that many outputs */
#define CV_PIXELS_PANEL (256 * 1024)  /* weights of a panel that stay in L2 from tile to tile */
#define CV_PIXELS_K 64                /* products that repay turning round an output, where windows are packed fast */
#define CV_PIXELS_TILES 16            /* tiles whose sums are kept before they go to y */
#define CV_FAR_BYTES 8192             /* of weights, ahead of where a tile is */

typedef struct {
    ptrdiff_t at, len; /* neighbours from `at` on, relative to the first input of a pixel's window */
} cv_run;
#define CV_ROUND64(bytes) (((bytes) + 63) / 64 * 64)
#endif

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    char *scratch;
    cv_run *runs;
    ptrdiff_t n_runs, chunk;            /* runs; those whose weights stay in L2 together */
    ptrdiff_t k, vecs, panels, parts;   /* products per output; of output channels: vectors, panels, parts of panels */
    ptrdiff_t count[4], strips[4], all; /* outputs of a strip along n, D, H, W; strips along each, and in all */
    ptrdiff_t size[4], pitch[4], step[4]; /* of the copy, or of x: size and strides (n, D, H, W); from window to window */
    ptrdiff_t len, cuts;                /* products of a run that is not cut; runs it is cut into */
    ptrdiff_t pixels, each;             /* the most outputs of a strip; bytes of scratch per worker */
    ptrdiff_t own;                      /* elements of weights that a worker packs for itself, where it uses them */
    int in_place, direct, threads;      /* direct: sums go straight to y */
} CV_(pixels_job);

/* The sums of one tile, to c: from `init` for each pixel, or else from what c holds.  Pixels lie where `at` says, or
 * `pitch` apart if it is NULL.
 * far: the weights are read once, from behind the second-level cache; ask for them early. */
CV_INLINE void CV_(pixels_tile)(const int px, const int nv, const int far, const cv_run *runs, ptrdiff_t n, const T *x,
                                const ptrdiff_t *at, ptrdiff_t pitch, const T *w, const T *init, T *c, ptrdiff_t ldc) {
    vec acc[CV_PX + 1][CV_NV];
    CV_UNROLL(16)
    for (int i = 0; i < px; i++) {
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) acc[i][v] = CV_(load)(init ? init + v * VL : c + i * ldc + v * VL);
    }
    for (; n > 0; n--, runs++) {
        const T *q[CV_PX + 1];
        CV_UNROLL(16)
        for (int i = 0; i < px; i++) q[i] = x + (at ? at[i] : i * pitch) + runs->at;
        CV_UNROLL(2)
        for (ptrdiff_t k = 0; k < runs->len; k++, w += nv * VL) {
            vec b[CV_NV];
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++) {
                b[v] = CV_(load)(w + v * VL);
                if (far) __builtin_prefetch((const char *)(w + v * VL) + CV_FAR_BYTES, 0, 2);
            }
            CV_UNROLL(16)
            for (int i = 0; i < px; i++) {
                const vec a = CV_(set1)(q[i][k]);
                CV_UNROLL(4)
                for (int v = 0; v < nv; v++) acc[i][v] += a * b[v];
            }
        }
    }
    CV_UNROLL(16)
    for (int i = 0; i < px; i++) {
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) CV_(store)(c + i * ldc + v * VL, acc[i][v]);
    }
}

typedef void (*CV_(pixels_fn))(const cv_run *runs, ptrdiff_t n, const T *x, const ptrdiff_t *at, const T *w,
                               const T *init, T *c, ptrdiff_t ldc);
#define CV_PIXELS(nv)                                                                                                \
    static __attribute__((noinline)) void CV_(pixels_##nv)(const cv_run *runs, ptrdiff_t n, const T *x,             \
                                                           const ptrdiff_t *at, const T *w, const T *init, T *c,    \
                                                           ptrdiff_t ldc) {                                         \
        CV_(pixels_tile)(CV_PX, nv, 0, runs, n, x, at, 0, w, init, c, ldc);                                                       \
    }
CV_PIXELS(1)
CV_PIXELS(2)
#if CV_NV == 3
CV_PIXELS(3)
static const CV_(pixels_fn) CV_(pixels_tiles)[] = {NULL, CV_(pixels_1), CV_(pixels_2), CV_(pixels_3)};
#else
static const CV_(pixels_fn) CV_(pixels_tiles)[] = {NULL, CV_(pixels_1), CV_(pixels_2)};
#endif
#undef CV_PIXELS

/* ---- weights */

/* Panels of an even number, so that two threads share them evenly; vectors are cut evenly, too. */
CV_INLINE ptrdiff_t CV_(pixels_panels)(ptrdiff_t vecs) {
    const ptrdiff_t n = (vecs + CV_NV - 1) / CV_NV;
    return n > 1 ? n + n % 2 : n;
}
CV_INLINE ptrdiff_t CV_(pixels_lane)(ptrdiff_t vecs, ptrdiff_t panels, ptrdiff_t i) { return i * vecs / panels * VL; }

/* Output channels l0 .. l1-1 of the group at w to [tap][c][lane], zero past the last channel. */
static void CV_(pixels_pack)(const cv_conv *p, const T *w, ptrdiff_t l0, ptrdiff_t l1, T *dst) {
    const ptrdiff_t taps = p->k[0] * p->k[1] * p->k[2], k = p->icg * taps, width = l1 - l0;
    const int joined = cv_joined_weights(p);
    for (ptrdiff_t l = l0; l < l1; l += VL, dst += VL) {
        const ptrdiff_t lanes = CV_MIN2(VL, p->ocg - l);
        const T *from = w + l * p->ws[1];
        for (ptrdiff_t k0 = 0, c = 0, tap = 0; joined && k0 < k; k0 += VL) { /* numbers of a channel lie in a row */
            const ptrdiff_t n = CV_MIN2(VL, k - k0);
            vec v[VL];
            CV_(turn_rows)(from + k0, p->ws[1], 1, lanes, n, v);
            for (ptrdiff_t i = 0; i < n; i++) {
                CV_(store)(dst + (tap * p->icg + c) * width, v[i]);
                if (++tap == taps) tap = 0, c++;
            }
        }
        for (ptrdiff_t tap = 0; !joined && tap < taps; tap++)
            for (ptrdiff_t c = 0; c < p->icg; c++)
                for (ptrdiff_t i = 0; i < VL; i++)
                    dst[(tap * p->icg + c) * width + i] = i < lanes ? from[i * p->ws[1] + c * p->ws[2] + cv_tap_of(p, tap)] : 0;
    }
}

/* ---- the copy of a strip */

/* Pixels [0, n) of a row to dst, channels last; from: the first one's first channel, next: from pixel to pixel. */
static void CV_(pixels_row)(const cv_conv *p, const T *from, ptrdiff_t next, ptrdiff_t n, T *dst) {
    const ptrdiff_t icg = p->icg;
    if (p->xs[1] == 1 || icg == 1) {
        if (next == icg) __builtin_memcpy(dst, from, (size_t)(n * icg) * sizeof(T));
        else
            for (ptrdiff_t i = 0; i < n; i++) __builtin_memcpy(dst + i * icg, from + i * next, (size_t)icg * sizeof(T));
        return;
    }
    if (icg <= 4) { /* four to a pixel, and each pixel over the last one's fourth */
        for (ptrdiff_t i = 0; i < n; i += VL) {
            const ptrdiff_t pixels = CV_MIN2(VL, n - i);
            vec v[4];
            T four[4 * VL];
            CV_UNROLL(4)
            for (int c = 0; c < 4; c++)
                v[c] = c < icg ? CV_(gather)(from + i * next + c * p->xs[1], next, 0, pixels) : (vec){0};
            CV_UNROLL(2)
            for (int q = 0; q < 2; q++) {
                const vec e = q ? CV_(zip_high)(v[0], v[2]) : CV_(zip_low)(v[0], v[2]);
                const vec o = q ? CV_(zip_high)(v[1], v[3]) : CV_(zip_low)(v[1], v[3]);
                CV_(store)(four + 2 * q * VL, CV_(zip_low)(e, o));
                CV_(store)(four + (2 * q + 1) * VL, CV_(zip_high)(e, o));
            }
            T *to = dst + i * icg;
            const ptrdiff_t whole = i + pixels < n ? pixels : pixels - 1; /* nothing past the last one */
            for (ptrdiff_t q = 0; q < whole; q++) __builtin_memcpy(to + q * icg, four + 4 * q, 4 * sizeof(T));
            if (whole < pixels) __builtin_memcpy(to + whole * icg, four + 4 * whole, (size_t)icg * sizeof(T));
        }
        return;
    }
    for (ptrdiff_t c = 0; c < icg; c += VL)
        for (ptrdiff_t i = 0; i < n; i += VL) {
            const ptrdiff_t channels = CV_MIN2(VL, icg - c), pixels = CV_MIN2(VL, n - i);
            const T *src = from + c * p->xs[1] + i * next;
            T *to = dst + i * icg + c;
            vec v[VL];
            CV_(turn_rows)(src, p->xs[1], next, channels, pixels, v);
            if (channels == VL && pixels == VL) {
                CV_UNROLL(16)
                for (int q = 0; q < VL; q++) CV_(store)(to + q * icg, v[q]);
            } else {
                for (ptrdiff_t q = 0; q < pixels; q++) CV_(store_n)(to + q * icg, v[q], channels);
            }
        }
}

/* The input under the outputs from `first` (n, z, y, x) on, that of group g. */
static void CV_(pixels_copy)(const CV_(pixels_job) *j, ptrdiff_t g, const ptrdiff_t *first, ptrdiff_t images, T *dst) {
    const cv_conv *p = &j->p;
    ptrdiff_t from[3], by[3], lo, hi;
    for (int a = 0; a < 3; a++) {
        from[a] = first[a + 1] * p->stride[a] - p->lo[a];
        by[a] = p->k[a] == 1 ? p->stride[a] : 1; /* what no tap reads is not copied */
    }
    cv_lanes(from[2], by[2], p->in[2], j->size[3], &lo, &hi);
    const ptrdiff_t row = j->size[3] * p->icg;
    for (ptrdiff_t n = 0; n < images; n++)
        for (ptrdiff_t z = 0; z < j->size[1]; z++)
            for (ptrdiff_t y = 0; y < j->size[2]; y++, dst += row) {
                const ptrdiff_t iz = from[0] + z * by[0], iy = from[1] + y * by[1];
                if (iz < 0 || iz >= p->in[0] || iy < 0 || iy >= p->in[1] || lo >= hi) {
                    __builtin_memset(dst, 0, (size_t)row * sizeof(T));
                    continue;
                }
                const T *x = j->x + (first[0] + n) * p->xs[0] + g * p->icg * p->xs[1] + iz * p->xs[2] + iy * p->xs[3];
                __builtin_memset(dst, 0, (size_t)(lo * p->icg) * sizeof(T));
                CV_(pixels_row)(p, x + (from[2] + lo * by[2]) * p->xs[4], by[2] * p->xs[4], hi - lo, dst + lo * p->icg);
                __builtin_memset(dst + hi * p->icg, 0, (size_t)((j->size[3] - hi) * p->icg) * sizeof(T));
            }
}

/* ---- sums to y */

/* The sums of `count` pixels, the first one number `pixel` of the batch, to y; outs channels, the first one at y. */
static void CV_(pixels_out)(const cv_conv *p, ptrdiff_t pixel, ptrdiff_t count, ptrdiff_t outs, const T *sums,
                            ptrdiff_t ld, T *y) {
    const int flat = p->ys[3] == p->out[2] * p->ys[4] && (p->out[0] == 1 || p->ys[2] == p->out[1] * p->ys[3]);
    const ptrdiff_t plane = p->out[1] * p->out[2], image = p->out[0] * plane, row = flat ? image : p->out[2];
    for (ptrdiff_t n; count > 0; count -= n, pixel += n, sums += n * ld) {
        const ptrdiff_t at = pixel % image;
        T *to = y + pixel / image * p->ys[0] + at / plane * p->ys[2] + at / p->out[2] % p->out[1] * p->ys[3] +
                at % p->out[2] * p->ys[4];
        n = CV_MIN2(count, row - pixel % row);
        if (p->ys[1] == 1) {
            for (ptrdiff_t i = 0; i < n; i++)
                for (ptrdiff_t l = 0; l < outs; l += VL)
                    CV_(store_n)(to + i * p->ys[4] + l, CV_(load)(sums + i * ld + l), CV_MIN2(VL, outs - l));
            continue;
        }
        for (ptrdiff_t l = 0; l < outs; l += VL)
            for (ptrdiff_t i = 0; i < n; i += VL) {
                const ptrdiff_t pixels = CV_MIN2(VL, n - i), lanes = CV_MIN2(VL, outs - l);
                T *row_to = to + l * p->ys[1] + i * p->ys[4];
                vec v[VL];
                CV_UNROLL(16)
                for (int q = 0; q < VL; q++) v[q] = CV_(load)(sums + CV_MIN2(i + q, n - 1) * ld + l);
                CV_(turn)(v);
                if (lanes == VL && pixels == VL && p->ys[4] == 1) {
                    CV_UNROLL(16)
                    for (int q = 0; q < VL; q++) CV_(store)(row_to + q * p->ys[1], v[q]);
                    continue;
                }
                for (ptrdiff_t q = 0; q < lanes; q++, row_to += p->ys[1])
                    if (p->ys[4] == 1) CV_(store_n)(row_to, v[q], pixels);
                    else
                        for (ptrdiff_t s = 0; s < pixels; s++) row_to[s * p->ys[4]] = v[q][s];
            }
    }
}

/* ---- units: a strip of outputs by a part of the panels of output channels */

typedef struct {
    ptrdiff_t held;    /* the strip whose copy this worker has, and one more; 0: none */
    ptrdiff_t *at;     /* window of each output of it */
    T *copy, *sums, *init, *own;
    char *packed;      /* which panels of that group lie in own, if it has room for all */
} CV_(pixels_scratch);

static ptrdiff_t CV_(pixels_layout)(const CV_(pixels_job) *j, char *base, CV_(pixels_scratch) *s) {
    const ptrdiff_t copy = j->in_place ? 0 : j->size[0] * j->size[1] * j->size[2] * j->size[3] * j->p.icg;
    const ptrdiff_t sizes[6] = {
        (j->pixels + CV_PX) * (ptrdiff_t)sizeof(ptrdiff_t), copy * (ptrdiff_t)sizeof(T),
        CV_PIXELS_TILES * CV_PX * CV_NV * VL * (ptrdiff_t)sizeof(T), CV_NV * VL * (ptrdiff_t)sizeof(T),
        j->own * (ptrdiff_t)sizeof(T), j->panels,
    };
    ptrdiff_t offset = CV_ROUND64((ptrdiff_t)sizeof *s), starts[6];
    for (int i = 0; i < 6; i++) starts[i] = offset, offset += CV_ROUND64(sizes[i]);
    if (s) {
        *s = (CV_(pixels_scratch)){.at = (ptrdiff_t *)(base + starts[0]), .copy = (T *)(base + starts[1]),
                                   .sums = (T *)(base + starts[2]), .init = (T *)(base + starts[3]),
                                   .own = (T *)(base + starts[4]), .packed = base + starts[5]};
    }
    return offset;
}

/* Copy the strip unless this worker has it, and find the windows of its outputs. */
static void CV_(pixels_hold)(const CV_(pixels_job) *j, CV_(pixels_scratch) *s, ptrdiff_t g, ptrdiff_t strip,
                             const ptrdiff_t *first, const ptrdiff_t *count, ptrdiff_t pixels) {
    if (s->held == g * j->all + strip + 1) return;
    if ((s->held - 1) / j->all != g || !s->held) __builtin_memset(s->packed, 0, (size_t)j->panels);
    s->held = g * j->all + strip + 1;
    if (!j->in_place) CV_(pixels_copy)(j, g, first, count[0], s->copy);
    ptrdiff_t i = 0;
    for (ptrdiff_t n = 0; n < count[0]; n++)
        for (ptrdiff_t z = 0; z < count[1]; z++)
            for (ptrdiff_t y = 0; y < count[2]; y++)
                for (ptrdiff_t x = 0; x < count[3]; x++)
                    s->at[i++] = n * j->step[0] + z * j->step[1] + y * j->step[2] + x * j->step[3];
    for (; i < pixels + CV_PX; i++) s->at[i] = s->at[pixels - 1];
}

/* Outputs [b0, b1) of a strip, channels l0 .. l1-1 of a group, whose weights lie at w. */
static void CV_(pixels_block)(const CV_(pixels_job) *j, const CV_(pixels_scratch) *s, const T *x, const T *w,
                              ptrdiff_t oc, ptrdiff_t outs, ptrdiff_t nv, ptrdiff_t pixel, ptrdiff_t b0, ptrdiff_t b1) {
    const cv_conv *p = &j->p;
    const ptrdiff_t ld = nv * VL, whole = j->direct && outs == ld ? (b1 - b0) / CV_PX * CV_PX : 0;
    T *y = j->y + oc * p->ys[1];
    for (ptrdiff_t r = 0; r < j->n_runs; r += j->chunk) {
        const ptrdiff_t runs = CV_MIN2(j->chunk, j->n_runs - r);
        for (ptrdiff_t i = b0; i < b1; i += CV_PX) {
            const int straight = i - b0 < whole;
            CV_(pixels_tiles)[nv](j->runs + r, runs, x, s->at + i, w, r ? NULL : s->init,
                                  straight ? y + (pixel + i) * p->ys[4] : s->sums + (i - b0) * ld,
                                  straight ? p->ys[4] : ld);
        }
        for (ptrdiff_t i = 0; i < runs; i++) w += j->runs[r + i].len * ld;
    }
    if (b0 + whole < b1)
        CV_(pixels_out)(p, pixel + b0 + whole, b1 - b0 - whole, outs, s->sums + whole * ld, ld, y);
}

static void CV_(pixels_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pixels_job) *j = context;
    const cv_conv *p = &j->p;
    CV_(pixels_scratch) *s = (CV_(pixels_scratch) *)(j->scratch + worker * j->each);
    const ptrdiff_t part = unit % j->parts, strip = unit / j->parts % j->all, g = unit / j->parts / j->all;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    ptrdiff_t first[4], count[4], rest = strip, pixel = 0, pixels = 1;
    for (int a = 3; a >= 0; a--) {
        first[a] = rest % j->strips[a] * j->count[a], rest /= j->strips[a];
        count[a] = CV_MIN2(j->count[a], outs[a] - first[a]);
        pixels *= count[a];
    }
    for (int a = 0; a < 4; a++) pixel = pixel * outs[a] + first[a]; /* axes after one that is cut are whole */
    CV_(pixels_hold)(j, s, g, strip, first, count, pixels);
    const T *x = s->copy;
    if (j->in_place) {
        x = j->x + first[0] * p->xs[0] + g * p->icg * p->xs[1];
        for (int a = 0; a < 3; a++) x += first[a + 1] * p->stride[a] * p->xs[a + 2];
    }
    for (ptrdiff_t i = part * j->panels / j->parts; i < (part + 1) * j->panels / j->parts; i++) {
        const ptrdiff_t l0 = CV_(pixels_lane)(j->vecs, j->panels, i), l1 = CV_(pixels_lane)(j->vecs, j->panels, i + 1);
        const ptrdiff_t oc = g * p->ocg + l0, real = CV_MIN2(l1, p->ocg) - l0;
        const T *w = j->own ? s->own + (j->all > 1 ? l0 * j->k : 0) : j->w + (g * j->vecs * VL + l0) * j->k;
        if (j->own && !(j->all > 1 && s->packed[i])) CV_(pixels_pack)(p, j->w + g * p->ws[0], l0, l1, (T *)w);
        s->packed[i] = 1;
        for (ptrdiff_t l = 0; l < l1 - l0; l++) s->init[l] = j->bias && l < real ? j->bias[oc + l] : 0;
        for (ptrdiff_t b = 0; b < pixels; b += CV_PIXELS_TILES * CV_PX)
            CV_(pixels_block)(j, s, x, w, oc, real, (l1 - l0) / VL, pixel, b, CV_MIN2(b + CV_PIXELS_TILES * CV_PX, pixels));
    }
}

/* ---- plan */

/* Cut the outputs into strips: images first, then slices, rows and columns. */
static void CV_(pixels_cut)(CV_(pixels_job) *j, const cv_exec *e) {
    const cv_conv *p = &j->p;
    const ptrdiff_t outs[4] = {p->n, p->out[0], p->out[1], p->out[2]};
    for (int a = 0; a < 4; a++) j->count[a] = outs[a];
    for (int a = 0; a < 4; a++)
        for (ptrdiff_t cuts = 1;; cuts++) {
            j->count[a] = (outs[a] + cuts - 1) / cuts;
            ptrdiff_t bytes = p->icg * (ptrdiff_t)sizeof(T);
            j->pixels = j->all = 1;
            for (int b = 0; b < 4; b++) {
                j->size[b] = j->count[b];
                if (b && p->k[b - 1] > 1)
                    j->size[b] = (j->count[b] - 1) * p->stride[b - 1] + (p->k[b - 1] - 1) * p->dil[b - 1] + 1;
                j->strips[b] = (outs[b] + j->count[b] - 1) / j->count[b];
                bytes *= j->size[b], j->pixels *= j->count[b], j->all *= j->strips[b];
            }
            const int large = (bytes > CV_PIXELS_STRIP && j->pixels > CV_PIXELS_FEW) || bytes > CV_PIXELS_MOST ||
                              j->pixels > 4096 || (!j->in_place && j->threads * bytes > e->max_workspace);
            const int few = j->threads > 1 && p->groups * j->all < 4 * j->threads && j->pixels > CV_PIXELS_TILES * CV_PX;
            if (!large && !few) return;
            if (j->count[a] == 1) break;
        }
}

/* fresh: weights are not packed; own > 0 then, if each worker can pack what it uses of them. */
static void CV_(pixels_plan)(CV_(pixels_job) *j, const cv_conv *conv, const cv_exec *e, int fresh) {
    *j = (CV_(pixels_job)){.p = cv_simplify(conv)};
    const cv_conv *p = &j->p;
    j->k = p->icg * p->k[0] * p->k[1] * p->k[2];
    j->vecs = (p->ocg + VL - 1) / VL, j->panels = CV_(pixels_panels)(j->vecs);
    j->in_place = p->xs[1] == 1 || p->icg == 1;
    for (int a = 0; a < 3; a++)
        j->in_place &= !p->lo[a] && (p->out[a] - 1) * p->stride[a] + (p->k[a] - 1) * p->dil[a] < p->in[a];
    j->direct = p->ys[1] == 1 && p->ys[3] == p->out[2] * p->ys[4] && p->ys[2] == p->out[1] * p->ys[3] &&
                (p->n == 1 || p->ys[0] == p->out[0] * p->ys[2]);
    const double work = (double)p->n * p->groups * p->ocg * (double)(p->out[0] * p->out[1] * p->out[2]) * j->k;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);
    for (;; j->threads--) {
        CV_(pixels_cut)(j, e);
        const ptrdiff_t all = j->vecs * VL * j->k;
        /* one strip: each panel is read by one worker only, so room for one is enough */
        j->own = !fresh ? 0 : j->all == 1 && j->panels >= j->threads ? j->k * CV_MIN2(CV_NV, j->vecs) * VL
               : j->threads * all * (ptrdiff_t)sizeof(T) <= CV_OWN_BYTES ? all : 0;
        j->each = CV_(pixels_layout)(j, NULL, NULL);
        if (j->threads == 1 || j->threads * j->each <= e->max_workspace) break;
    }
    const ptrdiff_t want = j->threads > 1 ? 4 * j->threads : 1;
    j->parts = CV_MIN2(j->panels, (want + p->groups * j->all - 1) / (p->groups * j->all));
    j->pitch[0] = p->xs[0], j->pitch[1] = p->xs[2], j->pitch[2] = p->xs[3], j->pitch[3] = p->xs[4];
    if (!j->in_place) {
        j->pitch[3] = p->icg;
        for (int a = 2; a >= 0; a--) j->pitch[a] = j->pitch[a + 1] * j->size[a + 1];
    }
    for (int a = 0; a < 4; a++)
        j->step[a] = j->pitch[a] * (a && (j->in_place || p->k[a - 1] > 1) ? p->stride[a - 1] : 1);
    const ptrdiff_t most = CV_PIXELS_PANEL / (CV_NV * VL * (ptrdiff_t)sizeof(T));
    const int joined = p->k[2] == 1 || (p->dil[2] == 1 && j->pitch[3] == p->icg);
    j->len = joined ? p->k[2] * p->icg : p->icg, j->cuts = (j->len + most - 1) / most;
    j->n_runs = j->k / j->len * j->cuts, j->chunk = CV_MAX2(1, most / ((j->len + j->cuts - 1) / j->cuts));
}

/* Runs under a row of taps if its inputs lie side by side; long ones are cut, so that a panel's part stays in L2. */
static void CV_(pixels_runs)(const CV_(pixels_job) *j) {
    const cv_conv *p = &j->p;
    cv_run *run = j->runs;
    const ptrdiff_t apart = j->k / j->len / (p->k[0] * p->k[1]); /* runs in a row of taps */
    for (ptrdiff_t z = 0; z < p->k[0]; z++)
        for (ptrdiff_t y = 0; y < p->k[1]; y++)
            for (ptrdiff_t x = 0; x < apart; x++)
                for (ptrdiff_t i = 0; i < j->cuts; i++, run++) {
                    const ptrdiff_t begin = i * j->len / j->cuts, end = (i + 1) * j->len / j->cuts;
                    run->at = z * p->dil[0] * j->pitch[1] + y * p->dil[1] * j->pitch[2] + x * p->dil[2] * j->pitch[3] + begin;
                    run->len = end - begin;
                }
}

static ptrdiff_t CV_(pixels_bytes)(const CV_(pixels_job) *j) {
    return CV_ROUND64(j->n_runs * (ptrdiff_t)sizeof *j->runs) + j->threads * j->each;
}

/* Plan for weights that are not packed; whether they need not be. */
static int CV_(pixels_fresh)(CV_(pixels_job) *j, const cv_conv *p, const cv_exec *e) {
    CV_(pixels_plan)(j, p, e, 1);
    return j->own && CV_(pixels_bytes)(j) <= e->max_workspace;
}

static int CV_(pixels_run)(CV_(pixels_job) *j, const T *x, const T *w, const T *bias, T *y) {
    char *base = cv_alloc((size_t)CV_(pixels_bytes)(j));
    if (!base) return CV_NOMEM;
    j->x = x, j->w = w, j->bias = bias, j->y = y;
    j->runs = (cv_run *)base, j->scratch = base + CV_ROUND64(j->n_runs * (ptrdiff_t)sizeof *j->runs);
    CV_(pixels_runs)(j);
    for (int i = 0; i < j->threads; i++) {
        char *mine = j->scratch + i * j->each;
        CV_(pixels_layout)(j, mine, (CV_(pixels_scratch) *)mine);
    }
    const int status = cv_parallel(CV_(pixels_unit), j, j->p.groups * j->all * j->parts, j->threads);
    cv_free(base);
    return status;
}

/* Whether lanes suit; depends on the problem alone, as the weights are packed for it.  Channels first, the windows of a
 * plain 1x1 are rows of B already, unless they are shorter than a vector. */
static int CV_(pixels_fit)(const cv_conv *p) {
    const ptrdiff_t vecs = (p->ocg + VL - 1) / VL, pixels = p->out[0] * p->out[1] * p->out[2];
    const ptrdiff_t k = p->icg * p->k[0] * p->k[1] * p->k[2];
    if (!p->n || !p->groups || !p->icg || !p->ocg || !pixels) return 0;
    int plain = 1;
    for (int a = 0; a < 3; a++) plain &= p->k[a] == 1 && p->stride[a] == 1 && !p->lo[a] && p->in[a] == p->out[a];
    if (p->last) return 1;
    if (5 * p->ocg < 3 * vecs * VL) return 0;
    return plain ? pixels < VL : k >= CV_PIXELS_K || p->stride[2] > 1;
}
