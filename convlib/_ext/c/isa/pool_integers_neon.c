#include "../simd/neon.h"
#ifdef CV_ISA
#include "../pool/integer_rows.h"
#endif
