/* Winograd convolution along H and W, float32: F(4, 3), F(2, 3) and F(2, 5) along both, F(4, 3)
 * along H and F(2, 3) along W on small maps, F(4, 3), F(4, 5) and F(2, 7) along one, where the
 * window is a line; 3x3 with stride 2 in tiles of 4x4 and 2x2.
 *
 * An m x m tile of outputs takes a^2 = (m+r-1)^2 products per pair of channels instead of m^2 r^2:
 * 36 for 144, 16 for 36, 24 for 72, 36 for 100; a line of m takes a instead of m r: 6 for 12, 8
 * for 20, 8 for 14.  With stride 2 it is 81 for 144, or 25 for 36, by 36 and 16 planes of weights
 * (sizes.h).  Lanes are channels, as in the broadcast GEMM.  A unit of work is a block of up to
 * CV_WINO_TILES tiles, whose intermediate results stay in the caches:
 *   V[point][tile][c]  = B^T d B    the inputs d of a tile, from rows turned round to channels last
 *   M[point][tile][oc] = V U        one GEMM per point, inputs broadcast, for one panel of output
 *                                   channels
 *   y                  = A^T M A    turned round again, unless channels come last in y, too
 * Dilation puts a tile's inputs and outputs so far apart.  A window's slices along D are more
 * products of one GEMM. Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
 * 2016.
 *
 * Infinities and NaN would spread over their tile, and the error of an element that towers above
 * its neighbours: such tiles are summed again window by window, and where they are many the whole
 * call by another implementation.
 */
#ifndef CV_WINOGRAD
#define CV_WINOGRAD
#include "run.tmpl.h"

CV_ONCE const char *CV_(wino_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    const ptrdiff_t r = CV_MAX2(p->k[1], p->k[2]);
    const int square = p->k[1] == p->k[2] && r < 7;
    const int same = p->stride[1] * p->stride[2] == 1,
              twice = p->stride[1] == 2 && p->stride[2] == 2 && p->dil[1] * p->dil[2] == 1;
    if ((!square && !cv_wino_line(p)) || (r != 3 && r != 5 && r != 7) ||
        (!same && !(twice && square && r == 3)))
        return "serves 3x3, 5x5 and lines of 3, 5 or 7 along H and W, with stride 1 there, and "
               "3x3 without dilation with stride 2";
    return NULL;
}

/* Few points and many channels come near to the pace.  Eight or nine inputs, as many points and
 * what is between them do not fit in 16 registers.  The transforms of the weights, made in double,
 * take as long as 27 products for each plane, with stride 2 fewer. */
CV_ONCE double CV_(wino_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const int twice = p->stride[2] == 2;
    const double each = CV_REGISTERS > 16 ? 7.0 : 11.0;
    double ns = cv_wino_line(p) ? CV_(wino_time)(p, 0.92, each, each)
                : twice         ? CV_(wino_time)(p, 0.80, 1.5 * each, each)
                                : CV_(wino_time)(p, 0.80, 7.0, 10.0);
    if (problem->fresh)
        ns += (double)p->groups * CV_(wino_planes)(p) * (double)CV_(wino_k)(p) *
              (double)((p->ocg + VL - 1) / VL) * (twice ? 15 : 27) / CV_PACE;
    return 800 + ns;
}

CV_ROW(winograd) = {CV_(wino_fits), CV_(wino_cost),         CV_(wino_plan),
                    NULL,           CV_(wino_pack_weights), CV_(wino_run)};
#endif
