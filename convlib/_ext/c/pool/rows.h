/* The rows of pooling of floats. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "family.tmpl.h"
#define CV_TYPE_F64
#include "../simd/type.h"
#include "family.tmpl.h"
