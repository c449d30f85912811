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

/* The larger magnitude, lane by lane; that of m where v is NaN. */
CV_INLINE vec CV_(larger)(vec m, vec v) {
#if CV_AVX512 && CV_BITS == 32
    return (vec)_mm512_range_ps((__m512)m, (__m512)v, 0xb);
#else
    const vec size = (vec)((ivec)v & (CV_INT(CV_BITS))(~(uint64_t)0 >> (65 - CV_BITS)));
#if CV_AVX2 && CV_BITS == 32
    return (vec)_mm256_max_ps((__m256)size, (__m256)m);
#else
    return CV_(select)((ivec)(size > m), size, m);
#endif
#endif
}

#ifdef CV_LANE
#if CV_BITS == 32
/* Of VL / CV_LANE vectors the larger magnitudes of their 16 bytes, one after the other. */
CV_INLINE vec CV_(larger_lanes)(const vec *m) {
#if CV_VB == 64
    vec half[2];
    for (int i = 0; i < 2; i++) {
        const vec a = m[2 * i], b = m[2 * i + 1];
        half[i] = CV_(larger)(__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19,
                                                      20, 21, 22, 23),
                              __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25,
                                                      26, 27, 28, 29, 30, 31));
    }
    const vec a = half[0], b = half[1];
    return CV_(larger)(
        __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
        __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
#else
    return CV_(larger)(__builtin_shufflevector(m[0], m[1], 0, 1, 2, 3, 8, 9, 10, 11),
                       __builtin_shufflevector(m[0], m[1], 4, 5, 6, 7, 12, 13, 14, 15));
#endif
}
#endif

/* VL whole rows in memory, turned round: the loads do what half of the shuffles would. */
CV_INLINE void CV_(transpose_whole)(const T *from, ptrdiff_t row, vec *v, vec *most) {
#if CV_BITS == 32
    vec m[VL / CV_LANE];
#endif
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
        if (most)
            m[k / CV_LANE] = CV_(larger)(CV_(larger)(CV_(larger)((vec){0}, a), b),
                                         CV_(larger)(CV_(larger)((vec){0}, c), d));
#endif
    }
#if CV_BITS == 32
    if (most)
        *most = CV_(larger)(*most, CV_(larger_lanes)(m));
#else
    (void)most;
#endif
}
#endif

/* n numbers, `step` apart, of each of VL rows, turned round: v[i] holds number i of every row;
 * zeros past the last row.  most: NULL, or of each number the largest magnitude so far. */
CV_INLINE void CV_(transpose_sized)(const T *from, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows,
                                    ptrdiff_t n, vec *v, vec *most) {
#ifdef CV_LANE
    if (step == 1 && rows == VL && n == VL && (!most || CV_BITS == 32)) {
        CV_(transpose_whole)(from, row, v, most);
        return;
    }
#endif
    if (step == 2 && rows == VL && n == VL) {
        CV_UNROLL(16)
        for (int i = 0; i < VL; i++)
            v[i] = CV_(even)(CV_(load)(from + i * row), CV_(load_n)(from + i * row + VL, VL - 1));
    } else {
        CV_UNROLL(16)
        for (int i = 0; i < VL; i++)
            v[i] = i < rows ? CV_(gather)(from + i * row, step, 0, n) : (vec){0};
    }
    CV_UNROLL(16)
    for (int i = 0; i < VL && most; i++)
        *most = CV_(larger)(*most, v[i]);
    CV_(transpose)(v);
}
CV_INLINE void CV_(transpose_rows)(const T *from, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows,
                                   ptrdiff_t n, vec *v) {
    CV_(transpose_sized)(from, row, step, rows, n, v, NULL);
}
#endif
