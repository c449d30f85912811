/* The thread pool and the scratch under several callers at once, for the thread sanitizer: each
 * caller runs regions of its own, which meet, nest and stop.  Built with -DRACE the units share a
 * plain counter, which must be reported. */
#include "runtime/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *cv_alloc(size_t bytes);
void cv_free(void *p);

enum { CALLERS = 4, UNITS = 64, SCRATCH = 100 << 10 };

typedef struct {
    long result[UNITS];
    int nested;
} work;

#ifdef RACE
static long counter;
#endif
static atomic_int stopped;

static void inner(void *context, ptrdiff_t unit, int worker) {
    (void)worker;
    ((long *)context)[unit] = unit;
}

static void unit_of(void *context, ptrdiff_t unit, int worker) {
    work *w = context;
    (void)worker;
#ifdef RACE
    counter++;
#endif
    char *scratch = cv_alloc(SCRATCH);
    if (!scratch)
        abort();
    memset(scratch, (int)unit, SCRATCH);
    long sum = scratch[SCRATCH / 2];
    if (w->nested) {
        long parts[UNITS];
        if (cv_parallel(inner, parts, UNITS, 3) == CV_OK)
            for (int i = 0; i < UNITS; i++)
                sum += parts[i] - i;
    }
    cv_free(scratch);
    w->result[unit] = sum;
}

static int stop_now_and_then(void) {
    static atomic_int asked;
    return atomic_fetch_add(&asked, 1) % 50 == 49;
}

static void *caller(void *rounds) {
    for (int round = 0; round < *(int *)rounds; round++) {
        work w = {.nested = round % 3 == 0};
        if (cv_parallel(unit_of, &w, UNITS, 1 + round % 5) == CV_INTERRUPTED) {
            atomic_fetch_add(&stopped, 1);
            continue;
        }
        for (int unit = 0; unit < UNITS; unit++)
            if (w.result[unit] != unit)
                abort();
    }
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t callers[CALLERS];
    int rounds = count > 1 ? atoi(arguments[1]) : 100;
    cv_set_interrupt(stop_now_and_then, 0);
    for (int i = 0; i < CALLERS; i++)
        pthread_create(&callers[i], NULL, caller, &rounds);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(callers[i], NULL);
    printf("%d\n", atomic_load(&stopped) > 0);
    return 0;
}
