#include "../simd/neon.h"
#ifdef CV_ISA
#include "../int8/rows.h"
#endif
