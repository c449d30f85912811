/* What the pooling kernels of every type share: sizes of work, windows, and how they are joined.
 *
 * Included after simd.h, by the instruction set's file. */
#ifndef CV_POOL_H
#define CV_POOL_H
#define CV_POOL_WORK 40000.0  /* elements read that repay waking one more thread */
#define CV_POOL_PIECE 25000.0 /* and at least in a piece of work */
#define CV_POOL_INNER 64     /* channels side by side in scratch, channels-last */
#define CV_POOL_SCRATCH (192 * 1024) /* bytes of padded input that a worker aims at: stays in L2 with its companions */
#define CV_POOL_BATCH (24 * 1024)    /* and of small planes taken together */

/* One window along one axis: the positions first, first + dil, … below end lie inside the input; `counted` taps are
 * divided by in an average. */
typedef struct {
    ptrdiff_t first, end, counted;
} cv_window;

static inline cv_window cv_window_of(const cv_pool *p, int a, ptrdiff_t o) {
    if (p->adaptive) { /* from floor(o in / out) to ceil((o + 1) in / out), without their product */
        const ptrdiff_t whole = p->in[a] / p->out[a], part = p->in[a] % p->out[a];
        const ptrdiff_t first = o * whole + o * part / p->out[a];
        const ptrdiff_t end = (o + 1) * whole + ((o + 1) * part + p->out[a] - 1) / p->out[a];
        return (cv_window){first, end, end - first};
    }
    const ptrdiff_t i = o * p->stride[a] - p->lo[a], d = p->dil[a], limit = p->in[a] + p->hi[a];
    cv_window w = {i >= 0 ? i : i + (-i + d - 1) / d * d, CV_MIN2(i + (p->k[a] - 1) * d + 1, p->in[a]), 0};
    if (w.end < w.first) w.end = w.first;
    w.counted = p->count_include_pad ? (limit <= i ? 0 : CV_MIN2(p->k[a], (limit - i + d - 1) / d))
                                     : (w.end - w.first + d - 1) / d;
    return w;
}

/* How many threads repay being woken, and how many pieces: enough to share evenly, few enough to hand out. */
static inline ptrdiff_t cv_pool_cut(double work, ptrdiff_t items, int *threads) {
    *threads = (int)CV_MAX2(1, CV_MIN2((double)CV_MIN2(*threads, CV_MAX_THREADS), work / CV_POOL_WORK));
    const double pieces = CV_MIN2(12.0 * *threads, CV_MAX2(2.0 * *threads, work / CV_POOL_PIECE));
    return CV_MIN2(items, CV_MAX2(*threads == 1 ? 1 : (ptrdiff_t)pieces, (ptrdiff_t)(work / 5e7)));
}

/* Who works on which piece: each worker has a range of its own and goes on to the others' when it is done, so that a
 * plane that is pooled again, or was written by a kernel that is cut alike, is found in the same processor's cache. */
typedef struct {
    ptrdiff_t pieces;
    int threads;
    atomic_ptrdiff_t taken[CV_MAX_THREADS];
} cv_shares;

static inline ptrdiff_t cv_take(cv_shares *s, int worker) {
    for (int w = worker;; w = w + 1 < s->threads ? w + 1 : 0) {
        const ptrdiff_t first = w * s->pieces / s->threads, end = (w + 1) * s->pieces / s->threads;
        const ptrdiff_t piece = first + atomic_fetch_add_explicit(&s->taken[w], 1, memory_order_relaxed);
        if (piece < end) return piece;
    }
}

/* How a window of elements `gap` apart is joined: windows of `part` elements first, then `parts` of those and `ones`
 * single elements, `count` in all, at these offsets.  count 0: not so.  At most CV_DIRECT at once. */
#define CV_DIRECT 5
typedef struct {
    int part, parts, ones, count;
    ptrdiff_t gap, at[CV_DIRECT];
} cv_ladder;

/* overlap: may parts overlap, as they may for extremes? */
static inline cv_ladder cv_ladder_of(ptrdiff_t k, ptrdiff_t gap, int overlap) {
    cv_ladder l = {.part = 1, .gap = gap};
    ptrdiff_t least = k <= CV_DIRECT ? k : 4 * CV_DIRECT;
    if (k <= CV_DIRECT) l.ones = l.count = (int)k;
    for (ptrdiff_t part = 2; part <= CV_DIRECT && k > CV_DIRECT; part++) {
        const ptrdiff_t parts = overlap ? (k + part - 1) / part : k / part, ones = overlap ? 0 : k % part;
        if (parts + ones > CV_DIRECT || part + parts + ones >= least) continue;
        least = part + parts + ones;
        l.part = (int)part, l.parts = (int)parts, l.ones = (int)ones, l.count = (int)(parts + ones);
    }
    for (int i = 0; i < l.count; i++)
        l.at[i] = (i < l.parts ? CV_MIN2(i * l.part, k - l.part) : l.parts * l.part + i - l.parts) * gap;
    return l;
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
