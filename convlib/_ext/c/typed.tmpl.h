/* Every kernel of one (instruction set, element type) pair: convolutions for floating-point types, pools for all. */
#include "simd.h"

#if CV_FLOAT
#include "gemm.tmpl.h"
#include "pack.tmpl.h"
#include "conv.tmpl.h"
#include "pixels.tmpl.h"
#include "unpacked.tmpl.h"
#include "entry.tmpl.h"

#include "direct.tmpl.h"
#include "grad_weight.tmpl.h"
#if CV_BITS == 32
#include "winograd.tmpl.h"
#if CV_EMULATED_TILES
#define CV_AMX 0
#include "tiles.h"
#include "bf16x3.tmpl.h"
#undef CV_AMX
#endif
#endif
#endif
#include "pool.tmpl.h"
#if CV_FLOAT
#include "pool_grad.tmpl.h"
#endif

#undef T
#undef CV_BITS
#undef CV_S
#undef CV_FLOAT
#undef CV_SIGNED64
