/* Depthwise windows of 5x5 and more, stride 1: lanes are channels, whatever the layout.
 *
 * A unit of work is a strip of one image for a vector of channels.  Its input and weights are turned round first,
 * [y][x][channel] and [tap][channel], and its sums afterwards.  A tile is up to three rows of a few outputs, kept in
 * registers: for each input column the rows' inputs are loaded once for all outputs, each weight once for all rows.
 * Columns at either end of the window, which not all outputs read, have steps of their own, so that no product is in
 * vain, nor is any with padding.  Each output is one chain of multiply-adds in the order of the taps.
 */
#ifndef CV_DEPTHWISE_CHANNELS
#define CV_DEPTHWISE_CHANNELS
#include "../direct/lanes.tmpl.h"
#include "../layout/transpose.tmpl.h"
#include "window.h"

#if CV_REGISTERS == 32
#define CV_DT 7 /* outputs side by side, at most; CV_DR rows of them, and the vectors of a row, fit the registers */
#else
#define CV_DT 4
#endif
#define CV_DR 3
#define CV_DEEP_STRIP (512 << 10) /* bytes of input and sums: they stay in a second-level cache of 1 MB */

#ifndef CV_DEEP_BITS
#define CV_DEEP_BITS
static inline unsigned cv_bits(ptrdiff_t lo, ptrdiff_t hi) { return hi <= lo ? 0 : (1u << hi) - (1u << lo); }
#endif

/* A tile, or some of its rows, under `count` kernel rows that all of them have inputs for. */
typedef struct {
    const T *x, *w; /* what output 0 reads under the first tap, which may lie in the padding, and that tap */
    T *y;
    ptrdiff_t xrow, yrow, wrow, count;
    ptrdiff_t kw, from, steady; /* columns that all outputs read: the first, and how many */
    unsigned rise, fall;        /* bits: which columns before these and after them exist */
    int go_on;                  /* y holds sums of the kernel rows before */
} CV_(deep_tile);

/* One input column of so many rows: outputs t0 .. t1-1 take it by w, the tap of output 0, and the taps before. */
CV_INLINE void CV_(deep_step)(const int rows, const int t0, const int t1, const T *x, ptrdiff_t xrow, const T *w,
                              vec (*acc)[CV_DT]) {
    vec v[CV_DR];
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) v[r] = CV_(load)(x + r * xrow);
    CV_UNROLL(7)
    for (int t = t0; t < t1; t++) {
        vec a = CV_(load)(w - t * VL);
        CV_KEEP(a);
        CV_UNROLL(3)
        for (int r = 0; r < rows; r++) acc[r][t] += a * v[r];
    }
}

CV_INLINE void CV_(deep)(const int rows, const int n, const CV_(deep_tile) *job) {
    const CV_(deep_tile) own = *job, *q = &own;
    const T *x = q->x, *w = q->w;
    vec acc[CV_DR][CV_DT];
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) {
        CV_UNROLL(7)
        for (int t = 0; t < n; t++) acc[r][t] = q->go_on ? CV_(load)(q->y + r * q->yrow + t * VL) : (vec){0};
    }
#define CV_RISE(j) \
    if (j < n - 1 && __builtin_expect((rise & 1u << (j)) != 0, 1)) \
        CV_(deep_step)(rows, 0, j + 1, x + (j) * VL, q->xrow, w + (j) * VL, acc);
#define CV_FALL(j) \
    if (j < n - 1 && __builtin_expect((q->fall & 1u << (j)) != 0, 1)) \
        CV_(deep_step)(rows, j + 1, n, a + (j) * VL, q->xrow, b + (j) * VL, acc);
    /* The columns that end a kernel row and those that begin the next take turns: their outputs are not the same. */
    unsigned rise = q->rise;
    CV_RISE(0) CV_RISE(1) CV_RISE(2) CV_RISE(3) CV_RISE(4) CV_RISE(5)
    for (ptrdiff_t k = q->count; k > 0; k--) {
        const T *a = x + q->from, *b = w + q->from;
        for (ptrdiff_t i = q->steady; i > 0; i--, a += VL, b += VL) CV_(deep_step)(rows, 0, n, a, q->xrow, b, acc);
        a = x + q->kw, b = w + q->kw, x += q->xrow, w += q->wrow;
        rise = k > 1 ? rise : 0;
        CV_FALL(0) CV_RISE(0) CV_FALL(1) CV_RISE(1) CV_FALL(2) CV_RISE(2)
        CV_FALL(3) CV_RISE(3) CV_FALL(4) CV_RISE(4) CV_FALL(5) CV_RISE(5)
    }
