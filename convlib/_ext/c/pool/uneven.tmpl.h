/* Windows that share little work: adaptive ones, which differ in size and overlap by an element,
 * the window that is the plane, and others that are as far apart as they are long.
 *
 * A wide window is joined row by row, several vectors at once; then, if its place is wanted, the
 * extreme is looked for.  Of narrow windows the rows are joined first, for all windows of a row. */
#ifndef CV_POOL_UNEVEN
#define CV_POOL_UNEVEN
#include "job.tmpl.h"

#define CV_BOX_AT_ONCE 4
#define CV_BOX_CHUNK (1 << 18) /* elements between two looks at Ctrl-C */

/* n elements of a row, joined into the lanes of `acc`; extremes only. */
CV_INLINE void CV_(row_extreme)(const int kind, const T *x, ptrdiff_t n, vec *acc) {
    const vec start = CV_(set1)(CV_START(kind));
    if (n < VL) {
        acc[0] = CV_(vjoin)(kind, acc[0], CV_(load_or)(x, 0, n, start));
        return;
    }
    ptrdiff_t i = 0;
    for (; i + CV_BOX_AT_ONCE * VL <= n; i += CV_BOX_AT_ONCE * VL) {
        CV_UNROLL(4)
        for (int q = 0; q < CV_BOX_AT_ONCE; q++)
            acc[q] = CV_(vjoin)(kind, acc[q], CV_(load)(x + i + q * VL));
    }
    for (; i + VL <= n; i += VL)
        acc[0] = CV_(vjoin)(kind, acc[0], CV_(load)(x + i));
    if (i < n) /* some of them once more */
        acc[1] = CV_(vjoin)(kind, acc[1], CV_(load)(x + n - VL));
}

/* The same for sums, which carry what they lose. */
CV_INLINE void CV_(row_sum)(const T *x, ptrdiff_t n, vec *sum, vec *lost) {
    for (ptrdiff_t i = 0; i < n;) {
        vec acc[CV_BOX_AT_ONCE] = {{0}};
        const ptrdiff_t end = CV_MIN2(n, i + CV_BOX_AT_ONCE * CV_PART * VL);
        for (; i + CV_BOX_AT_ONCE * VL <= end; i += CV_BOX_AT_ONCE * VL) {
            CV_UNROLL(4)
            for (int q = 0; q < CV_BOX_AT_ONCE; q++)
                acc[q] += CV_(load)(x + i + q * VL);
        }
        for (; i < end; i += VL)
            acc[0] += CV_(load_n)(x + i, CV_MIN2(VL, end - i));
        CV_(carry)(sum, lost, (acc[0] + acc[1]) + (acc[2] + acc[3]));
    }
}

/* The elements of a box, joined. */
CV_NOINLINE T CV_(box_extreme)(const int kind, const T *x, const cv_box *b, double *work) {
    vec acc[CV_BOX_AT_ONCE];
    T v = CV_START(kind), lanes[2 * VL];
    for (int q = 0; q < CV_BOX_AT_ONCE; q++)
        acc[q] = CV_(set1)(v);
    for (ptrdiff_t r = 0; r < b->count[0] * b->count[1]; r++) {
        const T *row = x + r / b->count[1] * b->step[0] + r % b->count[1] * b->step[1];
        for (ptrdiff_t i = 0, n; i < b->count[2]; i += n) {
            n = CV_MIN2(CV_BOX_CHUNK, b->count[2] - i);
            if (b->step[2] == 1) {
                if (kind == CV_MAX)
                    CV_(row_extreme)(CV_MAX, row + i, n, acc);
                else
                    CV_(row_extreme)(CV_MIN, row + i, n, acc);
            } else {
                for (ptrdiff_t at = i; at < i + n; at++)
                    v = CV_(join)(kind, v, row[at * b->step[2]]);
            }
            if (cv_stop_after(work, (double)n))
                return v;
        }
    }
    acc[0] = CV_(vjoin)(kind, CV_(vjoin)(kind, acc[0], acc[1]),
                        CV_(vjoin)(kind, acc[2], acc[3]));
    for (int half = VL / 2; half; half /= 2) {
        CV_(store)(lanes, acc[0]);
        CV_(store)(lanes + VL, acc[0]);
        acc[0] = CV_(vjoin)(kind, acc[0], CV_(load)(lanes + half));
    }
    CV_(store)(lanes, acc[0]);
    return CV_(join)(kind, v, lanes[0]);
}

