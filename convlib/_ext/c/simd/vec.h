/* The vector vocabulary of one (instruction set, element type) pair.
 *
 * Every name defined through CV_(name) becomes name_<suffix>; the files of isa/ keep them apart
 * because everything is static.  Plain C vector types do nearly all the work; intrinsics appear
 * only where C cannot say "load these lanes and touch no others", and in this folder only.
 */
#undef VL
#undef vec
#undef vecu
#undef ivec
#undef ivecu
#define VL (CV_VB * 8 / CV_BITS)

#ifndef CV_
#define CV_PASTE2(a, b) a##_##b
#define CV_PASTE(a, b) CV_PASTE2(a, b)
#define CV_(name) CV_PASTE(name, CV_S)
/* A load that several multiply-adds share: the compiler would rather load it for each of them. */
#ifdef __x86_64__
#define CV_KEEP(v) __asm__("" : "+v"(v))
/* What lies at p is loaded again: kept from its last use, it would push sums out of registers. */
#define CV_ANEW(p) __asm__("" : "+r"(p))
#else
#define CV_KEEP(v) ((void)0)
#define CV_ANEW(p) ((void)0)
#endif
#define CV_INT2(bits) int##bits##_t
#define CV_INT(bits) CV_INT2(bits)
#define CV_INLINE static inline __attribute__((always_inline, unused))
/* What runs once for each plan is made small, not fast: it would be a tenth of the engine. */
#define CV_ONCE static __attribute__((cold))
/* CV_FORWARD: no turn of the loop reads what an earlier one wrote. */
#ifdef __clang__
#define CV_UNROLL(n) CV_PRAGMA(clang loop unroll_count(n))
#define CV_FORWARD CV_PRAGMA(clang loop vectorize(assume_safety))
#else
#define CV_UNROLL(n) CV_PRAGMA(GCC unroll n)
#define CV_FORWARD CV_PRAGMA(GCC ivdep)
#endif
#define CV_NOINLINE static __attribute__((noinline))
#define CV_UNUSED __attribute__((unused))
#define CV_ROUND64(bytes) (((bytes) + 63) / 64 * 64)
/* The functions of a row of impls.def. */
#define CV_ROW4(isa, name, type) cv_##isa##_##name##_##type
#define CV_ROW3(isa, name, type) CV_ROW4(isa, name, type)
#define CV_ROW(name) const cv_impl CV_ROW3(CV_ISA, name, CV_S)
#endif

/* vec: in registers; vecu: the same at any address, free to alias other types; ivec: comparison
 * results. */
typedef T CV_(vec_t) __attribute__((vector_size(CV_VB)));
typedef T CV_(vecu_t) __attribute__((vector_size(CV_VB), aligned(CV_BITS / 8), may_alias));
typedef CV_INT(CV_BITS) CV_(ivec_t) __attribute__((vector_size(CV_VB)));
typedef CV_INT(CV_BITS)
    CV_(ivecu_t) __attribute__((vector_size(CV_VB), aligned(CV_BITS / 8), may_alias));
#define vec CV_(vec_t)
#define vecu CV_(vecu_t)
#define ivec CV_(ivec_t)
#define ivecu CV_(ivecu_t)

CV_INLINE vec CV_(load)(const T *p) { return *(const vecu *)p; }
CV_INLINE void CV_(store)(T *p, vec v) { *(vecu *)p = v; }
CV_INLINE vec CV_(set1)(T a) { return a - (vec){0}; } /* a − 0, not a + 0: keeps the sign of −0 */

/* mask ? a : b, lane by lane (GCC has no vector ?: in C) */
CV_INLINE vec CV_(select)(ivec mask, vec a, vec b) {
    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
}

#undef CV_LANES
/* Lanes lo..hi-1 of p (0 <= lo, hi <= VL; hi <= lo: none), zero elsewhere; no other element is
 * touched. */
