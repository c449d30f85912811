/* Dot products of depthwise windows where channels come last: lanes are channels, so that memory is
 * read as it lies, and each lane sums what is its own.  Part of dots.tmpl.h, whose job it knows. */
#ifndef CV_ABREAST_H
#define CV_ABREAST_H

#define CV_ABREAST (CV_VB < 64 ? 2 : 1) /* vectors of channels that are taken together */
#define CV_ABREAST_BYTES (96 << 10)     /* of sums that a unit keeps, unless a window has more */
#define CV_ABREAST_PIECES 16            /* of the rows, at most */
#define CV_ABREAST_ALL (2 << 20)        /* bytes of the sums of all pieces */

CV_INLINE int CV_(dot_abreast)(const cv_conv *p) {
#ifdef CV_FLOOR
    (void)p;
    return 0;
#else
    return p->icg == 1 && p->ocg == 1 && p->xs[1] == 1 && p->ys[1] == 1 &&
           p->groups >= CV_ABREAST * VL;
#endif
}

#ifndef CV_FLOOR
/* Outputs o .. end-1 under neighbouring taps; x and gy: numbers that output 0 meets. */
CV_INLINE void CV_(abreast_taps)(const int taps, const cv_conv *p, const T *gy, const T *x,
                                 ptrdiff_t o, ptrdiff_t end, T *sums) {
    const ptrdiff_t on = p->ys[4], step = p->stride[2] * p->xs[4], gap = p->dil[2] * p->xs[4];
    vec acc[CV_GRAD_TAPS][CV_ABREAST];
    CV_UNROLL(5)
    for (int t = 0; t < taps; t++) {
        for (int v = 0; v < CV_ABREAST; v++)
            acc[t][v] = CV_(load)(sums + (t * CV_ABREAST + v) * VL);
    }
    gy += o * on;
    x += o * step;
    for (; o < end; o++, gy += on, x += step) {
        for (int v = 0; v < CV_ABREAST; v++) {
            const vec g = CV_(load)(gy + v * VL);
            CV_UNROLL(5)
            for (int t = 0; t < taps; t++)
                acc[t][v] += g * CV_(load)(x + t * gap + v * VL);
        }
    }
    CV_UNROLL(5)
    for (int t = 0; t < taps; t++) {
        for (int v = 0; v < CV_ABREAST; v++)
            CV_(store)(sums + (t * CV_ABREAST + v) * VL, acc[t][v]);
    }
}
#define CV_ABREAST_TAPS(taps)                                                             \
    CV_NOINLINE void CV_(abreast_##taps)(const cv_conv *p, const T *gy, const T *x,       \
                                         ptrdiff_t o, ptrdiff_t end, T *sums) {           \
        CV_(abreast_taps)(taps, p, gy, x, o, end, sums);                                  \
    }
CV_ABREAST_TAPS(1)
CV_ABREAST_TAPS(3)
CV_ABREAST_TAPS(5)
#undef CV_ABREAST_TAPS

/* Outputs o .. end-1 of a row with a kernel row, in blocks b0 .. b1-1 of channels, the last of
 * which ends with the channels.  x: number 0 of the row, of channel 0; limits: from which output to
 * which the number under each tap exists; sums: of the first block, those of the next `apart` on.
 */
