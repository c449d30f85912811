/* What clang needs at the end of a file whose target was switched, once for each CV_TARGET. */
#if defined(__clang__) && defined(__x86_64__) && !defined(CV_FLOOR)
#pragma clang attribute pop
#if CV_AMX || defined(CV_BYTE_DOTS)
#pragma clang attribute pop
#endif
#endif
