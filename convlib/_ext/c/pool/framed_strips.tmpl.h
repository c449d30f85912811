/* Strips of planes whose padding is no zeros: a frame says what stands outside.  What the first and
 * the last strip of a row read is copied together with the columns outside; windows of 3x3 put
 * those in their lanes. */
#ifndef CV_FRAMED_STRIPS
#define CV_FRAMED_STRIPS

/* Copy rows of a padded plane, two vectors of each from column ox on, which begin at ix in the
 * image.  Of the columns beside it the nearest takes the lanes of all that are farther away. */
CV_NOINLINE void CV_(copy_framed)(const CV_(pool_job) *j, const T *x, ptrdiff_t ox, ptrdiff_t row,
                                  ptrdiff_t rows, T *copy) {
    const ptrdiff_t lo = j->p.lo[2], in = j->p.in[2], ix = ox - lo, end = in - ix;
    const int64_t *columns = j->frame->source[2], *source = j->frame->source[1];
    const vec value = CV_(set1)(j->value);
    const CV_LANE_SET there[2] = {CV_(lane_set)(-ix, end), CV_(lane_set)(-ix - VL, end - VL)};
    CV_LANE_SET left[2], right[2][2];
    ptrdiff_t from[2][2]; /* left, right */
    CV_UNROLL(2)
    for (int i = 0; i < 2; i++) {
        left[i] = CV_(lane_set)(-ix - i, VL);
        right[0][i] = CV_(lane_set)(0, end + i);
        right[1][i] = CV_(lane_set)(0, end + i - VL);
        from[0][i] = CV_MAX2(0, columns[CV_MAX2(0, lo - 1 - i)]);
        from[1][i] = CV_MAX2(0, columns[CV_MIN2(lo + in + i, lo + in + j->p.hi[2] - 1)]);
    }
    /* how many of them either vector holds */
    const ptrdiff_t hi = j->p.hi[2], before = ix < 0 ? lo : 0;
    const ptrdiff_t behind[2] = {end < VL ? hi : 0, end < 2 * VL ? hi : 0};
    const int filled = columns[0] < 0 || columns[lo + in + j->p.hi[2] - 1] < 0;
    for (source += row; rows > 0; rows--, source++, copy += 2 * VL) {
        vec v = value, next = value;
        if (*source >= 0) {
            const T *line = x + *source * j->p.xs[3], *beside = filled ? &j->value : line;
            v = CV_(load_set)(line + ix, there[0]);
            next = CV_(load_set)(line + ix + VL, there[1]);
            for (ptrdiff_t i = 0; i < before; i++)
                v = CV_(fill_set)(v, left[i], CV_(set1)(beside[from[0][i]]));
            for (ptrdiff_t i = 0; i < behind[0]; i++)
                v = CV_(fill_set)(v, right[0][i], CV_(set1)(beside[from[1][i]]));
            for (ptrdiff_t i = 0; i < behind[1]; i++)
                next = CV_(fill_set)(next, right[1][i], CV_(set1)(beside[from[1][i]]));
        }
        CV_(store)(copy, v);
        CV_(store)(copy + VL, next);
    }
}

/* Windows of 3x3 at an end of their rows, which need no copy; returns whether one met a NaN. */
#define CV_END(how, kind)                                                                        \
    CV_NOINLINE int CV_(strip_end_##how)(const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t ox, \
                                         ptrdiff_t oy, ptrdiff_t end, const T *const *blank) {   \
        return CV_(strip)(kind, kind <= CV_MIN, 3, 1, 1, 1, j, x, y, ox, oy, end, blank);        \
    }
CV_END(max, CV_MAX)
CV_END(min, CV_MIN)
CV_END(sum, CV_SUM)
#undef CV_END

/* A strip of one vector at an end of its rows, under a frame; copy: room for what it reads. */
CV_NOINLINE void CV_(strip_framed)(const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t ox,
                                   ptrdiff_t oy, ptrdiff_t end, T *copy) {
    const ptrdiff_t more = j->p.k[1] - 1;
    CV_(pool_job) inner = *j;
    inner.p.in[2] = VL + more;
    inner.p.xs[3] = 2 * VL;
    inner.p.lo[2] = ox; /* its column is the first of the copy */
    inner.p.hi[1] = inner.p.hi[2] = 0;
    for (ptrdiff_t at = oy; at < end; at += CV_STRIP_ROWS) {
        const ptrdiff_t behind = CV_MIN2(at + CV_STRIP_ROWS, end), rows = behind - at + more;
        CV_(copy_framed)(j, x, ox, at, rows, copy);
        inner.p.in[1] = rows;
        inner.p.lo[1] = at;
        CV_(strip_rows)(j->p.kind, 1, &inner, copy, y, ox, at, behind, NULL);
    }
}

/* Rows of outputs oy .. end-1 of one plane under a frame; scratch: room for a row, and a copy.  Of
 * windows of 2 and 3 the row outside stands in for the blank one; of 5 the first and the last rows
 * of outputs are served from copies, too. */
CV_NOINLINE void CV_(strips_framed)(const CV_(pool_job) *j, const T *x, T *y, ptrdiff_t oy,
                                    ptrdiff_t end, T *scratch) {
    const cv_pool *p = &j->p;
    const int kind = p->kind, large = p->k[2] == 5;
    const CV_(strip_call) end_of_3 = kind == CV_MAX   ? CV_(strip_end_max)
                                     : kind == CV_MIN ? CV_(strip_end_min)
                                                      : CV_(strip_end_sum);
    const ptrdiff_t last = (p->out[2] - p->hi[2]) / VL * VL,
                    top = large ? CV_MIN2(end, CV_MAX2(oy, p->lo[1])) : oy,
                    bottom = large ? CV_MAX2(top, CV_MIN2(end, p->out[1] - p->hi[1])) : end;
    const int64_t *rows = j->frame->source[1],
                  beyond[2] = {rows[0], rows[p->lo[1] + p->in[1] + p->hi[1] - 1]};
    const T *blank[2];
    T *copy = scratch + CV_(line_room)(p);
    for (int i = 0; i < 2; i++)
        blank[i] = beyond[i] < 0 ? scratch : x + beyond[i] * p->xs[3];
    CV_(fill_line)(j, scratch, j->value);
    for (ptrdiff_t ox = 0, nv = 1; ox < p->out[2]; ox += nv * VL) {
        const int inside = ox > 0 && ox < last;
        nv = inside ? CV_MIN2(CV_STRIP_VECTORS, (last - ox) / VL) : 1;
        if (inside) {
            CV_(strip_rows)(kind, nv, j, x, y, ox, top, bottom, blank);
            for (ptrdiff_t v = ox; large && v < ox + nv * VL; v += VL) {
                CV_(strip_framed)(j, x, y, v, oy, top, copy);
                CV_(strip_framed)(j, x, y, v, bottom, end, copy);
            }
        } else if (p->k[2] != 3 || end_of_3(j, x, y, ox, oy, end, blank)) {
            CV_(strip_framed)(j, x, y, ox, oy, end, copy);
        }
    }
}
#endif