#undef CV_RISE
#undef CV_FALL
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) {
        CV_UNROLL(7)
        for (int t = 0; t < n; t++) CV_(store)(q->y + r * q->yrow + t * VL, acc[r][t]);
    }
}

/* By [rows - 1][outputs - 1]. */
typedef void (*CV_(deep_fn))(const CV_(deep_tile) *);
#define CV_DEEP(rows, n) \
    CV_NOINLINE void CV_(deep_##rows##_##n)(const CV_(deep_tile) *q) { CV_(deep)(rows, n, q); }
#if CV_DT == 7
#define CV_DEEP_SET(r) CV_DEEP(r, 1) CV_DEEP(r, 2) CV_DEEP(r, 3) CV_DEEP(r, 4) CV_DEEP(r, 5) CV_DEEP(r, 6) CV_DEEP(r, 7)
#define CV_DEEP_ROW(r) {CV_(deep_##r##_1), CV_(deep_##r##_2), CV_(deep_##r##_3), CV_(deep_##r##_4), CV_(deep_##r##_5), \
                        CV_(deep_##r##_6), CV_(deep_##r##_7)}
#else
#define CV_DEEP_SET(r) CV_DEEP(r, 1) CV_DEEP(r, 2) CV_DEEP(r, 3) CV_DEEP(r, 4)
#define CV_DEEP_ROW(r) {CV_(deep_##r##_1), CV_(deep_##r##_2), CV_(deep_##r##_3), CV_(deep_##r##_4)}
#endif
CV_DEEP_SET(1) CV_DEEP_SET(2) CV_DEEP_SET(3)
static const CV_(deep_fn) CV_(deeps)[CV_DR][CV_DT] = {CV_DEEP_ROW(1), CV_DEEP_ROW(2), CV_DEEP_ROW(3)};
#undef CV_DEEP
#undef CV_DEEP_SET
#undef CV_DEEP_ROW

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    int threads;
    ptrdiff_t blocks, row_strips, column_strips; /* of channels, of output rows and columns */
    ptrdiff_t taps, plane, each;                 /* vectors of weights and input; elements of these, and the outputs */
    T *scratch;                                  /* each per worker; it begins with the channel of its weights, or -1 */
} CV_(deep_job);

/* A plane of rows of `width` pixels in x or y, strides s; rows without gaps are taken as one of them all. */
typedef struct {
    const ptrdiff_t *s;
    ptrdiff_t channels, pixels, run; /* pixels of a plane and of a row */
    ptrdiff_t done, at, row;         /* pixels turned round, and where that is: at pixel `at` of the row at `row` */
} CV_(deep_plane);

static CV_(deep_plane) CV_(deep_plane_of)(const ptrdiff_t *s, ptrdiff_t channels, ptrdiff_t height, ptrdiff_t width) {
    const ptrdiff_t pixels = height * width;
    return (CV_(deep_plane)){s, channels, pixels, s[3] == width * s[4] ? pixels : width, 0, 0, 0};
}

CV_INLINE void CV_(deep_next)(CV_(deep_plane) *t, ptrdiff_t n) {
    t->done += n, t->at += n;
    if (t->at == t->run) t->at = 0, t->row += t->s[3];
}

/* Pixels of up to VL channels to vectors of channels. */
static void CV_(deep_in)(CV_(deep_plane) t, const T *from, T *to) {
    const ptrdiff_t *s = t.s, channels = t.channels, step = s[4];
    for (ptrdiff_t n; t.done < t.pixels; CV_(deep_next)(&t, n)) {
        n = CV_MIN2(VL, t.run - t.at);
        const T *x = from + t.row + t.at * step;
        T *v = to + t.done * VL;
        if (s[1] == 1) {
            for (ptrdiff_t i = 0; i < n; i++) CV_(store)(v + i * VL, CV_(load_n)(x + i * step, channels));
            continue;
        }
        vec u[VL];
        const ptrdiff_t back = VL - n;
        if (step == 1 && channels == VL && t.at >= back) { /* some of them twice, but a whole vector */
            CV_(turn_rows)(x - back, s[1], 1, VL, VL, u);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++) CV_(store)(v + (i - back) * VL, u[i]);
        } else {
            CV_(turn_rows)(x, s[1], step, channels, n, u);
            for (ptrdiff_t i = 0; i < n; i++) CV_(store)(v + i * VL, u[i]);
        }
    }
}

