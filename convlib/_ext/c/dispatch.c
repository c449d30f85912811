/* Which instruction set runs: detected once, lowered by CONVLIB_ISA or cv_set_isa. */
#include "convlib.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
static int always(void) { return 1; }

/* best first */
static const struct {
    const cv_kernels *kernels;
    int (*supported)(void);
} isas[] = {
#if defined(__x86_64__)
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

void *cv_alloc(size_t bytes) {
    void *p = NULL;
    return posix_memalign(&p, 64, bytes ? bytes : 64) ? NULL : p;
}

void cv_free(void *p) { free(p); }
