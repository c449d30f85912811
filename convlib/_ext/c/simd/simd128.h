/* WebAssembly's vectors, where the compiler is told that there are some (-msimd128): 16 bytes, of
 * which whatever runs it has 16 registers or more; no multiply-add is one instruction. */
#if defined(__wasm_simd128__)
#include "system.h"

#define CV_ISA simd128
#define CV_VB 16
#define CV_REGISTERS 16
#define CV_CHEAP_MASKS 0
#define CV_PACE 3.0
#define CV_MR 4
#define CV_NV 2
#define CV_PX 4
#endif
