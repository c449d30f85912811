#include "../simd/amx.h"
#ifdef CV_ISA
#define CV_BYTE_TILES
#include "../int8/rows.h"
#include "../simd/end.h"
#endif
