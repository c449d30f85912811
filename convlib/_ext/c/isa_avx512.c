/* AVX-512, and the same with a matrix unit: AMX. */
#if defined(__x86_64__)
#include "isa.h"

#define CV_ISA avx512
#define CV_VB 64
#define CV_MR 8
#define CV_PX 7
#define CV_NV 3
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma")
#endif
#include "isa.tmpl.h"

#if CV_HAS_AMX
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("amx-tile,amx-bf16"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16")
#endif
#define T float
#define CV_BITS 32
#define CV_S f32
#define CV_AMX 1
#include "tiles.h"
#include "bf16x3.tmpl.h"
const cv_kernels cv_kernels_amx = {CV_ENTRIES(amx) CV_BF16X3_ENTRIES};
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
