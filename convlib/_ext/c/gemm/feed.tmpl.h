/* What the broadcast GEMM multiplies, for floats: numbers of the image as they are. */
#ifndef CV_FEED
#define CV_FEED

typedef T CV_(source);               /* an element of x */
typedef T CV_(fed);                  /* an element of its copy */
typedef T CV_(weight);               /* an element of w */
#define CV_DEPTH 1                   /* elements of the copy that fill a lane */
#define CV_BROADCAST_COPY (3.0 / VL) /* ns to copy an input */
#define CV_PANELS_EACH 4 /* of output channels, that threads may share instead of strips */
#define CV_HEAD 1        /* rows before those of a panel of weights: whether all are finite */

CV_INLINE T CV_(fed_lane)(const CV_(fed) *x) { return *x; }
CV_INLINE vec CV_(multiply_add)(vec sum, vec a, vec b) { return sum + a * b; }
#endif
