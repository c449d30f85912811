#include "../simd/scalar.h"
#include "../pool/integer_rows.h"
