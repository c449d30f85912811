#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../pool/rows.h"
#endif