#if CV_SUMMED
CV_NOINLINE T CV_(box_sum)(const T *x, const cv_box *b, double *work) {
    vec sum = {0}, lost = {0};
    T lanes[VL];
    CV_WIDE all = 0;
    for (ptrdiff_t r = 0; r < b->count[0] * b->count[1]; r++) {
        const T *row = x + r / b->count[1] * b->step[0] + r % b->count[1] * b->step[1];
        for (ptrdiff_t i = 0, n; i < b->count[2]; i += n) {
            n = CV_MIN2(CV_BOX_CHUNK, b->count[2] - i);
            if (b->step[2] == 1) {
                CV_(row_sum)(row + i, n, &sum, &lost);
            } else {
                for (ptrdiff_t at = i; at < i + n; at++)
                    all += row[at * b->step[2]];
            }
            if (cv_stop_after(work, (double)n))
                return (T)all;
        }
    }
    CV_(store)(lanes, sum);
    for (int l = 0; l < VL; l++)
        all += lanes[l];
    return (T)all;
}
#endif

CV_INLINE T CV_(box_join)(const int kind, const T *x, const cv_box *b, double *work) {
#if CV_SUMMED
    if (kind > CV_MIN)
        return CV_(box_sum)(x, b, work);
#endif
    return CV_(box_extreme)(kind, x, b, work);
}

/* Which lanes are the extreme of a window. */
CV_INLINE ivec CV_(equal)(vec v, T best) {
    return CV_IS_NAN(best) ? CV_NAN_LANES(v) : (ivec)(v == CV_(set1)(best));
}

/* The place of the extreme: of equals the first, the last NaN; *value becomes the element there. */
CV_NOINLINE ptrdiff_t CV_(box_place)(const T *x, const cv_box *b, T *value, double *work) {
    const T best = *value;
    const int last = CV_IS_NAN(best);
    ptrdiff_t place = -1;
    for (ptrdiff_t r = 0; r < b->count[0] * b->count[1]; r++) {
        const ptrdiff_t outer = r / b->count[1], inner = r % b->count[1];
        const T *row = x + outer * b->step[0] + inner * b->step[1];
        const ptrdiff_t first = outer * b->number[0] + inner * b->number[1];
        for (ptrdiff_t i = 0, n; i < b->count[2]; i += n) {
            n = b->step[2] == 1 ? CV_MIN2(VL, b->count[2] - i) : 1;
            if (n == VL && !CV_(any)(CV_(equal)(CV_(load)(row + i), best)))
                continue;
            for (ptrdiff_t l = i; l < i + n; l++) {
                const T v = row[l * b->step[2]];
                const ptrdiff_t at = first + l * b->number[2];
                if (!(last ? CV_IS_NAN(v) && at > place
                           : v == best && (place < 0 || at < place)))
                    continue;
                place = at;
                *value = v;
            }
            if (place >= 0 && !last && b->ordered)
                return place;
        }
        if (cv_stop_after(work, (double)b->count[2]))
            return place;
    }
    return place;
}

/* The extreme of a narrow window and its place in the plane, in one pass. */
CV_NOINLINE T CV_(uneven_walk)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                               cv_window y, cv_window w, int64_t *place, double *work) {
    const cv_pool *p = &j->p;
    T best = CV_START(kind);
    int64_t at = -1;
    for (ptrdiff_t iz = z.first; iz < z.end; iz++) {
        for (ptrdiff_t iy = y.first; iy < y.end; iy++) {
            for (ptrdiff_t ix = w.first; ix < w.end; ix++) {
                const T v = x[iz * p->xs[2] + iy * p->xs[3] + ix * p->xs[4]];
                if (at >= 0 && !CV_(wins)(kind, best, v))
                    continue;
                best = v;
                at = (iz * p->in[1] + iy) * p->in[2] + ix;
            }
            if (w.end - w.first >= VL && cv_stop_after(work, 4 * (double)(w.end - w.first)))
                return best;
        }
    }
    *place = at;
    return best;
}

