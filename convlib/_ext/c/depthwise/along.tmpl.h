/* Stride 1 along the rows of wide planes, where no window reaches the columns outside.  A column
 * that runs down such a plane meets memory in no order, and if rows lie a multiple of 4096 bytes
 * apart, all its lines fall into the same few places of the first-level cache.  Part of
 * rows.tmpl.h; every output has the sums that it has there. */
#ifndef CV_ALONG_H
#define CV_ALONG_H

#define CV_DW_LINE 2 /* vectors side by side where one row is computed alone */
/* whether 5x5 windows are one stretch of code, which knows all its taps; and their rows */
#define CV_DW_FLAT (CV_REGISTERS == 16)
#define CV_DW_BAND(k) ((k) == 5 && CV_DW_FLAT ? 2 : 3)

/* Outputs 0 .. width-1 of a row; x: the first input row under the kernel, if there is one. */
typedef struct {
    const T *x, *w;
    T *y, bias;
    ptrdiff_t width, rows, xpitch, ypitch;
    ptrdiff_t ahead; /* rows from here that memory is asked for: 0 where it is near */
} CV_(dw_band);

/* What the q-th input row of some rows of outputs adds to them under tap kx. */
CV_INLINE void CV_(dw_tap)(const int k, const int rows, const int nv, const int q, int kx,
                           const T *x, const T *w, const vec *ready, vec (*acc)[4]) {
    vec v[4];
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        v[i] = CV_(load)(x + kx + i * VL);
        CV_KEEP(v[i]);
    }
    CV_UNROLL(3)
    for (int r = 0; r < rows; r++) {
        if (q < r || q >= r + k)
            continue;
        const vec a = k == 3 ? ready[(q - r) * k + kx] : CV_(set1)(w[(q - r) * k + kx]);
        CV_UNROLL(4)
        for (int i = 0; i < nv; i++)
            acc[r][i] += a * v[i];
    }
}

/* Rows whose windows lie inside the plane, a few at a time; the last vectors again if need be. */
CV_INLINE void CV_(dw_along)(const int k, const int nv, const CV_(dw_band) *band) {
    const CV_(dw_band) own = *band, *t = &own;
    const int rows = CV_DW_BAND(k);
    const vec bias = CV_(set1)(t->bias);
    vec ready[9];
    CV_UNROLL(9)
    for (int i = 0; i < 9; i++)
        ready[i] = CV_(set1)(t->w[i]);
    for (ptrdiff_t row = 0; row < t->rows; row += rows) {
        for (ptrdiff_t o = 0; o < t->width; o += nv * VL) {
            const ptrdiff_t at = CV_MIN2(o, t->width - nv * VL);
            const T *x = t->x + row * t->xpitch + at, *w = t->w;
            T *y = t->y + row * t->ypitch + at;
            vec acc[3][4] = {{{0}}};
            CV_UNROLL(7)
            for (int q = 0; q < rows + k - 1; q++, x += t->xpitch) {
                CV_ANEW(w);
                if (q >= k - 1)
                    __builtin_prefetch(x + t->ahead * t->xpitch, 0, 2);
                if (k == 3 || CV_DW_FLAT) {
                    CV_UNROLL(5)
                    for (int kx = 0; kx < k; kx++)
                        CV_(dw_tap)(k, rows, nv, q, kx, x, w, ready, acc);
                } else {
                    CV_UNROLL(1)
                    for (int kx = 0; kx < k; kx++)
                        CV_(dw_tap)(k, rows, nv, q, kx, x, w, ready, acc);
                }
            }
            CV_UNROLL(3)
            for (int r = 0; r < rows; r++, y += t->ypitch) {
                __builtin_prefetch(y + t->ahead * t->ypitch, 0, 2);
                CV_UNROLL(4)
                for (int i = 0; i < nv; i++)
                    CV_(store)(y + i * VL, acc[r][i] + bias);
            }
        }
    }
}