#if CV_AVX512
#ifndef CV_KMASK
#define CV_GLUE2(a, b) a##b
#define CV_GLUE(a, b) CV_GLUE2(a, b)
#define CV_KMASK(lo, hi) ((hi) <= (lo) ? 0 : (~(uint64_t)0 >> (64 - ((hi) - (lo)))) << (lo))
#define CV_MASK8 __mmask64
#define CV_MASK16 __mmask32
#define CV_MASK32 __mmask16
#define CV_MASK64 __mmask8
#endif
CV_INLINE vec CV_(load_range)(const T *p, ptrdiff_t lo, ptrdiff_t hi) {
    return (vec)CV_GLUE(_mm512_maskz_loadu_epi,
                        CV_BITS)((CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(lo, hi), p);
}
CV_INLINE void CV_(store_range)(T *p, vec v, ptrdiff_t lo, ptrdiff_t hi) {
    CV_GLUE(_mm512_mask_storeu_epi, CV_BITS)(p, (CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(lo, hi),
                                             (__m512i)v);
}
#elif CV_AVX2 && CV_BITS >= 32
#if CV_BITS == 32
#define CV_LANES(lo, hi) (ivec) CV_AVX2_MASK(lo, hi)
#ifndef CV_AVX2_MASK
#define CV_AVX2_MASK(lo, hi)                                                            \
    (_mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)(lo)),               \
                                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)), \
                         _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(hi)),               \
                                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))))
#endif
CV_INLINE vec CV_(load_set)(const T *p, ivec set) {
    return (vec)_mm256_maskload_epi32((const int *)p, (__m256i)set);
}
CV_INLINE void CV_(store_range)(T *p, vec v, ptrdiff_t lo, ptrdiff_t hi) {
    _mm256_maskstore_epi32((int *)p, CV_AVX2_MASK(lo, hi), (__m256i)v);
}
#else
#define CV_LANES(lo, hi) (ivec) CV_AVX2_MASK64(lo, hi)
#ifndef CV_AVX2_MASK64
#define CV_AVX2_MASK64(lo, hi)                                                      \
    (_mm256_andnot_si256(                                                           \
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(lo), _mm256_setr_epi64x(0, 1, 2, 3)), \
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(hi), _mm256_setr_epi64x(0, 1, 2, 3))))
#endif
CV_INLINE vec CV_(load_set)(const T *p, ivec set) {
    return (vec)_mm256_maskload_epi64((const long long *)p, (__m256i)set);
}
CV_INLINE void CV_(store_range)(T *p, vec v, ptrdiff_t lo, ptrdiff_t hi) {
    _mm256_maskstore_epi64((long long *)p, CV_AVX2_MASK64(lo, hi), (__m256i)v);
}
#endif
CV_INLINE vec CV_(load_range)(const T *p, ptrdiff_t lo, ptrdiff_t hi) {
    return CV_(load_set)(p, CV_LANES(lo, hi));
}
#else
CV_INLINE vec CV_(load_range)(const T *p, ptrdiff_t lo, ptrdiff_t hi) {
    if (lo == 0 && hi == VL)
        return CV_(load)(p);
    vec v = {0};
    for (ptrdiff_t i = lo; i < hi; i++) { /* at any address, as the others are read */
        T lane;
        __builtin_memcpy(&lane, p + i, sizeof lane);
        v[i] = lane;
    }
    return v;
}
CV_INLINE void CV_(store_range)(T *p, vec v, ptrdiff_t lo, ptrdiff_t hi) {
    if (lo == 0 && hi == VL) {
        CV_(store)(p, v);
        return;
    }
    for (ptrdiff_t i = lo; i < hi; i++)
        p[i] = v[i];
}
#endif

/* The first n lanes (0 <= n <= VL). */
CV_INLINE vec CV_(load_n)(const T *p, ptrdiff_t n) { return CV_(load_range)(p, 0, n); }
#if CV_AVX2 && CV_BITS >= 32
/* By halves, quarters and eighths: AMD's processors take twenty cycles for a store under a mask. */
CV_INLINE void CV_(store_n)(T *p, vec v, ptrdiff_t n) {
    if (n == VL) {
        CV_(store)(p, v);
        return;
    }
    __m128i part = _mm256_castsi256_si128((__m256i)v);
    if (n & (VL / 2)) {
        _mm_storeu_si128((__m128i *)p, part);
        part = _mm256_extracti128_si256((__m256i)v, 1);
        p += VL / 2;
    }
#if CV_BITS == 32
    if (n & 2) {
        _mm_storel_epi64((__m128i *)p, part);
        part = _mm_unpackhi_epi64(part, part);
        p += 2;
    }
    if (n & 1) {
        const int one = _mm_cvtsi128_si32(part);
        __builtin_memcpy(p, &one, sizeof one);
    }
#else
    if (n & 1)
        _mm_storel_epi64((__m128i *)p, part);
#endif
}
#else
CV_INLINE void CV_(store_n)(T *p, vec v, ptrdiff_t n) { CV_(store_range)(p, v, 0, n); }
#endif

