/* The rows of the family int8; their sums are int32. */
#define CV_TYPE_I32
#include "../simd/type.h"
#include "rows.tmpl.h"