CV_NOINLINE void CV_(abreast_row)(const cv_conv *p, const ptrdiff_t (*limits)[2], const T *gy,
                                  const T *x, ptrdiff_t o, ptrdiff_t end, ptrdiff_t b0,
                                  ptrdiff_t b1, T *sums, ptrdiff_t apart) {
    const ptrdiff_t gap = p->dil[2] * p->xs[4], step = p->stride[2] * p->xs[4],
                    width = CV_ABREAST * VL;
    x -= p->lo[2] * p->xs[4];
    for (ptrdiff_t left = p->k[2], taps; left > 0;
         left -= taps, limits += taps, x += taps * gap, sums += taps * width) {
        ptrdiff_t from = o, to = end;
        taps = left >= 5 ? 5 : left >= 3 ? 3 : 1;
        for (ptrdiff_t t = 0; t < taps; t++) {
            from = CV_MAX2(from, limits[t][0]);
            to = CV_MIN2(to, limits[t][1]);
        }
        if (from >= to)
            from = to = end;
        for (ptrdiff_t b = b0; b < b1; b++) {
            const ptrdiff_t c = CV_MIN2(b * width, p->groups - width);
            const T *g = gy + c, *at = x + c;
            T *sum = sums + (b - b0) * apart;
            if (from < to)
                (taps == 5   ? CV_(abreast_5)
                 : taps == 3 ? CV_(abreast_3)
                             : CV_(abreast_1))(p, g, at, from, to, sum);
            /* and those where not all numbers exist, output by output */
            for (ptrdiff_t q = o == from ? to : o; q < end; q = q + 1 == from ? to : q + 1) {
                for (ptrdiff_t t = 0; t < taps; t++) {
                    if (q < limits[t][0] || q >= limits[t][1])
                        continue;
                    for (ptrdiff_t l = 0; l < width; l += VL) {
                        T *s = sum + t * width + l;
                        CV_(store)(s, CV_(load)(s) + CV_(load)(g + q * p->ys[4] + l) *
                                                         CV_(load)(at + q * step + t * gap + l));
                    }
                }
            }
        }
    }
}

/* Long sums go on in double. */
CV_NOINLINE void CV_(abreast_flush)(ptrdiff_t count, T *sums, double *totals) {
    CV_UNROLL(1)
    for (ptrdiff_t i = 0; i < count; i += VL) {
        CV_UNROLL(16)
        for (int l = 0; l < VL; l++)
            totals[i + l] += (double)sums[i + l];
        CV_(store)(sums + i, (vec){0});
    }
}

