/* What clang needs at the end of a file whose target was switched. */
#if defined(__clang__) && defined(__x86_64__) && !defined(CV_FLOOR)
#pragma clang attribute pop
#endif