/* Lanes lo .. hi-1 of p, `fill` elsewhere. */
CV_INLINE vec CV_(load_or)(const T *p, ptrdiff_t lo, ptrdiff_t hi, vec fill) {
#if CV_AVX512
    return (vec)CV_GLUE(_mm512_mask_loadu_epi,
                        CV_BITS)((__m512i)fill, (CV_GLUE(CV_MASK, CV_BITS))CV_KMASK(lo, hi), p);
#elif defined(CV_LANES)
    return CV_(select)(CV_LANES(lo, hi), CV_(load_range)(p, lo, hi), fill);
#else
    if (lo == 0 && hi == VL)
        return CV_(load)(p);
    T lanes[VL];
    CV_(store)(lanes, fill);
    for (ptrdiff_t i = lo; i < hi; i++)
        lanes[i] = p[i];
    return CV_(load)(lanes);
#endif
}

/* Lanes that exist, worked out once for many loads (zero elsewhere). */
#undef CV_LANE_SET
#if CV_AVX512
#define CV_LANE_SET CV_GLUE(CV_MASK, CV_BITS)
CV_INLINE CV_LANE_SET CV_(lane_set)(ptrdiff_t lo, ptrdiff_t hi) {
    lo = CV_MAX2(lo, 0);
    hi = CV_MIN2(hi, VL);
    return (CV_LANE_SET)CV_KMASK(lo, hi);
}
CV_INLINE vec CV_(load_set)(const T *p, CV_LANE_SET set) {
    return (vec)CV_GLUE(_mm512_maskz_loadu_epi, CV_BITS)(set, p);
}
CV_INLINE vec CV_(load_some)(const T *p, CV_LANE_SET set) { return CV_(load_set)(p, set); }
CV_INLINE vec CV_(fill_set)(vec v, CV_LANE_SET set, vec fill) {
    return (vec)CV_GLUE(_mm512_mask_mov_epi, CV_BITS)((__m512i)fill, set, (__m512i)v);
}
#elif CV_AVX2 && CV_BITS >= 32
#define CV_LANE_SET ivec
CV_INLINE CV_LANE_SET CV_(lane_set)(ptrdiff_t lo, ptrdiff_t hi) {
    lo = CV_MIN2(VL, CV_MAX2(lo, 0));
    hi = CV_MAX2(lo, CV_MIN2(hi, VL));
    return CV_LANES(lo, hi);
}
CV_INLINE vec CV_(load_some)(const T *p, CV_LANE_SET set) { return CV_(load_set)(p, set); }
CV_INLINE vec CV_(fill_set)(vec v, CV_LANE_SET set, vec fill) {
    return (vec)_mm256_blendv_epi8((__m256i)fill, (__m256i)v, (__m256i)set);
}
#else
typedef struct {
    short lo, hi;
} CV_(lane_range);
#define CV_LANE_SET CV_(lane_range)
CV_INLINE CV_LANE_SET CV_(lane_set)(ptrdiff_t lo, ptrdiff_t hi) {
    lo = CV_MIN2(VL, CV_MAX2(lo, 0));
    return (CV_LANE_SET){(short)lo, (short)CV_MAX2(lo, CV_MIN2(hi, VL))};
}
CV_INLINE vec CV_(load_set)(const T *p, CV_LANE_SET set) {
    return set.lo == 0 && set.hi == VL ? CV_(load)(p) : CV_(load_range)(p, set.lo, set.hi);
}
/* The same where few sets are whole. */
CV_INLINE vec CV_(load_some)(const T *p, CV_LANE_SET set) {
    return CV_(load_range)(p, set.lo, set.hi);
}
CV_INLINE vec CV_(fill_set)(vec v, CV_LANE_SET set, vec fill) {
    if (set.lo == 0 && set.hi == VL)
        return v;
    for (int i = 0; i < VL; i++)
        v[i] = i >= set.lo && i < set.hi ? v[i] : fill[i];
    return v;
}
#endif

#include "shuffles.tmpl.h"

