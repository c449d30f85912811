#include "../simd/avx512.h"
#ifdef CV_ISA
#include "../int8/rows.h"
#include "../simd/end.h"
#endif