/* And back, with the bias: pixels up to number `end`, or a little less until it is the last. */
static void CV_(deep_out)(CV_(deep_plane) *t, const T *from, const T *bias, ptrdiff_t end, T *to) {
    const ptrdiff_t *s = t->s, channels = t->channels, step = s[4];
    for (ptrdiff_t n; t->done < end; CV_(deep_next)(t, n)) {
        n = CV_MIN2(VL, t->run - t->at);
        if (n > end - t->done && end < t->pixels) return; /* until they are more */
        T *y = to + t->row + t->at * step;
        const T *v = from + t->done * VL;
        if (s[1] == 1) {
            for (ptrdiff_t i = 0; i < n; i++)
                CV_(store_n)(y + i * step, CV_(load)(v + i * VL) + CV_(load)(bias), channels);
            continue;
        }
        vec u[VL];
        const ptrdiff_t back = VL - n;
        if (step == 1 && channels == VL && t->at >= back) {
            CV_(turn_rows)(v - back * VL, VL, 1, VL, VL, u);
            CV_UNROLL(16)
            for (int c = 0; c < VL; c++) CV_(store)(y - back + c * s[1], u[c] + CV_(set1)(bias[c]));
            continue;
        }
        CV_(turn_rows)(v, VL, 1, n, VL, u);
        for (ptrdiff_t c = 0; c < channels; c++) {
            const vec r = u[c] + CV_(set1)(bias[c]);
            if (step == 1) CV_(store_n)(y + c * s[1], r, n);
            else
                for (ptrdiff_t l = 0; l < n; l++) y[c * s[1] + l * step] = r[l];
        }
    }
}

/* The first input that outputs first .. first+n-1 of an axis read, and how many of them. */
static ptrdiff_t CV_(deep_axis)(const cv_conv *p, int axis, ptrdiff_t first, ptrdiff_t n, ptrdiff_t *size) {
    const ptrdiff_t from = CV_MIN2(p->in[axis], CV_MAX2(0, first - p->lo[axis]));
    *size = CV_MAX2(0, CV_MIN2(p->in[axis], first + n - 1 - p->lo[axis] + p->k[axis]) - from);
    return from;
}

/* Of the columns that a tile of n outputs reads, left .. right-1 exist. */
static void CV_(deep_columns)(CV_(deep_tile) *q, ptrdiff_t left, ptrdiff_t right, ptrdiff_t kw, ptrdiff_t n) {
    q->rise = cv_bits(left, CV_MIN2(right, n - 1)), q->fall = cv_bits(CV_MAX2(left - kw, 0), right - kw);
    const ptrdiff_t from = CV_MAX2(left, n - 1);
    q->from = from * VL, q->steady = CV_MIN2(right, kw) - from;
}

