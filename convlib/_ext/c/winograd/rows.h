/* The row of the family winograd. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "winograd.tmpl.h"
