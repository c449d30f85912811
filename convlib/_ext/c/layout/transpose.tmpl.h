/* Rows of numbers turned round in registers. */
#ifndef CV_TRANSPOSE
#define CV_TRANSPOSE

/* VL rows of VL elements, turned round: log2(VL) perfect shuffles. */
CV_INLINE void CV_(transpose)(vec *v) {
    CV_UNROLL(4)
    for (int stage = 1; stage < VL; stage *= 2) {
        vec u[VL];
        CV_UNROLL(8)
        for (int i = 0; i < VL / 2; i++) {
            u[2 * i] = CV_(zip_low)(v[i], v[i + VL / 2]);
            u[2 * i + 1] = CV_(zip_high)(v[i], v[i + VL / 2]);
        }
        CV_UNROLL(16)
        for (int i = 0; i < VL; i++)
            v[i] = u[i];
    }
}

#ifdef CV_LANE
/* VL whole rows in memory, turned round: the loads do what half of the shuffles would. */
CV_INLINE void CV_(transpose_whole)(const T *from, ptrdiff_t row, vec *v) {
    CV_UNROLL(4)
    for (int k = 0; k < VL; k += CV_LANE) {
        const T *p = from + k;
        const vec a = CV_(lanes_at)(p, row), b = CV_(lanes_at)(p + row, row);
#if CV_BITS == 64
        v[k] = CV_(lane_low)(a, b);
        v[k + 1] = CV_(lane_high)(a, b);
#else
        const vec c = CV_(lanes_at)(p + 2 * row, row), d = CV_(lanes_at)(p + 3 * row, row);
        const vec e = CV_(lane_low)(a, c), f = CV_(lane_high)(a, c);
        const vec g = CV_(lane_low)(b, d), h = CV_(lane_high)(b, d);
        v[k] = CV_(lane_low)(e, g);
        v[k + 1] = CV_(lane_high)(e, g);
        v[k + 2] = CV_(lane_low)(f, h);
        v[k + 3] = CV_(lane_high)(f, h);
#endif
    }
}
#endif

/* n numbers, `step` apart, of each of VL rows, turned round: v[i] holds number i of every row;
 * zeros past the last row. */
CV_INLINE void CV_(transpose_rows)(const T *from, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows,
                                   ptrdiff_t n, vec *v) {
#ifdef CV_LANE
    if (step == 1 && rows == VL && n == VL) {
        CV_(transpose_whole)(from, row, v);
        return;
    }
#endif
    CV_UNROLL(16)
    for (int i = 0; i < VL; i++)
        v[i] = i < rows ? CV_(gather)(from + i * row, step, 0, n) : (vec){0};
    CV_(transpose)(v);
}
#endif
