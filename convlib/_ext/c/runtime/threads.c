#define _GNU_SOURCE
#include "threads.h"
#include "port.h"

#ifdef __linux__
#include <sched.h>
#endif
#include <stdatomic.h>

typedef struct {
    cv_task task;
    void *context;
    ptrdiff_t units;
    int threads;
    unsigned long float_mode;
} region;

/* The units of a region are cut into one range per thread.  A thread takes those of its own range
   first, then helps with the others'.  So the same call made again runs most units on the processor
   whose cache already holds their data. */
typedef struct {
    _Alignas(64) _Atomic ptrdiff_t next;
    ptrdiff_t end;
} range;

static atomic_int stop;
static int (*interrupt)(void);
static int64_t pause_of_interrupt; /* nanoseconds between two checks */
/* What a caller looks at in its own region, innermost first; workers have none. */
static _Thread_local atomic_int *own_stop;
static _Thread_local int64_t asked;

int cv_stopping(void) {
    if (!own_stop)
        return atomic_load_explicit(&stop, memory_order_relaxed);
    if (interrupt && !atomic_load(own_stop) && cv_now() - asked > pause_of_interrupt) {
        if (interrupt())
            atomic_store(own_stop, 1);
        asked = cv_now();
    }
    return atomic_load(own_stop);
}

/* The caller's share: like `work`, but it asks now and then whether to stop. */
static int lead_units(const region *r, range *q) {
    for (const range *end = q + r->threads; q < end; q++) {
        for (;;) {
            ptrdiff_t unit = atomic_fetch_add_explicit(&q->next, 1, memory_order_relaxed);
            if (unit >= q->end)
                break;
            r->task(r->context, unit, 0);
            if (cv_stopping())
                return CV_INTERRUPTED;
        }
    }
    return CV_OK;
}

static int lead(const region *r, range *q, atomic_int *halt) {
    atomic_int *const outer = own_stop;
    own_stop = halt;
    asked = interrupt ? cv_now() : 0;
    const int status = lead_units(r, q);
    own_stop = outer;
    return status;
}

/* In the caller alone. */
static int run_alone(region *mine) {
    range all = {0, mine->units};
    atomic_int halt = 0;
    mine->threads = 1;
    return lead(mine, &all, &halt);
}

void cv_set_interrupt(int (*check)(void), int64_t nanoseconds) {
    interrupt = check;
    pause_of_interrupt = nanoseconds;
}

/* ---- the pool */

#if CV_HAS_THREADS
/* How long an idle worker looks for the next region before it sleeps, in pauses.  A sleeping worker
   wakes in 50 to 100 us on a virtual machine, a looking one joins in less than 1 us; 20 000 pauses
   are about 0.3 ms. */
enum { SPIN = 20000 };
enum { STACK_BYTES = 1 << 20 };

/* held by the caller of the running region */
static pthread_mutex_t owner = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards sleeping and starting */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static region job;
static range ranges[CV_MAX_THREADS];
static _Atomic uint64_t generation; /* odd while a region is open for joining */
static atomic_int joined;           /* workers that took a number in this region */
static atomic_int inside;           /* workers that have not left it yet */
static int alive;                   /* workers started in this process */
static pthread_t workers[CV_MAX_THREADS];
static int sleeping;              /* of these, how many wait on `wake` */
static _Thread_local int leading; /* this thread is the caller of the running region */

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* How this thread's vector unit rounds, and whether it flushes denormals.  A thread is born with
   its creator's mode, so each region brings its caller's: the bits do not depend on who runs a
   unit. */
static inline unsigned long float_mode(void) {
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & ~63u; /* the rest are flags of what has happened */
#elif defined(__aarch64__)
    unsigned long mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    return mode;
#else
    return 0;
#endif
}

static inline void set_float_mode(unsigned long mode) {
    if (mode == float_mode())
        return;
#if defined(__x86_64__)
    __builtin_ia32_ldmxcsr((unsigned)mode);
#elif defined(__aarch64__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode));
#endif
}

static void work(const region *r, int worker) {
    for (int i = 0; i < r->threads; i++) {
        range *q = &ranges[(worker + i) % r->threads];
        for (;;) {
            ptrdiff_t unit = atomic_fetch_add_explicit(&q->next, 1, memory_order_relaxed);
            if (unit >= q->end)
                break;
            if (atomic_load_explicit(&stop, memory_order_relaxed))
                return;
            r->task(r->context, unit, worker);
        }
    }
}

/* Join the region that is open, if it still is.  Late joiners are welcome until the caller closes
   it; the caller waits only for workers that are inside. */
