#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../winograd/rows.h"
#include "../simd/end.h"
#endif
