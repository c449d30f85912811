/* Which instruction set runs, and what it has: detected once, lowered by CONVLIB_ISA or
 * cv_set_isa. */
#include "../border/border.h"
#include "../engine.h"
#include "processor.h"

#include <stdlib.h>
#include <string.h>

#if CV_HAS_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__x86_64__)
static int has_avx512(void) { return cv_cpu_has(CV_CPU_AVX512); }
#if CV_HAS_AMX
/* The processor has tiles of bfloat16, and Linux lets this process use them: it asks once, for all
 * threads to come. */
static int has_amx(void) {
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return cv_cpu_has(CV_CPU_TILES) && syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
#endif
static int has_avx2(void) { return cv_cpu_has(CV_CPU_AVX2); }
#endif
#if defined(__aarch64__)
#define CV_BASELINE neon
#elif defined(__wasm_simd128__)
#define CV_BASELINE simd128
#endif
static int always(void) { return 1; }

/* ---- rows: cv_<instruction set>_<name>_<type> is defined by a file of isa/ */

#define CV_PASTE2(a, b) a##_##b
#define CV_PASTE(a, b) CV_PASTE2(a, b)
#define CV_TEXT2(x) #x
#define CV_TEXT(x) CV_TEXT2(x)
#define CV_BORDER2(isa, type) cv_##isa##_border_##type
#define CV_BORDER(isa, type) CV_BORDER2(isa, type)
enum { CV_ROUNDS_DIRECT, CV_ROUNDS_MORE };

#define CV_EACH_F32(m, isa, name) m(CV_F32, isa, name, f32)
#define CV_EACH_FLOATS(m, isa, name) CV_EACH_F32(m, isa, name) m(CV_F64, isa, name, f64)
#define CV_EACH_SUMS(m, isa, name) CV_EACH_FLOATS(m, isa, name) m(CV_I64, isa, name, i64)
#define CV_EACH_NUMBERS(m, isa, name)                                                 \
    CV_EACH_SUMS(m, isa, name)                                                        \
    m(CV_I32, isa, name, i32) m(CV_I16, isa, name, i16) m(CV_I8, isa, name, i8)       \
        m(CV_U64, isa, name, u64) m(CV_U32, isa, name, u32) m(CV_U16, isa, name, u16) \
            m(CV_U8, isa, name, u8)
#define CV_EACH_INT8(m, isa, name) m(CV_I8, isa, name, i8) m(CV_U8, isa, name, u8)
#define CV_EXTERN(type, isa, name, suffix) extern const cv_impl cv_##isa##_##name##_##suffix;
#define CV_ENTRY(type, isa, name, suffix) [type] = &cv_##isa##_##name##_##suffix,

#define CV_DECLARE_scalar(types, name) CV_EACH_##types(CV_EXTERN, scalar, name)
#define CV_DECLARE_avx2(types, name) CV_EACH_##types(CV_EXTERN, avx2, name)
#define CV_DECLARE_avx512(types, name) CV_EACH_##types(CV_EXTERN, avx512, name)
#define CV_DECLARE_amx(types, name) CV_EACH_##types(CV_EXTERN, amx, name)
#define CV_DECLARE_neon(types, name) CV_EACH_##types(CV_EXTERN, neon, name)
#define CV_DECLARE_simd128(types, name) CV_EACH_##types(CV_EXTERN, simd128, name)
#define CV_DECLARE_NONE(types, name)
#define CV_LIST_scalar(types, name) CV_EACH_##types(CV_ENTRY, scalar, name)
#define CV_LIST_avx2(types, name) CV_EACH_##types(CV_ENTRY, avx2, name)
#define CV_LIST_avx512(types, name) CV_EACH_##types(CV_ENTRY, avx512, name)
#define CV_LIST_amx(types, name) CV_EACH_##types(CV_ENTRY, amx, name)
#define CV_LIST_neon(types, name) CV_EACH_##types(CV_ENTRY, neon, name)
#define CV_LIST_simd128(types, name) CV_EACH_##types(CV_ENTRY, simd128, name)
#define CV_LIST_NONE(types, name)

#define CV_LACKS_ANY NULL
#define CV_NO_MATRIX "needs a matrix unit (Intel AMX)"
#define CV_NO_DOTS "needs dot products of bytes (AVX-512 VNNI)"
#define CV_NO_MASKS "needs loads under lane masks that cost no more than others (AVX-512)"

#if defined(__x86_64__)
#if CV_HAS_AMX
#define CV_HERE amx
#define CV_FROM_ANY avx512
#define CV_FROM_FAST avx512
#define CV_FROM_MASKS avx512
#define CV_FROM_DOTS avx512
#define CV_FROM_MATRIX amx
#define CV_LACKS_FAST NULL
#define CV_LACKS_MASKS NULL
#define CV_LACKS_DOTS NULL
#define CV_LACKS_MATRIX NULL
#define CV_BYTES 64
#define CV_SUPPORTED has_amx
#include "rows.h"
#endif

#define CV_HERE avx512
#define CV_FROM_ANY avx512
#define CV_FROM_FAST avx512
#define CV_FROM_MASKS avx512
#define CV_FROM_DOTS avx512
#define CV_FROM_MATRIX NONE
#define CV_LACKS_FAST NULL
#define CV_LACKS_MASKS NULL
#define CV_LACKS_DOTS NULL
#define CV_LACKS_MATRIX CV_NO_MATRIX
#define CV_BYTES 64
#define CV_SUPPORTED has_avx512
#include "rows.h"

#define CV_HERE avx2
#define CV_FROM_ANY avx2
#define CV_FROM_FAST avx2
#define CV_FROM_MASKS NONE
#define CV_FROM_DOTS NONE
#define CV_FROM_MATRIX NONE
#define CV_LACKS_FAST NULL
#define CV_LACKS_MASKS CV_NO_MASKS
#define CV_LACKS_DOTS CV_NO_DOTS
#define CV_LACKS_MATRIX CV_NO_MATRIX
#define CV_BYTES 32
#define CV_SUPPORTED has_avx2
#include "rows.h"
#elif defined(CV_BASELINE) /* part of every such processor: no test */
#define CV_HERE CV_BASELINE
#define CV_FROM_ANY CV_BASELINE
#define CV_FROM_FAST CV_BASELINE
#define CV_FROM_MASKS NONE
#define CV_FROM_DOTS NONE
#define CV_FROM_MATRIX NONE
#define CV_LACKS_FAST NULL
#define CV_LACKS_MASKS CV_NO_MASKS
#define CV_LACKS_DOTS CV_NO_DOTS
#define CV_LACKS_MATRIX CV_NO_MATRIX
#define CV_BYTES 16
#define CV_SUPPORTED always
#include "rows.h"
#endif

#define CV_HERE scalar
#define CV_FROM_ANY scalar
#define CV_FROM_FAST NONE
#define CV_FROM_MASKS NONE
#define CV_FROM_DOTS NONE
#define CV_FROM_MATRIX scalar
#define CV_LACKS_FAST "needs vectors wider than those that any processor has"
#define CV_LACKS_MASKS CV_NO_MASKS
#define CV_LACKS_DOTS CV_NO_DOTS
#define CV_LACKS_MATRIX NULL
#define CV_BYTES 16
#define CV_SUPPORTED always
#include "rows.h"

/* best first */
static const cv_isa *const isas[] = {
#if defined(__x86_64__)
#if CV_HAS_AMX
    &isa_amx,
#endif
    &isa_avx512,
    &isa_avx2,
#elif defined(CV_BASELINE)
    &CV_PASTE(isa, CV_BASELINE),
#endif
    &isa_scalar,
};
enum { ISAS = sizeof isas / sizeof *isas };

/* ---- the one in use */

static const cv_isa *active; /* written once per choice, always whole: a relaxed atomic is enough */

const cv_isa *cv_isa_at(int i) { return i < 0 || i >= ISAS ? NULL : isas[i]; }

int cv_set_isa(const char *name) {
    const int named = name && *name;
    for (int i = 0; i < ISAS; i++) {
        if (named && strcmp(name, isas[i]->name))
            continue;
        if (!isas[i]->supported()) {
            if (named)
                break;
            continue;
        }
        __atomic_store_n(&active, isas[i], __ATOMIC_RELEASE);
        return CV_OK;
    }
    return CV_BAD_ISA;
}

const cv_isa *cv_active(void) {
    const cv_isa *isa = __atomic_load_n(&active, __ATOMIC_ACQUIRE);
    if (!isa && cv_set_isa(getenv("CONVLIB_ISA")) == CV_OK)
        isa = __atomic_load_n(&active, __ATOMIC_ACQUIRE);
    return isa;
}
