/* What differs between systems, in one place: memory, threads, signals, fork, the clock.
 *
 *   CV_HAS_THREADS  0: WebAssembly without threads; regions run in their callers
 *   CV_IS_POSIX     0: Windows, where neither fork nor signals reach a worker
 */
#ifndef CV_PORT_H
#define CV_PORT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#if defined(__wasm__) && !defined(__EMSCRIPTEN_PTHREADS__)
#define CV_HAS_THREADS 0
#else
#define CV_HAS_THREADS 1
#include <pthread.h>
#endif

#ifdef _WIN32
#define CV_IS_POSIX 0
#include <malloc.h>
#else
#define CV_IS_POSIX 1
#endif

#ifdef __linux__
#include <sys/mman.h>
#endif

#define CV_HUGE_PAGE ((size_t)2 << 20)

/* Memory that begins at a multiple of 64 bytes; NULL when there is none.  Weights of several MB are
 * read once for each call, and in pages of 4 KB the walks to their addresses take as long as the
 * reading: where there are huge pages, whole ones are asked for. */
static inline void *cv_aligned(size_t bytes) {
#if CV_IS_POSIX
    void *p = NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= CV_HUGE_PAGE && !posix_memalign(&p, CV_HUGE_PAGE, bytes)) {
        madvise(p, bytes / CV_HUGE_PAGE * CV_HUGE_PAGE, MADV_HUGEPAGE); /* a wish, no condition */
        return p;
    }
#endif
    return posix_memalign(&p, 64, bytes) ? NULL : p;
#else
    return _aligned_malloc(bytes, 64);
#endif
}
static inline void cv_aligned_free(void *p) {
#if CV_IS_POSIX
    free(p);
#else
    _aligned_free(p);
#endif
}

/* Nanoseconds of a clock that never goes back. */
static inline int64_t cv_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#if CV_HAS_THREADS
/* Threads started between the two leave signals to others. */
#if CV_IS_POSIX
#include <signal.h>
typedef sigset_t cv_signals;
static inline void cv_signals_block(cv_signals *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
}
static inline void cv_signals_restore(const cv_signals *before) {
    pthread_sigmask(SIG_SETMASK, before, NULL);
}
static inline void cv_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
    pthread_atfork(before, parent, child);
}
#else
typedef int cv_signals;
static inline void cv_signals_block(cv_signals *before) { *before = 0; }
static inline void cv_signals_restore(const cv_signals *before) { (void)before; }
static inline void cv_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
    (void)before, (void)parent, (void)child;
}
#endif
#endif

#endif
