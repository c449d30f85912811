/* Tiles of the broadcast GEMM on a matrix unit: 16 pixels by up to 3 vectors of output channels, 16
 * lanes of a window at a time.  Panels of weights are those of dot products of bytes. */
#ifndef CV_INT8_TILES
#define CV_INT8_TILES
#include "../simd/tiles.h"

enum { CV_TILE_K = 16 }; /* lanes of a window in a step */
/* a step at the end of a panel reads rows past it, and multiplies them by zeros */
#define CV_WEIGHTS_BEYOND ((CV_TILE_K - 1) * CV_NV * CV_VB)

CV_INLINE void CV_(unit_step)(const int nv, const void *rows, ptrdiff_t pitch, const T *w) {
    const ptrdiff_t next = nv * CV_VB;
    CV_TILE_LOAD(3, rows, pitch);
    CV_TILE_LOAD(4, w, next);
    CV_TILE_DOT_BYTES(0, 3, 4);
    if (nv > 1) {
        CV_TILE_LOAD(5, w + VL, next);
        CV_TILE_DOT_BYTES(1, 3, 5);
    }
    if (nv > 2) {
        CV_TILE_LOAD(6, w + 2 * VL, next);
        CV_TILE_DOT_BYTES(2, 3, 6);
    }
}

/* As `broadcast_tile`. */
CV_INLINE void CV_(unit_tile)(const int nv, const cv_segment *segments, ptrdiff_t n,
                              const CV_(fed) *x, const ptrdiff_t *at, const T *w, const T *init,
                              T *c, ptrdiff_t ldc) {
    char rows[CV_PX * 64] __attribute__((aligned(64)));
    const ptrdiff_t pitch = at[1] - at[0], next = ldc * (ptrdiff_t)sizeof(T),
                    first = init ? 0 : next;
    int even = 1; /* the pixels lie in one row */
    for (int i = 2; i < CV_PX; i++)
        even &= at[i] - at[i - 1] == pitch;
    if (!init)
        init = c;
    CV_FENCE();
    CV_TILE_LOAD(0, init, first);
    if (nv > 1)
        CV_TILE_LOAD(1, init + VL, first);
    if (nv > 2)
        CV_TILE_LOAD(2, init + 2 * VL, first);
    for (; n > 0; n--, segments++) {
        for (ptrdiff_t k = 0; k < segments->len; k += CV_TILE_K) {
            const ptrdiff_t bytes = CV_DEPTH * CV_MIN2(CV_TILE_K, segments->len - k);
            const CV_(fed) *from = x + segments->at + k * CV_DEPTH;
            const T *weights = w + k * nv * VL;
            if (even && bytes == 64) {
                CV_(unit_step)(nv, from + at[0], pitch, weights);
                continue;
            }
            for (int i = 0; i < CV_PX; i++) {
                if (bytes == 64) {
                    __builtin_memcpy(rows + i * 64, from + at[i], 64);
                } else {
                    __builtin_memset(rows + i * 64, 0, 64);
                    __builtin_memcpy(rows + i * 64, from + at[i], (size_t)bytes);
                }
            }
            CV_FENCE();
            CV_(unit_step)(nv, rows, 64, weights);
        }
        w += segments->len * nv * VL;
    }
    CV_TILE_STORE(0, c, next);
    if (nv > 1)
        CV_TILE_STORE(1, c + VL, next);
    if (nv > 2)
        CV_TILE_STORE(2, c + 2 * VL, next);
    CV_FENCE();
}
#endif
