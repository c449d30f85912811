#include "../simd/avx512.h"
#ifdef CV_ISA
#include "../gemm/rows.h"
#include "../simd/end.h"
#endif
