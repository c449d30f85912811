#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../depthwise/rows.h"
#include "../simd/end.h"
#endif
