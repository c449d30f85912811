#include "../simd/avx512.h"
#ifdef CV_ISA
#include "../pool/integer_rows.h"
#include "../simd/end.h"
#endif
