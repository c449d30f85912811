/* Pooling: maximum, minimum, sum and average, with or without the place of the extreme.
 *
 *   windows  (small windows, NCHW)       one vector of outputs at a time, every tap loaded straight from the image
 *   channels (small windows, NHWC)       the same with channels in the lanes
 *   whole    (the window is the plane)   one pass over the plane
 *   doubling (everything else)           windows of 1, 2, 4, … elements by repeated shifts, O(log k) per axis
 * The first three serve types of 4 and 8 bytes, whose lanes can hold a position.
 * Doubling pads a plane into scratch; there the shift by a position, a row or a slice is a constant, so one loop over
 * the flat scratch serves every axis, stride, dilation and layout.
 *
 * A maximum lets NaN win and of equals the first; the place of several NaNs is the last one's.
 *
 * Included after simd.h with CV_FLOAT 1 for floating-point types and 0 for integers.
 */
#ifndef CV_POOL_ONCE
#define CV_POOL_ONCE
#define CV_POOL_WORK 60000.0 /* elements read that repay waking one more thread */
#define CV_POOL_INNER 64     /* channels side by side in scratch, channels-last */
#define CV_POOL_SCRATCH (192 * 1024) /* bytes of padded input that a worker aims at: stays in L2 with its companions */

/* Windows of one axis clipped to the input. */
static inline ptrdiff_t cv_first(const cv_pool *p, int a, ptrdiff_t o) {
    const ptrdiff_t i = o * p->stride[a] - p->lo[a];
    return i >= 0 ? i : i + (-i + p->dil[a] - 1) / p->dil[a] * p->dil[a];
}
static inline ptrdiff_t cv_end(const cv_pool *p, int a, ptrdiff_t o) {
    const ptrdiff_t i = o * p->stride[a] - p->lo[a] + (p->k[a] - 1) * p->dil[a] + 1;
    return CV_MIN2(i, p->in[a]);
}
/* Taps of window o that an average divides by. */
static inline ptrdiff_t cv_counted(const cv_pool *p, int a, ptrdiff_t o) {
    const ptrdiff_t i = o * p->stride[a] - p->lo[a], d = p->dil[a], end = p->in[a] + p->hi[a];
    if (p->count_include_pad) return end <= i ? 0 : CV_MIN2(p->k[a], (end - i + d - 1) / d);
    const ptrdiff_t first = cv_first(p, a, o), last = cv_end(p, a, o);
    return last <= first ? 0 : (last - first + d - 1) / d;
}
static inline int cv_empty(const cv_pool *p, int a, ptrdiff_t o) { return cv_first(p, a, o) >= cv_end(p, a, o); }

static inline ptrdiff_t cv_pool_cut(double work, ptrdiff_t items, int *threads) {
    *threads = (int)CV_MAX2(1, CV_MIN2((double)*threads, work / CV_POOL_WORK));
    return CV_MIN2(items, CV_MAX2(*threads == 1 ? 1 : 12 * (ptrdiff_t)*threads, (ptrdiff_t)(work / 5e7)));
}

/* Lanes of one (vector, tap) whose input exists, in the vector at the first lane and in the next one (stride 2). */
typedef struct {
    short a0, a1, b0, b1;
} cv_span;

static inline cv_span cv_span_of(const cv_pool *p, ptrdiff_t ox, ptrdiff_t kx, ptrdiff_t vl) {
    const ptrdiff_t ix = ox * p->stride[2] + kx * p->dil[2] - p->lo[2], in = p->in[2];
    const ptrdiff_t a0 = CV_MAX2(0, CV_MIN2(vl, -ix)), b0 = CV_MAX2(0, CV_MIN2(vl, -ix - vl));
    return (cv_span){(short)a0, (short)CV_MAX2(a0, CV_MIN2(vl, in - ix)), (short)b0,
                     (short)CV_MAX2(b0, CV_MIN2(vl, in - ix - vl))};
}
#endif

