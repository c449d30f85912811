/* AVX2 and FMA: vectors of 32 bytes, 16 registers. */
#if defined(__x86_64__)
#include "system.h"

#define CV_ISA avx2
#define CV_AVX2 1
#define CV_VB 32
#define CV_REGISTERS 16
#define CV_CHEAP_MASKS 0 /* loads under lane masks cost more than others */
#define CV_PACE 6.0      /* multiply-adds of vectors in a nanosecond: two a cycle, at 3 GHz */
#define CV_MR 4          /* tiles of the GEMM: rows by vectors, 12 registers of sums */
#define CV_NV 3
#define CV_PX 4 /* pixels, where lanes are output channels */
CV_TARGET("avx2,fma")
#endif
