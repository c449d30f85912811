/* The floor: whatever the compiler may assume of every processor of this architecture (SSE2 on
 * x86-64).
 * Correct, small and plain; it also emulates the matrix unit, so that whatever feeds it is tested
 * anywhere. */
#include "system.h"

#define CV_ISA scalar
#ifndef CV_VB
#define CV_VB 16
#endif
#define CV_REGISTERS 16
#define CV_CHEAP_MASKS 0
#define CV_PACE 3.0
#define CV_MR 4
#define CV_NV 2
#define CV_PX 4
#define CV_AMX 0
#define CV_FLOOR 1