#undef CV_MM
#undef CV_MMT
#if CV_FLOAT && CV_VB == 64
#if CV_BITS == 32
#define CV_MM(op, tail) _mm512_##op##_ps##tail
#define CV_MMT __m512
#else
#define CV_MM(op, tail) _mm512_##op##_pd##tail
#define CV_MMT __m512d
#endif
#elif CV_FLOAT && CV_VB == 32 && defined(__AVX2__)
#if CV_BITS == 32
#define CV_MM(op, tail) _mm256_##op##_ps##tail
#define CV_MMT __m256
#else
#define CV_MM(op, tail) _mm256_##op##_pd##tail
#define CV_MMT __m256d
#endif
#endif
#undef CV_NAN_LANES
#if CV_FLOAT
#define CV_NAN_LANES(v) ((ivec)((v) != (v)))
#else
#define CV_NAN_LANES(v) ((ivec){0})
#endif

typedef struct {
    cv_pool p;
    const T *x;
    T *y;
    int64_t *indices;
    ptrdiff_t items, pieces, scratch_each; /* scratch_each in bytes */
    char *scratch;
    const T *divide;                 /* [out[2]]: taps counted along W; NULL where nothing is divided */
    const CV_INT(CV_BITS) *first;    /* [out[2]]: first position inside the input of each window along W, -1: none */
    const cv_span *spans;            /* [vectors][k[2]] of a row */
    ptrdiff_t size[3], inner, blocks; /* doubling: padded scratch, channels side by side, blocks of channels */
    ptrdiff_t step[2], cuts[2];      /* doubling: outputs along D and H per item, items along them */
} CV_(pool_job);

#undef CV_LOWEST
#undef CV_IS_NAN
#if CV_FLOAT
#define CV_LOWEST(kind) ((kind) == CV_MAX ? (T)-INFINITY : (T)INFINITY)
#define CV_IS_NAN(a) ((a) != (a))
#else
#define CV_LEAST ((T)-1 > 0 ? (T)0 : (T)((uint64_t)1 << (CV_BITS - 1)))
#define CV_LOWEST(kind) ((kind) == CV_MAX ? CV_LEAST : (T)~CV_LEAST)
#define CV_IS_NAN(a) 0
#endif
#define CV_START(kind) ((kind) <= CV_MIN ? CV_LOWEST(kind) : (T)0)

/* Where b, the later one, takes the place of a. */
CV_INLINE int CV_(wins)(const int kind, T a, T b) { return (kind == CV_MAX ? b > a : b < a) || CV_IS_NAN(b); }
CV_INLINE T CV_(join)(const int kind, T a, T b) {
    if (kind > CV_MIN) return (T)(a + b);
    return CV_(wins)(kind, a, b) ? b : a;
}
CV_INLINE vec CV_(vjoin)(const int kind, vec a, vec b) {
    if (kind > CV_MIN) return a + b;
#ifdef CV_MM
#if CV_VB == 64
    /* max and min give their second operand if either is NaN or both are equal; a NaN in b is kept by the mask */
    const CV_GLUE(CV_MASK, CV_BITS) ordered = CV_MM(cmp, _mask)((CV_MMT)b, (CV_MMT)b, _CMP_ORD_Q);
    return (vec)(kind == CV_MAX ? CV_MM(mask_max, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a)
                                : CV_MM(mask_min, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a));
#else
    const CV_MMT m = kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a) : CV_MM(min, )((CV_MMT)b, (CV_MMT)a);
    return (vec)CV_MM(blendv, )(m, (CV_MMT)b, CV_MM(cmp, )((CV_MMT)b, (CV_MMT)b, _CMP_UNORD_Q));
#endif
#else
    return CV_(select)((ivec)(kind == CV_MAX ? b > a : b < a) | CV_NAN_LANES(b), b, a);
#endif
}

/* What a window becomes: an average divides by the taps along W times `rest`, those along D and H. */
CV_INLINE T CV_(finish)(const CV_(pool_job) *j, T v, ptrdiff_t rest, ptrdiff_t ox) {
    if (!j->divide) return v;
    const double d = j->p.divisor != 0 ? j->p.divisor : (double)rest * (double)j->divide[ox];
    return d == 0 ? 0 : (T)(v / (T)d);
}

/* ------------------------------------------------------------------------------------------------ doubling */

