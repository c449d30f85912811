/* Windows along a line that has zeros on either side, and products of two lines. */
#ifndef CV_BORDER_TAPS
#define CV_BORDER_TAPS
#include <stddef.h>

/* Numbers beyond the end of a line, and of the zeros beside it, that are read and written. */
#define CV_LINE_SLACK 16

/* to[i] += w[k * apart] * y[i - k * step] for i < n and each tap k.  Sums stay in registers,
 * as a vector that holds what others just wrote would wait for them. */
#define CV_TAPS(T, name)                                                                     \
    typedef T name##_vec __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));    \
    static inline __attribute__((always_inline)) void name##_of(                             \
        ptrdiff_t taps, T *to, const T *y, ptrdiff_t n, const T *w, ptrdiff_t step,          \
        ptrdiff_t apart) {                                                                   \
        enum { LANES = 16 / sizeof(T) };                                                     \
        for (ptrdiff_t i = 0; i < n; i += 2 * LANES) {                                       \
            name##_vec *at = (name##_vec *)(to + i), *next = (name##_vec *)(to + i + LANES); \
            name##_vec a = *at, b = *next;                                                   \
            const T *from = y + i;                                                           \
            for (ptrdiff_t k = 0; k < taps; k++, from -= step) {                             \
                a += w[k * apart] * *(const name##_vec *)from;                               \
                b += w[k * apart] * *(const name##_vec *)(from + LANES);                     \
            }                                                                                \
            *at = a;                                                                         \
            *next = b;                                                                       \
        }                                                                                    \
    }                                                                                        \
    static void name(T *to, const T *y, ptrdiff_t n, const T *w, ptrdiff_t taps,             \
                     ptrdiff_t step, ptrdiff_t apart) {                                      \
        if (taps == 3)                                                                       \
            name##_of(3, to, y, n, w, step, apart);                                          \
        else                                                                                 \
            name##_of(taps, to, y, n, w, step, apart);                                       \
    }                                                                                        \
    /* The sum of a[i] * b[i * step] for i < n. */                                           \
    static T name##_dot(const T *a, const T *b, ptrdiff_t n, ptrdiff_t step) {               \
        enum { LANES = 16 / sizeof(T) };                                                     \
        name##_vec sums[4] = {0};                                                            \
        ptrdiff_t i = 0;                                                                     \
        if (step == 1) {                                                                     \
            for (; i + 4 * LANES <= n; i += 4 * LANES)                                       \
                for (int k = 0; k < 4; k++)                                                  \
                    sums[k] += *(const name##_vec *)(a + i + k * LANES) *                    \
                               *(const name##_vec *)(b + i + k * LANES);                     \
        }                                                                                    \
        sums[0] += sums[1] + (sums[2] + sums[3]);                                            \
        T sum = 0;                                                                           \
        for (int k = 0; k < LANES; k++)                                                      \
            sum += sums[0][k];                                                               \
        for (; i < n; i++)                                                                   \
            sum += a[i] * b[i * step];                                                       \
        return sum;                                                                          \
    }
CV_TAPS(float, cv_taps_f32)
CV_TAPS(double, cv_taps_f64)
#undef CV_TAPS
#endif
