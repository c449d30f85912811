#define CV_VB 64 /* a row of a tile */
#include "../simd/scalar.h"
#pragma GCC diagnostic ignored "-Wpsabi" /* functions with such vectors are inlined */
#define CV_BYTE_TILES
#include "../int8/rows.h"
