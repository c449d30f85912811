/* Products of integers added up in lanes of int32: CV_(dots)(sum, a, b), where each lane of a and b
 * holds CV_DEPTH numbers, of type CV_FED in a and CV_PART in b.  Those of int16 are bytes, or
 * what Winograd makes of them, so that no sum of two products overflows; sums do so modulo 2^32.
 * CV_WORDS: int16 even where there are dot products of bytes.
 */
#if (defined(CV_BYTE_DOTS) && !defined(CV_WORDS)) || defined(CV_BYTE_TILES)
#define CV_DEPTH 4
#define CV_FED uint8_t
#define CV_PART int8_t
#else
#define CV_DEPTH 2
#define CV_FED int16_t
#define CV_PART int16_t
#endif

CV_INLINE vec CV_(dots)(vec sum, vec a, vec b) {
    typedef uint32_t lanes CV_UNUSED __attribute__((vector_size(CV_VB)));
#if defined(CV_BYTE_TILES) /* which has the unit for what counts */
    for (int i = 0; i < 32; i += 8)
        sum =
            (vec)((lanes)sum + ((lanes)a >> i & 255) * (lanes)((vec)((lanes)b << (24 - i)) >> 24));
    return sum;
#elif defined(CV_BYTE_DOTS) && defined(CV_WORDS)
    return (vec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(CV_BYTE_DOTS)
    return (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__x86_64__) && CV_VB == 64
    return (vec)((lanes)sum + (lanes)_mm512_madd_epi16((__m512i)a, (__m512i)b));
#elif defined(__x86_64__) && CV_VB == 32
    return (vec)((lanes)sum + (lanes)_mm256_madd_epi16((__m256i)a, (__m256i)b));
#elif defined(__x86_64__)
    return (vec)((lanes)sum + (lanes)_mm_madd_epi16((__m128i)a, (__m128i)b));
#elif defined(__wasm_simd128__)
    return (vec)((lanes)sum + (lanes)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b));
#else
    const vec low = ((vec)((lanes)a << 16) >> 16) * ((vec)((lanes)b << 16) >> 16);
    return (vec)((lanes)sum + (lanes)low + (lanes)((a >> 16) * (b >> 16)));
#endif
}
