#include "../simd/neon.h"
#ifdef CV_ISA
#include "../border/rows.h"
#endif
