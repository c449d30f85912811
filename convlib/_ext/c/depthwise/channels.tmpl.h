/* Depthwise windows of 5x5 and more, stride 1: lanes are channels, whatever the layout.
 *
 * A unit of work is a strip of one image for a vector of channels.  Its input and weights are
 * transposed first, [y][x][channel] and [tap][channel], and its sums afterwards.
 */
#ifndef CV_DEPTHWISE_CHANNELS
#define CV_DEPTHWISE_CHANNELS
#include "../direct/lanes.tmpl.h"
#include "../layout/transpose.tmpl.h"
#include "channels_tile.tmpl.h"
#include "window.h"

/* bytes of input and sums: they stay in a second-level cache of 1 MB */
#define CV_CHANNELS_STRIP (512 << 10)

#ifndef CV_CHANNELS_BITS
#define CV_CHANNELS_BITS
static inline unsigned cv_bits(ptrdiff_t lo, ptrdiff_t hi) {
    return hi <= lo ? 0 : (1u << hi) - (1u << lo);
}
#endif

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    int threads;
    ptrdiff_t blocks, row_strips, column_strips; /* of channels, of output rows and columns */
    /* vectors of weights and input; elements of these, and the outputs */
    ptrdiff_t taps, plane, each;
    /* each per worker; it begins with the channel of its weights, or -1 */
    T *scratch;
} CV_(channels_job);

/* A plane of rows of `width` pixels in x or y, strides s; rows without gaps are taken as one of
 * them all. */
typedef struct {
    const ptrdiff_t *s;
    ptrdiff_t channels, pixels, run; /* pixels of a plane and of a row */
    /* pixels turned round, and where that is: at pixel `at` of the row at `row` */
    ptrdiff_t done, at, row;
} CV_(channels_plane);

static CV_(channels_plane) CV_(channels_plane_of)(const ptrdiff_t *s, ptrdiff_t channels,
                                                  ptrdiff_t height, ptrdiff_t width) {
    const ptrdiff_t pixels = height * width;
    return (CV_(channels_plane)){s, channels, pixels, s[3] == width * s[4] ? pixels : width,
                                 0, 0,        0};
}

CV_INLINE void CV_(channels_next)(CV_(channels_plane) *t, ptrdiff_t n) {
    t->done += n;
    t->at += n;
    if (t->at == t->run) {
        t->at = 0;
        t->row += t->s[3];
    }
}

/* Pixels of up to VL channels to vectors of channels. */
static void CV_(channels_in)(CV_(channels_plane) t, const T *from, T *to) {
    const ptrdiff_t *s = t.s, channels = t.channels, step = s[4];
    for (ptrdiff_t n; t.done < t.pixels; CV_(channels_next)(&t, n)) {
        n = CV_MIN2(VL, t.run - t.at);
        const T *x = from + t.row + t.at * step;
        T *v = to + t.done * VL;
        if (s[1] == 1) {
            for (ptrdiff_t i = 0; i < n; i++)
                CV_(store)(v + i * VL, CV_(load_n)(x + i * step, channels));
            continue;
        }
        vec u[VL];
        const ptrdiff_t back = VL - n;
        /* some of them twice, but a whole vector */
        if (step == 1 && channels == VL && t.at >= back) {
            CV_(transpose_rows)(x - back, s[1], 1, VL, VL, u);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++)
                CV_(store)(v + (i - back) * VL, u[i]);
        } else {
            CV_(transpose_rows)(x, s[1], step, channels, n, u);
            for (ptrdiff_t i = 0; i < n; i++)
                CV_(store)(v + i * VL, u[i]);
        }
    }
}

/* And back, with the bias: pixels up to number `end`, or a little less until it is the last. */
static void CV_(channels_out)(CV_(channels_plane) *t, const T *from, const T *bias, ptrdiff_t end,
                              T *to) {
    const ptrdiff_t *s = t->s, channels = t->channels, step = s[4];
    for (ptrdiff_t n; t->done < end; CV_(channels_next)(t, n)) {
        n = CV_MIN2(VL, t->run - t->at);
        if (n > end - t->done && end < t->pixels)
            return; /* until they are more */
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
            CV_(transpose_rows)(v - back * VL, VL, 1, VL, VL, u);
            CV_UNROLL(16)
            for (int c = 0; c < VL; c++)
                CV_(store)(y - back + c * s[1], u[c] + CV_(set1)(bias[c]));
            continue;
        }
        CV_(transpose_rows)(v, VL, 1, n, VL, u);
        for (ptrdiff_t c = 0; c < channels; c++) {
            const vec r = u[c] + CV_(set1)(bias[c]);
            if (step == 1) {
                CV_(store_n)(y + c * s[1], r, n);
            } else {
                for (ptrdiff_t l = 0; l < n; l++)
                    y[c * s[1] + l * step] = r[l];
            }
        }
    }
}

