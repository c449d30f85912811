#include "../simd/neon.h"
#ifdef CV_ISA
#include "../grad_weight/rows.h"
#endif