/* a[i] = join(a[i], a[i + shift]) in ascending order: what is read has not been written yet. */
CV_INLINE void CV_(shift_join)(const int kind, T *a, ptrdiff_t n, ptrdiff_t shift) {
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < n; i++) a[i] = CV_(join)(kind, a[i], a[i + shift]);
}
CV_INLINE void CV_(shift_place)(const int kind, T *a, int64_t *at, ptrdiff_t n, ptrdiff_t shift) {
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < n; i++) {
        const T u = a[i], v = a[i + shift];
        const int take = CV_(wins)(kind, u, v) | (at[i] < 0); /* whatever exists beats padding */
        a[i] = take ? v : u;
        at[i] = take ? at[i + shift] : at[i];
    }
}

/* Turn every element into the join of k elements `shift` apart.  n: elements of the scratch. */
CV_INLINE void CV_(widen)(const int kind, T *a, T *sum, int64_t *at, ptrdiff_t n, ptrdiff_t k, ptrdiff_t shift) {
    if (kind <= CV_MIN) { /* two windows of 2^i that overlap */
        ptrdiff_t w = 1;
        for (; w < k; w = CV_MIN2(2 * w, k)) {
            const ptrdiff_t step = CV_MIN2(w, k - w) * shift;
            if (at) CV_(shift_place)(kind, a, at, n - step, step);
            else CV_(shift_join)(kind, a, n - step, step);
        }
        return;
    }
    /* windows of 2^i side by side, one for each bit of k; `sum` collects them */
    ptrdiff_t done = 0, w = 1;
    for (; 2 * w <= k; w *= 2) {
        if (k & w) {
            const ptrdiff_t from = done * shift;
            if (!done) memcpy(sum, a, (size_t)n * sizeof(T));
            else
#pragma GCC ivdep
                for (ptrdiff_t i = 0; i < n - from; i++) sum[i] = (T)(sum[i] + a[i + from]);
            done += w;
        }
        CV_(shift_join)(kind, a, n - w * shift, w * shift);
    }
    if (done)
#pragma GCC ivdep
        for (ptrdiff_t i = 0; i < n - done * shift; i++) a[i] = (T)(sum[i] + a[i + done * shift]);
}

/* The input under a block of outputs, `inner` channels side by side, into padded scratch; `at`: its positions, -1 outside.
 * from: position of the scratch's first element in the input (D, H, W). */
static void CV_(pad_block)(const CV_(pool_job) *j, const T *x, ptrdiff_t inner, const ptrdiff_t *from, T *a, int64_t *at) {
    const cv_pool *p = &j->p;
    const ptrdiff_t total = j->size[0] * j->size[1] * j->size[2] * inner;
    const T start = CV_START(p->kind);
    for (ptrdiff_t i = 0; i < total; i++) a[i] = start;
    if (at) memset(at, -1, (size_t)total * sizeof *at);
    const ptrdiff_t w0 = CV_MAX2(0, -from[2]), w1 = CV_MIN2(j->size[2], p->in[2] - from[2]);
    for (ptrdiff_t z = CV_MAX2(0, -from[0]); z < CV_MIN2(j->size[0], p->in[0] - from[0]); z++)
        for (ptrdiff_t r = CV_MAX2(0, -from[1]); r < CV_MIN2(j->size[1], p->in[1] - from[1]); r++) {
            const ptrdiff_t dst = (z * j->size[1] + r) * j->size[2] * inner;
            const T *src = x + (z + from[0]) * p->xs[2] + (r + from[1]) * p->xs[3] + from[2] * p->xs[4];
            if (inner == 1 && p->xs[4] == 1 && w1 > w0)
                memcpy(a + dst + w0, src + w0, (size_t)(w1 - w0) * sizeof(T));
            else
                for (ptrdiff_t c = w0; c < w1; c++)
                    for (ptrdiff_t i = 0; i < inner; i++) a[dst + c * inner + i] = src[c * p->xs[4] + i * p->xs[1]];
            if (!at) continue;
            const ptrdiff_t place = ((z + from[0]) * p->in[1] + r + from[1]) * p->in[2] + from[2];
            for (ptrdiff_t c = w0; c < w1; c++)
                for (ptrdiff_t i = 0; i < inner; i++) at[dst + c * inner + i] = place + c;
        }
}

