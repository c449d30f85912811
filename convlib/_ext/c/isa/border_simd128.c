#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../border/rows.h"
#endif
