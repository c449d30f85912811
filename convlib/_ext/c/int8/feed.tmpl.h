/* What the broadcast GEMM multiplies, for integers of 8 bits: a lane is a sum of int32 and takes
 * CV_DEPTH neighbours of a window at once, products of bytes or of int16.
 *
 *   sum (x - zero) w = sum (x + offset) w - (zero + offset) sum w
 *
 * so that the copy holds x + offset, unsigned where bytes are multiplied.  The sums of the weights
 * are the first row of a panel.  Weights with a zero point w0 of their output stay as they are:
 *
 *   sum (x - zero) (w - w0) = sum (x - zero) w - w0 sum (x - zero)
 *
 * whose last sum is one for all outputs of a pixel, and made once for each strip.  All is modulo
 * 2^32.
 */
#ifndef CV_FEED
#define CV_FEED
#include "../simd/dots.h"

typedef uint8_t CV_(source);
typedef CV_FED CV_(fed);
typedef int8_t CV_(weight);
typedef uint32_t CV_(modulo) __attribute__((vector_size(CV_VB)));
#define CV_BROADCAST_COPY 0.1 /* ns to copy an input */
#define CV_PANELS_EACH 3      /* of output channels, that threads may share instead of strips */
#define CV_HEAD 1

/* What the processor lacks of what a file of rows is compiled for, or NULL. */
CV_ONCE const char *CV_(int8_lacks)(void) {
#if defined(CV_BYTE_TILES) && CV_AMX
    if (!cv_cpu_has(CV_CPU_BYTE_TILES))
        return "needs a matrix unit for bytes, which this processor lacks";
#elif defined(CV_BYTE_DOTS)
    if (!cv_cpu_has(CV_CPU_BYTE_DOTS))
        return "needs " CV_BYTE_DOTS ", which this processor lacks";
#endif
    return NULL;
}

CV_INLINE T CV_(fed_lane)(const CV_(fed) *x) {
    T lane;
    __builtin_memcpy(&lane, x, sizeof lane);
    return lane;
}
CV_INLINE vec CV_(multiply_add)(vec sum, vec a, vec b) { return CV_(dots)(sum, a, b); }
#endif
