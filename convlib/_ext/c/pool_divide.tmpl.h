/* What a window becomes: an average divides by the taps along W times `rest`, those along D and H; an empty window's
 * sum is 0, whatever it is divided by. */
CV_INLINE T CV_(finish)(const CV_(pool_job) *j, T v, ptrdiff_t rest, ptrdiff_t ox) {
    if (!j->divide) return v;
    return (T)(v / (j->p.divisor != 0 ? (T)j->p.divisor : (T)CV_MAX2(1, rest) * j->divide[ox]));
}

/* The divisor of a vector of windows; r: 1 / d, if `quotient` may use it. */
typedef struct {
    vec counted, d, r;
    ptrdiff_t rest;
    T fixed;
    int swift;
} CV_(divisor);

CV_INLINE CV_(divisor) CV_(divisor_at)(const CV_(pool_job) *j, ptrdiff_t ox) {
    const vec one = CV_(set1)((T)1);
    const double most = j->p.divisor != 0 ? j->p.divisor : (double)j->p.k[0] * (double)j->p.k[1] * (double)j->p.k[2];
    CV_(divisor) s = {.counted = one, .d = one, .r = one, .rest = -1, .fixed = (T)j->p.divisor};
    if (j->divide) s.counted = CV_(load)(j->divide + ox), s.swift = most >= 1 && most <= 1 << 20;
    return s;
}

/* From here on for windows with `rest` taps along D and H. */
CV_INLINE void CV_(divide_by)(CV_(divisor) *s, ptrdiff_t rest) {
    if (s->rest == rest) return;
    s->rest = rest;
    s->d = s->fixed != 0 ? CV_(set1)(s->fixed) : s->counted * CV_(set1)((T)CV_MAX2(1, rest));
    s->r = CV_(set1)((T)1) / s->d;
}

#if CV_FLOAT && defined(CV_MM)
/* Whether a lane is not finite, or so small that `quotient` could underflow. */
CV_INLINE int CV_(uncommon)(vec v) {
    const int bits = CV_BITS == 32 ? 23 : 52, low = CV_BITS == 32 ? 27 : 123, high = CV_BITS == 32 ? 255 : 2047;
    const CV_INT(CV_BITS) least = (CV_INT(CV_BITS))low << bits, infinite = (CV_INT(CV_BITS))high << bits;
    const ivec size = (ivec)v & ((ivec){0} + (CV_INT(CV_BITS))(infinite | (((CV_INT(CV_BITS))1 << bits) - 1)));
#if CV_VB == 64
    const __m512i above = (__m512i)(size - least), range = (__m512i)((ivec){0} + (infinite - least));
    const CV_FLAGS common = CV_GLUE(CV_GLUE(_mm512_cmplt_epu, CV_BITS), _mask)(above, range);
    return (CV_FLAGS) ~(common | CV_GLUE(CV_GLUE(_mm512_testn_epi, CV_BITS), _mask)((__m512i)size, (__m512i)size)) != 0;
#else
    return CV_MM(movemask, )((CV_MMT)((size == 0) | ((size >= least) & (size < infinite)))) != (1 << VL) - 1;
#endif
}
#endif

/* v / d, rounded as a division is.  Where d is a whole number up to 2^20, q = v r is off by at most 1.5 units in the
 * last place, the remainder e = v - q d is exact, and q + e r lies within 2^-23 units of v / d before it is rounded.
 * No middle of two neighbours lies between: v is a multiple of q's unit, so that v / d is at least 1 / (2 d) units
 * from the middle, or in it, for which v would need a digit more than it has. */
CV_INLINE vec CV_(quotient)(vec v, const CV_(divisor) *s) {
#if CV_FLOAT && defined(CV_MM)
    if (s->swift && __builtin_expect(!CV_(uncommon)(v), 1)) {
        const vec q = v * s->r;
        const CV_MMT e = CV_MM(fnmadd, )((CV_MMT)q, (CV_MMT)s->d, (CV_MMT)v);
        const vec full = (vec)CV_MM(fmadd, )(e, (CV_MMT)s->r, (CV_MMT)q);
        return (vec)((ivec)full | ((ivec)v & (ivec)CV_(set1)((T)-0.0))); /* the sum of -0 and 0 is 0 */
    }
#endif
    return v / s->d;
}

CV_INLINE void CV_(put)(const CV_(pool_job) *j, vec v, ptrdiff_t rest, T *y, ptrdiff_t ox) {
    const ptrdiff_t n = CV_MIN2(VL, j->p.out[2] - ox);
    if (j->divide) {
        CV_(divisor) s = CV_(divisor_at)(j, ox);
        CV_(divide_by)(&s, rest);
        v = v / s.d;
    }
    if (n == VL) CV_(store)(y + ox, v);
    else CV_(store_n)(y + ox, v, n);
}