/* The first input that outputs first .. first+n-1 of an axis read, and how many of them. */
static ptrdiff_t CV_(channels_axis)(const cv_conv *p, int axis, ptrdiff_t first, ptrdiff_t n,
                                    ptrdiff_t *size) {
    const ptrdiff_t from = CV_MIN2(p->in[axis], CV_MAX2(0, first - p->lo[axis]));
    *size = CV_MAX2(0, CV_MIN2(p->in[axis], first + n - 1 - p->lo[axis] + p->k[axis]) - from);
    return from;
}

/* Of the columns that a tile of n outputs reads, left .. right-1 exist. */
static void CV_(channels_columns)(CV_(channels_tile) *q, ptrdiff_t left, ptrdiff_t right,
                                  ptrdiff_t kw, ptrdiff_t n) {
    q->rise = cv_bits(left, CV_MIN2(right, n - 1));
    q->fall = cv_bits(CV_MAX2(left - kw, 0), right - kw);
    const ptrdiff_t from = CV_MAX2(left, n - 1);
    q->from = from * VL;
    q->steady = CV_MIN2(right, kw) - from;
}

/* All taps of a tile whose first row reads row y of q.x, which has `height` of them, under the
 * first kernel row. */
static void CV_(channels_rows)(CV_(channels_tile) q, ptrdiff_t y, ptrdiff_t height, ptrdiff_t kh,
                               ptrdiff_t rows, ptrdiff_t n) {
    const T *x = q.x, *w = q.w;
    T *sums = q.y;
    ptrdiff_t ky = CV_MAX2(0, 1 - y - rows);
    const ptrdiff_t last = CV_MIN2(kh, height - y);
    if (y + ky < 0 || y + ky + rows > height || ky >= last) {
        for (ptrdiff_t r = 0; r < rows; r++)
            __builtin_memset(sums + r * q.yrow, 0, (size_t)n * CV_VB);
        q.go_on = 1;
    }
    for (; ky < last; ky += q.count, q.go_on = 1) {
        const ptrdiff_t r0 = CV_MAX2(0, -y - ky), r1 = CV_MIN2(rows, height - y - ky);
        q.count = r0 == 0 && r1 == rows ? CV_MIN2(kh, height - y - rows + 1) - ky : 1;
        q.x = x + (y + ky + r0) * q.xrow;
        q.w = w + ky * q.wrow;
        q.y = sums + r0 * q.yrow;
        CV_(channels_tiles)[r1 - r0 - 1][n - 1](&q);
    }
}

