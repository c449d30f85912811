/* NEON is every aarch64's baseline, so no target is switched: vectors of 16 bytes, 32 registers. */
#if defined(__aarch64__)
#include "system.h"

#define CV_ISA neon
#define CV_VB 16
#define CV_REGISTERS 32
#define CV_CHEAP_MASKS 0
#define CV_PACE 6.0
#define CV_MR 8
#define CV_NV 3
#define CV_PX 8
#endif
