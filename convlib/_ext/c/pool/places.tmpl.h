/* Maxima and minima with their places, channels first: the rows of a window first, then columns,
 * but for small windows without NaN, which have strips of their own.
 *
 * Rows are joined in order, straight from the image, into a line of numbers and one of places: the
 * first of equals stays because only a larger number takes its place.  Columns are joined next,
 * from windows of 1, 2, 4, ... columns, where of equals the lesser place wins.
 */
#ifndef CV_POOL_PLACES
#define CV_POOL_PLACES
#include "../simd/places.tmpl.h"
#include "place_strips.tmpl.h"
#include "window_rows.tmpl.h"

/* A line: numbers, and their places. */
typedef struct {
    T *v;
    CV_INT(CV_BITS) *at;
} CV_(places_line);

CV_INLINE CV_(found) CV_(found_at)(CV_(places_line) line, ptrdiff_t i) {
    return (CV_(found)){CV_(load)(line.v + i), *(const ivecu *)(line.at + i)};
}
CV_INLINE void CV_(keep)(CV_(places_line) line, ptrdiff_t i, CV_(found) f) {
    CV_(store)(line.v + i, f.v);
    *(ivecu *)(line.at + i) = f.at;
}

/* nv vectors of columns, those from i[q] on, of the rows of the windows; at the edge of a row that
 * is narrower than a vector. */
CV_INLINE void CV_(places_columns)(const int nv, const int narrow, const CV_(pool_job) *j,
                                   const CV_(window_rows) *w, ivec turn, const ptrdiff_t *i,
                                   CV_(places_line) line) {
    const ptrdiff_t width = j->p.in[2];
    const vec start = (vec)((ivec)CV_(set1)(-(T)INFINITY) ^ turn);
    CV_(found) best[2] = {{{0}, {0}}}, next;
    ivec here[2], lane;
    for (int l = 0; l < VL; l++)
        lane[l] = l;
    CV_UNROLL(2)
    for (int q = 0; q < nv; q++)
        here[q] = lane + (CV_INT(CV_BITS))i[q];
    for (ptrdiff_t r = 0; r < w->count; r++) {
        const T *x = w->rows[r];
        const CV_INT(CV_BITS) place = (CV_INT(CV_BITS))w->places[r];
        CV_UNROLL(2)
        for (int q = 0; q < nv; q++) {
            next.v = (vec)((ivec)(narrow ? CV_(load_or)(x, 0, width, start)
                                         : CV_(load)(x + i[q])) ^ turn);
            next.at = here[q] + place;
            best[q] = r ? CV_(found_of)(1, 0, best[q], next) : next;
        }
    }
    CV_UNROLL(2)
    for (int q = 0; q < nv; q++) {
        if (narrow) {
            const ivec outside = (ivec)(lane >= (CV_INT(CV_BITS))width);
            best[q].at = (best[q].at & ~outside) | (outside & CV_NOWHERE);
        }
        CV_(keep)(line, i[q], best[q]);
    }
}

/* The rows of the windows, joined into the line. */
CV_INLINE void CV_(places_down)(const CV_(pool_job) *j, const CV_(window_rows) *w, ivec turn,
                                CV_(places_line) line) {
    const ptrdiff_t last = j->p.in[2] - VL; /* where the last vector begins */
    for (ptrdiff_t c = 0; c < j->p.in[2]; c += 2 * VL) {
        const ptrdiff_t i[2] = {CV_MAX2(0, CV_MIN2(c, last)), CV_MIN2(c + VL, last)};
        if (last < 0)
            CV_(places_columns)(1, 1, j, w, turn, i, line);
        else
            CV_(places_columns)(2, 0, j, w, turn, i, line);
    }
}

/* Windows of `to` columns in place of those of `from`. */
CV_INLINE void CV_(places_widen)(CV_(places_line) a, CV_(places_line) b, ptrdiff_t n,
                                 ptrdiff_t shift) {
    for (ptrdiff_t i = 0; i < n; i += VL)
        CV_(keep)(b, i, CV_(found_of)(0, 0, CV_(found_at)(a, i), CV_(found_at)(a, i + shift)));
}

