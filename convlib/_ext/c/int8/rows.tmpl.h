/* Convolution of integers of 8 bits by the broadcast GEMM: its row, by products of bytes or of
 * int16. */
#ifndef CV_INT8
#define CV_INT8
#include "../gemm/broadcast_plan.tmpl.h"

/* of the pace, to be measured; that of the unit is half of what it could do, after bf16x3's */
#if defined(CV_BYTE_TILES)
#define CV_DOTS_SHARE (CV_AMX ? 5.0 : 1e-3)
#else
#define CV_DOTS_SHARE (CV_DEPTH == 4 ? 0.86 : 0.5)
#endif

CV_ONCE const char *CV_(int8_fits)(const cv_problem *problem) {
    const char *lacks = CV_(int8_lacks)();
    return lacks || cv_any_work(&problem->conv) ? lacks : "has no work in an empty convolution";
}

CV_ONCE double CV_(int8_cost)(const cv_problem *problem) {
    const cv_conv p = cv_simplify(&problem->conv);
    const double pixels = (double)(p.n * p.groups) * (double)cv_outputs(&p);
    const double vecs = (double)((p.ocg + VL - 1) / VL);
    const ptrdiff_t run = p.dil[2] == 1 ? p.k[2] * p.icg : p.icg;
    ptrdiff_t lanes = (run + CV_DEPTH - 1) / CV_DEPTH;
#if defined(CV_BYTE_TILES)
    lanes = (lanes + CV_TILE_K - 1) / CV_TILE_K * CV_TILE_K; /* steps of the unit */
#endif
    const double k = (double)(cv_taps(&p) * p.icg / run * lanes);
    double inputs = (double)(p.n * p.groups * p.icg);
    for (int a = 0; a < 3; a++)
        inputs *= (double)(p.k[a] == 1 ? p.out[a] : p.in[a]);
    double ns = pixels * vecs * (k / (CV_DOTS_SHARE * CV_PACE) + (p.last ? 0.5 : 3.2));
    ns += inputs * (p.last ? 0.03 + 4.0 / (double)p.icg : 0.1);
    if (p.last && p.ocg % VL)
        ns += pixels * 5;
    if (problem->fresh)
        ns += 0.6 * (double)(p.groups * p.ocg * p.icg * cv_taps(&p));
    return 500 + 300 * (double)p.groups + ns; /* each group begins a table and panels of its own */
}

CV_ONCE void CV_(int8_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(broadcast_plan)(problem, plan);
    CV_(broadcast_job) *j = CV_JOB(plan, CV_(broadcast_job));
    j->flip = problem->type == CV_I8 ? 128 : 0;
}

#define CV_INT8_ROW(name, type)                                       \
    const cv_impl CV_ROW3(CV_ISA, name, type) = {                     \
        CV_(int8_fits),      CV_(int8_cost),      CV_(int8_plan),     \
        CV_(broadcast_fill), CV_(broadcast_pack), CV_(broadcast_run), \
    };
#if defined(CV_BYTE_TILES)
CV_INT8_ROW(int8_tiles, i8)
CV_INT8_ROW(int8_tiles, u8)
#elif defined(CV_BYTE_DOTS)
CV_INT8_ROW(int8_dots, i8)
CV_INT8_ROW(int8_dots, u8)
#else
CV_INT8_ROW(int8_pairs, i8)
CV_INT8_ROW(int8_pairs, u8)
#endif
#endif