CV_INLINE void CV_(double_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item, char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz0 = item / j->cuts[1] % j->cuts[0] * j->step[0];
    const ptrdiff_t plane = item / j->cuts[1] / j->cuts[0], n = plane / j->blocks, c0 = plane % j->blocks * j->inner;
    const ptrdiff_t inner = CV_MIN2(j->inner, p->c - c0), total = j->size[0] * j->size[1] * j->size[2];
    const ptrdiff_t from[3] = {oz0 * p->stride[0] - p->lo[0], oy0 * p->stride[1] - p->lo[1], -p->lo[2]};
    T *a = (T *)scratch, *sum = a + total * j->inner;
    int64_t *at = j->indices ? (int64_t *)(scratch + (total * j->inner * (ptrdiff_t)sizeof(T) + 7) / 8 * 8) : NULL;
    CV_(pad_block)(j, j->x + n * p->xs[0] + c0 * p->xs[1], inner, from, a, at);
    ptrdiff_t shift = inner; /* along W first: of equals, the first row's first */
    for (int axis = 2; axis >= 0; shift *= j->size[axis], axis--)
        CV_(widen)(kind, a, sum, at, total * inner, p->k[axis], shift * p->dil[axis]);
    for (ptrdiff_t oz = oz0; oz < CV_MIN2(oz0 + j->step[0], p->out[0]); oz++)
        for (ptrdiff_t oy = oy0; oy < CV_MIN2(oy0 + j->step[1], p->out[1]); oy++) {
            const ptrdiff_t rest = cv_counted(p, 0, oz) * cv_counted(p, 1, oy);
            const ptrdiff_t row = (oz - oz0) * p->stride[0] * j->size[1] + (oy - oy0) * p->stride[1];
            const ptrdiff_t dst = n * p->ys[0] + c0 * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
            for (ptrdiff_t ox = 0; ox < p->out[2]; ox++)
                for (ptrdiff_t i = 0; i < inner; i++) {
                    const ptrdiff_t s = (row * j->size[2] + ox * p->stride[2]) * inner + i;
                    const ptrdiff_t d = dst + ox * p->ys[4] + i * p->ys[1];
                    j->y[d] = CV_(finish)(j, a[s], rest, ox);
                    if (at) j->indices[d] = at[s];
                }
        }
}

#if CV_BITS >= 32
/* ------------------------------------------------------------------------------------------------ windows */

