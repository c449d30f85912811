/* Scratch comes back: a large block fresh from the system costs a page fault for every 4 KB, often
 * more than the convolution it serves.  A few blocks wait here for the next call; whoever takes one
 * empties its place. */
#include "../engine.h"
#include "port.h"

#include <stdatomic.h>

enum { KEPT = 4, HEAD = 64, WORTH_KEEPING = 64 << 10, MOST_KEPT = 48 << 20 };

/* A block begins with its size, the bytes that were asked for, and the number of the trace that
 * counted them, HEAD bytes before what callers see. */
typedef struct {
    size_t size, asked;
    int trace;
} head;

static void *_Atomic kept[KEPT];

static atomic_int tracing; /* the number of the trace, 0: none */
static atomic_int traces;
static atomic_size_t in_use, peak;
static _Atomic uint64_t rows_run;

void cv_trace(int on) {
    atomic_store(&in_use, 0);
    atomic_store(&peak, 0);
    atomic_store(&rows_run, 0);
    atomic_store(&tracing, on ? atomic_fetch_add(&traces, 1) + 1 : 0);
}

size_t cv_trace_peak(void) { return atomic_load(&peak); }

uint64_t cv_trace_rows(void) { return atomic_load(&rows_run); }

void cv_trace_run(int row) {
    if (atomic_load_explicit(&tracing, memory_order_relaxed))
        atomic_fetch_or(&rows_run, (uint64_t)1 << row);
}

static void *hand_out(void *block, size_t bytes) {
    const int trace = atomic_load_explicit(&tracing, memory_order_relaxed);
    ((head *)block)->asked = bytes;
    ((head *)block)->trace = trace;
    if (trace) {
        const size_t now = atomic_fetch_add(&in_use, bytes) + bytes;
        size_t most = atomic_load(&peak);
        while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
            continue;
    }
    return (char *)block + HEAD;
}

void *cv_alloc(size_t bytes) {
    for (int i = 0; i < KEPT && bytes >= WORTH_KEEPING; i++) {
        void *block = atomic_exchange(&kept[i], NULL), *none = NULL;
        if (!block)
            continue;
        const size_t size = ((head *)block)->size;
        if (size >= bytes && size / 2 <= bytes)
            return hand_out(block, bytes);
        if (!atomic_compare_exchange_strong(&kept[i], &none, block))
            cv_aligned_free(block);
    }
    void *block = bytes > PTRDIFF_MAX - HEAD ? NULL : cv_aligned(bytes + HEAD);
    if (!block)
        return NULL;
    ((head *)block)->size = bytes;
    return hand_out(block, bytes);
}

void cv_free(void *p) {
    if (!p)
        return;
    void *block = (char *)p - HEAD;
    const size_t size = ((head *)block)->size;
    const int trace = ((head *)block)->trace;
    if (trace && trace == atomic_load_explicit(&tracing, memory_order_relaxed))
        atomic_fetch_sub(&in_use, ((head *)block)->asked);
    if (size >= WORTH_KEEPING && size <= MOST_KEPT) {
        for (int i = 0; i < KEPT; i++) {
            void *none = NULL;
            if (atomic_compare_exchange_strong(&kept[i], &none, block))
                return;
        }
        /* all places taken: the newest block is the likeliest to be wanted again */
        static atomic_uint turn;
        block = atomic_exchange(&kept[atomic_fetch_add(&turn, 1) % KEPT], block);
    }
    cv_aligned_free(block);
}
