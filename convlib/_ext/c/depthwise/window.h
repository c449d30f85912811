/* What depthwise kernels are made for. */
#ifndef CV_WINDOW_H
#define CV_WINDOW_H
#include "../gemm/view.h"

/* One channel to a group, and a plane: nothing along D. */
static inline CV_UNUSED int cv_depthwise_plane(const cv_conv *p) {
    return p->icg == 1 && p->ocg == 1 && p->in[0] == 1 && p->out[0] == 1 && p->k[0] == 1 &&
           !p->lo[0];
}

/* Square windows of 3, 5 and 7, stride 1 or 2. */
static inline CV_UNUSED int cv_depthwise_square(const cv_conv *p) {
    return cv_depthwise_plane(p) && p->k[1] == p->k[2] &&
           (p->k[2] == 3 || p->k[2] == 5 || p->k[2] == 7) && p->stride[1] == p->stride[2] &&
           p->stride[1] <= 2;
}

/* Such windows under stride 1 whose taps lie apart, but so that a plane holds several. */
static inline CV_UNUSED int cv_depthwise_apart(const cv_conv *p) {
    return cv_depthwise_square(p) && p->stride[2] == 1 && (p->dil[1] > 1 || p->dil[2] > 1) &&
           p->dil[1] < p->in[1] && p->dil[2] < p->in[2];
}

/* Such windows whose taps lie side by side. */
static inline CV_UNUSED int cv_depthwise_window(const cv_conv *p) {
    return cv_depthwise_square(p) && p->dil[1] == 1 && p->dil[2] == 1;
}
#endif
