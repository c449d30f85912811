/* The element type of what follows: define CV_TYPE_F32 (or F64, I64, ...), then include this.
 *   T         the type           CV_BITS   its width in bits
 *   CV_S      its suffix         CV_FLOAT  1 for floating-point types
 *   CV_SIGNED 0 for unsigned integers
 * Then come the vectors of vec.h.  A template is included at most once for each type: its guard is
 * taken back here.
 */
#undef T
#undef CV_BITS
#undef CV_S
#undef CV_FLOAT
#undef CV_SIGNED
#undef CV_TRANSPOSE
#undef CV_IM2COL
#undef CV_WEIGHTS
#undef CV_NHWC_IN
#undef CV_NHWC_OUT
#undef CV_ENDING
#undef CV_EXTREMES
#undef CV_RECOMPUTE
#undef CV_TILE_H
#undef CV_PANELS
#undef CV_BROADCAST_TILE
#undef CV_BROADCAST
#undef CV_BROADCAST_PLAN
#undef CV_SPARE_TAPS
#undef CV_FEED
#undef CV_INT8
#undef CV_INT8_TILES
#undef CV_FEED_COPY
#undef CV_HEAD
#undef CV_BROADCAST_COPY
#undef CV_PANELS_EACH
#undef CV_BEYOND
#undef CV_NOPACK
#undef CV_STRIPS
#undef CV_COLUMNS
#undef CV_WINO_JOB
#undef CV_WINO_AXES
#undef CV_WINO_RANGE
#undef CV_WINO_WEIGHTS
#undef CV_WINO_INPUTS
#undef CV_WINO_OUTPUTS
#undef CV_WINOGRAD
#undef CV_WINO_ROW
#undef CV_WINO_PANEL
#undef CV_WINO_RUN
#undef CV_WINO_INT_INPUTS
#undef CV_WINO_INT_OUTPUTS
#undef CV_WINO_INT_WEIGHTS
#undef CV_INT_WINOGRAD
#undef CV_BF16_SPLIT
#undef CV_BF16_FEED
#undef CV_BF16_OUTPUTS
#undef CV_BF16X3
#undef CV_BF16_PLAN
#undef CV_LANES_H
#undef CV_POINTWISE
#undef CV_DIRECT_TILE
#undef CV_DIRECT
#undef CV_DIRECT_PLAN
#undef CV_DEPTHWISE_ROWS
#undef CV_ALONG_H
#undef CV_DW_DOWN_H
#undef CV_DEPTHWISE_NHWC
#undef CV_DEPTHWISE_TRANSPOSED
#undef CV_DEPTHWISE_PLANE
#undef CV_DEPTHWISE_CHANNELS
#undef CV_DEPTHWISE_CHANNELS_TILE
#undef CV_PIXEL_GEMM
#undef CV_DOTS_H
#undef CV_HALVES_H
#undef CV_ABREAST_H
#undef CV_REPEAT_H
#undef CV_BORDERS
#undef CV_POOL_JOB
#undef CV_POOL_WINDOW_ROWS
#undef CV_POOL_WINDOWS
#undef CV_POOL_CHANNELS
#undef CV_POOL_WHOLE
#undef CV_POOL_WHOLE_PLACES
#undef CV_POOL_PAIRS
#undef CV_POOL_PLACES
#undef CV_FRAMED_STRIPS
#undef CV_POOL_PLACE_STRIPS
#undef CV_PLACES
#undef CV_NOWHERE
#undef CV_POOL_STRIPS
#undef CV_POOL_SWEEP
#undef CV_POOL_UNEVEN
#undef CV_POOL_DOUBLE
#undef CV_POOL_SCATTER
#undef CV_POOL_SPREAD
#undef CV_POOL_ROW
#undef CV_SUMS
#undef CV_LOWEST
#undef CV_IS_NAN
#undef CV_FLAGS
#undef CV_MM
#undef CV_MMT
#undef CV_NAN_LANES

#if defined(CV_TYPE_F32)
#undef CV_TYPE_F32
#define T float
#define CV_BITS 32
#define CV_S f32
#define CV_FLOAT 1
#define CV_SIGNED 1
#elif defined(CV_TYPE_F64)
#undef CV_TYPE_F64
#define T double
#define CV_BITS 64
#define CV_S f64
#define CV_FLOAT 1
#define CV_SIGNED 1
#elif defined(CV_TYPE_I64)
#undef CV_TYPE_I64
#define T int64_t
#define CV_BITS 64
#define CV_S i64
#define CV_FLOAT 0
#define CV_SIGNED 1
#elif defined(CV_TYPE_I32)
#undef CV_TYPE_I32
#define T int32_t
#define CV_BITS 32
#define CV_S i32
#define CV_FLOAT 0
#define CV_SIGNED 1
#elif defined(CV_TYPE_I16)
#undef CV_TYPE_I16
#define T int16_t
#define CV_BITS 16
#define CV_S i16
#define CV_FLOAT 0
#define CV_SIGNED 1
#elif defined(CV_TYPE_I8)
#undef CV_TYPE_I8
#define T int8_t
#define CV_BITS 8
#define CV_S i8
#define CV_FLOAT 0
#define CV_SIGNED 1
#elif defined(CV_TYPE_U64)
#undef CV_TYPE_U64
#define T uint64_t
#define CV_BITS 64
#define CV_S u64
#define CV_FLOAT 0
#define CV_SIGNED 0
#elif defined(CV_TYPE_U32)
#undef CV_TYPE_U32
#define T uint32_t
#define CV_BITS 32
#define CV_S u32
#define CV_FLOAT 0
#define CV_SIGNED 0
#elif defined(CV_TYPE_U16)
#undef CV_TYPE_U16
#define T uint16_t
#define CV_BITS 16
#define CV_S u16
#define CV_FLOAT 0
#define CV_SIGNED 0
#elif defined(CV_TYPE_U8)
#undef CV_TYPE_U8
#define T uint8_t
#define CV_BITS 8
#define CV_S u8
#define CV_FLOAT 0
#define CV_SIGNED 0
#endif

#include "vec.h"
