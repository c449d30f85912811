// The part of CUDA C++ that the kernels use, for a C++ compiler: a launch loops over blocks and
// threads, one after the other.  Kernels whose threads wait for each other run as fibers: at a
// barrier the next thread of the block goes on.
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static  // blocks run one after the other

using std::pow;
using std::sqrt;

struct Index3 {
    unsigned x, y, z;
};
static thread_local Index3 blockIdx, threadIdx, blockDim, gridDim;

template <class T, class U> static T atomicAdd(T* place, U value) {
    T before = *place;
    *place = before + (T)value;
    return before;
}
template <class T> static T atomicMax(T* place, T value) {
    T before = *place;
    if (value > before) *place = value;
    return before;
}

template <class T> static T argument(const void* place) {
    typename std::remove_const<T>::type value;
    std::memcpy(&value, place, sizeof value);  // no more alignment than a kernel's argument has
    return value;
}

static inline float float_of_half(unsigned short h) {
    const int sign = h >> 15, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return fraction ? NAN : sign ? -INFINITY : INFINITY;
    const float size = exponent ? std::ldexp(1024.0f + fraction, exponent - 25)
                                : std::ldexp((float)fraction, -24);
    return sign ? -size : size;
}
static inline unsigned short half_of_float(float v) {
    const unsigned short sign = std::signbit(v) ? 0x8000 : 0;
    const float size = std::fabs(v);
    if (v != v) return 0x7e00;
    if (size >= 65520.0f) return sign | 0x7c00;  // rounds to what float16 does not hold
    int exponent;
    std::frexp(size, &exponent);
    const int unit = size < 0x1p-14f ? -24 : exponent - 11;  // of the last bit
    // at most 2048: a carry moves into the exponent
    const int steps = (int)std::nearbyint(std::ldexp(size, -unit));
    return sign | (unsigned short)(size < 0x1p-14f ? steps : ((exponent + 13) << 10) + steps);
}

// ------------------------------------------------------------------------------------------ fibers

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned running;
static void (*body)(const void*);
static const void* body_of;

static void __syncthreads() { swapcontext(&fibers[running].context, &scheduler); }

static void fiber_main() {
    body(body_of);
    fibers[running].done = true;
    swapcontext(&fibers[running].context, &scheduler);
}

static void run_fibers(unsigned block) {
    if (fibers.size() < block) fibers.resize(block);
    for (unsigned t = 0; t < block; ++t) {
        Fiber& fiber = fibers[t];
        fiber.stack.resize(1 << 16);
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, fiber_main, 0);
    }
    for (bool more = true; more;) {  // one round per barrier
        more = false;
        unsigned ended = 0;
        for (running = 0; running < block; ++running) {
            if (!fibers[running].done) {
                threadIdx = {running, 0, 0};
                swapcontext(&scheduler, &fibers[running].context);
            }
            ended += fibers[running].done;
        }
        more = ended < block;
        // some threads ended, others wait: on a GPU they would for ever
        if (ended && more) __builtin_trap();
    }
}

template <class... A, std::size_t... K>
static void run(void (*kernel)(A...), bool waits, unsigned grid, unsigned block, void** args,
                std::index_sequence<K...>) {
    auto values = std::make_tuple(argument<A>(args[K])...);
    auto call = [&] { kernel(std::get<K>(values)...); };
    gridDim = {grid, 1, 1};
    blockDim = {block, 1, 1};
    for (unsigned b = 0; b < grid; ++b) {
        blockIdx = {b, 0, 0};
        if (waits) {
            body_of = &call;
            body = [](const void* f) { (*static_cast<const decltype(call)*>(f))(); };
            run_fibers(block);
            continue;
        }
        for (unsigned t = 0; t < block; ++t) {
            threadIdx = {t, 0, 0};
            call();
        }
    }
}

template <class... A>
static void launch(void (*kernel)(A...), bool waits, unsigned grid, unsigned block, void** args) {
    run(kernel, waits, grid, block, args, std::index_sequence_for<A...>{});
}
