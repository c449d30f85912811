/* The row of the family bf16x3. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "plan.tmpl.h"