/* A piece of the rows of outputs with a range of the blocks of channels.  Made small. */
__attribute__((cold)) static void CV_(abreast_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(dot_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t range = unit / j->pieces, b0 = range * j->m_blocks / j->ranges,
                    b1 = (range + 1) * j->m_blocks / j->ranges, width = CV_ABREAST * VL,
                    taps = cv_taps(p), all = (b1 - b0) * taps * width,
                    c0 = CV_MIN2(b0 * width, p->groups - width),
                    lanes = CV_MIN2(b1 * width, p->groups) - c0, piece = unit % j->pieces,
                    rows = p->n * p->out[0] * p->out[1], r0 = piece * rows / j->pieces,
                    r1 = (piece + 1) * rows / j->pieces;
    double *totals = j->totals + unit * j->each, work = 0;
    T *sums = (T *)(j->totals + j->pieces * j->ranges * j->each) + worker * j->each;
    ptrdiff_t added = 0; /* at most, to a sum */
    memset(totals, 0, (size_t)all * sizeof(double));
    memset(sums, 0, (size_t)all * sizeof(T));
    for (ptrdiff_t i = r0, o = 0; i < r1;) {
        const ptrdiff_t y0 = i % p->out[1] * p->stride[1] - p->lo[1],
                        z0 = i / p->out[1] % p->out[0] * p->stride[0] - p->lo[0],
                        n = i / p->out[1] / p->out[0], end = CV_MIN2(p->out[2], o + CV_DOTS_PART);
        const T *x = j->x + n * p->xs[0],
                *gy = j->gy + CV_(plane_row)(p->ys, p->out, n, 0, i % (p->out[0] * p->out[1]));
        if (o == 0) { /* what no row before has met */
            const ptrdiff_t z = CV_MIN2(z0 + (p->k[0] - 1) * p->dil[0], p->in[0] - 1);
            CV_(ask_pixels)(gy + c0, p->ys[4], p->out[2], lanes);
            CV_(ask_rows)(p, x + CV_MAX2(z, 0) * p->xs[2] + c0, y0, i == r0 || i % p->out[1] == 0,
                          lanes);
        }
        for (ptrdiff_t line = 0; line < p->k[0] * p->k[1]; line++) {
            const ptrdiff_t z = z0 + line / p->k[1] * p->dil[0],
                            y = y0 + line % p->k[1] * p->dil[1];
            if (z >= 0 && z < p->in[0] && y >= 0 && y < p->in[1])
                CV_(abreast_row)(p, j->limits, gy, x + z * p->xs[2] + y * p->xs[3], o, end, b0, b1,
                                 sums + line * p->k[2] * width, taps * width);
        }
        added += end - o;
        o = end < p->out[2] ? end : 0;
        i += !o;
        if (added + CV_MIN2(p->out[2] - o, CV_DOTS_PART) > CV_DOTS_PART || i == r1) {
            added = 0;
            CV_(abreast_flush)(all, sums, totals);
        }
        if (cv_stop_after(&work, (double)all * (double)CV_DOTS_PART))
            return;
    }
}

/* The sums of all rows to gradients. */
__attribute__((cold)) static void CV_(abreast_store)(const CV_(dot_job) *j) {
    const ptrdiff_t width = CV_ABREAST * VL, taps = cv_taps(&j->p);
    for (ptrdiff_t range = 0; range < j->ranges; range++) {
        const ptrdiff_t b0 = range * j->m_blocks / j->ranges,
                        b1 = (range + 1) * j->m_blocks / j->ranges;
        const double *totals = j->totals + range * j->pieces * j->each;
        for (ptrdiff_t b = b0; b < b1; b++) {
            T *to = j->gw + CV_MIN2(b * width, j->p.groups - width) * taps;
            for (ptrdiff_t t = 0; t < taps; t++) {
                for (ptrdiff_t l = 0; l < width; l++, totals++) {
                    double sum = 0;
                    for (ptrdiff_t piece = 0; piece < j->pieces; piece++)
                        sum += totals[piece * j->each];
                    to[l * taps + t] = (T)sum;
                }
            }
        }
    }
}
#endif

/* Cut into units, by the problem alone: ranges of channels of few sums, and for the threads pieces
 * of rows, so that each reads memory in its order.  The bytes of scratch, 0 if too many. */
CV_ONCE ptrdiff_t CV_(abreast_plan)(CV_(dot_job) *j, ptrdiff_t max_workspace) {
    const cv_conv *p = &j->p;
    const ptrdiff_t width = CV_ABREAST * VL, blocks = (p->groups + width - 1) / width,
                    block = cv_taps(p) * width,
                    most = CV_MAX2(1, CV_ABREAST_BYTES / (block * (ptrdiff_t)sizeof(double))),
                    rows = p->n * p->out[0] * p->out[1], work = rows * p->out[2] * p->groups,
                    each = blocks * block * (ptrdiff_t)sizeof(double);
    j->pieces = CV_MAX2(1, CV_MIN2(CV_MIN2(rows, CV_ABREAST_PIECES),
                                   CV_MIN2(work >> 16, CV_ABREAST_ALL / each)));
    j->ranges = (blocks + most - 1) / most;
    j->each = CV_MIN2(most, blocks) * block;
    const ptrdiff_t own = j->each * (ptrdiff_t)sizeof(T),
                    bytes = j->pieces * j->ranges * j->each * (ptrdiff_t)sizeof(double) +
                            p->k[2] * (ptrdiff_t)sizeof *j->limits;
    if (bytes + own > max_workspace)
        return 0;
    j->abreast = 1; /* whatever the threads, whose number must not be seen in the bits */
    j->m_blocks = blocks;
    j->threads = (int)CV_MIN2(j->threads, (max_workspace - bytes) / own);
    return bytes + j->threads * own;
}
#endif
