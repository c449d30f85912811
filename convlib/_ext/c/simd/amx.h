/* AVX-512 with Intel's matrix unit for bfloat16 and bytes: only what multiplies on the unit is
 * compiled for it. */
#include "../engine.h"
#if CV_HAS_AMX
#define CV_ISA amx
#define CV_AMX 1
#define CV_AND ",amx-tile,amx-bf16,amx-int8"
#include "avx512.h"
#endif
