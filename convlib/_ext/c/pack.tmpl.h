/* Packing: weights into A panels, and the im2col view of an image into B panels, which is all of im2col that ever exists.
 *
 * K is walked in runs, [block of CV_ICB channels][tap][channel of the block]: within a run the geometry of a tap is
 * worked out once and serves every channel, and the block keeps the rows it reads again for the next tap in L1.
 */
#ifndef CV_ICB
#define CV_ICB 32

/* The GEMM view of one convolution (the same for every element type). */
typedef struct {
    ptrdiff_t taps, runs, k; /* per group */
    ptrdiff_t pixels;        /* outputs of one channel of one image */
} cv_view;

static inline __attribute__((unused)) cv_view cv_view_of(const cv_conv *p) {
    cv_view v;
    v.taps = p->k[0] * p->k[1] * p->k[2];
    v.runs = (p->icg + CV_ICB - 1) / CV_ICB * v.taps;
    v.k = p->icg * v.taps;
    v.pixels = p->out[0] * p->out[1] * p->out[2];
    return v;
}

/* Where a tap's weight lies. */
static inline __attribute__((unused)) ptrdiff_t cv_tap_of(const cv_conv *p, ptrdiff_t tap) {
    return tap / p->k[2] / p->k[1] * p->ws[3] + tap / p->k[2] % p->k[1] * p->ws[4] + tap % p->k[2] * p->ws[5];
}

/* Whether the weights of an output channel lie in a row. */
static inline __attribute__((unused)) int cv_joined_weights(const cv_conv *p) {
    return (p->k[2] == 1 || p->ws[5] == 1) && (p->k[1] == 1 || p->ws[4] == p->k[2]) &&
           (p->k[0] == 1 || p->ws[3] == p->k[1] * p->k[2]) && p->ws[2] == p->k[0] * p->k[1] * p->k[2];
}

/* First row of K of run r (r may be v->runs: the end). */
static inline __attribute__((unused)) ptrdiff_t cv_run_start(const cv_conv *p, const cv_view *v, ptrdiff_t r) {
    const ptrdiff_t ic0 = r / v->taps * CV_ICB, width = CV_MIN2(CV_ICB, p->icg - ic0);
    return r == v->runs ? v->k : ic0 * v->taps + r % v->taps * width;
}

/* Up to one vector of neighbouring outputs of one row: where they go in the panel and which outputs they are. */
typedef struct {
    ptrdiff_t dst, len, oz, oy, ox;
} cv_piece;

/* The same under one tap: element offset of its first lane's input, and the lanes whose input exists. */
typedef struct {
    ptrdiff_t dst, src, lo, hi;
} cv_item;

static inline __attribute__((unused)) int cv_pieces(const cv_conv *p, ptrdiff_t p0, ptrdiff_t count, int vl, cv_piece *q) {
    ptrdiff_t ox = p0 % p->out[2], oy = p0 / p->out[2] % p->out[1], oz = p0 / p->out[2] / p->out[1];
    int n = 0;
    for (ptrdiff_t done = 0; done < count;) {
        ptrdiff_t len = CV_MIN2(p->out[2] - ox, count - done);
        len = CV_MIN2(len, vl);
        q[n++] = (cv_piece){done, len, oz, oy, ox};
        done += len;
        ox += len;
        if (ox == p->out[2]) {
            ox = 0;
            if (++oy == p->out[1]) oy = 0, oz++;
        }
    }
    return n;
}

/* Lanes l of [0, len) with 0 <= base + l·stride < size. */
static inline __attribute__((unused)) void cv_lanes(ptrdiff_t base, ptrdiff_t stride, ptrdiff_t size, ptrdiff_t len,
                                                    ptrdiff_t *lo, ptrdiff_t *hi) {
    const ptrdiff_t first = -base + stride - 1, end = size - base + stride - 1; /* usual strides need no division */
    const ptrdiff_t a = base >= 0 ? 0 : stride == 1 ? first : stride == 2 ? first >> 1 : first / stride;
    const ptrdiff_t b = base >= size ? 0 : stride == 1 ? end : stride == 2 ? end >> 1 : end / stride;
    *lo = CV_MIN2(a, len);
    *hi = CV_MAX2(CV_MIN2(b, len), *lo);
}

