#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../pool/rows.h"
#include "../simd/end.h"
#endif
