#include "../simd/scalar.h"
#include "../grad_weight/rows.h"