/* Lanes lo..hi-1 of p, `fill` elsewhere. */
CV_INLINE vec CV_(load_or)(const T *p, ptrdiff_t lo, ptrdiff_t hi, vec fill) {
#if CV_VB == 64
    return (vec)CV_GLUE(_mm512_mask_loadu_epi, CV_BITS)((__m512i)fill, (CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(lo, hi), p);
#else
    if (lo == 0 && hi == VL) return CV_(load)(p);
    vec v = CV_(load_range)(p, lo, hi);
    for (ptrdiff_t i = 0; i < VL; i++)
        if (i < lo || i >= hi) v[i] = fill[i];
    return v;
#endif
}

/* The rows of one window row: of them, `count` lie inside the input. */
typedef struct {
    const T **rows;
    ptrdiff_t *places; /* position of each row's first element in the plane */
    ptrdiff_t count;
} CV_(window_rows);

/* Two neighbouring vectors' worth of outputs need 2 * VL inputs at stride 2: the pair is reduced over the rows first, and
 * split into even and odd lanes once. */
CV_INLINE vec CV_(window_vector)(const int kind, const int s, const cv_pool *p, const CV_(window_rows) *w, ptrdiff_t ix,
                                 const cv_span *q) {
    const vec start = CV_(set1)(CV_START(kind));
    vec acc = start;
    for (ptrdiff_t kx = 0; kx < p->k[2]; kx++) {
        const ptrdiff_t at = ix + kx * p->dil[2];
        vec a = start, b = start;
        for (ptrdiff_t r = 0; r < w->count; r++) {
            const T *x = w->rows[r] + at;
            a = CV_(vjoin)(kind, a, q ? CV_(load_or)(x, q[kx].a0, q[kx].a1, start) : CV_(load)(x));
            if (s == 2) b = CV_(vjoin)(kind, b, q ? CV_(load_or)(x + VL, q[kx].b0, q[kx].b1, start) : CV_(load)(x + VL));
        }
        if (s == 1) {
            acc = CV_(vjoin)(kind, acc, a);
            continue;
        }
        acc = CV_(vjoin)(kind, acc, CV_(even)(a, b));
        if (p->dil[2] == 1 && kx + 1 < p->k[2]) acc = CV_(vjoin)(kind, acc, CV_(odd)(a, b)), kx++;
    }
    return acc;
}

/* The same with places, tap by tap in order.  `at` starts at the window's first position, so that a window of nothing but
 * the lowest value has a place too. */
CV_INLINE vec CV_(window_places)(const int kind, const int s, const cv_pool *p, const CV_(window_rows) *w, ptrdiff_t ox,
                                 const cv_span *q, ivec *places) {
    const vec start = CV_(set1)(CV_START(kind));
    const ptrdiff_t ix = ox * s - p->lo[2];
    vec best = start;
    ivec at = *places, lane;
    for (int i = 0; i < VL; i++) lane[i] = (CV_INT(CV_BITS))(ix + i * s);
    for (ptrdiff_t r = 0; r < w->count; r++)
        for (ptrdiff_t kx = 0; kx < p->k[2]; kx++) {
            const T *x = w->rows[r] + ix + kx * p->dil[2];
            vec v = q ? CV_(load_or)(x, q[kx].a0, q[kx].a1, start) : CV_(load)(x);
            if (s == 2) v = CV_(even)(v, q ? CV_(load_or)(x + VL, q[kx].b0, q[kx].b1, start) : CV_(load)(x + VL));
            const ivec take = (ivec)(kind == CV_MAX ? v > best : v < best) | CV_NAN_LANES(v);
            const ivec here = lane + (CV_INT(CV_BITS))(w->places[r] + kx * p->dil[2]);
            best = CV_(select)(take, v, best);
            at = (take & here) | (~take & at);
        }
    *places = at;
    return best;
}

CV_INLINE void CV_(window_row)(const int kind, const int s, const CV_(pool_job) *j, const CV_(window_rows) *w,
                               ptrdiff_t rest, T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        const ptrdiff_t n = CV_MIN2(VL, p->out[2] - ox), ix = ox * s - p->lo[2];
        const int inside = ix >= 0 && ix + (p->k[2] - 1) * p->dil[2] + VL * s <= p->in[2];
        const cv_span *q = inside ? NULL : j->spans + ox / VL * p->k[2];
        vec v;
        if (indices) {
            ivec at = {0};
            for (ptrdiff_t i = 0; i < VL; i++)
                at[i] = i >= n || j->first[ox + i] < 0 || !w->count ? -1 : (CV_INT(CV_BITS))(j->first[ox + i] + w->places[0]);
            v = CV_(window_places)(kind, s, p, w, ox, q, &at);
            for (ptrdiff_t i = 0; i < n; i++) indices[ox + i] = at[i];
        } else
            v = CV_(window_vector)(kind, s, p, w, ix, q);
        if (j->divide) {
            vec d;
            if (p->divisor != 0) d = CV_(set1)((T)p->divisor);
            else d = CV_(load_n)(j->divide + ox, n) * CV_(set1)((T)rest);
            d = CV_(select)((ivec)(d == 0), CV_(set1)((T)1), d); /* an empty window's sum is 0 */
            v = v / d;
        }
        CV_(store_n)(y + ox, v, n);
    }
}

/* ------------------------------------------------------------------------------------------------ channels */

/* One window in nv vectors of channels, the last with n lanes; ix0 .. ix1-1 by dil: its columns inside the input. */
CV_INLINE void CV_(channel_vectors)(const int kind, const int nv, const CV_(pool_job) *j, const CV_(window_rows) *w,
                                    ptrdiff_t ix0, ptrdiff_t ix1, ptrdiff_t c, ptrdiff_t n, T divide, T *y,
                                    int64_t *indices) {
    const cv_pool *p = &j->p;
    const vec start = CV_(set1)(CV_START(kind));
    vec best[4];
    ivec at[4];
    const ptrdiff_t none = w->count && ix0 < ix1 ? w->places[0] + ix0 : -1;
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        best[i] = start;
        at[i] = (ivec){0} + (CV_INT(CV_BITS))none;
    }
    for (ptrdiff_t r = 0; r < w->count; r++)
        for (ptrdiff_t ix = ix0; ix < ix1; ix += p->dil[2]) {
            const T *x = w->rows[r] + ix * p->xs[4] + c;
            CV_UNROLL(4)
            for (int i = 0; i < nv; i++) {
                const vec v = i == nv - 1 ? CV_(load_n)(x + i * VL, n) : CV_(load)(x + i * VL);
                if (indices) {
                    const ivec take = (ivec)(kind == CV_MAX ? v > best[i] : v < best[i]) | CV_NAN_LANES(v);
                    at[i] = (take & ((ivec){0} + (CV_INT(CV_BITS))(w->places[r] + ix))) | (~take & at[i]);
                }
                best[i] = CV_(vjoin)(kind, best[i], v);
            }
        }
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const ptrdiff_t lanes = i == nv - 1 ? n : VL;
        if (j->divide) best[i] = divide == 0 ? (vec){0} : best[i] / CV_(set1)(divide);
        CV_(store_n)(y + c + i * VL, best[i], lanes);
        if (indices)
            for (ptrdiff_t l = 0; l < lanes; l++) indices[c + i * VL + l] = at[i][l];
    }
}

