/* Rows of planes, copied by whole vectors; the few columns on either side, one by one. */
#ifndef CV_BORDERS
#define CV_BORDERS
#include "border.h"

/* Vectors of 16 and of at most 32 bytes, for short rows: those of 64 bytes straddle lines. */
enum { CV_(BORDER_LANES) = (CV_VB > 32 ? 32 : CV_VB) * 8 / CV_BITS };
typedef T CV_(border_few) __attribute__((vector_size(16), aligned(CV_BITS / 8), may_alias));
typedef T CV_(border_half)
    __attribute__((vector_size(CV_VB > 32 ? 32 : CV_VB), aligned(CV_BITS / 8), may_alias));

#define CV_COPY(what, lanes)                                         \
    do {                                                             \
        for (ptrdiff_t i = 0; i < n - (lanes); i += (lanes))         \
            *(what *)(to + i) = *(const what *)(from + i);           \
        *(what *)(to + n - (lanes)) = *(const what *)(from + n - (lanes)); \
    } while (0)

/* The last vector may overlap the one before it. */
CV_INLINE void CV_(border_copy)(T *to, const T *from, ptrdiff_t n) {
    if (n >= 2 * VL) {
        CV_COPY(vecu, VL);
    } else if (n >= CV_(BORDER_LANES)) {
        CV_COPY(CV_(border_half), CV_(BORDER_LANES));
    } else if (n >= 128 / CV_BITS) {
        CV_COPY(CV_(border_few), 128 / CV_BITS);
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}
#undef CV_COPY

/* One number of each row, and where it stands there; from < 0: the value. */
typedef struct {
    ptrdiff_t to, from;
} CV_(border_number);

/* Of some rows what lies side by side, n numbers of each, and two more; nv: in so many vectors,
 * without a loop, or 0.  Functions of their own, as are the next two: in one the
 * compiler runs out of registers. */
CV_INLINE void CV_(border_rows)(const int nv, T *to, ptrdiff_t line, const T *x, ptrdiff_t width,
                                const int64_t *source, ptrdiff_t rows, ptrdiff_t first,
                                ptrdiff_t n, CV_(border_number) left, CV_(border_number) right,
                                T value) {
    for (ptrdiff_t r = 0; r < rows; r++, to += line) {
        if (source[r] < 0)
            continue;
        const T *row = x + source[r] * width;
        if (nv == 0)
            CV_(border_copy)(to, row + first, n);
        CV_UNROLL(4)
        for (int q = 0; q < nv; q++) {
            const ptrdiff_t at = q < nv - 1 ? q * CV_(BORDER_LANES) : n - CV_(BORDER_LANES);
            *(CV_(border_half) *)(to + at) = *(const CV_(border_half) *)(row + first + at);
        }
        to[left.to] = left.from < 0 ? value : row[left.from];
        to[right.to] = right.from < 0 ? value : row[right.from];
    }
}

typedef void (*CV_(border_middles))(T *to, ptrdiff_t line, const T *x, ptrdiff_t width,
                                    const int64_t *source, ptrdiff_t rows, ptrdiff_t first,
                                    ptrdiff_t n, CV_(border_number) left, CV_(border_number) right,
                                    T value);
#define CV_MIDDLES(nv)                                                                           \
    CV_NOINLINE void CV_(border_rows_##nv)(T *to, ptrdiff_t line, const T *x, ptrdiff_t width,   \
                                           const int64_t *source, ptrdiff_t rows,                \
                                           ptrdiff_t first, ptrdiff_t n,                         \
                                           CV_(border_number) left, CV_(border_number) right,    \
                                           T value) {                                            \
        CV_(border_rows)(nv, to, line, x, width, source, rows, first, n, left, right, value);    \
    }
CV_MIDDLES(0)
#ifdef CV_FLOOR
static const CV_(border_middles) CV_(border_each)[1] = {CV_(border_rows_0)};
#else
CV_MIDDLES(2)
CV_MIDDLES(3)
CV_MIDDLES(4)
static const CV_(border_middles) CV_(border_each)[] = {
    CV_(border_rows_0), CV_(border_rows_2), CV_(border_rows_3), CV_(border_rows_4)};
#endif
#undef CV_MIDDLES

/* That for rows of n numbers. */
CV_INLINE CV_(border_middles) CV_(border_middles_of)(ptrdiff_t n) {
    const ptrdiff_t lanes = CV_(BORDER_LANES);
    const ptrdiff_t most = sizeof CV_(border_each) / sizeof *CV_(border_each);
    if (n < lanes || most == 1 || n > most * lanes)
        return CV_(border_each)[0];
    return CV_(border_each)[CV_MAX2(1, (n - 1) / lanes)];
}

/* A column of so many numbers, which stand in the rows of x. */
CV_NOINLINE void CV_(border_column)(T *to, ptrdiff_t line, const T *x, ptrdiff_t width,
                                    const int64_t *source, ptrdiff_t rows, ptrdiff_t inner) {
    for (ptrdiff_t r = 0; r < rows; r++, to += line) {
        if (source[r] >= 0)
            CV_(border_copy)(to, x + source[r] * width, inner);
    }
}

/* A block of so many rows of so many numbers, filled with the value. */
CV_NOINLINE void CV_(border_fill)(T *to, ptrdiff_t line, ptrdiff_t rows, ptrdiff_t n, T value) {
    for (ptrdiff_t r = 0; r < rows; r++, to += line) {
        ptrdiff_t i = 0;
        for (; i + VL <= n; i += VL)
            CV_(store)(to + i, CV_(set1)(value));
        for (; i < n; i++)
            to[i] = value;
    }
}

/* The column c that is written along with the middles, which there are: one beside them, or their
 * own one once more. */
CV_INLINE CV_(border_number) CV_(border_beside)(const cv_frame *f, ptrdiff_t c, ptrdiff_t own) {
    if (f->inner != 1 || c < 0 || c >= f->padded[2])
        return (CV_(border_number)){own, f->first * f->inner + own};
    return (CV_(border_number)){c - f->lo[2], f->source[2][c]};
}

static void CV_(border_extend)(const cv_frame *f, const void *x, void *wide, double padding) {
    const ptrdiff_t inner = f->inner, width = f->in[2] * inner, line = f->padded[2] * inner;
    const ptrdiff_t rows = f->padded[1], slices = f->padded[0], lo = f->lo[2];
    const CV_(border_number) left = CV_(border_beside)(f, lo - 1, 0),
                             right = CV_(border_beside)(f, lo + f->run, f->run * inner - 1);
    const ptrdiff_t n = f->run * inner;
    const CV_(border_middles) middles = CV_(border_middles_of)(n);
    T *to = wide;
    for (ptrdiff_t i = 0; i < f->planes * slices; i++, to += rows * line) {
        const int64_t slice = f->source[0][i % slices];
        if (slice < 0) {
            CV_(border_fill)(to, line, rows, line, (T)padding);
            continue;
        }
        const T *from = (const T *)x + (i / slices * f->in[0] + slice) * f->in[1] * width;
        if (f->run)
            middles(to + lo * inner, line, from, width, f->source[1], rows, f->first * inner, n,
                    left, right, (T)padding);
        for (ptrdiff_t side = 0; side < f->padded[2] - f->run; side++) {
            const ptrdiff_t c = side < lo ? side : side + f->run;
            const int64_t column = f->source[2][c];
            if (f->run && inner == 1 && (c == lo + left.to || c == lo + right.to))
                continue;
            if (column < 0)
                CV_(border_fill)(to + c * inner, line, rows, inner, (T)padding);
            else
                CV_(border_column)(to + c * inner, line, from + column * inner, width,
                                   f->source[1], rows, inner);
        }
        for (ptrdiff_t r = 0; r < rows; r++) {
            if (f->source[1][r] < 0)
                CV_(border_fill)(to + r * line, line, 1, line, (T)padding);
        }
    }
}

/* Add the padding of a row to what it repeats: to[0] is the first element that is none. */
CV_INLINE void CV_(border_fold_row)(const cv_frame *f, T *to, const T *row) {
    const int64_t *source = f->source[2];
    const ptrdiff_t inner = f->inner, lo = f->lo[2], sides = f->padded[2] - f->in[2];
    for (ptrdiff_t side = 0; side < sides; side++) {
        const ptrdiff_t c = side < lo ? side : side + f->in[2];
        if (source[c] < 0)
            continue;
        for (ptrdiff_t i = 0; i < inner; i++)
            to[source[c] * inner + i] += row[c * inner + i];
    }
}

/* One plane: its own rows, then those that padding repeats, each with its columns folded first. */
static void CV_(border_fold_plane)(const cv_frame *f, T *wide, T *x) {
    const ptrdiff_t inner = f->inner, width = f->in[2] * inner, line = f->padded[2] * inner;
    for (ptrdiff_t z = 0; z < f->in[0]; z++) {
        const T *row = wide + ((z + f->lo[0]) * f->padded[1] + f->lo[1]) * line;
        T *to = x + z * f->in[1] * width;
        for (ptrdiff_t r = 0; r < f->in[1]; r++, row += line, to += width) {
            CV_(border_copy)(to, row + f->lo[2] * inner, width);
            CV_(border_fold_row)(f, to, row);
        }
    }
    for (ptrdiff_t i = 0; i < f->padded[0] * f->padded[1]; i++) {
        const ptrdiff_t z = i / f->padded[1], r = i % f->padded[1];
        const int own = (size_t)(z - f->lo[0]) < (size_t)f->in[0] &&
                        (size_t)(r - f->lo[1]) < (size_t)f->in[1];
        if (own || f->source[0][z] < 0 || f->source[1][r] < 0)
            continue;
        T *row = wide + i * line, *middle = row + f->lo[2] * inner;
        T *to = x + (f->source[0][z] * f->in[1] + f->source[1][r]) * width;
        CV_(border_fold_row)(f, middle, row);
        CV_FORWARD
        for (ptrdiff_t c = 0; c < width; c++)
            to[c] += middle[c];
    }
}

static void CV_(border_fold)(const cv_frame *f, void *wide, void *x) {
    const ptrdiff_t from = f->padded[0] * f->padded[1] * f->padded[2] * f->inner;
    const ptrdiff_t to = f->in[0] * f->in[1] * f->in[2] * f->inner;
    for (ptrdiff_t plane = 0; plane < f->planes; plane++)
        CV_(border_fold_plane)(f, (T *)wide + plane * from, (T *)x + plane * to);
}

const cv_border CV_ROW3(CV_ISA, border, CV_S) = {CV_(border_extend), CV_(border_fold)};
#endif