#if CV_BITS >= 32
/* The elements at src, src + step, … */
CV_INLINE vec CV_(gather_all)(const T *src, ptrdiff_t step) {
    vec v;
    CV_UNROLL(16)
    for (int i = 0; i < VL; i++)
        v[i] = src[i * step];
    return v;
}
/* Lanes lo..hi-1 of them; zero elsewhere.  Some lanes go by memory: GCC takes ten cycles for a lane
 * whose number it does not know. */
CV_NOINLINE vec CV_(gather_some)(const T *src, ptrdiff_t step, ptrdiff_t lo, ptrdiff_t hi) {
    if (lo == 0 && hi == VL)
        return CV_(gather_all)(src, step);
    T lanes[VL] = {0};
    for (ptrdiff_t i = lo; i < hi; i++)
        lanes[i] = src[i * step];
    return CV_(load)(lanes);
}
CV_INLINE vec CV_(gather)(const T *src, ptrdiff_t step, ptrdiff_t lo, ptrdiff_t hi) {
    if (step == 1)
        return CV_(load_range)(src, lo, hi);
    if (step == 2) {
        /* nothing past the last element wanted */
        const ptrdiff_t a = 2 * lo, b = CV_MAX2(2 * hi - 1, a);
        return CV_(even)(CV_(load_range)(src, CV_MIN2(a, VL), CV_MIN2(b, VL)),
                         CV_(load_range)(src + VL, CV_MAX2(a - VL, 0), CV_MAX2(b - VL, 0)));
    }
    return CV_(gather_some)(src, step, lo, hi);
}

#endif

#undef CV_LANE
#if CV_FLOAT && defined(__x86_64__) && CV_VB > 16
#define CV_LANE (128 / CV_BITS) /* numbers in 16 bytes, which shuffles do not leave */
/* Of the rows that lie CV_LANE apart, the 16 bytes at p, one after the other. */
CV_INLINE vec CV_(lanes_at)(const T *p, ptrdiff_t row) {
#define CV_AT(l) _mm_loadu_ps((const float *)(p + (l) * CV_LANE * row))
#if CV_VB == 64
    const __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(CV_AT(0)), CV_AT(1), 1);
    return (vec)_mm512_insertf32x4(_mm512_insertf32x4(a, CV_AT(2), 2), CV_AT(3), 3);
#else
    return (vec)_mm256_insertf128_ps(_mm256_castps128_ps256(CV_AT(0)), CV_AT(1), 1);
#endif
#undef CV_AT
}
#endif

/* Lanes t .. t+VL-1 of the pair (a, b). */
#undef CV_SLIDE
#if CV_VB * 8 / CV_BITS == 2
#define CV_SLIDE(a, b, t) __builtin_shufflevector(a, b, t, (t) + 1)
#elif CV_VB * 8 / CV_BITS == 4
#define CV_SLIDE(a, b, t) __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3)
#elif CV_VB * 8 / CV_BITS == 8
#define CV_SLIDE(a, b, t) \
    __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3, (t) + 4, (t) + 5, (t) + 6, (t) + 7)
#elif CV_VB * 8 / CV_BITS == 16
#define CV_SLIDE(a, b, t)                                                                      \
    __builtin_shufflevector(a, b, t, (t) + 1, (t) + 2, (t) + 3, (t) + 4, (t) + 5, (t) + 6,     \
                            (t) + 7, (t) + 8, (t) + 9, (t) + 10, (t) + 11, (t) + 12, (t) + 13, \
                            (t) + 14, (t) + 15)
#endif

#if CV_FLOAT
/* Elements p, p + step, … */
CV_INLINE vec CV_(strided)(const T *p, ptrdiff_t step) {
#if CV_VB == 64 && CV_BITS == 32
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    if (step < INT32_MAX / 16) {
        return (vec)_mm512_i32gather_ps(_mm512_mullo_epi32(lanes, _mm512_set1_epi32((int)step)), p,
                                        sizeof(T));
    }
#endif
    return CV_(gather)(p, step, 0, VL);
}
#endif

/* Whether any lane of a comparison is set. */
CV_INLINE int CV_(any)(ivec mask) {
    uint64_t parts[CV_VB / 8], all = 0;
    __builtin_memcpy(parts, &mask, CV_VB);
    CV_UNROLL(8)
    for (int i = 0; i < CV_VB / 8; i++)
        all |= parts[i];
    return all != 0;
}
