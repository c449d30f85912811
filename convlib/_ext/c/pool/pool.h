/* What the pooling kernels of every type share: windows, and how they are joined. */
#ifndef CV_POOL_H
#define CV_POOL_H

/* One window along one axis: the positions first, first + dil, … below end lie inside the input;
 * `counted` taps are divided by in an average. */
typedef struct {
    ptrdiff_t first, end, counted;
} cv_window;

CV_NOINLINE CV_UNUSED cv_window cv_window_of(const cv_pool *p, int a, ptrdiff_t o) {
    if (p->adaptive) { /* from floor(o in / out) to ceil((o + 1) in / out), without their product */
        const ptrdiff_t whole = p->in[a] / p->out[a], part = p->in[a] % p->out[a];
        const ptrdiff_t first = o * whole + o * part / p->out[a];
        const ptrdiff_t end = (o + 1) * whole + ((o + 1) * part + p->out[a] - 1) / p->out[a];
        return (cv_window){first, end, end - first};
    }
    const ptrdiff_t i = o * p->stride[a] - p->lo[a], d = p->dil[a], limit = p->in[a] + p->hi[a];
    cv_window w = {i >= 0 ? i : i + (-i + d - 1) / d * d,
                   CV_MIN2(i + (p->k[a] - 1) * d + 1, p->in[a]), 0};
    if (w.end < w.first)
        w.end = w.first;
    w.counted = p->count_include_pad ? (limit <= i ? 0 : CV_MIN2(p->k[a], (limit - i + d - 1) / d))
                                     : (w.end - w.first + d - 1) / d;
    return w;
}

/* ---- gradients: what windows meet, of those that are not adaptive */

/* An element that tap k of output o meets along an axis, tap k + taps of output o - outputs meets,
 * too, and no output between the two does. */
typedef struct {
    ptrdiff_t taps, outputs;
} cv_meeting;

CV_NOINLINE CV_UNUSED cv_meeting cv_spread_meeting(const cv_pool *p, int axis) {
    const ptrdiff_t common = cv_gcd(p->stride[axis], p->dil[axis]);
    return (cv_meeting){p->stride[axis] / common, p->dil[axis] / common};
}

/* Whether output o is the first that meets the element under its tap k, of `count`. */
static inline CV_UNUSED int cv_spread_first(cv_meeting m, ptrdiff_t o, ptrdiff_t k,
                                            ptrdiff_t count) {
    return k + m.taps >= count || o < m.outputs;
}

/* So many elements from the first one on are met without a gap along an axis; none is said of those
 * of windows with gaps. */
CV_NOINLINE CV_UNUSED ptrdiff_t cv_spread_met(const cv_pool *p, int axis) {
    const ptrdiff_t end = (p->out[axis] - 1) * p->stride[axis] + p->k[axis] - p->lo[axis];
    return p->dil[axis] > 1 || p->stride[axis] > p->k[axis] ? 0
                                                            : CV_MAX2(0, CV_MIN2(end, p->in[axis]));
}

/* Zero pixels begin .. end-1 at x, which lie `step` elements of so many bytes apart: the first
 * `inner` of each. */
CV_NOINLINE CV_UNUSED void cv_spread_zeros(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t inner,
                                           ptrdiff_t step, size_t bytes, void *x) {
    const ptrdiff_t some = step == inner ? CV_MAX2(1, (1 << 20) / inner) : 1;
    double work = 0;
    for (; begin < end; begin += some) {
        __builtin_memset((char *)x + (size_t)(begin * step) * bytes, 0,
                         (size_t)(CV_MIN2(some, end - begin) * inner) * bytes);
        if (cv_stop_after(&work, (double)(some * inner)))
            return;
    }
}

/* How a window of elements `gap` apart is joined: windows of `part` elements first, then `parts` of
 * those and `ones` single elements, `count` in all, at these offsets.  count 0: not so.  At most
 * CV_AT_ONCE at once. */
#define CV_AT_ONCE 5
typedef struct {
    int part, parts, ones, count;
    ptrdiff_t gap, at[CV_AT_ONCE];
} cv_ladder;

/* overlap: may parts overlap, as they may for extremes? */
static inline CV_UNUSED cv_ladder cv_ladder_of(ptrdiff_t k, ptrdiff_t gap, int overlap) {
    cv_ladder l = {.part = 1, .gap = gap};
    ptrdiff_t least = k <= CV_AT_ONCE ? k : 4 * CV_AT_ONCE;
    if (k <= CV_AT_ONCE)
        l.ones = l.count = (int)k;
    for (ptrdiff_t part = 2; part <= CV_AT_ONCE && k > CV_AT_ONCE; part++) {
        const ptrdiff_t parts = overlap ? (k + part - 1) / part : k / part,
                        ones = overlap ? 0 : k % part;
        if (parts + ones > CV_AT_ONCE || part + parts + ones >= least)
            continue;
        least = part + parts + ones;
        l.part = (int)part;
        l.parts = (int)parts;
        l.ones = (int)ones;
        l.count = (int)(parts + ones);
    }
    for (int i = 0; i < l.count; i++)
        l.at[i] =
            (i < l.parts ? CV_MIN2(i * l.part, k - l.part) : l.parts * l.part + i - l.parts) * gap;
    return l;
}

/* Whether the window is the plane. */
static inline CV_UNUSED int cv_pool_whole(const cv_pool *p) {
    for (int a = 0; a < 3; a++) {
        if (p->k[a] != p->in[a] || p->out[a] != 1 || p->lo[a] || p->dil[a] != 1)
            return 0;
    }
    return 1;
}