static void try_join(uint64_t seen) {
    atomic_fetch_add(&inside, 1);
    if (atomic_load(&generation) == seen) { /* still open: the caller will wait for us */
        int worker = atomic_fetch_add(&joined, 1) + 1;
        if (worker < job.threads) {
            set_float_mode(job.float_mode);
            work(&job, worker);
        }
    }
    atomic_fetch_sub(&inside, 1);
}

static void *worker_main(void *unused) {
    (void)unused;
    uint64_t done = 0;
    for (;;) {
        for (int spin = 0; spin < SPIN; spin++) {
            uint64_t seen = atomic_load_explicit(&generation, memory_order_acquire);
            if ((seen & 1) && seen != done) {
                try_join(seen);
                done = seen;
                spin = 0;
            }
            relax();
        }
        pthread_mutex_lock(&lock);
        sleeping++;
        for (;;) {
            uint64_t seen = atomic_load(&generation);
            if ((seen & 1) && seen != done)
                break;
            pthread_cond_wait(&wake, &lock);
        }
        sleeping--;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Start workers until `count` are alive; fewer are no error, the caller does the rest. */
static void start_workers(int count) {
    pthread_attr_t attr;
    cv_signals before;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    cv_signals_block(&before); /* signals belong to Python's main thread */
    while (alive < count) {
        if (pthread_create(&workers[alive], &attr, worker_main, NULL))
            break;
        alive++;
    }
    cv_signals_restore(&before);
    pthread_attr_destroy(&attr);
}

/* A scheduler may wake a worker on the caller's own processor, which stays busy until the region is
   over.  Workers about to wake may use the processors of the caller except the one it runs on, if
   there is another. */
static void spread_workers(void) {
#ifdef __linux__
    cpu_set_t set;
    const int here = sched_getcpu();
    if (here < 0 || pthread_getaffinity_np(pthread_self(), sizeof set, &set))
        return;
    CPU_CLR(here, &set);
    if (CPU_COUNT(&set)) {
        for (int i = 0; i < alive; i++)
            pthread_setaffinity_np(workers[i], sizeof set, &set);
    }
#endif
}

static void open_region(void) {
    atomic_store(&joined, 0);
    atomic_fetch_add(&generation, 1);
    pthread_mutex_lock(&lock);
    const int fresh = alive < job.threads - 1;
    if (fresh)
        start_workers(job.threads - 1);
    if (sleeping || fresh)
        spread_workers();
    if (sleeping)
        pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

static void close_region(void) {
    atomic_fetch_add(&generation, 1);
    while (atomic_load(&inside))
        relax();
}

/* A forked child has only the thread that forked.  Where that is the caller of the running region,
   as when a signal handler forks, workers first finish their units and leave: each unit that was
   taken has run, and both processes can go on with the rest, the child alone.  A region of another
   thread ends with that thread; the child forgets it, the workers, and whoever held the locks. */
static void before_fork(void) {
    if (leading)
        close_region();
    pthread_mutex_lock(&lock);
}
static void after_fork_parent(void) {
    pthread_mutex_unlock(&lock);
    if (leading)
        open_region();
}
static void after_fork_child(void) {
    pthread_mutex_init(&lock, NULL);
    pthread_mutex_init(&owner, NULL);
    pthread_cond_init(&wake, NULL);
    if (leading)
        pthread_mutex_lock(&owner);
    atomic_store(&generation, leading ? 1 : 0);
    atomic_store(&inside, 0);
    alive = sleeping = 0;
}
static void install(void) { cv_at_fork(before_fork, after_fork_parent, after_fork_child); }

int cv_parallel(cv_task task, void *context, ptrdiff_t units, int threads) {
    region mine = {task, context, units, threads > CV_MAX_THREADS ? CV_MAX_THREADS : threads, 0};
    if (mine.threads > units)
        mine.threads = (int)units;
    if (mine.threads <= 1 || pthread_mutex_trylock(&owner))
        return run_alone(&mine);
    pthread_once(&once, install);
    mine.float_mode = float_mode();
    job = mine;
    for (int i = 0; i < mine.threads; i++) {
        ranges[i].end = (i + 1) * units / mine.threads;
        atomic_store_explicit(&ranges[i].next, i * units / mine.threads, memory_order_relaxed);
    }
    atomic_store(&stop, 0);
    leading = 1;
    open_region();
    const int status = lead(&job, ranges, &stop);
    close_region();
    leading = 0;
    pthread_mutex_unlock(&owner);
    return status;
}

int cv_live_workers(void) { return alive; }
#else
int cv_parallel(cv_task task, void *context, ptrdiff_t units, int threads) {
    region mine = {task, context, units, 1, 0};
    (void)threads;
    return run_alone(&mine);
}

int cv_live_workers(void) { return 0; }
#endif
