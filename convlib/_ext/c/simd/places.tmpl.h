/* Vectors of extremes, each number with its place.  All kinds are maxima here: minima are those of
 * what has its bits turned. */
#ifndef CV_PLACES
#define CV_PLACES
#include "extremes.tmpl.h"

/* No place: behind every other. */
#define CV_NOWHERE ((CV_INT(CV_BITS))(((uint64_t)1 << (CV_BITS - 1)) - 1))

typedef struct {
    vec v;
    ivec at;
} CV_(found);

#if CV_FLOAT && CV_VB == 64
CV_INLINE CV_FLAGS CV_(exceeds)(vec a, vec b) {
    return CV_MM(cmp, _mask)((CV_MMT)a, (CV_MMT)b, _CMP_GT_OQ);
}
/* Where a and b are equal, and a's place is the first. */
CV_INLINE CV_FLAGS CV_(precedes)(vec a, vec b, ivec at, ivec bt) {
    const CV_FLAGS equal = CV_MM(cmp, _mask)((CV_MMT)a, (CV_MMT)b, _CMP_EQ_OQ);
    return CV_GLUE(CV_GLUE(_mm512_mask_cmplt_epi, CV_BITS), _mask)(equal, (__m512i)at, (__m512i)bt);
}
CV_INLINE CV_FLAGS CV_(follows)(ivec at, ivec bt) {
    return CV_GLUE(CV_GLUE(_mm512_cmpgt_epi, CV_BITS), _mask)((__m512i)at, (__m512i)bt);
}
CV_INLINE vec CV_(pick)(CV_FLAGS flags, vec a, vec b) {
    return (vec)CV_GLUE(_mm512_mask_mov_epi, CV_BITS)((__m512i)b, flags, (__m512i)a);
}
#else
CV_INLINE CV_FLAGS CV_(exceeds)(vec a, vec b) { return (ivec)(a > b); }
CV_INLINE CV_FLAGS CV_(precedes)(vec a, vec b, ivec at, ivec bt) {
    return (ivec)(a == b) & (ivec)(at < bt);
}
CV_INLINE CV_FLAGS CV_(follows)(ivec at, ivec bt) { return (ivec)(at > bt); }
CV_INLINE vec CV_(pick)(CV_FLAGS flags, vec a, vec b) {
#ifdef CV_MM
    return (vec)CV_MM(blendv, )((CV_MMT)b, (CV_MMT)a, (CV_MMT)flags);
#else
    return CV_(select)(flags, a, b);
#endif
}
#endif

/* Where one of them is a NaN. */
CV_INLINE CV_FLAGS CV_(unordered)(vec a, vec b) {
#if CV_FLOAT && CV_VB == 64
    return CV_MM(cmp, _mask)((CV_MMT)a, (CV_MMT)b, _CMP_UNORD_Q);
#elif defined(CV_MM)
    return (ivec)CV_MM(cmp, )((CV_MMT)a, (CV_MMT)b, _CMP_UNORD_Q);
#else
    return CV_(nans)(a) | CV_(nans)(b);
#endif
}

/* Of two the larger: the first of equals, but the last NaN. later: b lies behind a; nan_free:
 * neither is a NaN. */
CV_INLINE CV_(found) CV_(found_of)(const int later, const int nan_free, CV_(found) a,
                                   CV_(found) b) {
    CV_FLAGS take = CV_(exceeds)(b.v, a.v);
    if (!later)
        take |= CV_(precedes)(b.v, a.v, b.at, a.at);
    if (!nan_free) {
        const CV_FLAGS nan = CV_(nans)(b.v);
        take |= later ? nan : (CV_FLAGS)(nan & (CV_(follows)(b.at, a.at) | ~CV_(nans)(a.v)));
    }
    return (CV_(found)){later && nan_free ? CV_(meet)(CV_MAX, 1, a.v, b.v)
                                          : CV_(pick)(take, b.v, a.v),
                        (ivec)CV_(pick)(take, (vec)b.at, (vec)a.at)};
}

/* The first n places. */
CV_INLINE void CV_(store_places)(int64_t *to, ivec at, ptrdiff_t n) {
#if CV_BITS == 64
    if (n == VL) {
        *(ivecu *)to = at;
        return;
    }
#elif CV_VB == 64
    if (n == VL) {
        const __m512i all = (__m512i)at;
        _mm512_storeu_si512(to, _mm512_cvtepi32_epi64(_mm512_castsi512_si256(all)));
        _mm512_storeu_si512(to + 8, _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(all, 1)));
        return;
    }
#elif CV_AVX2
    if (n == VL) {
        const __m256i all = (__m256i)at;
        _mm256_storeu_si256((__m256i_u *)to,
                            _mm256_cvtepi32_epi64(_mm256_castsi256_si128(all)));
        _mm256_storeu_si256((__m256i_u *)(to + 4),
                            _mm256_cvtepi32_epi64(_mm256_extracti128_si256(all, 1)));
        return;
    }
#endif
    CV_INT(CV_BITS) lanes[VL];
    memcpy(lanes, &at, sizeof lanes);
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = lanes[i];
}
#endif
