/* A convolution as a matrix product, and windows as pieces of rows: the same for every element
 * type.
 *
 * K is walked in runs, [block of CV_ICB channels][tap][channel of the block]: within a run the
 * geometry of a tap is worked out once and serves every channel, and the block keeps the rows it
 * reads again for the next tap in L1.
 */
#ifndef CV_VIEW_H
#define CV_VIEW_H
#define CV_ICB 32
#define CV_MEET 35.0 /* ns for a line of y that two threads write to */
/* An image of so many bytes comes from behind the second-level cache: ns for a byte, in long
 * streams and in short pieces of many planes. */
#define CV_FAR (1 << 20)
#define CV_STREAM 0.04
#define CV_PIECE 0.06

/* The GEMM view of one convolution (the same for every element type). */
typedef struct {
    ptrdiff_t taps, runs, k; /* per group */
    ptrdiff_t pixels;        /* outputs of one channel of one image */
} cv_view;

static inline CV_UNUSED cv_view cv_view_of(const cv_conv *p) {
    cv_view v;
    v.taps = p->k[0] * p->k[1] * p->k[2];
    v.runs = (p->icg + CV_ICB - 1) / CV_ICB * v.taps;
    v.k = p->icg * v.taps;
    v.pixels = p->out[0] * p->out[1] * p->out[2];
    return v;
}

/* Where a tap's weight lies. */
static inline CV_UNUSED ptrdiff_t cv_tap_of(const cv_conv *p, ptrdiff_t tap) {
    return tap / p->k[2] / p->k[1] * p->ws[3] + tap / p->k[2] % p->k[1] * p->ws[4] +
           tap % p->k[2] * p->ws[5];
}

/* Whether the taps of a window, one channel's, lie in a row: 1, or -1 where they are turned round,
 * as in gradients of the input, else 0. */
static inline CV_UNUSED int cv_joined_taps(const cv_conv *p) {
    const ptrdiff_t way = p->k[2] > 1 ? p->ws[5] : p->k[1] > 1 ? p->ws[4] : p->ws[3];
    if (p->k[0] * p->k[1] * p->k[2] == 1)
        return 1;
    return (way == 1 || way == -1) && (p->k[1] == 1 || p->ws[4] == way * p->k[2]) &&
                   (p->k[0] == 1 || p->ws[3] == way * p->k[1] * p->k[2])
               ? (int)way
               : 0;
}

/* Whether windows of neighbouring outputs lie nearer than those of neighbouring channels. */
static inline CV_UNUSED int cv_near_lanes(const cv_conv *p) {
    return p->ws[1] > 0 && p->ws[1] < p->ws[2];
}

/* Whether the weights of an output channel lie in a row. */
static inline CV_UNUSED int cv_joined_weights(const cv_conv *p) {
    return cv_joined_taps(p) > 0 && p->ws[2] == p->k[0] * p->k[1] * p->k[2];
}

/* First row of K of run r (r may be v->runs: the end). */
static inline CV_UNUSED ptrdiff_t cv_run_start(const cv_conv *p, const cv_view *v, ptrdiff_t r) {
    const ptrdiff_t ic0 = r / v->taps * CV_ICB, width = CV_MIN2(CV_ICB, p->icg - ic0);
    return r == v->runs ? v->k : ic0 * v->taps + r % v->taps * width;
}

/* Up to one vector of neighbouring outputs of one row: where they go in the panel and which outputs
 * they are. */
typedef struct {
    ptrdiff_t dst, len, oz, oy, ox;
} cv_piece;

/* The same under one tap: element offset of its first lane's input, and the lanes whose input
 * exists. */
typedef struct {
    ptrdiff_t dst, src, lo, hi;
} cv_item;

static inline CV_UNUSED int cv_pieces(const cv_conv *p, ptrdiff_t p0, ptrdiff_t count, int vl,
                                      cv_piece *q) {
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
            if (++oy == p->out[1]) {
                oy = 0;
                oz++;
            }
        }
    }
    return n;
}

/* Lanes l of [0, len) with 0 <= base + l·stride < size. */
static inline CV_UNUSED void cv_lanes(ptrdiff_t base, ptrdiff_t stride, ptrdiff_t size,
                                      ptrdiff_t len, ptrdiff_t *lo, ptrdiff_t *hi) {
    *lo = 0;
    *hi = len;
    if (base >= 0 && base + (len - 1) * stride < size) /* no division where all are inside */
        return;
    /* nor for usual strides */
    const ptrdiff_t first = -base + stride - 1, end = size - base + stride - 1;
    const ptrdiff_t a = base >= 0     ? 0
                        : stride == 1 ? first
                        : stride == 2 ? first >> 1
                                      : first / stride;
    const ptrdiff_t b = base >= size  ? 0
                        : stride == 1 ? end
                        : stride == 2 ? end >> 1
                                      : end / stride;
    *lo = CV_MIN2(a, len);
    *hi = CV_MAX2(CV_MIN2(b, len), *lo);
}

