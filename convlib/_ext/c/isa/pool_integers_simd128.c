#include "../simd/simd128.h"
#ifdef CV_ISA
#include "../pool/integer_rows.h"
#endif
