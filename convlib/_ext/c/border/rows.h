/* What copies padding, and folds it back, of floats. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "border.tmpl.h"
#define CV_TYPE_F64
#include "../simd/type.h"
#include "border.tmpl.h"
