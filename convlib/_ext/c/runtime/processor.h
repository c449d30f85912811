/* What an x86-64 processor has, as far as the system keeps its registers.  CPUID is asked itself:
 * __builtin_cpu_supports needs a library, and the one that comes with zig says no to everything. */
#ifndef CV_PROCESSOR_H
#define CV_PROCESSOR_H
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>

enum {
    CV_CPU_AVX2 = 1,
    CV_CPU_AVX512 = 2,
    CV_CPU_BYTE_DOTS = 4,
    CV_CPU_TILES = 8,
    CV_CPU_BYTE_TILES = 16
};
enum { CV_CPU_ASKED = 1 << 30 };

static inline int cv_cpu_asked(void) {
    enum { OSXSAVE_FMA = 1 << 27 | 1 << 12, YMM = 0x6, ZMM = 0xe6 };
    const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    const unsigned tiles = 1u << 22 | 1u << 24;                        /* of bfloat16 */
    unsigned a, b, c, d, kept, high;
    int found = CV_CPU_ASKED;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & OSXSAVE_FMA) != OSXSAVE_FMA)
        return found;
    __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    if ((kept & YMM) != YMM || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return found;
    if (b >> 5 & 1)
        found |= CV_CPU_AVX2;
    if ((kept & ZMM) != ZMM || (b & avx512) != avx512)
        return found;
    found |= CV_CPU_AVX512;
    if (c >> 11 & 1)
        found |= CV_CPU_BYTE_DOTS;
    if ((d & tiles) == tiles)
        found |= CV_CPU_TILES;
    if ((d & tiles) == tiles && d >> 25 & 1)
        found |= CV_CPU_BYTE_TILES;
    return found;
}

/* AVX2 is meant with FMA, AVX-512 with F, DQ, BW and VL.  Asked once: on a virtual machine CPUID
 * takes microseconds. */
static inline int cv_cpu_has(int what) {
    static atomic_int known;
    int found = atomic_load_explicit(&known, memory_order_relaxed);
    if (!found) {
        found = cv_cpu_asked();
        atomic_store_explicit(&known, found, memory_order_relaxed);
    }
    return (found & what) != 0;
}
#endif
#endif
