/* Winograd's weights: U[group][panel of output channels][point][slice of the window][c][lane] = G g
 * G^T of each filter. */
#ifndef CV_WINO_WEIGHTS
#define CV_WINO_WEIGHTS
#if CV_FLOAT
#include "panel.tmpl.h"
#else
#include "../int8/wino_weights.tmpl.h"
#endif

/* Panel i of the weights of the group at w. */
static void CV_(wino_pack_panel)(const cv_conv *p, const CV_(weight) *w, ptrdiff_t i, T *u) {
    const ptrdiff_t vecs = (p->ocg + VL - 1) / VL, panels = CV_(lane_panels)(vecs);
    const ptrdiff_t l0 = CV_(lane_of)(vecs, panels, i), l1 = CV_(lane_of)(vecs, panels, i + 1);
    CV_(wino_panel)(p, w, l0, l1, u);
}

typedef struct {
    const cv_conv *p;
    const CV_(weight) *w;
    T *u;
    ptrdiff_t vecs, panels;
} CV_(wino_pack_job);

static void CV_(wino_pack_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(wino_pack_job) *j = context;
    const cv_conv *p = j->p;
    const ptrdiff_t g = unit / j->panels, i = unit % j->panels;
    (void)worker;
    T *u = j->u + g * CV_(wino_group)(p) +
           CV_(wino_before)(CV_(wino_planes)(p), CV_(wino_k)(p), j->vecs, i);
    CV_(wino_pack_panel)(p, j->w + g * p->ws[0], i, u);
}

static int CV_(wino_pack)(const cv_conv *p, int most, const CV_(weight) *w, T *u) {
    const ptrdiff_t vecs = (p->ocg + VL - 1) / VL;
    CV_(wino_pack_job) j = {p, w, u, vecs, CV_(lane_panels)(vecs)};
    const int threads = cv_threads_for((double)CV_(wino_size)(p), CV_WORK_PACK, most);
    return cv_parallel(CV_(wino_pack_unit), &j, p->groups * j.panels, threads);
}
#endif
