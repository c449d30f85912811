/* Maxima and their places in windows of 2x2 or 3x3: a strip of a vector of outputs goes down the
 * plane in registers.
 *
 * Numbers are joined in the order in which they lie, so that of equals the first stays because only
 * a larger one takes its place: the columns of a row first, then rows.  A row outside the plane is
 * its first or last one once more; columns outside are the lowest number.  Under a frame of one row
 * or column on each side they are what it says, with the places from where that comes.
 */
#ifndef CV_POOL_PLACE_STRIPS
#define CV_POOL_PLACE_STRIPS
#include "../simd/places.tmpl.h"
#include "window_rows.tmpl.h"

/* A strip: n outputs of each row. */
typedef struct {
    const T **rows;       /* those under its windows */
    ptrdiff_t *places;    /* where these begin in the plane */
    ptrdiff_t ix, n;      /* ix: the column where its first window begins */
    int inside;           /* all of its windows lie in the row */
    CV_LANE_SET there[4]; /* the lanes that do, of each vector that is loaded */
    CV_FLAGS bad;         /* lanes that met a NaN */
    int framed;
    ptrdiff_t beside[2]; /* the columns that stand left and right of a row; -1: the value */
    T value;
} CV_(places_strip);

CV_INLINE vec CV_(strip_load)(const CV_(places_strip) *w, const T *x, const int which) {
    if (w->inside)
        return CV_(load)(x);
    const CV_LANE_SET there = w->there[which];
    return CV_(fill_set)(CV_(load_set)(x, there), there, CV_(set1)(-(T)INFINITY));
}

/* Some numbers with their places, of which those not in the set are what stands beside the row. */
CV_INLINE CV_(found) CV_(found_beside)(const CV_(places_strip) *w, ptrdiff_t r, const int right,
                                       CV_LANE_SET set, CV_(found) f) {
    const ptrdiff_t from = w->beside[right], place = w->places[r];
    f.v = CV_(fill_set)(f.v, set, CV_(set1)(from < 0 ? w->value : w->rows[r][from]));
    const ivec at = (ivec){0} + (CV_INT(CV_BITS))(from < 0 ? -1 : place + from);
    f.at = (ivec)CV_(fill_set)((vec)f.at, set, (vec)at);
    return f;
}

/* Row r, joined over the columns of each window. */
CV_INLINE CV_(found) CV_(strip_row)(const int k, const int s, CV_(places_strip) *w,
                                    ptrdiff_t r) {
    const ptrdiff_t place = w->places[r];
    const T *x = w->rows[r] + w->ix;
    CV_(found) best, next;
    for (int l = 0; l < VL; l++)
        best.at[l] = (CV_INT(CV_BITS))(l * s);
    best.at += (CV_INT(CV_BITS))(place + w->ix);
    next.at = best.at + 1;
    const vec a = CV_(strip_load)(w, x, 0), b = CV_(strip_load)(w, x + (s == 2 ? VL : 1), 1);
    best.v = s == 2 ? CV_(even)(a, b) : a;
    next.v = s == 2 ? CV_(odd)(a, b) : b;
    if (s == 2)
        w->bad |= CV_(unordered)(a, b);
    const int beside = CV_FLOAT && s == 1 && w->framed && !w->inside;
    if (beside)
        best = CV_(found_beside)(w, r, 0, CV_(lane_set)(-w->ix, VL), best);
    best = CV_(found_of)(1, 1, best, next);
    if (k == 3) {
        next.at += 1;
        next.v = CV_(strip_load)(w, x + 2, 2);
        if (s == 2)
            next.v = CV_(even)(next.v, CV_(strip_load)(w, x + 2 + VL, 3));
        if (beside)
            next = CV_(found_beside)(w, r, 1, w->there[2], next);
        w->bad |= CV_(unordered)(s == 2 ? next.v : a, next.v);
        best = CV_(found_of)(1, 1, best, next);
    }
    if (CV_FLOAT && s == 1 && w->framed) {
        if (place < 0)
            best.at = (ivec){0} - 1;
    } else if (w->ix < 0) {
        /* of nothing but the lowest number the first in the row, not the padding */
        const ivec begin = (ivec){0} + (CV_INT(CV_BITS))place;
        const ivec before = (ivec)(best.at < begin);
        best.at = (before & begin) | (~before & best.at);
    }
    return best;
}

