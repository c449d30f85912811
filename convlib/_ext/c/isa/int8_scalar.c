#include "../simd/scalar.h"
#include "../int8/rows.h"
