// The part of CUDA C++ that the kernels use, for a C++ compiler: a launch loops over blocks and threads, one after the
// other.  That is the same for kernels in which no thread waits for another.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__

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

template <class... A, std::size_t... K>
static void run(void (*kernel)(A...), unsigned grid, unsigned block, void** args, std::index_sequence<K...>) {
    auto values = std::make_tuple(argument<A>(args[K])...);
    gridDim = {grid, 1, 1};
    blockDim = {block, 1, 1};
    for (unsigned b = 0; b < grid; ++b)
        for (unsigned t = 0; t < block; ++t) {
            blockIdx = {b, 0, 0};
            threadIdx = {t, 0, 0};
            kernel(std::get<K>(values)...);
        }
}

template <class... A> static void launch(void (*kernel)(A...), unsigned grid, unsigned block, void** args) {
    run(kernel, grid, block, args, std::index_sequence_for<A...>{});
}
