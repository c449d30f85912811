/* The rows of the family int8; their sums are int32. */
#define CV_TYPE_I32
#include "../simd/type.h"
/* a product takes a register before it is added: of 16, 9 sums leave one */
#if CV_REGISTERS == 16 && CV_NV == 3 && !defined(CV_BYTE_DOTS)
#undef CV_PX
#define CV_PX 3
#endif
#if defined(CV_BYTE_TILES) /* tiles of the unit, 16 pixels by 16 lanes */
#undef CV_PX
#undef CV_NV
#define CV_PX 16
#define CV_NV 3
#endif
#include "rows.tmpl.h"
#if !defined(CV_AVX512) && !defined(CV_FLOOR) /* AVX-512 has dot products for it */
#include "winograd.tmpl.h"
#endif
