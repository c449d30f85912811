#include "../simd/avx512.h"
#ifdef CV_ISA
#include "../border/rows.h"
#include "../simd/end.h"
#endif
