#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../grad_weight/rows.h"
#endif