CV_INLINE void CV_(channel_row)(const int kind, const CV_(pool_job) *j, const CV_(window_rows) *w, ptrdiff_t rest, T *y,
                                int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, y += p->ys[4], indices += indices ? p->ys[4] : 0) {
        const ptrdiff_t ix0 = cv_first(p, 2, ox), ix1 = cv_end(p, 2, ox);
        const T divide = !j->divide ? 0 : p->divisor != 0 ? (T)p->divisor : (T)((T)rest * j->divide[ox]);
        ptrdiff_t c = 0;
        for (; c + 4 * VL <= p->c; c += 4 * VL)
            CV_(channel_vectors)(kind, 4, j, w, ix0, ix1, c, VL, divide, y, indices);
        for (; c < p->c; c += VL)
            CV_(channel_vectors)(kind, 1, j, w, ix0, ix1, c, CV_MIN2(VL, p->c - c), divide, y, indices);
    }
}

/* ------------------------------------------------------------------------------------------------ whole planes */

CV_INLINE void CV_(whole_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t plane) {
    const cv_pool *p = &j->p;
    const T *x = j->x + plane / p->c * p->xs[0] + plane % p->c * p->xs[1];
    const ptrdiff_t size = p->in[0] * p->in[1] * p->in[2];
    const vec start = CV_(set1)(CV_START(kind));
    vec acc[8];
    ptrdiff_t i = 0;
    CV_UNROLL(8)
    for (int v = 0; v < 8; v++) acc[v] = start;
    for (; i + 8 * VL <= size; i += 8 * VL) {
        CV_UNROLL(8)
        for (int v = 0; v < 8; v++) acc[v] = CV_(vjoin)(kind, acc[v], CV_(load)(x + i + v * VL));
    }
    for (; i + VL <= size; i += VL) acc[0] = CV_(vjoin)(kind, acc[0], CV_(load)(x + i));
    if (i < size) acc[1] = CV_(vjoin)(kind, acc[1], CV_(load_or)(x + i, 0, size - i, start));
    CV_UNROLL(3)
    for (int half = 4; half; half /= 2) {
        CV_UNROLL(4)
        for (int v = 0; v < half; v++) acc[v] = CV_(vjoin)(kind, acc[v], acc[v + half]);
    }
    T lanes[VL], *y = j->y + plane / p->c * p->ys[0] + plane % p->c * p->ys[1];
    CV_(store)(lanes, acc[0]);
    for (int half = VL / 2; half; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] = CV_(join)(kind, lanes[l], lanes[l + half]);
    *y = CV_(finish)(j, lanes[0], cv_counted(p, 0, 0) * cv_counted(p, 1, 0), 0);
}