CV_NOINLINE void CV_(dw_along_3)(const CV_(dw_band) *band) {
    CV_(dw_along)(3, CV_REGISTERS == 32 ? 2 : 1, band);
}
CV_NOINLINE void CV_(dw_along_5)(const CV_(dw_band) *band) {
    CV_(dw_along)(5, CV_DW_FLAT ? 4 : 3, band);
}

/* Bytes of so many rows. */
CV_INLINE double CV_(dw_bytes)(ptrdiff_t rows, ptrdiff_t pitch) {
    return (double)rows * (double)pitch * sizeof(T);
}
#define CV_DW_FAR (8 << 20) /* bytes of planes that leave the caches until the next call */

/* Whether so many vectors of a row go this way.  Where columns are whole lines of a cache side by
 * side, planes that are near lose nothing by them. */
CV_ONCE int CV_(dw_inside)(const cv_conv *p, ptrdiff_t vecs) {
    const double bytes = CV_(dw_bytes)(p->in[1], p->xs[3]);
    if (p->stride[2] != 1 || p->k[2] == 7 || p->dil[1] > 1 || p->dil[2] > 1)
        return 0;
    if (p->k[2] == 3)
        return vecs >= 4 && (CV_REGISTERS == 16 || bytes > CV_FAR / 2);
    return vecs >= 16 && (CV_REGISTERS == 16 || bytes > CV_DW_FAR);
}

/* One row, where there are inputs under kernel rows first .. end-1 only. */
CV_NOINLINE void CV_(dw_line)(int k, ptrdiff_t first, ptrdiff_t end, const CV_(dw_band) *t) {
    for (ptrdiff_t o = 0; o < t->width; o += CV_DW_LINE * VL) {
        const ptrdiff_t at = CV_MIN2(o, t->width - CV_DW_LINE * VL);
        const vec bias = CV_(set1)(t->bias);
        vec acc[CV_DW_LINE] = {{0}};
        for (ptrdiff_t ky = first; ky < end; ky++) {
            const T *x = t->x + ky * t->xpitch + at;
            for (int kx = 0; kx < k; kx++) {
                const vec a = CV_(set1)(t->w[ky * k + kx]);
                CV_UNROLL(2)
                for (int i = 0; i < CV_DW_LINE; i++)
                    acc[i] += a * CV_(load)(x + kx + i * VL);
            }
        }
        CV_UNROLL(2)
        for (int i = 0; i < CV_DW_LINE; i++)
            CV_(store)(t->y + at + i * VL, acc[i] + bias);
    }
}

/* Outputs from .. to-1 of all rows of the job, which is one plane. */
CV_NOINLINE void CV_(dw_inner)(int k, ptrdiff_t from, ptrdiff_t to, const CV_(dw_job) *t) {
    CV_(dw_band) band = {.w = t->w,
                         .bias = t->bias ? t->bias[0] : 0,
                         .width = to - from,
                         .xpitch = t->xpitch,
                         .ypitch = t->ypitch};
    const int together = CV_DW_BAND(k);
    band.ahead = CV_(dw_bytes)(t->height, t->xpitch) > CV_DW_FAR ? together : 0;
    for (ptrdiff_t row = 0; row < t->rows; row += band.rows) {
        const ptrdiff_t iy = t->iy + row;
        const ptrdiff_t whole = CV_MIN2(t->rows - row, t->height - k + 1 - iy);
        band.x = t->x + iy * t->xpitch + from - t->lo;
        band.y = t->y + row * t->ypitch + from;
        if (iy >= 0 && whole >= together) {
            band.rows = whole / together * together;
            if (k == 3)
                CV_(dw_along_3)(&band);
            else
                CV_(dw_along_5)(&band);
        } else {
            band.rows = 1;
            CV_(dw_line)(k, CV_MAX2(0, -iy), CV_MIN2(k, t->height - iy), &band);
        }
    }
}
#endif
