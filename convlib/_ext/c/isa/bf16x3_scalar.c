#include "../simd/scalar.h"
#include "../bf16x3/rows.h"