/* All taps of a tile whose first row reads row y of q.x, which has `height` of them, under the first kernel row. */
static void CV_(deep_rows)(CV_(deep_tile) q, ptrdiff_t y, ptrdiff_t height, ptrdiff_t kh, ptrdiff_t rows, ptrdiff_t n) {
    const T *x = q.x, *w = q.w;
    T *sums = q.y;
    ptrdiff_t ky = CV_MAX2(0, 1 - y - rows);
    const ptrdiff_t last = CV_MIN2(kh, height - y);
    if (y + ky < 0 || y + ky + rows > height || ky >= last) {
        for (ptrdiff_t r = 0; r < rows; r++) __builtin_memset(sums + r * q.yrow, 0, (size_t)n * CV_VB);
        q.go_on = 1;
    }
    for (; ky < last; ky += q.count, q.go_on = 1) {
        const ptrdiff_t r0 = CV_MAX2(0, -y - ky), r1 = CV_MIN2(rows, height - y - ky);
        q.count = r0 == 0 && r1 == rows ? CV_MIN2(kh, height - y - rows + 1) - ky : 1;
        q.x = x + (y + ky + r0) * q.xrow, q.w = w + ky * q.wrow, q.y = sums + r0 * q.yrow;
        CV_(deeps)[r1 - r0 - 1][n - 1](&q);
    }
}

static void CV_(deep_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(deep_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t cs = unit % j->column_strips, rs = unit / j->column_strips % j->row_strips;
    const ptrdiff_t image = unit / j->column_strips / j->row_strips, n = image % p->n, c = image / p->n * VL;
    const ptrdiff_t channels = CV_MIN2(VL, p->groups - c);
    const ptrdiff_t ox0 = cs * p->out[2] / j->column_strips, ox1 = (cs + 1) * p->out[2] / j->column_strips;
    const ptrdiff_t oy0 = rs * p->out[1] / j->row_strips, oy1 = (rs + 1) * p->out[1] / j->row_strips;
    const ptrdiff_t across = ox1 - ox0, down = oy1 - oy0, most = CV_MIN2(CV_DT, p->k[2]);
    const ptrdiff_t tiles = (across + most - 1) / most, least = across / tiles, wide = across - tiles * least;
    const ptrdiff_t tall = (down + CV_DR - 1) / CV_DR, low = down / tall, high = down - tall * low;
    T *const own = j->scratch + worker * j->each, *w = own + VL, *plane = w + j->taps * VL;
    T *const sums = plane + j->plane * VL;
    ptrdiff_t *held = (ptrdiff_t *)own;
    if (*held != c) {
        const ptrdiff_t s[5] = {0, j->taps, 0, j->taps, 1};
        CV_(deep_in)(CV_(deep_plane_of)(s, channels, 1, j->taps), j->w + c * j->taps, w);
        *held = c;
    }
    ptrdiff_t height, width;
    const ptrdiff_t iy0 = CV_(deep_axis)(p, 1, oy0, down, &height), ix0 = CV_(deep_axis)(p, 2, ox0, across, &width);
    const T *from = j->x + n * p->xs[0] + c * p->xs[1] + iy0 * p->xs[3] + ix0 * p->xs[4];
    T *to = j->y + n * p->ys[0] + c * p->ys[1] + oy0 * p->ys[3] + ox0 * p->ys[4];
    CV_(deep_plane) out = CV_(deep_plane_of)(p->ys, channels, down, across);
    T bias[VL] = {0};
    for (ptrdiff_t i = 0; i < channels && j->bias; i++) bias[i] = j->bias[c + i];
    CV_(deep_tile) q = {.w = w, .xrow = width * VL, .yrow = across * VL, .wrow = p->k[2] * VL, .kw = p->k[2] * VL};
    CV_(deep_in)(CV_(deep_plane_of)(p->xs, channels, height, width), from, plane);
    for (ptrdiff_t i = 0, r = 0, rows; i < tall; i++, r += rows) {
        rows = low + (i < high);
        for (ptrdiff_t t = 0, a = 0, outs; t < tiles; t++, a += outs) {
            const ptrdiff_t x = ox0 + a - p->lo[2] - ix0;
            outs = least + (t < wide);
            CV_(deep_columns)(&q, CV_MAX2(0, -x), CV_MIN2(width - x, p->k[2] + outs - 1), p->k[2], outs);
            q.x = plane + x * VL, q.y = sums + (r * across + a) * VL;
            CV_(deep_rows)(q, oy0 + r - p->lo[1] - iy0, height, p->k[1], rows, outs);
        }
        CV_(deep_out)(&out, sums, bias, (r + rows) * across, to);
    }
}

/* Cut the work, within the scratch that is allowed if one strip is. */
static void CV_(deep_sizes)(CV_(deep_job) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    ptrdiff_t rows = p->out[1], columns = p->out[2], pieces, cuts;
    *j = (CV_(deep_job)){.p = *p, .threads = problem->threads};
    j->blocks = (p->groups + VL - 1) / VL, j->taps = p->k[1] * p->k[2];
    for (;;) {
        j->plane = CV_MIN2(p->in[1], rows + p->k[1] - 1) * CV_MIN2(p->in[2], columns + p->k[2] - 1);
        const int tall = rows > p->k[1], wide = columns > p->k[2]; /* smaller strips would be mostly what they share */
        if ((j->plane + rows * columns) * CV_VB <= CV_DEEP_STRIP || !(tall || wide)) break;
        if (tall && (rows >= columns || !wide)) rows = (rows + 1) / 2;
        else columns = (columns + 1) / 2;
    }
    j->each = (1 + j->taps + j->plane + rows * columns) * VL;
    j->row_strips = (p->out[1] + rows - 1) / rows, j->column_strips = (p->out[2] + columns - 1) / columns;
    const ptrdiff_t most = problem->max_workspace / (j->each * (ptrdiff_t)sizeof(T));
    cv_cut(cv_products(p), &j->threads, p->n * j->blocks * j->column_strips, (p->out[1] + 7) / 8, &pieces, &cuts);
    j->row_strips = CV_MAX2(j->row_strips, cuts);
    j->threads = (int)CV_MAX2(1, CV_MIN2(j->threads, most));
}

/* ---- the row */

static const char *CV_(deep_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p)) return "has no work in an empty convolution";
    if (!cv_depthwise_plane(p) || p->groups == 1) return "serves depthwise windows over several channels";
    if (p->stride[1] * p->stride[2] * p->dil[1] * p->dil[2] != 1) return "serves stride and dilation 1";
    return CV_(plain_weights)(p) ? NULL : "takes contiguous weights";
}

