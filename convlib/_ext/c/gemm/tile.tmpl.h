/* The GEMM microkernel: C[MR x NV·VL] = init + A[K x MR]ᵀ · B[K x NV·VL].
 *
 * A is packed MR rows to a step of k, so each element is one broadcast; B brings NV vectors a step.
 * MR x NV
 * accumulators stay in registers: 8 x 3 of 32, 4 x 3 of 16, 4 x 2 where a product needs one for
 * itself.
 * Each output is one chain of multiply-adds over k in order, whatever NV, so a result does not
 * depend on how the pixels were cut into tiles.
 */
#ifndef CV_TILE_H
#define CV_TILE_H
#include "../layout/ending.tmpl.h"

#define CV_AHEAD 16 /* rows of B */

/* Where a tile ends: rows c + m·ldc, the first `rows` of them, `last` lanes of the last vector.
 * bias != NULL starts from bias[m], else from what c holds (a later block of K).
 * residual, laid out as c and added to the sums, and activation end them.
 * next: the packed rows of A after these, which are fetched meanwhile. */
typedef struct {
    T *c;
    ptrdiff_t ldc, rows, last;
    const T *next;
    const T *bias, *residual;
    int activation;
} CV_(tile_out);

/* copying: also store the B rows at `copy`, packed (the first pass over a plane packs while it
 * multiplies), and fetch rows ahead, at last those of the next nv vectors.
 * nopack: nothing is packed.  A lies as rows `row` apart, with `step` from k to k + 1, and the
 * last vector moves back to end with its row, over lanes that the vector before it sums as well.
 * apart: rows of B lie where `at` says, not ldb apart; there is a bias and no residual. */
CV_INLINE void CV_(tile)(const int nv, const int copying, const int nopack, const int apart,
                         ptrdiff_t k, const T *restrict a, ptrdiff_t row, ptrdiff_t step,
                         const T *b, ptrdiff_t ldb, const ptrdiff_t *at, T *copy,
                         const CV_(tile_out) *o) {
    /* last vector's */
    const ptrdiff_t lanes = nopack ? VL : o->last,
                    end = (nv - 1) * VL - (nopack ? VL - o->last : 0);
    const ptrdiff_t wrap = (CV_AHEAD - k) * ldb + nv * VL;
    vec acc[CV_MR][CV_NV];
    ptrdiff_t from[CV_MR]; /* how far from a row m begins */
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++) {
        from[m] = nopack && m ? CV_MIN2(m, o->rows - 1) * row : m;
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++)
            acc[m][v] = (vec){0};
    }
    CV_UNROLL(2)
    for (ptrdiff_t i = 0; i < k; i++) {
        vec bv[CV_NV];
        const T *from_b = apart ? b + at[i] : b;
        /* In a network the weights of a layer are no longer near, and a panel of them is too short
         * for the processor to see a stream. */
        if (nopack)
            __builtin_prefetch(a + (CV_MR + (i & (CV_MR - 1))) * row - (i & (CV_MR - 1)) * step);
        else if (!apart)
            __builtin_prefetch(o->next + i * CV_MR);
        const T *ahead = b + (i + CV_AHEAD < k ? CV_AHEAD * ldb : wrap);
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) {
            bv[v] = CV_(load)(from_b + (v == nv - 1 ? end : v * VL));
            if (copying) { /* rows lie far apart, and another processor may have written them */
                CV_(store)(copy + v * VL, bv[v]);
                __builtin_prefetch(ahead + v * VL);
            }
        }
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++) {
            const vec s = CV_(set1)(a[from[m]]);
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++)
                acc[m][v] += s * bv[v];
        }
        a += nopack ? step : CV_MR;
        b += ldb;
        if (copying)
            copy += nv * VL;
    }
    const vec limit = CV_(limit)(o->activation);
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++) {
        if (m >= o->rows)
            break;
        T *c = o->c + m * o->ldc;
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) /* all before the first store, as they may overlap */
            acc[m][v] += apart || o->bias ? CV_(set1)(o->bias[m])
                         : v < nv - 1     ? CV_(load)(c + v * VL)
                                          : CV_(load_n)(c + end, lanes);
        if (!apart && o->residual) {
            const T *r = o->residual + m * o->ldc;
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++)
                acc[m][v] += v < nv - 1 ? CV_(load)(r + v * VL) : CV_(load_n)(r + end, lanes);
        }
        if (o->activation) {
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++)
                acc[m][v] = CV_(active)(limit, acc[m][v]);
        }
        CV_UNROLL(4)
        for (int v = 0; v < nv - 1; v++)
            CV_(store)(c + v * VL, acc[m][v]);
        CV_(store_n)(c + end, acc[m][nv - 1], lanes);
    }
}

typedef void (*CV_(tile_fn))(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb, T *copy,
                             const CV_(tile_out) *o);
typedef void (*CV_(nopack_fn))(ptrdiff_t k, const T *a, ptrdiff_t row, ptrdiff_t step, const T *b,
                               ptrdiff_t ldb, const CV_(tile_out) *o);
#define CV_TILE(nv)                                                                                \
    CV_NOINLINE void CV_(tile_##nv)(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb, T *copy,   \
                                    const CV_(tile_out) *o) {                                      \
        CV_(tile)(nv, 0, 0, 0, k, a, 0, 0, b, ldb, NULL, copy, o);                                 \
    }                                                                                              \
    CV_NOINLINE void CV_(tile_copy_##nv)(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb,       \
                                         T *copy, const CV_(tile_out) *o) {                        \
        CV_(tile)(nv, 1, 0, 0, k, a, 0, 0, b, ldb, NULL, copy, o);                                 \
    }                                                                                              \
    CV_NOINLINE void CV_(tile_nopack_##nv)(ptrdiff_t k, const T *a, ptrdiff_t row, ptrdiff_t step, \
                                           const T *b, ptrdiff_t ldb, const CV_(tile_out) *o) {    \
        CV_(tile)(nv, 0, 1, 0, k, a, row, step, b, ldb, NULL, NULL, o);                            \
    }
CV_TILE(1)
CV_TILE(2)
#if CV_NV == 3
CV_TILE(3)
static const CV_(tile_fn) CV_(tiles)[] = {NULL, CV_(tile_1), CV_(tile_2), CV_(tile_3)};
static const CV_(tile_fn) CV_(tiles_copy)[] = {NULL, CV_(tile_copy_1), CV_(tile_copy_2),
                                               CV_(tile_copy_3)};
static const CV_(nopack_fn) CV_(tiles_nopack)[] = {NULL, CV_(tile_nopack_1), CV_(tile_nopack_2),
                                                   CV_(tile_nopack_3)};
#else
static const CV_(tile_fn) CV_(tiles)[] = {NULL, CV_(tile_1), CV_(tile_2)};
static const CV_(tile_fn) CV_(tiles_copy)[] = {NULL, CV_(tile_copy_1), CV_(tile_copy_2)};
static const CV_(nopack_fn) CV_(tiles_nopack)[] = {NULL, CV_(tile_nopack_1), CV_(tile_nopack_2)};
#endif
#undef CV_TILE
#endif
