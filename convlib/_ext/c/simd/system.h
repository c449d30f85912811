/* What every file of isa/ includes before the compiler's target is switched: system headers
 * compiled for another target would be a surprise to the linker. */
#ifndef CV_SYSTEM_H
#define CV_SYSTEM_H
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif
#include "../engine.h"
#include "../runtime/processor.h"
#include "../runtime/split.h"

#define CV_PRAGMA(x) _Pragma(#x)
#ifdef __clang__
#define CV_TARGET(isa) \
    CV_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#else
#define CV_TARGET(isa) CV_PRAGMA(GCC target(isa))
#endif
#endif