static void CV_(channels_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(channels_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t cs = unit % j->column_strips, rs = unit / j->column_strips % j->row_strips;
    const ptrdiff_t image = unit / j->column_strips / j->row_strips, n = image % p->n,
                    c = image / p->n * VL;
    const ptrdiff_t channels = CV_MIN2(VL, p->groups - c);
    const ptrdiff_t ox0 = cs * p->out[2] / j->column_strips,
                    ox1 = (cs + 1) * p->out[2] / j->column_strips;
    const ptrdiff_t oy0 = rs * p->out[1] / j->row_strips,
                    oy1 = (rs + 1) * p->out[1] / j->row_strips;
    const ptrdiff_t across = ox1 - ox0, down = oy1 - oy0, most = CV_MIN2(CV_DT, p->k[2]);
    const ptrdiff_t tiles = (across + most - 1) / most, least = across / tiles,
                    wide = across - tiles * least;
    const ptrdiff_t tall = (down + CV_DR - 1) / CV_DR, low = down / tall, high = down - tall * low;
    T *const own = j->scratch + worker * j->each, *w = own + VL, *plane = w + j->taps * VL;
    T *const sums = plane + j->plane * VL;
    ptrdiff_t *held = (ptrdiff_t *)own;
    if (*held != c) {
        const ptrdiff_t s[5] = {0, j->taps, 0, j->taps, 1};
        CV_(channels_in)(CV_(channels_plane_of)(s, channels, 1, j->taps), j->w + c * j->taps, w);
        *held = c;
    }
    ptrdiff_t height, width;
    const ptrdiff_t iy0 = CV_(channels_axis)(p, 1, oy0, down, &height),
                    ix0 = CV_(channels_axis)(p, 2, ox0, across, &width);
    const T *from = j->x + n * p->xs[0] + c * p->xs[1] + iy0 * p->xs[3] + ix0 * p->xs[4];
    T *to = j->y + n * p->ys[0] + c * p->ys[1] + oy0 * p->ys[3] + ox0 * p->ys[4];
    CV_(channels_plane) out = CV_(channels_plane_of)(p->ys, channels, down, across);
    T bias[VL] = {0};
    for (ptrdiff_t i = 0; i < channels && j->bias; i++)
        bias[i] = j->bias[c + i];
    CV_(channels_tile) q = {
        .w = w, .xrow = width * VL, .yrow = across * VL, .wrow = p->k[2] * VL, .kw = p->k[2] * VL};
    CV_(channels_in)(CV_(channels_plane_of)(p->xs, channels, height, width), from, plane);
    double work = 0;
    for (ptrdiff_t i = 0, r = 0, rows; i < tall; i++, r += rows) {
        rows = low + (i < high);
        for (ptrdiff_t t = 0, a = 0, outs; t < tiles; t++, a += outs) {
            const ptrdiff_t x = ox0 + a - p->lo[2] - ix0;
            outs = least + (t < wide);
            CV_(channels_columns)(&q, CV_MAX2(0, -x), CV_MIN2(width - x, p->k[2] + outs - 1),
                                  p->k[2], outs);
            q.x = plane + x * VL;
            q.y = sums + (r * across + a) * VL;
            CV_(channels_rows)(q, oy0 + r - p->lo[1] - iy0, height, p->k[1], rows, outs);
            if (cv_stop_after(&work, (double)j->taps * (double)(rows * outs * VL)))
                return;
        }
        CV_(channels_out)(&out, sums, bias, (r + rows) * across, to);
    }
}

/* Cut the work, within the scratch that is allowed if one strip is. */
static void CV_(channels_sizes)(CV_(channels_job) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    ptrdiff_t rows = p->out[1], columns = p->out[2], pieces, cuts;
    *j = (CV_(channels_job)){.p = *p, .threads = problem->threads};
    j->blocks = (p->groups + VL - 1) / VL;
    j->taps = p->k[1] * p->k[2];
    for (;;) {
        j->plane = CV_MIN2(p->in[1], rows + p->k[1] - 1) * CV_MIN2(p->in[2], columns + p->k[2] - 1);
        /* smaller strips would be mostly what they share */
        const int tall = rows > p->k[1], wide = columns > p->k[2];
        if ((j->plane + rows * columns) * CV_VB <= CV_CHANNELS_STRIP || !(tall || wide))
            break;
        if (tall && (rows >= columns || !wide))
            rows = (rows + 1) / 2;
        else
            columns = (columns + 1) / 2;
    }
    j->each = (1 + j->taps + j->plane + rows * columns) * VL;
    j->row_strips = (p->out[1] + rows - 1) / rows;
    j->column_strips = (p->out[2] + columns - 1) / columns;
    const ptrdiff_t most = problem->max_workspace / (j->each * (ptrdiff_t)sizeof(T));
    cv_cut(cv_products(p), &j->threads, p->n * j->blocks * j->column_strips, (p->out[1] + 7) / 8,
           &pieces, &cuts);
    j->row_strips = CV_MAX2(j->row_strips, cuts);
    j->threads = (int)CV_MAX2(1, CV_MIN2(j->threads, most));
}

/* ---- the row */

CV_ONCE const char *CV_(channels_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (!cv_depthwise_plane(p) || p->groups == 1)
        return "serves depthwise windows over several channels";
    if (p->stride[1] * p->stride[2] * p->dil[1] * p->dil[2] != 1)
        return "serves stride and dilation 1";
    return CV_(plain_weights)(p) ? NULL : "takes contiguous weights";
}

/* Inputs and sums are turned round unless channels come last; taps in the padding cost nothing. */
CV_ONCE double CV_(channels_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const double vecs = (double)((p->groups + VL - 1) / VL), taps = (double)cv_taps(p);
    const double ins = (double)(p->in[1] * p->in[2]), outs = (double)cv_outputs(p);
    double inside = taps;
    for (int a = 1; a < 3; a++) /* on average, that share of the taps lies inside */
        inside *= CV_MIN2(1.0, 1 - (double)p->lo[a] * (double)(p->lo[a] + 1) /
                                       (double)(p->k[a] * p->out[a]));
    inside = CV_MAX2(inside, 1.0);
    const double turn = p->xs[1] == 1 && p->ys[1] == 1 ? 3.5 : 1.25 * sizeof(T);
    /* of rows of taps; wide ones are bound by their loads */
    const double wide = CV_REGISTERS == 32 ? 1.2 : p->k[2] < 16 ? 1.1 : 1.35,
                 start = CV_MAX2(wide, 0.3 + 6 / (double)p->k[2]);
    return 600 +
           (double)p->n * vecs *
               (600 + (ins + outs) * turn / CV_PACE +
                outs * (1 + inside * start / 0.95) / CV_PACE) +
           vecs * taps * 3;
}

CV_ONCE void CV_(channels_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(channels_job) *j = CV_JOB(plan, CV_(channels_job));
    CV_(channels_sizes)(j, problem);
    plan->threads = j->threads;
    plan->scratch = j->threads * j->each * (ptrdiff_t)sizeof(T);
}

static int CV_(channels_run)(const cv_plan *plan, const cv_call *call) {
    CV_(channels_job) j = *CV_JOB(plan, CV_(channels_job));
    j.x = call->x;
    j.w = call->w;
    j.bias = call->bias;
    j.y = call->y;
    j.scratch = (T *)call->scratch;
    for (int i = 0; i < j.threads; i++)
        *(ptrdiff_t *)(j.scratch + i * j.each) = -1;
    const int status = cv_parallel(CV_(channels_task), &j,
                                   j.blocks * j.p.n * j.row_strips * j.column_strips, j.threads);
    if (status == CV_OK)
        CV_(poison)(&j.p, j.w, j.y);
    return status;
}

CV_ROW(depthwise_channels) = {
    CV_(channels_fits), CV_(channels_cost), CV_(channels_plan), NULL, NULL, CV_(channels_run)};
#endif