/* A vector of windows of stride s: the parts of each, joined. */
CV_INLINE CV_(found) CV_(places_parts)(const int s, const cv_ladder *l, CV_(places_line) line,
                                       ptrdiff_t i) {
    CV_(found) best = {0};
    for (int t = 0; t < l->count; t++) {
        CV_(found) f = CV_(found_at)(line, i + l->at[t]);
        if (s == 2) {
            const CV_(found) g = CV_(found_at)(line, i + l->at[t] + VL);
            f = (CV_(found)){CV_(even)(f.v, g.v), (ivec)CV_(even)((vec)f.at, (vec)g.at)};
        }
        best = t ? CV_(found_of)(0, 0, best, f) : f;
    }
    return best;
}

/* The same element by element: wide strides, and adaptive windows, which are of two sizes. */
CV_INLINE void CV_(places_apart)(const CV_(pool_job) *j, CV_(places_line) line, ivec turn, T *y,
                                 int64_t *indices) {
    const cv_pool *p = &j->p;
    T v[VL];
    CV_INT(CV_BITS) at[VL];
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox += VL) {
        const ptrdiff_t n = CV_MIN2(VL, p->out[2] - ox);
        for (ptrdiff_t o = 0; o < VL; o++) {
            ptrdiff_t i = CV_MIN2(ox + o, p->out[2] - 1) * p->stride[2];
            if (p->adaptive) {
                const cv_window w = CV_(window)(j, 2, CV_MIN2(ox + o, p->out[2] - 1));
                const ptrdiff_t last = w.end - j->along.part;
                i = w.first;
                const T a = line.v[i], b = line.v[last];
                const int later = line.at[last] > line.at[i], nan = b != b, before = a != a;
                if (nan ? !before || later : !before && (b > a || (b == a && !later)))
                    i = last;
            }
            v[o] = line.v[i];
            at[o] = line.at[i];
        }
        ivec places;
        memcpy(&places, at, sizeof places);
        CV_(store_n)(y + ox, (vec)((ivec)CV_(load)(v) ^ turn), n);
        CV_(store_places)(indices + ox, places | (ivec)(places == CV_NOWHERE), n);
    }
}

#if CV_FLOAT
/* Under a frame, the k rows of output row oy, with places in the padded plane. */
CV_INLINE void CV_(places_under)(const CV_(pool_job) *j, const T *x, ptrdiff_t oy, const T *value,
                                 CV_(window_rows) *w) {
    const cv_pool *p = &j->p;
    for (w->count = 0; w->count < p->k[1]; w->count++) {
        const ptrdiff_t y = oy + w->count, from = j->frame->source[1][y];
        w->rows[w->count] = from < 0 ? value : x + from * p->xs[3];
        w->places[w->count] = y * (p->lo[2] + p->in[2] + p->hi[2]) + p->lo[2];
    }
}

/* The columns beside the joined rows. */
CV_INLINE void CV_(places_beside)(const CV_(pool_job) *j, const CV_(window_rows) *w,
                                  CV_(places_line) line) {
    const ptrdiff_t lo = j->p.lo[2], end = lo + j->p.in[2];
    const int nan = j->value != j->value;
    for (ptrdiff_t c = lo ? 0 : end; c < end + j->p.hi[2]; c = c ? c + 1 : end) {
        const ptrdiff_t from = j->frame->source[2][c];
        line.v[c] = from < 0 ? j->value : line.v[lo + from];
        line.at[c] = (CV_INT(CV_BITS))(from < 0 ? w->places[nan ? w->count - 1 : 0] - lo + c
                                                : line.at[lo + from] - (lo + from) + c);
    }
}

