/* Which instruction set runs: detected once, lowered by CONVLIB_ISA or cv_set_isa. */
#include "convlib.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if CV_HAS_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
#if CV_HAS_AMX
/* The processor has tiles of bfloat16, and Linux lets this process use them: it asks once, for all threads to come. */
static int has_amx(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1)) return 0;
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
static int always(void) { return 1; }

/* best first */
static const struct {
    const cv_kernels *kernels;
    int (*supported)(void);
} isas[] = {
#if defined(__x86_64__)
#if CV_HAS_AMX
    {&cv_kernels_amx, has_amx},
#endif
    {&cv_kernels_avx512, has_avx512},
    {&cv_kernels_avx2, has_avx2},
#elif defined(__aarch64__)
    {&cv_kernels_neon, always},
#endif
    {&cv_kernels_scalar, always},
};
enum { ISAS = sizeof isas / sizeof *isas };

static const cv_kernels *active; /* written once per choice, always whole: a relaxed atomic is enough */

const char *cv_isa(int i, int *supported) {
    if (i < 0 || i >= ISAS) return NULL;
    *supported = isas[i].supported();
    return isas[i].kernels->name;
}

int cv_set_isa(const char *name) {
    for (int i = 0; i < ISAS; i++) {
        if (name && *name && strcmp(name, isas[i].kernels->name)) continue;
        if (!isas[i].supported()) {
            if (name && *name) break;
            continue;
        }
        __atomic_store_n(&active, isas[i].kernels, __ATOMIC_RELEASE);
        return CV_OK;
    }
    return CV_BAD_ISA;
}

const cv_kernels *cv_active(void) {
    const cv_kernels *k = __atomic_load_n(&active, __ATOMIC_ACQUIRE);
    if (!k && cv_set_isa(getenv("CONVLIB_ISA")) == CV_OK) k = __atomic_load_n(&active, __ATOMIC_ACQUIRE);
    return k;
}

static int (*pool)(cv_task, void *, ptrdiff_t, int);

void cv_use_pool(int (*run)(cv_task, void *, ptrdiff_t, int)) { pool = run; }

int cv_parallel(cv_task task, void *context, ptrdiff_t units, int threads) {
    if (pool) return pool(task, context, units, threads);
    for (ptrdiff_t i = 0; i < units; i++) task(context, i, 0);
    return CV_OK;
}

/* Scratch comes back: a large block fresh from the system costs a page fault for every 4 KB, often more than the
 * convolution it serves.  A few blocks wait here for the next call; whoever takes one empties its place. */
enum { KEPT = 4, HEAD = 64, WORTH_KEEPING = 64 << 10, MOST_KEPT = 48 << 20 };
static void *_Atomic kept[KEPT]; /* each begins with its size, HEAD bytes before what callers see */

void *cv_alloc(size_t bytes) {
    for (int i = 0; i < KEPT && bytes >= WORTH_KEEPING; i++) {
        void *block = atomic_exchange(&kept[i], NULL), *none = NULL;
        if (!block) continue;
        const size_t size = *(size_t *)block;
        if (size >= bytes && size / 2 <= bytes) return (char *)block + HEAD;
        if (!atomic_compare_exchange_strong(&kept[i], &none, block)) free(block);
    }
    void *block = NULL;
    if (bytes > SIZE_MAX - HEAD || posix_memalign(&block, 64, bytes + HEAD)) return NULL;
    *(size_t *)block = bytes;
    return (char *)block + HEAD;
}

void cv_free(void *p) {
    if (!p) return;
    void *block = (char *)p - HEAD;
    const size_t size = *(size_t *)block;
    if (size >= WORTH_KEEPING && size <= MOST_KEPT) {
        for (int i = 0; i < KEPT; i++) {
            void *none = NULL;
            if (atomic_compare_exchange_strong(&kept[i], &none, block)) return;
        }
        static atomic_uint turn; /* all places taken: the newest block is the likeliest to be wanted again */
        block = atomic_exchange(&kept[atomic_fetch_add(&turn, 1) % KEPT], block);
    }
    free(block);
}
