#include "../simd/neon.h"
#ifdef CV_ISA
#include "../winograd/rows.h"
#endif
