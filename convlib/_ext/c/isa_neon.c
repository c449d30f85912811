/* NEON is every aarch64's baseline, so no target switch; 32 registers carry the 8 x 3 tile. */
#if defined(__aarch64__)
#include "isa.h"

#define CV_ISA neon
#define CV_VB 16
#define CV_MR 8
#define CV_PX 7
#define CV_NV 3
#include "isa.tmpl.h"
#endif
