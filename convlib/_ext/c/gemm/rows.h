/* The rows of the family gemm. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "rows.tmpl.h"
#define CV_TYPE_F64
#include "../simd/type.h"
#include "rows.tmpl.h"
