/* The baseline: whatever the compiler may assume of every processor of this architecture (SSE2 on x86-64). */
#include "isa.h"

#define CV_ISA scalar
#define CV_VB 16
#define CV_MR 4
#define CV_PX 4
#define CV_NV 2
#define CV_EMULATED_TILES 1
#include "isa.tmpl.h"
