#include "../simd/scalar.h"
#include "../gemm/rows.h"
