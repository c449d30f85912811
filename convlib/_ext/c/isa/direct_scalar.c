#include "../simd/scalar.h"
#include "../direct/rows.h"
