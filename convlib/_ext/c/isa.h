/* What every ISA file includes before it switches the compiler's target (system headers compiled for another target
 * would be a surprise to the linker). */
#ifndef CONVLIB_ISA_H
#define CONVLIB_ISA_H
#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include "convlib.h"
#include "threads.h"
#endif