static inline CV_UNUSED void cv_items(const cv_conv *p, ptrdiff_t tap, const cv_piece *q, int n,
                                      cv_item *it) {
    const ptrdiff_t kx = tap % p->k[2], ky = tap / p->k[2] % p->k[1], kz = tap / p->k[2] / p->k[1];
    for (int i = 0; i < n; i++) {
        const ptrdiff_t z = q[i].oz * p->stride[0] + kz * p->dil[0] - p->lo[0];
        const ptrdiff_t y = q[i].oy * p->stride[1] + ky * p->dil[1] - p->lo[1];
        const ptrdiff_t x = q[i].ox * p->stride[2] + kx * p->dil[2] - p->lo[2];
        it[i] = (cv_item){q[i].dst, 0, 0, 0};
        if (z < 0 || z >= p->in[0] || y < 0 || y >= p->in[1])
            continue;
        it[i].src = z * p->xs[2] + y * p->xs[3] + x * p->xs[4];
        cv_lanes(x, p->stride[2], p->in[2], q[i].len, &it[i].lo, &it[i].hi);
    }
}

/* Join axis a to axis a+1 when a 1x1 convolution walks both without gaps: one long row instead of
 * many short ones. */
static inline CV_UNUSED void cv_join(cv_conv *p, int a) {
    for (int i = a; i <= a + 1; i++) {
        if (p->k[i] != 1 || p->stride[i] != 1 || p->lo[i] || p->in[i] != p->out[i])
            return;
    }
    if (p->in[a] > 1 && (p->xs[2 + a] != p->in[a + 1] * p->xs[3 + a] ||
                         p->ys[2 + a] != p->out[a + 1] * p->ys[3 + a]))
        return;
    p->in[a + 1] *= p->in[a];
    p->out[a + 1] *= p->out[a];
    p->in[a] = p->out[a] = 1;
}

static inline CV_UNUSED cv_conv cv_simplify(const cv_conv *p) {
    cv_conv q = *p;
    cv_join(&q, 1);
    /* nothing left on H: let D take its place */
    if (q.in[1] == 1 && q.out[1] == 1 && q.k[1] == 1 && !q.lo[1]) {
        q.in[1] = q.in[0];
        q.out[1] = q.out[0];
        q.k[1] = q.k[0];
        q.stride[1] = q.stride[0];
        q.dil[1] = q.dil[0];
        q.lo[1] = q.lo[0];
        q.xs[3] = q.xs[2];
        q.ys[3] = q.ys[2];
        q.ws[4] = q.ws[3];
        q.in[0] = q.out[0] = q.k[0] = q.stride[0] = q.dil[0] = 1;
        q.lo[0] = 0;
        cv_join(&q, 1);
    }
    return q;
}

/* Whether the windows of a simplified problem lie in x as rows of B: 1x1, unbroken rows, no padding
 * before or behind. */
static inline CV_UNUSED int cv_in_place(const cv_conv *p) {
    return p->k[0] * p->k[1] * p->k[2] == 1 && p->in[0] == 1 && p->in[1] == 1 && p->out[0] == 1 &&
           p->out[1] == 1 && p->stride[2] == 1 && !p->lo[0] && !p->lo[1] && !p->lo[2] &&
           p->out[2] <= p->in[2] && p->xs[4] == 1;
}

/* Whether all axes of a problem have outputs, and its sums have terms. */
static inline CV_UNUSED int cv_any_work(const cv_conv *p) {
    return p->n && p->groups && p->icg && p->ocg && p->out[0] && p->out[1] && p->out[2];
}

static inline CV_UNUSED ptrdiff_t cv_taps(const cv_conv *p) { return p->k[0] * p->k[1] * p->k[2]; }

static inline CV_UNUSED ptrdiff_t cv_outputs(const cv_conv *p) {
    return p->out[0] * p->out[1] * p->out[2];
}

/* Multiply-adds of a problem. */
static inline CV_UNUSED double cv_products(const cv_conv *p) {
    return (double)p->n * (double)p->groups * (double)p->ocg * (double)cv_outputs(p) *
           (double)p->icg * (double)cv_taps(p);
}
#endif