/* One item of the windows and channels ways: some rows of outputs, of one plane or of one image. */
CV_INLINE void CV_(rows_item)(const int kind, const int channels, const CV_(pool_job) *j, ptrdiff_t item, char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t plane = item / j->cuts[1] / p->out[0], planes = channels ? 1 : p->c;
    const ptrdiff_t n = plane / planes, c = plane % planes, taps = p->k[0] * p->k[1];
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    CV_(window_rows) w = {.rows = (const T **)scratch, .places = (ptrdiff_t *)(scratch + taps * (ptrdiff_t)sizeof(T *))};
    for (ptrdiff_t oy = oy0; oy < CV_MIN2(oy0 + j->step[1], p->out[1]); oy++) {
        w.count = 0;
        for (ptrdiff_t z = cv_first(p, 0, oz); z < cv_end(p, 0, oz); z += p->dil[0])
            for (ptrdiff_t r = cv_first(p, 1, oy); r < cv_end(p, 1, oy); r += p->dil[1]) {
                w.places[w.count] = (z * p->in[1] + r) * p->in[2];
                w.rows[w.count++] = x + z * p->xs[2] + r * p->xs[3];
            }
        const ptrdiff_t to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
        const ptrdiff_t rest = cv_counted(p, 0, oz) * cv_counted(p, 1, oy);
        T *y = j->y + to;
        int64_t *indices = j->indices ? j->indices + to : NULL;
        if (channels) CV_(channel_row)(kind, j, &w, rest, y, indices);
        else if (p->stride[2] == 1) CV_(window_row)(kind, 1, j, &w, rest, y, indices);
        else CV_(window_row)(kind, 2, j, &w, rest, y, indices);
    }
}

#endif

/* ------------------------------------------------------------------------------------------------ putting it together */

/* A task for each way, with the kind of pooling as a constant inside. */
#define CV_KINDS(call)                                                                                      \
    for (ptrdiff_t i = unit * j->items / j->pieces; i < (unit + 1) * j->items / j->pieces; i++)             \
        switch (j->p.kind) {                                                                                \
        case CV_MAX: call(CV_MAX); break;                                                                   \
        case CV_MIN: call(CV_MIN); break;                                                                   \
        default: call(CV_SUM);                                                                              \
        }
