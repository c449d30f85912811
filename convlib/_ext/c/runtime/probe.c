/* What this machine can do at most: multiply-adds in registers, and bytes copied. */
#include "probe.h"
#include "port.h"
#include "processor.h"

#include <string.h>

static double now(void) { return 1e-9 * (double)cv_now(); }

/* Twelve independent chains hide the latency of four cycles on two units with room to spare.  They
   are twelve variables because GCC keeps an array of vectors in memory here. */
#define CHAINS 12
#define EACH(m) m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11)
#define START(c) vec a##c = y * (float)c;
#define STEP(c) a##c = a##c * x + y;
#define ADD(c) sum += a##c;
#define PROBE(name, bytes, attribute)                                        \
    attribute static double name(double seconds) {                           \
        typedef float vec __attribute__((vector_size(bytes)));               \
        vec x, y, sum = {0};                                                 \
        for (int lane = 0; lane < (int)(bytes / sizeof(float)); lane++) {    \
            x[lane] = 0.999999f;                                             \
            y[lane] = 1e-6f;                                                 \
        }                                                                    \
        EACH(START)                                                          \
        double start = now(), used, operations = 0;                          \
        do {                                                                 \
            for (int round = 0; round < 20000; round++) {                    \
                EACH(STEP)                                                   \
            }                                                                \
            operations += 20000.0 * CHAINS * 2 * (bytes / sizeof(float));    \
            used = now() - start;                                            \
        } while (used < seconds);                                            \
        EACH(ADD)                                                            \
        volatile float sink = sum[0]; /* the result is used: nothing goes */ \
        (void)sink;                                                          \
        return operations / used;                                            \
    }

#if defined(__x86_64__)
PROBE(fma_512, 64, __attribute__((target("avx512f"))))
PROBE(fma_256, 32, __attribute__((target("avx2,fma"))))
PROBE(fma_128, 16, )
static double one_thread(double seconds, int widest) {
    if (widest >= 64 && cv_cpu_has(CV_CPU_AVX512))
        return fma_512(seconds);
    if (widest >= 32 && cv_cpu_has(CV_CPU_AVX2))
        return fma_256(seconds);
    return fma_128(seconds);
}
#else
PROBE(fma_128, 16, )
static double one_thread(double seconds, int widest) {
    (void)widest;
    return fma_128(seconds);
}
#endif

#if CV_HAS_THREADS
typedef struct {
    double seconds, rate;
    int widest;
} probe_job;

static void *fma_main(void *job) {
    probe_job *j = job;
    j->rate = one_thread(j->seconds, j->widest);
    return NULL;
}

double cv_fma_peak(double seconds, int threads, int widest) {
    pthread_t started[CV_PROBE_THREADS];
    probe_job jobs[CV_PROBE_THREADS];
    if (threads > CV_PROBE_THREADS)
        threads = CV_PROBE_THREADS;
    int others = 0;
    for (int t = 1; t < threads; t++) {
        jobs[others + 1].seconds = seconds;
        jobs[others + 1].widest = widest;
        if (pthread_create(&started[others], NULL, fma_main, &jobs[others + 1]))
            break;
        others++;
    }
    double rate = one_thread(seconds, widest);
    for (int t = 0; t < others; t++) {
        pthread_join(started[t], NULL);
        rate += jobs[t + 1].rate;
    }
    return rate;
}
#else
double cv_fma_peak(double seconds, int threads, int widest) {
    (void)threads;
    return one_thread(seconds, widest);
}
#endif

double cv_copy_rate(double seconds, size_t bytes) {
    char *from = malloc(bytes), *to = malloc(bytes);
    double rate = 0;
    if (from && to) {
        memset(from, 1, bytes);
        memset(to, 2, bytes); /* touch every page before the clock runs */
        double start = now(), used, moved = 0;
        do {
            memcpy(to, from, bytes);
            __asm__ volatile("" : : "r"(to) : "memory");
            moved += 2.0 * (double)bytes;
            used = now() - start;
        } while (used < seconds);
        rate = moved / used;
    }
    free(from);
    free(to);
    return rate;
}
