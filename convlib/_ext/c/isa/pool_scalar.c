#include "../simd/scalar.h"
#include "../pool/rows.h"
