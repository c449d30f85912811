#include "../simd/neon.h"
#ifdef CV_ISA
#include "../direct/rows.h"
#endif
