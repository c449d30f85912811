/* Two vectors shuffled into one, in the orders that kernels ask for; part of vec.h. */
/* Even and odd elements of the pair (a, b), in order; evens and odds: as one shuffle leaves them,
 * which in_order mends once they have been joined or summed. */
#if CV_AVX2 && CV_BITS >= 32
#if CV_BITS == 32
#define CV_SHUFFLE(a, b, which) _mm256_shuffle_ps((__m256)(a), (__m256)(b), which ? 0xdd : 0x88)
#else
#define CV_SHUFFLE(a, b, which) _mm256_shuffle_pd((__m256d)(a), (__m256d)(b), which ? 0xf : 0)
#endif
CV_INLINE vec CV_(in_order)(vec v) { return (vec)_mm256_permute4x64_epi64((__m256i)v, 0xd8); }
CV_INLINE vec CV_(evens)(vec a, vec b) { return (vec)CV_SHUFFLE(a, b, 0); }
CV_INLINE vec CV_(odds)(vec a, vec b) { return (vec)CV_SHUFFLE(a, b, 1); }
CV_INLINE vec CV_(even)(vec a, vec b) { return CV_(in_order)(CV_(evens)(a, b)); }
CV_INLINE vec CV_(odd)(vec a, vec b) { return CV_(in_order)(CV_(odds)(a, b)); }
#undef CV_SHUFFLE
#else
#if CV_VB * 8 / CV_BITS == 2
CV_INLINE vec CV_(even)(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 2); }
CV_INLINE vec CV_(odd)(vec a, vec b) { return __builtin_shufflevector(a, b, 1, 3); }
#elif CV_VB * 8 / CV_BITS == 4
CV_INLINE vec CV_(even)(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6); }
CV_INLINE vec CV_(odd)(vec a, vec b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7); }
#elif CV_VB * 8 / CV_BITS == 8
CV_INLINE vec CV_(even)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
}
CV_INLINE vec CV_(odd)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
}
#elif CV_VB * 8 / CV_BITS == 16
CV_INLINE vec CV_(even)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}
CV_INLINE vec CV_(odd)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}
#endif
#if CV_BITS >= 32
CV_INLINE vec CV_(in_order)(vec v) { return v; }
CV_INLINE vec CV_(evens)(vec a, vec b) { return CV_(even)(a, b); }
CV_INLINE vec CV_(odds)(vec a, vec b) { return CV_(odd)(a, b); }
#endif
#endif

/* Lanes of a and b in turn: the first half of both, or the second. */
#if CV_VB * 8 / CV_BITS == 2
CV_INLINE vec CV_(zip_low)(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 2); }
CV_INLINE vec CV_(zip_high)(vec a, vec b) { return __builtin_shufflevector(a, b, 1, 3); }
#elif CV_VB * 8 / CV_BITS == 4
CV_INLINE vec CV_(zip_low)(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
CV_INLINE vec CV_(zip_high)(vec a, vec b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }
#elif CV_VB * 8 / CV_BITS == 8
CV_INLINE vec CV_(zip_low)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
CV_INLINE vec CV_(zip_high)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
#elif CV_VB * 8 / CV_BITS == 16
CV_INLINE vec CV_(zip_low)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
CV_INLINE vec CV_(zip_high)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}
#endif

/* The same within each 16 bytes of a and b. */
#if CV_VB * 8 / CV_BITS == 16
CV_INLINE vec CV_(lane_low)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
CV_INLINE vec CV_(lane_high)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15,
                                   31);
}
#elif CV_VB == 32 && CV_BITS == 32
CV_INLINE vec CV_(lane_low)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
}
CV_INLINE vec CV_(lane_high)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
}
#elif CV_VB == 64 && CV_BITS == 64
CV_INLINE vec CV_(lane_low)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
}
CV_INLINE vec CV_(lane_high)(vec a, vec b) {
    return __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
}
#elif CV_VB == 32 && CV_BITS == 64
CV_INLINE vec CV_(lane_low)(vec a, vec b) { return __builtin_shufflevector(a, b, 0, 4, 2, 6); }
CV_INLINE vec CV_(lane_high)(vec a, vec b) { return __builtin_shufflevector(a, b, 1, 5, 3, 7); }
#endif

/* Numbers of a vector, each named by a lane of `which` that is CV_NAMED of its place. */
#undef CV_NAMED
#if CV_AVX512 && CV_BITS == 32
#define CV_NAMED(i) (int)(i)
CV_INLINE vec CV_(named)(vec v, ivec which) {
    return (vec)_mm512_permutexvar_epi32((__m512i)which, (__m512i)v);
}
#elif CV_AVX512 && CV_BITS == 64
#define CV_NAMED(i) (i)
CV_INLINE vec CV_(named)(vec v, ivec which) {
    return (vec)_mm512_permutexvar_epi64((__m512i)which, (__m512i)v);
}
#elif CV_AVX2 && CV_BITS >= 32
#if CV_BITS == 32
#define CV_NAMED(i) (int)(i)
#else
#define CV_NAMED(i) ((i) * (2 + ((int64_t)2 << 32)) + ((int64_t)1 << 32)) /* of its two halves */
#endif
CV_INLINE vec CV_(named)(vec v, ivec which) {
    return (vec)_mm256_permutevar8x32_epi32((__m256i)v, (__m256i)which);
}
#endif
