#include "../simd/vnni.h"
#ifdef CV_ISA
#define CV_WORDS
#define CV_TYPE_I32
#include "../simd/type.h"
#include "../int8/winograd.tmpl.h"
#include "../simd/end.h"
#endif