/* Where in the input stands what a frame puts to some places of the padded plane. */
CV_INLINE void CV_(places_from)(const CV_(pool_job) *j, int64_t *indices) {
    const cv_pool *p = &j->p;
    for (ptrdiff_t ox = 0; ox < p->out[2]; ox++) {
        const ptrdiff_t width = p->lo[2] + p->in[2] + p->hi[2];
        const int64_t y = j->frame->source[1][indices[ox] / width],
                      x = j->frame->source[2][indices[ox] % width];
        indices[ox] = y < 0 || x < 0 ? -1 : y * p->in[2] + x;
    }
}
#endif

CV_NOINLINE void CV_(places_of_row)(const CV_(pool_job) *j, const CV_(window_rows) *w, ivec turn,
                                    T *y, int64_t *indices) {
    const cv_pool *p = &j->p;
    const ptrdiff_t s = p->stride[2], all = j->inner;
    CV_(places_line) line = {w->line, (CV_INT(CV_BITS) *)(w->line + all)}, wide = line;
    CV_(places_down)(j, w, turn, (CV_(places_line)){line.v + p->lo[2], line.at + p->lo[2]});
#if CV_FLOAT
    if (j->frame)
        CV_(places_beside)(j, w, line);
#endif
    wide.v = w->line + 2 * all;
    wide.at = (CV_INT(CV_BITS) *)(w->line + 3 * all);
    for (ptrdiff_t k = 1, n = all - VL, next; k < j->along.part; k = next, line = wide) {
        next = CV_MIN2(2 * k, j->along.part);
        n -= (next - k) * p->dil[2];
        CV_(places_widen)(line, wide, n, (next - k) * p->dil[2]);
    }
    if (s > 2 || p->adaptive) {
        CV_(places_apart)(j, line, turn, y, indices);
        return;
    }
    const ptrdiff_t n = CV_MIN2(VL, p->out[2]);
    for (ptrdiff_t c = 0; c < p->out[2]; c += VL) {
        const ptrdiff_t ox = CV_MIN2(c, p->out[2] - n);
        const CV_(found) f = s == 1 ? CV_(places_parts)(1, &j->along, line, ox)
                                    : CV_(places_parts)(2, &j->along, line, 2 * ox);
        CV_(store_n)(y + ox, (vec)((ivec)f.v ^ turn), n);
        CV_(store_places)(indices + ox, f.at | (ivec)(f.at == CV_NOWHERE), n);
    }
}

/* Some rows of outputs of one plane. */
static void CV_(places_item)(const int kind, const CV_(pool_job) *j, ptrdiff_t item,
                             char *scratch) {
    const cv_pool *p = &j->p;
    const CV_(rows_item) at = CV_(rows_item_of)(j, p->c, item);
    const ivec turn = (ivec)CV_(set1)(kind == CV_MAX ? (T)0.0 : (T)-0.0);
    if (j->small && !CV_(places_strips)(j, &at, scratch))
        return;
    CV_(window_rows) w = CV_(rows_space)(j, scratch);
    CV_(places_line) line = {w.line, (CV_INT(CV_BITS) *)(w.line + j->inner)};
    for (ptrdiff_t i = 0; i < j->inner; i++) { /* what lies outside the row */
        line.v[i] = -(T)INFINITY;
        line.at[i] = CV_NOWHERE;
    }
    double work = 0;
    for (ptrdiff_t oy = at.oy0; oy < at.oy1; oy++) {
#if CV_FLOAT
        if (j->frame)
            CV_(places_under)(j, at.x, oy, CV_(places_value)(j, scratch), &w);
        else
#endif
            CV_(list_rows)(j, at.x, at.z, CV_(window)(j, 1, oy), &w);
        const ptrdiff_t to = at.to + oy * p->ys[3];
        if (!w.count) {
            for (ptrdiff_t ox = 0; ox < p->out[2]; ox++) {
                j->y[to + ox] = CV_START(kind);
                j->indices[to + ox] = -1;
            }
        } else {
            CV_(places_of_row)(j, &w, turn, j->y + to, j->indices + to);
#if CV_FLOAT
            if (j->frame)
                CV_(places_from)(j, j->indices + to);
#endif
        }
        if (cv_stop_after(&work, (double)(w.count + 16) * (double)p->in[2]))
            return;
    }
}

