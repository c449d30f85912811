/* The rows of weight gradients. */
#define CV_TYPE_F32
#include "../simd/type.h"
#include "dots.tmpl.h"
#include "pixel_gemm.tmpl.h"
#define CV_TYPE_F64
#include "../simd/type.h"
#include "dots.tmpl.h"
#include "pixel_gemm.tmpl.h"