/* Whether the elements of a plane of x lie side by side. */
static inline CV_UNUSED int cv_pool_unbroken(const cv_pool *p) {
    return p->xs[4] == 1 && (p->in[1] == 1 || p->xs[3] == p->in[2]) &&
           (p->in[0] == 1 || p->xs[2] == p->in[1] * p->in[2]);
}

static inline CV_UNUSED int cv_pool_any_work(const cv_pool *p) {
    return p->n && p->c && p->out[0] && p->out[1] && p->out[2];
}

/* Elements read, roughly: what a window holds, or a few passes over the input. */
static inline CV_UNUSED double cv_pool_work(const cv_pool *p, double passes) {
    const double outs =
        (double)p->n * (double)p->c * (double)p->out[0] * (double)p->out[1] * (double)p->out[2];
    const double ins =
        (double)p->n * (double)p->c * (double)p->in[0] * (double)p->in[1] * (double)p->in[2];
    return CV_MIN2(outs * (double)p->k[0] * (double)p->k[1] * (double)p->k[2], ins * passes + outs);
}

/* Shifts by doubling that a window takes. */
static inline CV_UNUSED double cv_pool_passes(const cv_pool *p) {
    double passes = 0;
    for (int a = 0; a < 3; a++) {
        for (ptrdiff_t w = 1; w < p->k[a]; w *= 2)
            passes++;
    }
    return passes;
}

/* Input elements per axis under `count` neighbouring windows. */
static inline CV_UNUSED ptrdiff_t cv_reach(const cv_pool *p, int a, ptrdiff_t count) {
    return (count - 1) * p->stride[a] + (p->k[a] - 1) * p->dil[a] + 1;
}

/* Doubling cuts the outputs into items whose padded input, of `size` elements an axis, stays small:
 * it halves the slices, then the rows, then the columns, while that saves more than it repeats;
 * then, if an item is still too large, the axis that it repeats least along.  Returns the elements
 * of an item, with `inner` channels side by side. */
#define CV_POOL_INNER 64 /* channels last: at most */
/* bytes that a worker aims at: stays in L2 with its companions */
#define CV_POOL_SCRATCH (192 * 1024)

CV_NOINLINE CV_UNUSED ptrdiff_t cv_double_sizes(const cv_problem *problem, ptrdiff_t itemsize,
                                                ptrdiff_t *size, ptrdiff_t *step, ptrdiff_t *cuts,
                                                ptrdiff_t *inner) {
    const cv_pool *p = &problem->pool;
    *inner = p->xs[1] == 1 ? CV_MIN2(p->c, CV_POOL_INNER) : 1;
    for (int a = 0; a < 3; a++) {
        step[a] = p->out[a];
        size[a] = cv_reach(p, a, step[a]);
    }
    for (;;) {
        const ptrdiff_t total = size[0] * size[1] * size[2] * *inner, bytes = total * itemsize;
        double least = bytes > problem->max_workspace / 4 ? 1 : bytes > CV_POOL_SCRATCH ? 0.75 : 0;
        int axis = -1;
        for (int a = 0; a < 3 && least > 0; a++) {
            const double left = (double)cv_reach(p, a, (step[a] + 1) / 2) / (double)size[a];
            if (step[a] == 1 || left > least)
                continue;
            axis = a;
            least = left > 0.75 ? left : 0;
        }
        if (axis < 0) {
            for (int a = 0; a < 3; a++)
                cuts[a] = (p->out[a] + step[a] - 1) / step[a];
            return total;
        }
        step[axis] = (step[axis] + 1) / 2;
        size[axis] = cv_reach(p, axis, step[axis]);
    }
}

/* Nanoseconds that a load of a row waits where a window has so many of them that, column by column,
 * none is found in the same cache again. */
static inline CV_UNUSED double cv_pool_waits(const cv_pool *p, ptrdiff_t itemsize) {
    const double window = (double)(p->k[0] * p->k[1]) * (double)p->in[2] * (double)itemsize;
    return window > 32e6 ? 20 : window > 1e6 ? 2 : 0;
}

/* The elements under a window of taps side by side: axes by the steps between their elements, the
 * longest first, and joined where one goes on where another ends. */
typedef struct {
    ptrdiff_t count[3], step[3];
    ptrdiff_t number[3]; /* how far places in the plane lie apart */
    int ordered;         /* whether they ascend */
} cv_box;

CV_NOINLINE CV_UNUSED cv_box cv_box_of(const cv_pool *p, cv_window z, cv_window y, cv_window w) {
    cv_box b = {{z.end - z.first, y.end - y.first, w.end - w.first},
                {p->xs[2], p->xs[3], p->xs[4]},
                {p->in[1] * p->in[2], p->in[2], 1},
                1};
    for (int pass = 0; pass < 2; pass++) {
        for (int a = 0; a < 2; a++) {
            const ptrdiff_t count = b.count[a], step = b.step[a], number = b.number[a];
            const ptrdiff_t far = step < 0 ? -step : step;
            const ptrdiff_t next = b.step[a + 1] < 0 ? -b.step[a + 1] : b.step[a + 1];
            if (count == 1 || (far >= next && b.count[a + 1] > 1))
                continue;
            if (b.count[a + 1] > 1)
                b.ordered = 0;
            b.count[a] = b.count[a + 1];
            b.step[a] = b.step[a + 1];
            b.number[a] = b.number[a + 1];
            b.count[a + 1] = count;
            b.step[a + 1] = step;
            b.number[a + 1] = number;
        }
    }
    for (int a = 1; a < 3; a++) { /* a-1 goes on where a ends */
        if (b.step[a - 1] != b.step[a] * b.count[a] || b.number[a - 1] != b.number[a] * b.count[a])
            continue;
        b.count[a] *= b.count[a - 1];
        b.count[a - 1] = 1;
    }
    return b;
}
#endif
