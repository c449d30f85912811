/* The GEMM microkernel: C[MR x NV·VL] = init + A[K x MR]ᵀ · B[K x NV·VL].
 *
 * A is packed MR rows to a step of k, so each element is one broadcast; B brings NV vectors a step.  MR x NV
 * accumulators stay in registers: 8 x 3 on 32 registers (AVX-512, NEON), 4 x 3 on AVX2's 16, 4 x 2 on SSE2's 16.
 * Each output is one chain of multiply-adds over k in order, whatever NV, so a result does not depend on how the
 * pixels were cut into tiles.
 */

/* Where a tile ends: rows c + m·ldc, the first `rows` of them, `last` lanes of the last vector.
 * bias != NULL starts from bias[m], else from what c holds (a later block of K). */
typedef struct {
    T *c;
    ptrdiff_t ldc, rows, last;
    const T *bias;
} CV_(tile_out);

/* copy != NULL: also store the B rows there, packed (the first pass over a plane packs while it multiplies). */
CV_INLINE void CV_(tile)(const int nv, const int copying, ptrdiff_t k, const T *restrict a, const T *b, ptrdiff_t ldb,
                         T *copy, const CV_(tile_out) *o) {
    vec acc[CV_MR][CV_NV];
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++) {
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) acc[m][v] = (vec){0};
    }
    CV_UNROLL(2)
    for (ptrdiff_t i = 0; i < k; i++) {
        vec bv[CV_NV];
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) {
            bv[v] = CV_(load)(b + v * VL);
            if (copying) CV_(store)(copy + v * VL, bv[v]);
        }
        CV_UNROLL(16)
        for (int m = 0; m < CV_MR; m++) {
            const vec s = CV_(set1)(a[m]);
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++) acc[m][v] += s * bv[v];
        }
        a += CV_MR;
        b += ldb;
        if (copying) copy += nv * VL;
    }
    CV_UNROLL(16)
    for (int m = 0; m < CV_MR; m++) {
        if (m >= o->rows) break;
        T *c = o->c + m * o->ldc;
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++) {
            const ptrdiff_t lanes = v == nv - 1 ? o->last : VL;
            const vec init = o->bias ? CV_(set1)(o->bias[m]) : CV_(load_n)(c + v * VL, lanes);
            CV_(store_n)(c + v * VL, acc[m][v] + init, lanes);
        }
    }
}

typedef void (*CV_(tile_fn))(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb, T *copy, const CV_(tile_out) *o);
#define CV_TILE(nv)                                                                                                   \
    static __attribute__((noinline)) void CV_(tile_##nv)(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb, T *copy, \
                                                         const CV_(tile_out) *o) {                                   \
        CV_(tile)(nv, 0, k, a, b, ldb, copy, o);                                                                      \
    }                                                                                                                 \
    static __attribute__((noinline)) void CV_(tile_copy_##nv)(ptrdiff_t k, const T *a, const T *b, ptrdiff_t ldb,     \
                                                              T *copy, const CV_(tile_out) *o) {                     \
        CV_(tile)(nv, 1, k, a, b, ldb, copy, o);                                                                      \
    }
CV_TILE(1)
CV_TILE(2)
#if CV_NV == 3
CV_TILE(3)
static const CV_(tile_fn) CV_(tiles)[] = {NULL, CV_(tile_1), CV_(tile_2), CV_(tile_3)};
static const CV_(tile_fn) CV_(tiles_copy)[] = {NULL, CV_(tile_copy_1), CV_(tile_copy_2), CV_(tile_copy_3)};
#else
static const CV_(tile_fn) CV_(tiles)[] = {NULL, CV_(tile_1), CV_(tile_2)};
static const CV_(tile_fn) CV_(tiles_copy)[] = {NULL, CV_(tile_copy_1), CV_(tile_copy_2)};
#endif
#undef CV_TILE
