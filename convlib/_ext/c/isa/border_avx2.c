#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../border/rows.h"
#include "../simd/end.h"
#endif