static void CV_(double_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(double_item)(kind, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
#if CV_BITS >= 32
static void CV_(window_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(rows_item)(kind, 0, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(channel_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
#define CV_CALL(kind) CV_(rows_item)(kind, 1, j, i, j->scratch + worker * j->scratch_each)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
static void CV_(whole_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(pool_job) *j = context;
    (void)worker;
#define CV_CALL(kind) CV_(whole_item)(kind, j, i)
    CV_KINDS(CV_CALL)
#undef CV_CALL
}
#endif
#undef CV_KINDS

/* Input elements per axis under `count` neighbouring windows. */
static ptrdiff_t CV_(reach)(const cv_pool *p, int a, ptrdiff_t count) {
    return (count - 1) * p->stride[a] + (p->k[a] - 1) * p->dil[a] + 1;
}

#if CV_BITS >= 32
/* The ways without scratch, where one of them fits and pays; NULL: none. */
static cv_task CV_(plan_small)(CV_(pool_job) *j, int threads) {
    const cv_pool *p = &j->p;
    ptrdiff_t passes = 0;
    int global = !j->indices && p->xs[4] == 1 && (p->in[1] == 1 || p->xs[3] == p->in[2]) &&
                 (p->in[0] == 1 || p->xs[2] == p->in[1] * p->in[2]);
    for (int a = 0; a < 3; a++) {
        for (ptrdiff_t w = 1; w < p->k[a]; w *= 2) passes++;
        global &= p->k[a] == p->in[a] && p->out[a] == 1 && !p->lo[a] && p->dil[a] == 1;
    }
    if (global) {
        j->items = p->n * p->c;
        return CV_(whole_task);
    }
    /* loads per output, by measurement: a pass over the scratch is worth two */
    if (p->k[0] * p->k[1] * p->k[2] > (4 + 2 * passes) * p->stride[0] * p->stride[1] * p->stride[2]) return NULL;
    if (j->indices && CV_BITS == 32 && p->in[0] * p->in[1] * p->in[2] > INT32_MAX) return NULL;
    const int rows = p->xs[4] == 1 && p->ys[4] == 1 && p->stride[2] <= 2, channels = p->xs[1] == 1 && p->ys[1] == 1;
    if (!rows && !channels) return NULL;
    const ptrdiff_t planes = rows ? p->n * p->c : p->n;
    j->step[0] = 1, j->cuts[0] = p->out[0];
    j->step[1] = planes >= 12 * threads ? p->out[1] : CV_MIN2(p->out[1], rows ? 8 : 1);
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->items = planes * p->out[0] * j->cuts[1];
    j->scratch_each = (p->k[0] * p->k[1] * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t)) + 63) / 64 * 64;
    return rows ? CV_(window_task) : CV_(channel_task);
}
#endif

/* Cut the outputs into items whose padded input stays small; returns the task. */
static cv_task CV_(plan_double)(CV_(pool_job) *j) {
    const cv_pool *p = &j->p;
    j->inner = p->xs[1] == 1 ? CV_MIN2(p->c, CV_POOL_INNER) : 1;
    j->blocks = (p->c + j->inner - 1) / j->inner;
    j->size[2] = CV_(reach)(p, 2, p->out[2]);
    ptrdiff_t *step = j->step;
    step[0] = p->out[0], step[1] = p->out[1];
    for (;;) { /* fewer slices, then fewer rows, until an item is small */
        for (int a = 0; a < 2; a++) j->size[a] = CV_(reach)(p, a, step[a]);
        const ptrdiff_t bytes = j->size[0] * j->size[1] * j->size[2] * j->inner * (ptrdiff_t)sizeof(T);
        if (bytes <= CV_POOL_SCRATCH || step[0] * step[1] == 1) break;
        const int a = step[0] > 1 ? 0 : 1;
        if (step[a] <= p->k[a] * p->dil[a] / p->stride[a] && bytes <= 16 * CV_POOL_SCRATCH && a == 1) break;
        step[a] = (step[a] + 1) / 2;
    }
    for (int a = 0; a < 2; a++) j->cuts[a] = (p->out[a] + step[a] - 1) / step[a];
    const ptrdiff_t total = j->size[0] * j->size[1] * j->size[2] * j->inner;
    j->items = p->n * j->blocks * j->cuts[0] * j->cuts[1];
    const ptrdiff_t each = j->indices ? (ptrdiff_t)sizeof(int64_t) : p->kind > CV_MIN ? (ptrdiff_t)sizeof(T) : 0;
    j->scratch_each = (total * ((ptrdiff_t)sizeof(T) + each) + 127) / 64 * 64;
    return CV_(double_task);
}

static int CV_(pool)(const cv_pool *p, const T *x, T *y, int64_t *indices, int threads) {
    CV_(pool_job) j = {.p = *p, .x = x, .y = y, .indices = indices};
    const ptrdiff_t outs = p->n * p->c * p->out[0] * p->out[1] * p->out[2], ow = p->out[2], kw = p->k[2];
    if (!outs) return CV_OK;
    cv_task task = NULL;
#if CV_BITS >= 32
    task = CV_(plan_small)(&j, threads);
#endif
    if (!task) task = CV_(plan_double)(&j);
    double work = (double)outs * p->k[0] * p->k[1] * kw;
    work = CV_MIN2(work, (double)p->n * p->c * p->in[0] * p->in[1] * p->in[2] * 8 + outs);
    j.pieces = cv_pool_cut(work, j.items, &threads);
    const ptrdiff_t vecs = (ow + VL - 1) / VL;
    const size_t rows = (size_t)(vecs * VL) * sizeof(T), spans = (size_t)(vecs * kw) * sizeof(cv_span);
    const size_t tables = (2 * rows + spans + 63) / 64 * 64;
    char *memory = cv_alloc(tables + (size_t)threads * (size_t)j.scratch_each);
    if (!memory) return CV_NOMEM;
    T *divide = (T *)memory;
    CV_INT(CV_BITS) *first = (CV_INT(CV_BITS) *)(memory + rows);
    cv_span *span = (cv_span *)(memory + 2 * rows);
    for (ptrdiff_t o = 0; o < ow; o++) {
        divide[o] = (T)cv_counted(p, 2, o);
        first[o] = (CV_INT(CV_BITS))(cv_empty(p, 2, o) ? -1 : cv_first(p, 2, o));
    }
    if (task != CV_(double_task))
        for (ptrdiff_t v = 0; v < vecs; v++)
            for (ptrdiff_t k = 0; k < kw; k++) *span++ = cv_span_of(p, v * VL, k, VL);
    j.divide = p->kind == CV_AVG ? divide : NULL;
    j.first = first, j.spans = (cv_span *)(memory + 2 * rows), j.scratch = memory + tables;
    const int status = cv_parallel(task, &j, j.pieces, threads);
    cv_free(memory);
    return status;
}