static inline __attribute__((unused)) void cv_items(const cv_conv *p, ptrdiff_t tap, const cv_piece *q, int n, cv_item *it) {
    const ptrdiff_t kx = tap % p->k[2], ky = tap / p->k[2] % p->k[1], kz = tap / p->k[2] / p->k[1];
    for (int i = 0; i < n; i++) {
        const ptrdiff_t z = q[i].oz * p->stride[0] + kz * p->dil[0] - p->lo[0];
        const ptrdiff_t y = q[i].oy * p->stride[1] + ky * p->dil[1] - p->lo[1];
        const ptrdiff_t x = q[i].ox * p->stride[2] + kx * p->dil[2] - p->lo[2];
        it[i] = (cv_item){q[i].dst, 0, 0, 0};
        if (z < 0 || z >= p->in[0] || y < 0 || y >= p->in[1]) continue;
        it[i].src = z * p->xs[2] + y * p->xs[3] + x * p->xs[4];
        cv_lanes(x, p->stride[2], p->in[2], q[i].len, &it[i].lo, &it[i].hi);
    }
}
#endif

/* Lanes lo..hi-1 of the elements at src, src + step, …; zero elsewhere. */
CV_INLINE vec CV_(gather)(const T *src, ptrdiff_t step, ptrdiff_t lo, ptrdiff_t hi) {
    if (step == 1) return CV_(load_range)(src, lo, hi);
    if (step == 2) {
        const ptrdiff_t a = 2 * lo, b = CV_MAX2(2 * hi - 1, a); /* nothing past the last element wanted */
        return CV_(even)(CV_(load_range)(src, CV_MIN2(a, VL), CV_MIN2(b, VL)),
                         CV_(load_range)(src + VL, CV_MAX2(a - VL, 0), CV_MAX2(b - VL, 0)));
    }
    vec v = {0};
    for (ptrdiff_t i = lo; i < hi; i++) v[i] = src[i * step];
    return v;
}

/* VL rows of VL elements, turned round: log2(VL) perfect shuffles. */
CV_INLINE void CV_(turn)(vec *v) {
    CV_UNROLL(4)
    for (int stage = 1; stage < VL; stage *= 2) {
        vec u[VL];
        CV_UNROLL(8)
        for (int i = 0; i < VL / 2; i++) {
            u[2 * i] = CV_(zip_low)(v[i], v[i + VL / 2]);
            u[2 * i + 1] = CV_(zip_high)(v[i], v[i + VL / 2]);
        }
        CV_UNROLL(16)
        for (int i = 0; i < VL; i++) v[i] = u[i];
    }
}

#undef CV_LANE
#if CV_FLOAT && CV_VB > 16
#define CV_LANE (128 / CV_BITS) /* numbers in 16 bytes, which shuffles do not leave */
/* Of the rows that lie CV_LANE apart, the 16 bytes at p, one after the other. */
CV_INLINE vec CV_(lanes_at)(const T *p, ptrdiff_t row) {
#define CV_AT(l) _mm_loadu_ps((const float *)(p + (l) * CV_LANE * row))
#if CV_VB == 64
    const __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(CV_AT(0)), CV_AT(1), 1);
    return (vec)_mm512_insertf32x4(_mm512_insertf32x4(a, CV_AT(2), 2), CV_AT(3), 3);
#else
    return (vec)_mm256_insertf128_ps(_mm256_castps128_ps256(CV_AT(0)), CV_AT(1), 1);
#endif
#undef CV_AT
}

/* VL whole rows in memory, turned round: the loads do what half of the shuffles would. */
CV_INLINE void CV_(turn_whole)(const T *from, ptrdiff_t row, vec *v) {
    CV_UNROLL(4)
    for (int k = 0; k < VL; k += CV_LANE) {
        const T *p = from + k;
        const vec a = CV_(lanes_at)(p, row), b = CV_(lanes_at)(p + row, row);
#if CV_BITS == 64
        v[k] = CV_(lane_low)(a, b), v[k + 1] = CV_(lane_high)(a, b);
#else
        const vec c = CV_(lanes_at)(p + 2 * row, row), d = CV_(lanes_at)(p + 3 * row, row);
        const vec e = CV_(lane_low)(a, c), f = CV_(lane_high)(a, c);
        const vec g = CV_(lane_low)(b, d), h = CV_(lane_high)(b, d);
        v[k] = CV_(lane_low)(e, g), v[k + 1] = CV_(lane_high)(e, g);
        v[k + 2] = CV_(lane_low)(f, h), v[k + 3] = CV_(lane_high)(f, h);
#endif
    }
}
#endif

