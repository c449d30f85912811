#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../depthwise/rows.h"
#endif
