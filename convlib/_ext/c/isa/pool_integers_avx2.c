#include "../simd/avx2.h"
#ifdef CV_ISA
#include "../pool/integer_rows.h"
#include "../simd/end.h"
#endif
