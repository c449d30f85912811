#include "../simd/neon.h"
#ifdef CV_ISA
#include "../pool/rows.h"
#endif