/* The rows of narrow windows that lie side by side, joined by whole vectors into `line`. */
CV_INLINE void CV_(line_of)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                            cv_window y, T *line, double *work) {
    const ptrdiff_t width = j->p.in[2], slice = j->p.xs[2], row = j->p.xs[3];
    for (ptrdiff_t i = 0; i < width; i += VL) {
        const CV_LANE_SET there = CV_(lane_set)(0, width - i);
        const int full = !CV_CHEAP_MASKS && width - i >= VL;
        vec v = CV_(set1)(CV_START(kind)), part = v, lost = {0};
        ptrdiff_t added = 0;
        for (ptrdiff_t iz = z.first; iz < z.end; iz++) {
            for (ptrdiff_t iy = y.first; iy < y.end; iy++) {
                const T *from = x + iz * slice + iy * row + i;
                part = CV_(vjoin)(kind, part, full ? CV_(load)(from) : CV_(load_set)(from, there));
                if (kind <= CV_MIN || ++added % CV_PART)
                    continue;
                CV_(carry)(&v, &lost, part);
                part = (vec){0};
            }
        }
        if (kind > CV_MIN)
            CV_(carry)(&v, &lost, part);
        CV_(store)(line + i, kind > CV_MIN ? v : part);
        if (cv_stop_after(work, VL * (double)(z.counted * y.counted)))
            return;
    }
}

/* The same, one by one. */
CV_INLINE void CV_(line_strided)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                                 cv_window y, T *line, double *work) {
    const ptrdiff_t slice = j->p.xs[2], row = j->p.xs[3], step = j->p.xs[4];
    for (ptrdiff_t i = 0; i < j->p.in[2]; i++) {
        CV_WIDE sum = 0;
        T v = CV_START(kind);
        for (ptrdiff_t iz = z.first; iz < z.end; iz++) {
            const T *from = x + iz * slice + i * step;
            for (ptrdiff_t iy = y.first; iy < y.end; iy++) {
                if (kind > CV_MIN)
                    sum += from[iy * row];
                else
                    v = CV_(join)(kind, v, from[iy * row]);
            }
        }
        line[i] = kind > CV_MIN ? (T)sum : v;
        if (cv_stop_after(work, 4 * (double)(z.counted * y.counted)))
            return;
    }
}

CV_NOINLINE void CV_(uneven_line)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                                  cv_window y, T *line, double *work) {
    if (j->p.xs[4] != 1)
        CV_(line_strided)(kind, j, x, z, y, line, work);
    else if (kind == CV_MAX)
        CV_(line_of)(CV_MAX, j, x, z, y, line, work);
    else if (kind == CV_MIN)
        CV_(line_of)(CV_MIN, j, x, z, y, line, work);
    else
        CV_SUMS(CV_(line_of)(CV_SUM, j, x, z, y, line, work));
}

/* The columns of a window. */
CV_INLINE T CV_(uneven_join)(const int kind, const T *line, cv_window w) {
    T v = CV_START(kind);
    CV_WIDE sum = 0;
    for (ptrdiff_t i = w.first; i < w.end; i++) {
        if (kind > CV_MIN)
            sum += line[i];
        else
            v = CV_(join)(kind, v, line[i]);
    }
    return kind > CV_MIN ? (T)sum : v;
}

