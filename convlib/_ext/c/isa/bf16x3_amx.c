#include "../simd/amx.h"
#ifdef CV_ISA
#include "../bf16x3/rows.h"
#include "../simd/end.h"
#endif