/* The outputs of windows of k rows, s apart, under which `rows` rows lie; whether a NaN was met. */
CV_INLINE int CV_(strip_down)(const int k, const int s, CV_(places_strip) w, ptrdiff_t rows, T *y,
                              int64_t *indices, ptrdiff_t to) {
    CV_(found) a = {{0}, {0}}, b = a, c = a;
    for (ptrdiff_t r = 0; r < rows; r++) {
        a = b;
        b = c;
        c = CV_(strip_row)(k, s, &w, r);
        if (r < k - 1 || (r - (k - 1)) % s)
            continue;
        const CV_(found) first = k == 3 ? CV_(found_of)(1, 1, a, b) : b,
                         best = CV_(found_of)(1, 1, first, c);
        if (w.n == VL)
            CV_(store)(y, best.v);
        else
            CV_(store_n)(y, best.v, w.n);
        CV_(store_places)(indices, best.at, w.n);
        y += to;
        indices += to;
    }
    return CV_(any_flag)(w.bad);
}

/* Under a frame, a row of the value, behind all else of the scratch. */
CV_INLINE T *CV_(places_value)(const CV_(pool_job) *j, char *scratch) {
    const ptrdiff_t room = CV_ROUND64((j->p.in[2] + VL) * (ptrdiff_t)sizeof(T));
    T *line = (T *)(scratch + j->scratch_each - room);
    for (ptrdiff_t i = 0; i < j->p.in[2]; i += VL)
        CV_(store)(line + i, CV_(set1)(j->value));
    return line;
}

/* Some rows of outputs of one plane; whether a NaN was met, which takes more care. */
CV_NOINLINE int CV_(places_strips)(const CV_(pool_job) *j, const CV_(rows_item) *item,
                                   char *scratch) {
    const cv_pool *p = &j->p;
    const ptrdiff_t s = p->stride[2], n = CV_MIN2(VL, p->out[2]),
                    rows = cv_reach(p, 1, item->oy1 - item->oy0);
    CV_(places_strip) w = {.rows = (const T **)scratch, .n = n};
    w.places = (ptrdiff_t *)(w.rows + cv_reach(p, 1, j->step[1]));
    const T *line = NULL;
    if (CV_FLOAT && j->frame) {
        w.framed = 1;
        w.value = j->value;
        w.beside[0] = j->frame->source[2][0];
        w.beside[1] = j->frame->source[2][p->lo[2] + p->in[2] + p->hi[2] - 1];
        line = CV_(places_value)(j, scratch);
        if (w.value != w.value)
            return 1;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        const ptrdiff_t iy = item->oy0 * s - p->lo[1] + r,
                        y = line ? j->frame->source[1][item->oy0 + r]
                                 : CV_MAX2(0, CV_MIN2(iy, p->in[1] - 1));
        w.rows[r] = y < 0 ? line : item->x + y * p->xs[3];
        w.places[r] = y < 0 ? -1 : y * p->in[2];
    }
    double work = 0;
    for (ptrdiff_t c = 0; c < p->out[2]; c += VL) {
        const ptrdiff_t ox = CV_MIN2(c, p->out[2] - n);
        T *y = j->y + item->to + item->oy0 * p->ys[3] + ox;
        int64_t *indices = j->indices + (y - j->y);
        w.ix = ox * s - p->lo[2];
        w.inside = w.ix >= 0 && w.ix + VL * s + p->k[2] - 1 <= p->in[2];
        for (int i = 0; i < 4; i++) {
            const ptrdiff_t from = w.ix + (s == 2 ? i % 2 * VL + i / 2 * 2 : i);
            w.there[i] = CV_(lane_set)(-from, p->in[2] - from);
        }
        const int nan = s == 1 ? CV_(strip_down)(3, 1, w, rows, y, indices, p->ys[3])
                        : p->k[2] == 3 ? CV_(strip_down)(3, 2, w, rows, y, indices, p->ys[3])
                                       : CV_(strip_down)(2, 2, w, rows, y, indices, p->ys[3]);
        if (nan)
            return 1;
        if (cv_stop_after(&work, (double)(rows * 16 * VL)))
            return 0;
    }
    return 0;
}

/* Whether windows go down in registers: 3x3, or 2x2 with stride 2, of which none is empty. */
CV_INLINE int CV_(places_small)(const cv_pool *p) {
    const ptrdiff_t k = p->k[2], s = p->stride[2];
    int small = p->kind == CV_MAX && !p->adaptive && p->in[0] == 1 && p->out[0] == 1 &&
                (k == 3 ? s <= 2 : k == 2 && s == 2);
    for (int a = 1; a < 3; a++)
        small = small && p->k[a] == k && p->stride[a] == s && p->dil[a] == 1 && p->lo[a] < k &&
                (p->out[a] - 1) * s - p->lo[a] < p->in[a];
    return small;
}
#endif
