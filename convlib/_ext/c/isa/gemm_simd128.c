#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../gemm/rows.h"
#endif
