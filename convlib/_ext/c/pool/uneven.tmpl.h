/* Adaptive pooling: windows of different sizes, which share an axis out and may overlap by an
 * element. */
#ifndef CV_POOL_UNEVEN
#define CV_POOL_UNEVEN
#include "job.tmpl.h"

/* The rows of a window, joined column by column into `line`. */
CV_INLINE void CV_(uneven_line)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                                cv_window y, T *line) {
    const ptrdiff_t width = j->p.in[2], slice = j->p.xs[2], row = j->p.xs[3], step = j->p.xs[4];
    for (ptrdiff_t i = 0; i < width && step == 1; i += VL) {
        const CV_LANE_SET there = CV_(lane_set)(0, width - i);
        vec v = CV_(set1)(CV_START(kind)), part = v, lost = {0};
        ptrdiff_t added = 0;
        for (ptrdiff_t iz = z.first; iz < z.end; iz++) {
            for (ptrdiff_t iy = y.first; iy < y.end; iy++) {
                part = CV_(vjoin)(kind, part, CV_(load_set)(x + iz * slice + iy * row + i, there));
                if (kind <= CV_MIN || ++added % CV_PART)
                    continue;
                CV_(carry)(&v, &lost, part);
                part = (vec){0};
            }
        }
        if (kind > CV_MIN)
            CV_(carry)(&v, &lost, part);
        CV_(store)(line + i, kind > CV_MIN ? v : part);
    }
    for (ptrdiff_t i = 0; i < width && step != 1; i++) {
        CV_WIDE sum = 0;
        line[i] = CV_START(kind);
        for (ptrdiff_t iz = z.first; iz < z.end; iz++) {
            for (ptrdiff_t iy = y.first; iy < y.end; iy++) {
                const T v = x[iz * slice + iy * row + i * step];
                if (kind > CV_MIN)
                    sum += v;
                else
                    line[i] = CV_(join)(kind, line[i], v);
            }
        }
        if (kind > CV_MIN)
            line[i] = (T)sum;
    }
}

/* The columns of a window. */
CV_INLINE T CV_(uneven_join)(const int kind, const T *line, cv_window w) {
    T v = line[w.first];
    CV_WIDE sum = v;
    for (ptrdiff_t i = w.first + 1; i < w.end; i++) {
        if (kind > CV_MIN)
            sum += line[i];
        else
            v = CV_(join)(kind, v, line[i]);
    }
    return kind > CV_MIN ? (T)sum : v;
}

/* The extreme of a window and its place in the plane. */
CV_INLINE T CV_(uneven_place)(const int kind, const CV_(pool_job) *j, const T *x, cv_window z,
                              cv_window y, cv_window w, int64_t *place) {
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
        }
    }
    *place = at;
    return best;
}

/* One plane. */
CV_INLINE void CV_(uneven_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t plane,
                                char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t n = plane / p->c, c = plane % p->c;
    const T *x = j->x + n * p->xs[0] + c * p->xs[1];
    T *line = (T *)scratch;
    double work = 0;
    for (ptrdiff_t oz = 0; oz < p->out[0]; oz++) {
        for (ptrdiff_t oy = 0; oy < p->out[1]; oy++) {
            const cv_window z = CV_(window)(j, 0, oz), y = CV_(window)(j, 1, oy);
            ptrdiff_t to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
            if (!j->indices)
                CV_(uneven_line)(kind, j, x, z, y, line);
            for (ptrdiff_t ox = 0; ox < p->out[2]; ox++, to += p->ys[4]) {
                const cv_window w = CV_(window)(j, 2, ox);
                if (j->indices) {
                    j->y[to] = CV_(uneven_place)(kind, j, x, z, y, w, &j->indices[to]);
                } else {
                    const T v = CV_(uneven_join)(kind, line, w);
                    j->y[to] = CV_(finish)(kind, j, v, z.counted * y.counted, ox);
                }
                if (cv_stop_after(&work, (double)(z.counted * y.counted) * (double)w.counted))
                    return;
            }
        }
    }
}

/* ---- the row */

CV_ONCE const char *CV_(uneven_fits)(const cv_problem *problem) {
    const char *unfit = CV_(pool_unfit)(problem);
    return unfit ? unfit : problem->pool.adaptive ? NULL : "serves adaptive windows";
}

CV_ONCE double CV_(uneven_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double ins =
        (double)p->n * (double)p->c * (double)p->in[0] * (double)p->in[1] * (double)p->in[2];
    return 400 + ins * (problem->indices || p->xs[4] != 1 ? 2.0 : 2.5 / (VL * CV_PACE) + 0.1);
}

CV_ONCE void CV_(uneven_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    j->items = j->p.n * j->p.c;
    j->scratch_each = CV_ROUND64((j->p.in[2] + VL) * (ptrdiff_t)sizeof(T));
    CV_(pool_end)(j, cv_pool_work(&j->p, 3), plan);
}

CV_POOL_ROW(uneven, CV_(uneven_item), CV_(uneven_fits), CV_(uneven_cost), CV_(uneven_plan))
#endif
