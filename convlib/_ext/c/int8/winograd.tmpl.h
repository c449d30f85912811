/* Winograd convolution of integers of 8 bits, F(4x4, 3x3): its row.  Products of int16 are twice
 * as many in a vector as those of floats, and exact. */
#ifndef CV_INT_WINOGRAD
#define CV_INT_WINOGRAD
#include "../winograd/run.tmpl.h"

CV_ONCE const char *CV_(int_wino_fits)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const char *lacks = CV_(int8_lacks)();
    if (lacks)
        return lacks;
    if (!cv_any_work(p))
        return "has no work in an empty convolution";
    if (p->k[1] != 3 || p->k[2] != 3 || p->stride[1] * p->stride[2] != 1)
        return "serves windows of 3x3 along H and W, with stride 1 there";
    if (problem->shifted)
        return "serves weights without zero points";
    if (p->icg > ((ptrdiff_t)1 << 29) / (128 * 128) / 9 / p->k[0])
        return "serves sums below 2^29";
    return NULL;
}

CV_ONCE double CV_(int_wino_cost)(const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    double ns = CV_(wino_time)(p, 0.85, 12.0, 14.0);
    if (problem->fresh)
        ns += 1.3 * (double)p->groups * (double)(p->ocg * p->icg * p->k[0]) * 9;
    return 800 + ns;
}

CV_ONCE void CV_(int_wino_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(wino_plan)(problem, plan);
    CV_(wino_job) *j = CV_JOB(plan, CV_(wino_job));
    j->offset = problem->type == CV_U8 ? 128 : 0;
    j->wide_y = problem->wide_y;
}

#define CV_INT_WINO_ROW(type)                                                 \
    const cv_impl CV_ROW3(CV_ISA, int8_winograd, type) = {                    \
        CV_(int_wino_fits),     CV_(int_wino_cost), CV_(int_wino_plan), NULL, \
        CV_(wino_pack_weights), CV_(wino_run),                                \
    };
CV_INT_WINO_ROW(i8)
CV_INT_WINO_ROW(u8)
#endif
