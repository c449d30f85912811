/* Maxima, minima and sums of numbers and vectors.  A maximum lets NaN win and of equals the
 * first. */
#ifndef CV_EXTREMES
#define CV_EXTREMES

#undef CV_MM
#undef CV_MMT
#if CV_FLOAT && CV_VB == 64
#if CV_BITS == 32
#define CV_MM(op, tail) _mm512_##op##_ps##tail
#define CV_MMT __m512
#else
#define CV_MM(op, tail) _mm512_##op##_pd##tail
#define CV_MMT __m512d
#endif
#elif CV_FLOAT && CV_AVX2
#if CV_BITS == 32
#define CV_MM(op, tail) _mm256_##op##_ps##tail
#define CV_MMT __m256
#else
#define CV_MM(op, tail) _mm256_##op##_pd##tail
#define CV_MMT __m256d
#endif
#endif
#undef CV_NAN_LANES
#if CV_FLOAT
#define CV_NAN_LANES(v) ((ivec)((v) != (v)))
#else
#define CV_NAN_LANES(v) ((void)(v), (ivec){0})
#endif

#undef CV_LOWEST
#undef CV_IS_NAN
#if CV_FLOAT
#define CV_LOWEST(kind) ((kind) == CV_MAX ? (T)-INFINITY : (T)INFINITY)
#define CV_IS_NAN(a) ((a) != (a))
#else
#define CV_LEAST ((T)-1 > 0 ? (T)0 : (T)((uint64_t)1 << (CV_BITS - 1)))
#define CV_LOWEST(kind) ((kind) == CV_MAX ? CV_LEAST : (T)~CV_LEAST)
#define CV_IS_NAN(a) 0
#endif
#define CV_START(kind) ((kind) <= CV_MIN ? CV_LOWEST(kind) : (T)0)

/* Where b, the later one, takes the place of a. */
CV_INLINE int CV_(wins)(const int kind, T a, T b) {
    return (kind == CV_MAX ? b > a : b < a) || CV_IS_NAN(b);
}
CV_INLINE T CV_(join)(const int kind, T a, T b) {
    if (kind > CV_MIN)
        return (T)(a + b);
    return CV_(wins)(kind, a, b) ? b : a;
}
/* Which lanes hold a NaN, of one vector or of either of two. */
#undef CV_FLAGS
#if CV_FLOAT && CV_VB == 64
#define CV_FLAGS CV_GLUE(CV_MASK, CV_BITS)
CV_INLINE CV_FLAGS CV_(nans)(vec v) {
    return CV_MM(cmp, _mask)((CV_MMT)v, (CV_MMT)v, _CMP_UNORD_Q);
}
CV_INLINE CV_FLAGS CV_(nans_of)(vec a, vec b) {
    return CV_MM(cmp, _mask)((CV_MMT)a, (CV_MMT)b, _CMP_UNORD_Q);
}
CV_INLINE int CV_(any_flag)(CV_FLAGS m) { return m != 0; }
#else
#define CV_FLAGS ivec
CV_INLINE CV_FLAGS CV_(nans)(vec v) { return CV_NAN_LANES(v); }
#ifdef CV_MM
CV_INLINE CV_FLAGS CV_(nans_of)(vec a, vec b) {
    return (ivec)CV_MM(cmp, )((CV_MMT)a, (CV_MMT)b, _CMP_UNORD_Q);
}
CV_INLINE int CV_(any_flag)(CV_FLAGS m) { return CV_MM(movemask, )((CV_MMT)m) != 0; }
#else
CV_INLINE CV_FLAGS CV_(nans_of)(vec a, vec b) { return CV_NAN_LANES(a) | CV_NAN_LANES(b); }
CV_INLINE int CV_(any_flag)(CV_FLAGS m) {
    int any = 0;
    for (int i = 0; i < VL; i++)
        any |= m[i] != 0;
    return any;
}
#endif
#endif

/* nan_free: neither a nor b holds a NaN. */
CV_INLINE vec CV_(meet)(const int kind, const int nan_free, vec a, vec b) {
    if (kind > CV_MIN)
        return a + b;
#ifdef CV_MM
    /* max and min give their second operand if either is NaN or both are equal */
    if (nan_free)
        return (vec)(kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a)
                                    : CV_MM(min, )((CV_MMT)b, (CV_MMT)a));
#if CV_VB == 64
    /* a NaN in b is kept by the mask */
    const CV_GLUE(CV_MASK, CV_BITS) ordered = CV_MM(cmp, _mask)((CV_MMT)b, (CV_MMT)b, _CMP_ORD_Q);
    return (vec)(kind == CV_MAX ? CV_MM(mask_max, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a)
                                : CV_MM(mask_min, )((CV_MMT)b, ordered, (CV_MMT)b, (CV_MMT)a));
#else
    const CV_MMT m =
        kind == CV_MAX ? CV_MM(max, )((CV_MMT)b, (CV_MMT)a) : CV_MM(min, )((CV_MMT)b, (CV_MMT)a);
    return (vec)CV_MM(blendv, )(m, (CV_MMT)b, CV_MM(cmp, )((CV_MMT)b, (CV_MMT)b, _CMP_UNORD_Q));
#endif
#else
    const ivec wins = (ivec)(kind == CV_MAX ? b > a : b < a);
    return CV_(select)(nan_free ? wins : wins | CV_NAN_LANES(b), b, a);
#endif
}
CV_INLINE vec CV_(vjoin)(const int kind, vec a, vec b) { return CV_(meet)(kind, 0, a, b); }

/* A long sum adds up parts, and carries what each addition lost (Kahan): its error does not grow
 * with its length. */
#define CV_PART 16 /* numbers that a part adds up in a row */
CV_INLINE void CV_(carry)(vec *sum, vec *lost, vec part) {
    const vec y = part - *lost, t = *sum + y, more = (t - *sum) - y;
    /* what is not finite has lost nothing: it would make NaN of an infinity */
    *lost = CV_(select)((ivec)(more - more == 0), more, (vec){0});
    *sum = t;
}
/* A long sum of single numbers: a double, which is no slower. */
#undef CV_WIDE
#if CV_FLOAT
#define CV_WIDE double
#else
#define CV_WIDE T
#endif
#endif
