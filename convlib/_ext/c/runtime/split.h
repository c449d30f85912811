/* How work is divided among threads: one place for all implementations. */
#ifndef CV_SPLIT_H
#define CV_SPLIT_H

#include <stddef.h>

#include "threads.h"

#define CV_MIN2(a, b) ((a) < (b) ? (a) : (b))
#define CV_MAX2(a, b) ((a) > (b) ? (a) : (b))

/* The greatest common divisor. */
static inline ptrdiff_t cv_gcd(ptrdiff_t a, ptrdiff_t b) {
    while (b) {
        const ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Multiply-adds, or elements, that repay waking one more thread. */
#define CV_WORK_GEMM 1e6
#define CV_WORK_DIRECT 1e5
#define CV_WORK_POOL 4e4
#define CV_WORK_PACK 65536.0

/* Threads for so much work, if each should have `least` of it. */
static inline int cv_threads_for(double work, double least, int threads) {
    return (int)CV_MAX2(1, CV_MIN2((double)CV_MIN2(threads, CV_MAX_THREADS), 1 + work / least));
}

/* Part i of `parts` of the units [0, units): where it begins.  Parts are even.  Addresses may have
 * fewer bits than the product needs. */
static inline ptrdiff_t cv_part(ptrdiff_t units, ptrdiff_t parts, ptrdiff_t i) {
    return (ptrdiff_t)((int64_t)i * units / parts);
}

/* Sizes of those parts, one after the other, without a division for each. */
typedef struct {
    ptrdiff_t parts, each, left, over;
} cv_sizes;
static inline cv_sizes cv_sizes_of(ptrdiff_t units, ptrdiff_t parts) {
    return (cv_sizes){parts, units / parts, units % parts, 0};
}
static inline ptrdiff_t cv_next_size(cv_sizes *c) {
    c->over += c->left;
    const int more = c->over >= c->parts;
    c->over -= more ? c->parts : 0;
    return c->each + more;
}

/* Multiply-adds, or elements, between two looks at Ctrl-C inside a unit: a few milliseconds. */
#define CV_WORK_STOP 1e7

/* Count work done in a loop that may be long; whether the loop is to end, unfinished.  The count is
 * the loop's own variable: a thread's costs a call, which vectors in registers do not survive. */
static inline int cv_stop_after(double *work, double done) {
    *work += done;
    if (*work < CV_WORK_STOP)
        return 0;
    if (cv_stopping())
        return 1;
    *work = 0;
    return 0;
}

/* Cut work of so many multiply-adds into pieces: whole planes where there are enough, else lines of
 * planes as well.  One piece for small work; else about 12 per thread, which evens out threads of
 * unequal speed, and never more than a few milliseconds each, as Ctrl-C is noticed between
 * pieces. */
static inline void cv_cut(double work, int *threads, ptrdiff_t planes, ptrdiff_t lines,
                          ptrdiff_t *plane_pieces, ptrdiff_t *line_pieces) {
    *threads = cv_threads_for(work - CV_WORK_DIRECT, CV_WORK_DIRECT, *threads);
    const double want = CV_MAX2(*threads == 1 ? 1.0 : 12.0 * *threads, CV_MIN2(work / 5e7, 1e9));
    *plane_pieces = CV_MIN2(planes, (ptrdiff_t)want);
    *line_pieces = CV_MIN2(lines, ((ptrdiff_t)want + *plane_pieces - 1) / *plane_pieces);
}

/* The same for pooling, in pieces of items; work: elements read. */
static inline ptrdiff_t cv_pool_cut(double work, ptrdiff_t items, int *threads) {
    *threads = cv_threads_for(work - CV_WORK_POOL, CV_WORK_POOL, *threads);
    const double some = CV_MIN2(12.0 * *threads, CV_MAX2(2.0 * *threads, work / 25000));
    const double pieces = CV_MAX2(*threads == 1 ? 1 : some, CV_MIN2(work / 5e7, 1e9));
    return CV_MIN2(items, (ptrdiff_t)pieces);
}

#endif
