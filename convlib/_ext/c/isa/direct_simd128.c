#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../direct/rows.h"
#endif
