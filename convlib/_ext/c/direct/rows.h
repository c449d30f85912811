/* The row of the family direct. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "direct_plan.tmpl.h"
#define CV_TYPE_F64
#include "../simd/type.h"
#include "direct_plan.tmpl.h"
