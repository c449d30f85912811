/* Every kernel of one instruction set, and its table.  An ISA file sets
 *   CV_ISA  name          CV_VB  vector bytes
 *   CV_MR, CV_NV          register tile: rows and vectors; CV_PX: pixels, where lanes are output channels
 * and switches the compiler's target around this include, so that one translation unit holds all code that may use the
 * instructions, and nothing in it can leak into another unit.
 */
#define T float
#define CV_BITS 32
#define CV_S f32
#define CV_FLOAT 1
#include "typed.tmpl.h"

#define T double
#define CV_BITS 64
#define CV_S f64
#define CV_FLOAT 1
#include "typed.tmpl.h"

#define T int64_t
#define CV_BITS 64
#define CV_S i64
#define CV_FLOAT 0
#define CV_SIGNED64 1
#include "typed.tmpl.h"

#define T int32_t
#define CV_BITS 32
#define CV_S i32
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T int16_t
#define CV_BITS 16
#define CV_S i16
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T int8_t
#define CV_BITS 8
#define CV_S i8
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T uint64_t
#define CV_BITS 64
#define CV_S u64
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T uint32_t
#define CV_BITS 32
#define CV_S u32
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T uint16_t
#define CV_BITS 16
#define CV_S u16
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define T uint8_t
#define CV_BITS 8
#define CV_S u8
#define CV_FLOAT 0
#include "typed.tmpl.h"

#define CV_STR2(x) #x
#define CV_STR(x) CV_STR2(x)
#define CV_FLOAT_ENTRIES(s)                                                                                          \
    .packed_size_##s = packed_size_##s, .pack_##s = pack_##s, .conv_##s = conv_##s, .workspace_##s = workspace_##s, \
    .direct_##s = direct_##s, .direct_workspace_##s = direct_workspace_##s, .pool_##s = pool_##s,                     \
    .grad_weight_##s = grad_weight_##s,                                                                              \
    .grad_weight_workspace_##s = grad_weight_workspace_##s, .pool_grad_##s = pool_grad_##s,
#define CV_ENTRIES(isa)                                                                                              \
    .name = CV_STR(isa), .vector_bytes = CV_VB, CV_FLOAT_ENTRIES(f32) CV_FLOAT_ENTRIES(f64)                          \
    .wino_size_f32 = wino_size_f32, .wino_pack_f32 = wino_pack_f32, .wino_conv_f32 = wino_conv_f32,                  \
    .wino_workspace_f32 = wino_workspace_f32, .wino_products_f32 = wino_products_f32,                                \
    .pool_i64 = pool_i64, .pool_i32 = pool_i32, .pool_i16 = pool_i16, .pool_i8 = pool_i8,                            \
    .pool_u64 = pool_u64, .pool_u32 = pool_u32, .pool_u16 = pool_u16, .pool_u8 = pool_u8,
#define CV_BF16X3_ENTRIES                                                                                             \
    .bf16x3_size_f32 = bf16_size_f32, .bf16x3_pack_f32 = bf16_pack_f32, .bf16x3_conv_f32 = bf16_conv_f32,            \
    .bf16x3_workspace_f32 = bf16_workspace_f32,
const cv_kernels CV_PASTE(cv_kernels, CV_ISA) = {
    CV_ENTRIES(CV_ISA)
#if CV_EMULATED_TILES
    CV_BF16X3_ENTRIES
#endif
};
