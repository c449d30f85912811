#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../int8/rows.h"
#endif
