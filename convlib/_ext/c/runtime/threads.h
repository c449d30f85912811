/* The library's own thread pool.

   One region runs at a time.  The caller takes part in it; a region started while another one runs
   (from a second Python thread, or from inside a task) runs serially in its caller.  Workers start
   on first use, sleep between regions, and are forgotten in a forked child, which starts its own;
   a child forked by the caller of a region, from a signal handler, finishes that region alone. */
#ifndef CV_THREADS_H
#define CV_THREADS_H

#include <stddef.h>
#include <stdint.h>

enum { CV_OK = 0, CV_NOMEM = 1, CV_INTERRUPTED = 2 };

#define CV_MAX_THREADS 64

/* One unit of work.  `worker` lies in [0, threads) and names scratch that no other running task
 * uses. */
typedef void (*cv_task)(void *context, ptrdiff_t unit, int worker);

/* Run task(context, 0 .. units - 1) on up to `threads` threads; return when all have run.

   Each thread has a range of the units, takes those in order, then helps with the ranges of others;
   so a result may depend on the unit but must not depend on the worker.
   Returns CV_OK, or CV_INTERRUPTED if the interrupt check asked to stop: then some units have not
   run. */
int cv_parallel(cv_task task, void *context, ptrdiff_t units, int threads);

/* Whether the running region is to stop: a long unit asks now and then, and returns early.  In the
   caller's thread this is where the check runs, if the last one was long enough ago. */
int cv_stopping(void);

/* Ask `check` between units and in `cv_stopping`, at most once in so long and only in the caller's
 * thread; nonzero stops the region. */
void cv_set_interrupt(int (*check)(void), int64_t nanoseconds);

/* Number of workers alive in this process, for tests. */
int cv_live_workers(void);

#endif