/* Inputs and sums are turned round unless channels come last; taps in the padding cost nothing. */
static double CV_(deep_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)((p->groups + VL - 1) / VL), taps = (double)cv_taps(p);
    const double ins = (double)(p->in[1] * p->in[2]), outs = (double)cv_outputs(p);
    double inside = taps;
    for (int a = 1; a < 3; a++) /* on average, that share of the taps lies inside */
        inside *= CV_MIN2(1.0, 1 - (double)p->lo[a] * (double)(p->lo[a] + 1) / (double)(p->k[a] * p->out[a]));
    inside = CV_MAX2(inside, 1.0);
    const double turn = p->xs[1] == 1 && p->ys[1] == 1 ? 1.2 : 3.0;
    const double start = 14.0 / (double)CV_MIN2(p->k[2], 12); /* of short rows of taps */
    return 600 + (double)p->n * vecs * ((ins + outs) * turn / CV_PACE + outs * inside * (1 + start / 8) / (0.9 * CV_PACE)) +
           vecs * taps * 3;
}

static void CV_(deep_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(deep_job) *j = (void *)plan->job;
    CV_(deep_sizes)(j, problem);
    plan->threads = j->threads;
    plan->scratch = j->threads * j->each * (ptrdiff_t)sizeof(T);
}

static int CV_(deep_run)(const cv_plan *plan, const cv_call *call) {
    CV_(deep_job) j = *(const CV_(deep_job) *)plan->job;
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    j.scratch = (T *)call->scratch;
    for (int i = 0; i < j.threads; i++) *(ptrdiff_t *)(j.scratch + i * j.each) = -1;
    const int status = cv_parallel(CV_(deep_task), &j, j.blocks * j.p.n * j.row_strips * j.column_strips, j.threads);
    if (status == CV_OK) CV_(poison)(&j.p, j.w, j.y);
    return status;
}

CV_ROW(depthwise_channels) = {CV_(deep_fits), CV_(deep_cost), CV_(deep_plan), NULL, NULL, CV_(deep_run)};
#endif
