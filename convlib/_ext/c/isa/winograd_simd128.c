#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../winograd/rows.h"
#endif
