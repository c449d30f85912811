#include "../simd/neon.h"
#ifdef CV_ISA
#include "../gemm/rows.h"
#endif