/* ---- the row */

CV_ONCE const char *CV_(places_fits)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const char *unfit = CV_(pool_unfit)(problem);
    if (unfit)
        return unfit;
    if (!problem->indices)
        return "finds places";
    if (p->xs[4] != 1 || p->ys[4] != 1)
        return "needs rows whose elements lie side by side";
    return CV_(places_fit)(p) ? NULL : "has lanes too narrow for places in so large a plane";
}

/* Joins for each vector of a row of windows, rows first. */
CV_ONCE double CV_(places_cost)(const cv_problem *problem) {
    const cv_pool *p = &problem->pool;
    const double rows = (double)p->n * (double)p->c * (double)p->out[0] * (double)p->out[1];
    const double across = (double)p->k[2], down = (double)p->k[0] * (double)p->k[1];
    const double vecs = (double)(p->in[2] / VL + 1);
    double steps = 0;
    for (ptrdiff_t k = 4; k < p->k[2]; k *= 2)
        steps++;
    const double outs = (double)(p->out[2] / VL + 1);
    if (CV_(places_small)(p))
        return 500 + rows * (6 + outs * 10 * across / CV_PACE);
    const double apart = p->stride[2] > 2 || p->adaptive ? 2.0 * (double)p->out[2] : 0;
    const double waits = vecs * down * cv_pool_waits(p, (ptrdiff_t)sizeof(T));
    /* and numbers with their places, which go to memory */
    return 500 + rows * (20 + apart + waits + (double)p->out[2] +
                         (vecs * (8 + 2.5 * down + 9 * steps) + outs * 16) / CV_PACE);
}

CV_ONCE void CV_(places_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(pool_job) *j = CV_(pool_begin)(problem, plan);
    const cv_pool *p = &j->p;
    const ptrdiff_t k = p->k[2], d = p->dil[2], s = p->stride[2];
    cv_ladder *l = &j->along;
    l->part = l->count = 1;
    if (p->adaptive) { /* of k or k - 1 columns: two parts of 2^i, which may overlap */
        while (2 * l->part < k)
            l->part *= 2;
    } else if (s > 2) {
        l->part = (int)k;
    } else if (k <= 4) {
        l->count = (int)k;
        for (int t = 0; t < l->count; t++)
            l->at[t] = t * d;
    } else {
        while (2 * l->part < k)
            l->part *= 2;
        l->count = 2;
        l->at[1] = (k - l->part) * d;
    }
    /* elements of a line, with what vectors read beyond the last window */
    const ptrdiff_t outs = s > 2 || p->adaptive ? p->out[2] : CV_MAX2(p->out[2], VL);
    j->inner = CV_MAX2(p->lo[2] + p->in[2], outs * s + k * d) + 3 * VL;
    j->small = CV_(places_small)(p);
    CV_(cut_rows)(j, p->n * p->c, 8);
    const ptrdiff_t strips = 2 * cv_reach(p, 1, j->step[1]) * (ptrdiff_t)sizeof(void *);
    j->scratch_each = CV_ROUND64(CV_(rows_list)(p) + 4 * j->inner * (ptrdiff_t)sizeof(T) + 64);
    if (j->small)
        j->scratch_each = CV_ROUND64(CV_MAX2(j->scratch_each, strips));
    plan->frames = CV_FLOAT && j->small && s == 1 && p->lo[1] <= 1 && p->hi[1] <= 1 &&
                   p->lo[2] <= 1 && p->hi[2] <= 1 &&
                   (CV_BITS == 64 || (p->in[1] + 2) * (p->in[2] + 2) <= INT32_MAX);
    if (plan->frames)
        j->scratch_each += CV_ROUND64((p->in[2] + VL) * (ptrdiff_t)sizeof(T));
    CV_(pool_end)(j, cv_pool_work(p, 6), plan);
}

CV_POOL_ROW(places, CV_(places_item), CV_(places_fits), CV_(places_cost), CV_(places_plan))
#endif
