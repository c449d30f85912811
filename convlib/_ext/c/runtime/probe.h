#ifndef CV_PROBE_H
#define CV_PROBE_H

#include <stddef.h>

#define CV_PROBE_THREADS 64

/* Float32 operations per second of independent multiply-adds in the widest registers of at most
   `widest` bytes, all threads together. */
double cv_fma_peak(double seconds, int threads, int widest);

/* Bytes per second, read and written, of one thread that copies `bytes` to and fro; 0 without
 * memory. */
double cv_copy_rate(double seconds, size_t bytes);

/* Which compiler made this. */
#ifdef __clang__
#define CV_COMPILER __VERSION__ /* begins with its name */
#else
#define CV_COMPILER "GCC " __VERSION__
#endif

#endif
