#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../grad_weight/rows.h"
#include "../simd/end.h"
#endif