/* n numbers, `step` apart, of each of VL rows, turned round: v[i] holds number i of every row; zeros past the last row. */
CV_INLINE void CV_(turn_rows)(const T *from, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t n, vec *v) {
#ifdef CV_LANE
    if (step == 1 && rows == VL && n == VL) {
        CV_(turn_whole)(from, row, v);
        return;
    }
#endif
    CV_UNROLL(16)
    for (int i = 0; i < VL; i++) v[i] = i < rows ? CV_(gather)(from + i * row, step, 0, n) : (vec){0};
    CV_(turn)(v);
}

/* Rows [r0, r1) (in runs) of the im2col view for outputs p0 .. p0+count-1 of the image and group at x.  Row width: width
 * elements.  Rows follow each other as runs do; pitch > 0: they lie pitch apart, [c][tap] as weights do, the first of all
 * at dst.  A piece stores a whole vector; what it writes past its end belongs to the next piece, written later; the
 * last one stores no more than its row. */
static void CV_(pack_panel)(const cv_conv *p, const cv_view *view, const T *x, ptrdiff_t p0, ptrdiff_t count,
                            ptrdiff_t width, ptrdiff_t r0, ptrdiff_t r1, ptrdiff_t pitch, T *dst) {
    cv_piece pieces[CV_NV * VL];
    cv_item items[CV_NV * VL];
    const int n = cv_pieces(p, p0, count, VL, pieces);
    const ptrdiff_t step = p->stride[2] * p->xs[4], next = pitch ? view->taps * pitch : width;
    T *const first = dst;
    for (ptrdiff_t r = r0; r < r1; r++) {
        const ptrdiff_t ic0 = r / view->taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        if (pitch) dst = first + (ic0 * view->taps + r % view->taps) * pitch;
        cv_items(p, r % view->taps, pieces, n, items);
        if (ic1 - ic0 < 8) {
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, dst += next) {
                const T *src = x + ic * p->xs[1];
                for (int i = 0; i < n; i++) {
                    const cv_item it = items[i];
                    const vec v = step == 1 ? CV_(load_range)(src + it.src, it.lo, it.hi)
                                            : CV_(gather)(src + it.src, step, it.lo, it.hi);
                    if (it.dst + VL <= width) CV_(store)(dst + it.dst, v);
                    else CV_(store_n)(dst + it.dst, v, width - it.dst);
                }
            }
            continue;
        }
        /* channels innermost: the lanes of a piece are worked out once for all of them */
        for (int i = 0; i < n; i++) {
            const cv_item it = items[i];
            const T *src = x + ic0 * p->xs[1] + it.src;
            T *to = dst + it.dst;
            const ptrdiff_t room = CV_MIN2(width - it.dst, VL);
#define CV_COPY(value)                                                                                                \
    for (ptrdiff_t ic = ic0; ic < ic1; ic++, src += p->xs[1], to += next) {                                           \
        const vec v = value;                                                                                          \
        if (room == VL) CV_(store)(to, v);                                                                            \
        else CV_(store_n)(to, v, room);                                                                               \
    }
            if (step != 1) CV_COPY(CV_(gather)(src, step, it.lo, it.hi))
            else if (it.lo == 0 && it.hi == VL) CV_COPY(CV_(load)(src))
            else CV_COPY(CV_(load_range)(src, it.lo, it.hi))
#undef CV_COPY
        }
        dst += (ic1 - ic0) * width;
    }
}

/* Weights of a panel, the output channels oc0 .. oc0+MR-1 of a group, in run order, [K][MR], zero past ocg. */
static void CV_(pack_weights)(const cv_conv *p, const cv_view *view, const T *w, ptrdiff_t oc0, T *to) {
    const ptrdiff_t rows = CV_MIN2(CV_MR, p->ocg - oc0);
    for (ptrdiff_t r = 0; r < view->runs; r++) {
        const ptrdiff_t ic0 = r / view->taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        const T *src = w + oc0 * p->ws[1] + ic0 * p->ws[2] + cv_tap_of(p, r % view->taps);
        if (rows == CV_MR)
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, to += CV_MR, src += p->ws[2]) {
                CV_UNROLL(8)
                for (int m = 0; m < CV_MR; m++) to[m] = src[m * p->ws[1]];
            }
        else
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, to += CV_MR, src += p->ws[2])
                for (ptrdiff_t m = 0; m < CV_MR; m++) to[m] = m < rows ? src[m * p->ws[1]] : 0;
    }
}
