#if defined(__x86_64__)
#include "isa.h"

#define CV_ISA avx2
#define CV_VB 32
#define CV_MR 4
#define CV_PX 4
#define CV_NV 3
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "isa.tmpl.h"
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
