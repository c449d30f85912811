/* The tiles of depthwise windows whose lanes are channels: up to three rows of a few outputs, kept
 * in registers.
 *
 * For each input column the rows' inputs are loaded once for all outputs, each weight once for all
 * rows.  Columns at either end of the window, which not all outputs read, have steps of their own,
 * so that no product is in vain, nor is any with padding.  Each output is one chain of
 * multiply-adds in the order of the taps.
 */
#ifndef CV_DEPTHWISE_CHANNELS_TILE
#define CV_DEPTHWISE_CHANNELS_TILE

#if CV_REGISTERS == 32
/* outputs side by side, at most; CV_DR rows of them, and the vectors of a row, fit the registers */
#define CV_DT 7
#else
#define CV_DT 4
#endif
#define CV_DR 3

/* A tile, or some of its rows, under `count` kernel rows that all of them have inputs for. */
typedef struct {
    /* what output 0 reads under the first tap, which may lie in the padding, and that tap */
    const T *x, *w;
    T *y;
    ptrdiff_t xrow, yrow, wrow, count;
    ptrdiff_t kw, from, steady; /* columns that all outputs read: the first, and how many */
    unsigned rise, fall;        /* bits: which columns before these and after them exist */
    int go_on;                  /* y holds sums of the kernel rows before */
} CV_(channels_tile);

/* One input column of so many rows: outputs t0 .. t1-1 take it by w, the tap of output 0, and the
 * taps before. */
CV_INLINE void CV_(channels_step)(const int rows, const int t0, const int t1, const T *x,
                                  ptrdiff_t xrow, const T *w, vec (*acc)[CV_DT]) {
    vec v[CV_DR];
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++)
        v[r] = CV_(load)(x + r * xrow);
    CV_UNROLL(7)
    for (int t = t0; t < t1; t++) {
        vec a = CV_(load)(w - t * VL);
        CV_KEEP(a);
        CV_UNROLL(3)
        for (int r = 0; r < rows; r++)
            acc[r][t] += a * v[r];
    }
}

CV_INLINE void CV_(channels)(const int rows, const int n, const CV_(channels_tile) *job) {
    const CV_(channels_tile) own = *job, *q = &own;
    const T *x = q->x, *w = q->w;
    vec acc[CV_DR][CV_DT];
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) {
        CV_UNROLL(7)
        for (int t = 0; t < n; t++)
            acc[r][t] = q->go_on ? CV_(load)(q->y + r * q->yrow + t * VL) : (vec){0};
    }
#define CV_RISE(j)                                                 \
    if (j < n - 1 && __builtin_expect((rise & 1u << (j)) != 0, 1)) \
        CV_(channels_step)(rows, 0, j + 1, x + (j) * VL, q->xrow, w + (j) * VL, acc);
#define CV_FALL(j)                                                    \
    if (j < n - 1 && __builtin_expect((q->fall & 1u << (j)) != 0, 1)) \
        CV_(channels_step)(rows, j + 1, n, a + (j) * VL, q->xrow, b + (j) * VL, acc);
    /* The columns that end a kernel row and those that begin the next take turns: their outputs are
     * not the same. */
    unsigned rise = q->rise;
    CV_RISE(0)
    CV_RISE(1)
    CV_RISE(2)
    CV_RISE(3)
    CV_RISE(4)
    CV_RISE(5)
    for (ptrdiff_t k = q->count; k > 0; k--) {
        const T *a = x + q->from, *b = w + q->from;
        for (ptrdiff_t i = q->steady; i > 0; i--, a += VL, b += VL)
            CV_(channels_step)(rows, 0, n, a, q->xrow, b, acc);
        a = x + q->kw;
        b = w + q->kw;
        x += q->xrow;
        w += q->wrow;
        rise = k > 1 ? rise : 0;
        CV_FALL(0)
        CV_RISE(0)
        CV_FALL(1)
        CV_RISE(1)
        CV_FALL(2)
        CV_RISE(2)
        CV_FALL(3)
        CV_RISE(3)
        CV_FALL(4)
        CV_RISE(4)
        CV_FALL(5)
        CV_RISE(5)
    }
#undef CV_RISE
#undef CV_FALL
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) {
        CV_UNROLL(7)
        for (int t = 0; t < n; t++)
            CV_(store)(q->y + r * q->yrow + t * VL, acc[r][t]);
    }
}

/* By [rows - 1][outputs - 1]. */
typedef void (*CV_(channels_fn))(const CV_(channels_tile) *);
#define CV_CHANNELS(rows, n)                                                   \
    CV_NOINLINE void CV_(channels_##rows##_##n)(const CV_(channels_tile) *q) { \
        CV_(channels)(rows, n, q);                                             \
    }
#if CV_DT == 7
#define CV_CHANNELS_SET(r) \
    CV_CHANNELS(r, 1)      \
    CV_CHANNELS(r, 2)      \
    CV_CHANNELS(r, 3)      \
    CV_CHANNELS(r, 4)      \
    CV_CHANNELS(r, 5)      \
    CV_CHANNELS(r, 6)      \
    CV_CHANNELS(r, 7)
#define CV_CHANNELS_ROW(r)                                                       \
    {                                                                            \
        CV_(channels_##r##_1), CV_(channels_##r##_2), CV_(channels_##r##_3),     \
            CV_(channels_##r##_4), CV_(channels_##r##_5), CV_(channels_##r##_6), \
            CV_(channels_##r##_7)                                                \
    }
#else
#define CV_CHANNELS_SET(r) \
    CV_CHANNELS(r, 1)      \
    CV_CHANNELS(r, 2)      \
    CV_CHANNELS(r, 3)      \
    CV_CHANNELS(r, 4)
#define CV_CHANNELS_ROW(r) \
    { CV_(channels_##r##_1), CV_(channels_##r##_2), CV_(channels_##r##_3), CV_(channels_##r##_4) }
#endif
CV_CHANNELS_SET(1)
CV_CHANNELS_SET(2)
CV_CHANNELS_SET(3)
static const CV_(channels_fn) CV_(channels_tiles)[CV_DR][CV_DT] = {
    CV_CHANNELS_ROW(1), CV_CHANNELS_ROW(2), CV_CHANNELS_ROW(3)};
#undef CV_CHANNELS
#undef CV_CHANNELS_SET
#undef CV_CHANNELS_ROW
#endif
