#include "../simd/neon.h"
#ifdef CV_ISA
#include "../depthwise/rows.h"
#endif
