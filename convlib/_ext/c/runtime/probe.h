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

#endif
