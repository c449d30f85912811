/* The rows of the image under one row of windows. */
#ifndef CV_POOL_WINDOW_ROWS
#define CV_POOL_WINDOW_ROWS
#include "job.tmpl.h"

/* The rows of one row of windows: `count` of them lie inside the input. */
typedef struct {
    const T **rows;
    ptrdiff_t *places; /* position of each row's first element in the plane */
    ptrdiff_t count;
    T *line; /* room for a row */
} CV_(window_rows);

/* Bytes of a worker's list of them. */
static CV_UNUSED ptrdiff_t CV_(rows_list)(const cv_pool *p) {
    return p->k[0] * p->k[1] * (ptrdiff_t)(sizeof(T *) + sizeof(ptrdiff_t));
}

CV_INLINE CV_(window_rows) CV_(rows_space)(const CV_(pool_job) *j, char *scratch) {
    const ptrdiff_t taps = j->p.k[0] * j->p.k[1];
    return (CV_(window_rows)){.rows = (const T **)scratch,
                              .places = (ptrdiff_t *)(scratch + taps * (ptrdiff_t)sizeof(T *)),
                              .line = (T *)(scratch + CV_(rows_list)(&j->p))};
}

/* Rows of the plane at x under the windows of output row (oz, oy). */
CV_INLINE void CV_(list_rows)(const CV_(pool_job) *j, const T *x, cv_window z, cv_window y,
                              CV_(window_rows) *w) {
    const cv_pool *p = &j->p;
    w->count = 0;
    for (ptrdiff_t iz = z.first; iz < z.end; iz += p->dil[0]) {
        for (ptrdiff_t r = y.first; r < y.end; r += p->dil[1]) {
            if (j->places)
                w->places[w->count] = (iz * p->in[1] + r) * p->in[2];
            w->rows[w->count++] = x + iz * p->xs[2] + r * p->xs[3];
        }
    }
}

/* Some rows of outputs of a plane. */
typedef struct {
    const T *x;         /* the plane */
    ptrdiff_t to;       /* where outputs of the slice begin */
    ptrdiff_t oy0, oy1; /* the rows are oy0 .. oy1-1 */
    cv_window z;
} CV_(rows_item);

/* channels: planes of an image. */
CV_INLINE CV_(rows_item) CV_(rows_item_of)(const CV_(pool_job) *j, ptrdiff_t channels,
                                           ptrdiff_t item) {
    const cv_pool *p = &j->p;
    const ptrdiff_t oy0 = item % j->cuts[1] * j->step[1], oz = item / j->cuts[1] % p->out[0];
    const ptrdiff_t plane = item / j->cuts[1] / p->out[0], n = plane / channels,
                    c = plane % channels;
    return (CV_(rows_item)){.x = j->x + n * p->xs[0] + c * p->xs[1],
                            .to = n * p->ys[0] + c * p->ys[1] + oz * p->ys[2],
                            .oy0 = oy0,
                            .oy1 = CV_MIN2(oy0 + j->step[1], p->out[1]),
                            .z = CV_(window)(j, 0, oz)};
}

/* Outputs of a plane in items of some rows: enough of them for all threads. */
CV_INLINE void CV_(cut_rows)(CV_(pool_job) *j, ptrdiff_t planes, ptrdiff_t most) {
    const cv_pool *p = &j->p;
    j->step[0] = 1;
    j->cuts[0] = p->out[0];
    j->step[1] = planes >= 12 * j->threads ? p->out[1] : CV_MIN2(p->out[1], most);
    j->cuts[1] = (p->out[1] + j->step[1] - 1) / j->step[1];
    j->items = planes * p->out[0] * j->cuts[1];
}
#endif
