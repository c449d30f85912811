/* AVX-512 with the dot products of bytes that not every processor with AVX-512 has: a file that is
 * compiled so holds rows which ask for them. */
#if defined(__x86_64__)
#define CV_BYTE_DOTS "dot products of bytes (AVX-512 VNNI)"
#define CV_AND ",avx512vnni"
#include "avx512.h"
#endif