/* One row of windows of a plane. */
CV_NOINLINE void CV_(uneven_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                                  char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy = item % p->out[1], oz = item / p->out[1] % p->out[0];
    const ptrdiff_t plane = item / p->out[1] / p->out[0], n = plane / p->c, c = plane % p->c;
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    ptrdiff_t to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
    const cv_window z = CV_(window)(j, 0, oz), y = CV_(window)(j, 1, oy);
    T *line = (T *)scratch;
    double work = 0;
    if (!j->lead && !j->indices)
        CV_(uneven_line)(kind, j, x, z, y, line, &work);
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, to += p->ys[4]) {
        const cv_window w = CV_(window)(j, 2, ox);
        T v;
        if (j->lead) {
            const cv_box b = cv_box_of(p, z, y, w);
            const T *from = x + z.first * p->xs[2] + y.first * p->xs[3] + w.first * p->xs[4];
            v = CV_(box_join)(kind, from, &b, &work);
            if (j->indices) {
                const ptrdiff_t at = CV_(box_place)(from, &b, &v, &work);
                const ptrdiff_t first = (z.first * p->in[1] + y.first) * p->in[2] + w.first;
                j->indices[to] = at < 0 ? -1 : at + first; /* a window may hold padding only */
            }
        } else if (j->indices) {
            v = CV_(uneven_walk)(kind, j, x, z, y, w, &j->indices[to], &work);
        } else if (kind == CV_MAX) {
            v = CV_(uneven_join)(CV_MAX, line, w);
        } else if (kind == CV_MIN) {
            v = CV_(uneven_join)(CV_MIN, line, w);
        } else {
            v = CV_(uneven_join)(CV_SUM, line, w);
        }
        j->y[to] = CV_(finish)(kind, j, v, z.counted * y.counted, ox);
        if (cv_stop_after(&work, 0))
            return;
    }
}

/* ---- the row */

/* Whether windows are wide enough to be joined one by one, along an axis whose elements lie side by
 * side. */
CV_INLINE int CV_(uneven_wide)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    if (p->xs[2] != 1 && p->xs[3] != 1 && p->xs[4] != 1)
        return 0;
    return p->k[2] >= 4 * VL || (p->out[2] == 1 && (cv_pool_unbroken(p) || !problem->indices));
}

CV_ONCE const char *CV_(uneven_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    return p->dil[0] == 1 && p->dil[1] == 1 && p->dil[2] == 1 ? NULL : "serves no dilated windows";
}

/* Elements under all windows, whether one by one or, row by row, of all that lie side by side. */
CV_ONCE double CV_(uneven_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double rows =
        (double)p->n * (double)p->c * (double)p->out[0] * (double)p->out[1];
    const double outs = rows * (double)p->out[2], k = (double)p->k[2];
    const double high = (double)(p->k[0] * p->k[1]), vector = 2.5 / (VL * CV_PACE);
#if defined(CV_FLOOR) && CV_FLOAT /* a NaN costs plain vectors more than an element at a time */
    const double line = 3;
#else
    const double line = vector;
#endif
    if (CV_(uneven_wide)(problem))
        return 400 + outs * (high * k * (1.7 * vector + 0.02) + 20);
    if (problem->indices)
        return 400 + outs * (high * k * 2 + 12);
    const double join = p->kind > CV_MIN ? 2 : CV_FLOAT ? 3 : 1;
    return 400 + rows * high * (double)p->in[2] * (p->xs[4] != 1 ? 4 : line) +
           outs * (k * join + 3);
}

CV_ONCE void CV_(uneven_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    j->items = j->p.n * j->p.c * j->p.out[0] * j->p.out[1];
    j->lead = CV_(uneven_wide)(problem);
    if (!j->lead && !j->places)
        j->scratch_each = CV_ROUND64((j->p.in[2] + VL) * (ptrdiff_t)sizeof(T));
    const double taps = (double)(j->p.k[0] * j->p.k[1]) * (double)j->p.k[2];
    CV_(pool_end)(j, cv_pool_work(&j->p, taps), plan);
}

CV_POOL_ROW(uneven, CV_(uneven_item), CV_(uneven_fits), CV_(uneven_cost), CV_(uneven_plan))
#endif
