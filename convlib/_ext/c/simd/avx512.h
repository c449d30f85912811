/* AVX-512: vectors of 64 bytes, 32 registers, lane masks. */
#if defined(__x86_64__)
#include "system.h"

#ifndef CV_ISA
#define CV_ISA avx512
#endif
#ifndef CV_AND /* what a file asks for beside it, in the one target that Clang heeds */
#define CV_AND
#endif
#define CV_AVX512 1 /* Clang says only of whole files what they are compiled for */
#define CV_VB 64
#define CV_REGISTERS 32
#define CV_CHEAP_MASKS 1
#define CV_PACE 4.0 /* multiply-adds of vectors in a nanosecond: one or two a cycle */
#define CV_MR 8
#define CV_NV 3
#define CV_PX 8
CV_TARGET("avx512f,avx512bw,avx512vl,avx512dq,fma" CV_AND)
#endif
