#include "../simd/scalar.h"
#include "../winograd/rows.h"
