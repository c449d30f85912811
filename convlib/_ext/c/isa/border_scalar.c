#include "../simd/scalar.h"
#include "../border/rows.h"
