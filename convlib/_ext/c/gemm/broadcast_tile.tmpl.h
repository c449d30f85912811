/* The microkernel with its roles exchanged: pixels whose inputs are broadcast, by vectors of output
 * channels. */
#ifndef CV_BROADCAST_TILE
#define CV_BROADCAST_TILE
#if CV_FLOAT
#include "feed.tmpl.h"
#else
#include "../int8/feed.tmpl.h"
#endif

/* Pixels of a tile of fewer vectors: 7 divide maps of 7x7, 14x14, ...; 6 by two vectors are as many
 * sums as 4 by three, and fewer would wait for each other. */
#define CV_FEW_PX (CV_PX == 8 ? 7 : CV_FLOAT && CV_PX == 4 && CV_NV == 3 ? 6 : CV_PX)
#define CV_MOST_PX CV_MAX2(CV_PX, CV_FEW_PX)

/* whether a vector is half a line of the cache */
#define CV_HALF_LINES (CV_VB == 32)

#ifndef CV_SEGMENT
#define CV_SEGMENT
typedef struct {
    /* neighbours from `at` on, relative to the first input of a pixel's window; as many as fill
     * `len` lanes */
    ptrdiff_t at, len;
} cv_segment;
#endif

/* The sums of one tile, to c: from `init` for each pixel, or else from what c holds.  Pixels lie
 * where `at` says, or `pitch` apart if it is NULL.
 * far: the weights that come next, which lie behind the second-level cache: at each step so many
 * bytes of them are asked for; or NULL. */
CV_INLINE void CV_(broadcast_tile)(const int px, const int nv, const char *far, ptrdiff_t each,
                                   const cv_segment *segments, ptrdiff_t n, const CV_(fed) *x,
                                   const ptrdiff_t *at, ptrdiff_t pitch, const T *w, const T *init,
                                   T *c, ptrdiff_t ldc) {
    vec acc[CV_MOST_PX][CV_NV];
    CV_UNROLL(16)
    for (int i = 0; i < px; i++) {
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++)
            acc[i][v] = CV_(load)(init ? init + v * VL : c + i * ldc + v * VL);
    }
    for (; n > 0; n--, segments++) {
        const CV_(fed) *q[CV_MOST_PX];
        CV_UNROLL(16)
        for (int i = 0; i < px; i++)
            q[i] = x + (at ? at[i] : i * pitch) + segments->at;
        if (CV_HALF_LINES && !at && n > 1) { /* segments may be vectors, which are no stream */
            CV_UNROLL(16)
            for (int i = 0; i < px; i++)
                __builtin_prefetch(x + i * pitch + segments[1].at);
        }
        CV_UNROLL(2)
        for (ptrdiff_t k = 0; k < segments->len; k++, w += nv * VL) {
            vec b[CV_NV];
            CV_UNROLL(4)
            for (int v = 0; v < nv; v++) {
                b[v] = CV_(load)(w + v * VL);
            }
            if (far) {
                CV_UNROLL(4)
                for (int i = 0; i < nv * CV_VB; i += 64)
                    __builtin_prefetch(far + i, 0, 2);
                far += each;
            }
            CV_UNROLL(16)
            for (int i = 0; i < px; i++) {
                const vec a = CV_(set1)(CV_(fed_lane)(q[i] + k * CV_DEPTH));
                CV_UNROLL(4)
                for (int v = 0; v < nv; v++)
                    acc[i][v] = CV_(multiply_add)(acc[i][v], a, b[v]);
            }
        }
    }
    CV_UNROLL(16)
    for (int i = 0; i < px; i++) {
        CV_UNROLL(4)
        for (int v = 0; v < nv; v++)
            CV_(store)(c + i * ldc + v * VL, acc[i][v]);
    }
}
#endif
