/* Sizes of Winograd's tiles, the same for every element type. */
#ifndef CV_WINO_SIZES
#define CV_WINO_SIZES
#include "../gemm/view.h"

#define CV_WINO_TILES 64
/* tiles of a slice in a block, where windows span slices: more slices share their inputs */
#define CV_WINO_SLICES 16
/* elements between planes of V, M or U: else a tile's planes fall into one cache set */
#define CV_WINO_SKEW 16
#define CV_WINO_FEW 16 /* fewer tiles than this do not repay the larger weights of F(4) */

/* Phases of the dilation along W that hold outputs. */
static inline CV_UNUSED ptrdiff_t cv_wino_across(const cv_conv *p) {
    return CV_MIN2(p->dil[2], p->out[2]);
}

/* Tiles along an axis: of one phase of the dilation. */
static inline CV_UNUSED ptrdiff_t cv_wino_along(const cv_conv *p, int axis, ptrdiff_t m) {
    return ((p->out[axis] + p->dil[axis] - 1) / p->dil[axis] + m - 1) / m;
}

/* Whether the window has one row or one column: one axis is transformed then. */
static inline CV_UNUSED int cv_wino_line(const cv_conv *p) { return p->k[1] == 1 || p->k[2] == 1; }

/* Of so many rows and columns of outputs, in the batch. */
static inline CV_UNUSED double cv_wino_tiles(const cv_conv *p, int rows, int columns) {
    const double phases = (double)CV_MIN2(p->dil[1], p->out[1]) * (double)cv_wino_across(p);
    return phases * (double)(p->n * p->out[0]) *
           (double)(cv_wino_along(p, 1, rows) * cv_wino_along(p, 2, columns));
}

/* Elements from one plane to the next, which has so many: an odd number of lines. */
static inline CV_UNUSED ptrdiff_t cv_wino_apart(ptrdiff_t size) {
    return (size + CV_WINO_SKEW - 1) / CV_WINO_SKEW * CV_WINO_SKEW | CV_WINO_SKEW;
}

/* Outputs of a tile along an axis.  Few tiles do not repay the larger weights of 4x4; 4x2 have 24
 * planes of weights, 2x2 have 16, and where maps are little larger than a tile fewer of them are in
 * vain.  With stride 2 each output is a sum of two convolutions with stride 1: of even inputs with
 * the outer taps, F(4, 2) or F(2, 2), and of odd ones with the middle tap, a product for each. */
static inline CV_UNUSED int cv_wino_m(const cv_conv *p, int axis) {
    if (cv_wino_line(p))
        return p->k[axis] == 1 ? 1 : p->k[axis] == 7 ? 2 : 4;
    if (p->k[2] != 3)
        return 2;
    const double tiles = cv_wino_tiles(p, 4, 4), uneven = cv_wino_tiles(p, 4, 2),
                 small = cv_wino_tiles(p, 2, 2);
    if (tiles >= CV_WINO_FEW)
        return p->stride[2] == 1 || tiles * 81 < small * 25 ? 4 : 2;
    return p->stride[2] == 1 && axis == 1 && 2 * uneven >= CV_WINO_FEW && uneven * 24 < small * 16
               ? 4
               : 2;
}

/* Inputs under so many neighbouring outputs along H or W (a tile's: as many points as that). */
static inline CV_UNUSED ptrdiff_t cv_wino_reach(const cv_conv *p, int axis, ptrdiff_t count) {
    return (count - 1) * p->stride[axis] + p->k[axis];
}

/* Slices of input under so many neighbouring slices of output. */
static inline CV_UNUSED ptrdiff_t cv_wino_slices(const cv_conv *p, ptrdiff_t count) {
    return (count - 1) * p->stride[0] + (p->k[0] - 1) * p->dil[0] + 1;
}
#endif
