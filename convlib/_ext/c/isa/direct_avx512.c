#include "../simd/avx512.h"
#ifdef CV_ISA
#include "../direct/rows.h"
#include "../simd/end.h"
#endif
