/* How integers of 8 bits come into the broadcast GEMM, and its sums into y. */
#ifndef CV_FEED_COPY
#define CV_FEED_COPY
#include "../layout/nhwc_out.tmpl.h"
#include "../layout/weights.tmpl.h"
#include "bytes.h"

#define CV_BEYOND CV_VB /* elements of the copy that are written or read past its end */

typedef CV_FED cv_feds __attribute__((vector_size(CV_BLOCK * sizeof(CV_FED))));
typedef CV_FED cv_feds_at
    __attribute__((vector_size(CV_BLOCK * sizeof(CV_FED)), aligned(1), may_alias));

CV_INLINE void CV_(feed_begin)(CV_(broadcast_job) *j, const cv_call *call) {
    const int offset = CV_DEPTH == 4 ? j->flip : 0;
    j->zero = call->zero + offset;
    j->padding = call->padding + offset;
    j->zeros = call->w_zeros;
}

static void CV_(feed_padding)(const CV_(broadcast_job) *j, CV_FED *dst, ptrdiff_t n) {
    if (CV_DEPTH == 4) {
        __builtin_memset(dst, j->padding, (size_t)n);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        dst[i] = (CV_FED)j->padding;
}

/* Bytes of x to the copy; bytes that are signed turn into unsigned ones 128 more. */
CV_INLINE void CV_(feed_block)(const CV_(broadcast_job) *j, cv_bytes v, CV_FED *dst) {
    v ^= (uint8_t)j->flip - (cv_bytes){0};
    const cv_feds fed = __builtin_convertvector(v, cv_feds);
    *(cv_feds_at *)dst = CV_DEPTH == 4 ? fed : fed - (CV_FED)j->flip;
}
CV_INLINE void CV_(feed_part)(const CV_(broadcast_job) *j, cv_bytes v, ptrdiff_t n, CV_FED *dst) {
    CV_FED all[CV_BLOCK];
    CV_(feed_block)(j, v, all);
    __builtin_memcpy(dst, all, (size_t)n * sizeof(CV_FED));
}

static void CV_(feed_run)(const CV_(broadcast_job) *j, const uint8_t *from, ptrdiff_t n,
                          CV_FED *dst) {
    if (n < CV_BLOCK) {
        CV_(feed_part)(j, cv_some_bytes(from, 1, n), n, dst);
        return;
    }
    for (ptrdiff_t at = 0; at < n; at += CV_BLOCK) {
        const ptrdiff_t i = CV_MIN2(at, n - CV_BLOCK);
        CV_(feed_block)(j, *(const cv_bytes_at *)(from + i), dst + i);
    }
}

/* `n` pixels from `from` on, `next` apart, to dst, channels last.  The last of several blocks
 * overlaps the one before.  A pixel of less than a block is written as one: the next pixel, or what
 * follows the row, is written later. */
static void CV_(feed_row)(const CV_(broadcast_job) *j, const uint8_t *from, ptrdiff_t next,
                          ptrdiff_t n, CV_FED *dst) {
    const cv_conv *p = &j->p;
    const ptrdiff_t icg = p->icg;
    if (next == icg && (p->xs[1] == 1 || icg == 1)) {
        CV_(feed_run)(j, from, n * icg, dst);
        return;
    }
    if (p->xs[1] == 1) {
        for (ptrdiff_t i = 0; i < n; i++)
            CV_(feed_run)(j, from + i * next, icg, dst + i * icg);
        return;
    }
    const ptrdiff_t pixels = CV_MIN2(CV_BLOCK, n), channels = CV_MIN2(CV_BLOCK, icg);
    for (ptrdiff_t x = 0; x < n; x += CV_BLOCK) {
        const ptrdiff_t i = CV_MIN2(x, n - pixels);
        for (ptrdiff_t first = 0; first < icg; first += CV_BLOCK) {
            const ptrdiff_t c = CV_MIN2(first, icg - channels);
            const uint8_t *src = from + i * next + c * p->xs[1];
            CV_FED *to = dst + i * icg + c;
            cv_bytes v[CV_BLOCK];
            if (next == 1 && channels == CV_BLOCK && pixels == CV_BLOCK) {
                CV_UNROLL(16)
                for (int r = 0; r < CV_BLOCK; r++)
                    v[r] = *(const cv_bytes_at *)(src + r * p->xs[1]);
                cv_turn_bytes(v);
                CV_UNROLL(16)
                for (int q = 0; q < CV_BLOCK; q++)
                    CV_(feed_block)(j, v[q], to + q * icg);
                continue;
            }
            for (ptrdiff_t r = 0; r < CV_BLOCK; r++, src += p->xs[1])
                v[r] = r < channels ? cv_some_bytes(src, next, pixels) : (cv_bytes){0};
            cv_turn_bytes(v);
            for (ptrdiff_t q = 0; q < pixels; q++, to += icg)
                CV_(feed_block)(j, v[q], to);
        }
    }
}

/* One lane of each of `real` channels, `step` elements apart: the n numbers that lie `at`. */
CV_INLINE void CV_(gather_parts)(const ptrdiff_t n, const int8_t *w, const ptrdiff_t *at,
                                 ptrdiff_t step, ptrdiff_t real, T *row) {
    for (ptrdiff_t l = 0; l < real; l++) {
        CV_PART parts[CV_DEPTH] = {0};
        CV_UNROLL(4)
        for (int d = 0; d < CV_DEPTH; d++) {
            if (d < n)
                parts[d] = w[at[d] + l * step];
        }
        __builtin_memcpy(row + l, parts, sizeof(T));
    }
}

/* The panel of the channels l0 .. l1-1 of group g: their sums, then a row for each lane of a
 * window; zeros past the last channel and the end of a run. */
static void CV_(feed_weights)(const CV_(broadcast_job) *j, const T *w, ptrdiff_t g, ptrdiff_t l0,
                              ptrdiff_t l1, T *dst) {
    const cv_conv *p = &j->p;
    const ptrdiff_t width = l1 - l0, real = CV_MIN2(l1, p->ocg) - l0;
    T *row = dst + width;
    for (ptrdiff_t run = 0; run < p->k[0] * p->k[1] * j->apart; run++) {
        const ptrdiff_t kx = run % j->apart, ky = run / j->apart % p->k[1],
                        kz = run / j->apart / p->k[1];
        const ptrdiff_t base = g * p->ws[0] + l0 * p->ws[1] + kz * p->ws[3] + ky * p->ws[4];
        for (ptrdiff_t e = 0; e < j->len; e += CV_DEPTH, row += width) {
            const ptrdiff_t n = CV_MIN2(CV_DEPTH, j->len - e);
            ptrdiff_t at[CV_DEPTH];
            for (ptrdiff_t d = 0; d < n; d++)
                at[d] = base + (kx + (e + d) / p->icg) * p->ws[5] + (e + d) % p->icg * p->ws[2];
            if (n < CV_DEPTH)
                CV_(gather_parts)(n, (const int8_t *)w, at, p->ws[1], real, row);
            else
                CV_(gather_parts)(CV_DEPTH, (const int8_t *)w, at, p->ws[1], real, row);
            for (ptrdiff_t l = real; l < width; l++)
                row[l] = 0;
        }
    }
    const vec ones = CV_(set1)(CV_DEPTH == 4 ? 0x01010101 : 0x00010001);
    for (ptrdiff_t l = 0; l < width; l += VL) {
        vec sum = {0};
        for (ptrdiff_t k = 1; k < j->rows; k++)
            sum = CV_(multiply_add)(sum, ones, CV_(load)(dst + k * width + l));
        CV_(store)(dst + l, sum);
    }
}

/* Whether x may be read as a copy of it would be, but for padding: no run ends within a lane. */
CV_INLINE int CV_(feed_in_place)(const cv_problem *problem) {
    return CV_DEPTH == 4 && problem->type == CV_U8 && problem->conv.xs[1] == 1 &&
           problem->conv.icg % 4 == 0;
}

/* What the sums of a panel begin with, beside the bias; the zero points of its weights. */
CV_INLINE void CV_(feed_init)(const CV_(broadcast_job) *j, const T *sums, ptrdiff_t oc,
                              ptrdiff_t real, ptrdiff_t n, T *init, T *zeros) {
    for (ptrdiff_t l = 0; l < n; l++)
        init[l] = (T)((uint32_t)init[l] - (uint32_t)j->zero * (uint32_t)sums[l]);
    for (ptrdiff_t l = 0; j->shifted && l < n; l++)
        zeros[l] = l < real ? j->zeros[oc + l] : 0;
}

/* Up to a vector of lanes of the copy, or of x: `n` of them; zeros past these. */
CV_INLINE vec CV_(fed_lanes)(const CV_(fed) *x, ptrdiff_t n) {
    if (n < VL)
        return CV_(load_n)((const T *)x, n);
    vec v;
    __builtin_memcpy(&v, x, sizeof v);
    return v;
}

/* The sum of x - zero under each of `n` outputs, whose windows lie `at`; a vector of them at a
 * time, whose lanes are added up by turning them round. */
static void CV_(feed_windows)(const CV_(broadcast_job) *j, const CV_(fed) *x, const ptrdiff_t *at,
                              ptrdiff_t n, T *windows) {
    const ptrdiff_t all = VL * CV_DEPTH, left = j->len % all,
                    lanes = j->in_place ? (left + CV_DEPTH - 1) / CV_DEPTH : VL,
                    runs = j->p.k[0] * j->p.k[1] * j->apart;
    CV_PART ones[2 * VL * CV_DEPTH];
    for (ptrdiff_t i = 0; i < all; i++) {
        ones[i] = 1;
        ones[all + i] = i < left;
    }
    const vec full = CV_(fed_lanes)((CV_(fed) *)ones, VL),
              some = CV_(fed_lanes)((CV_(fed) *)(ones + all), VL),
              none = CV_(set1)((T)(0 - (uint32_t)j->zero * (uint32_t)(runs * j->len)));
    for (ptrdiff_t i = 0; i < n; i += VL) {
        vec v[VL];
        CV_(modulo) sum = (CV_(modulo))none;
        for (ptrdiff_t q = 0; q < VL; q++) {
            const CV_(fed) *window = x + at[CV_MIN2(i + q, n - 1)];
            vec each = {0};
            for (ptrdiff_t r = 0; r < j->n_segments; r += j->cuts) {
                const CV_(fed) *run = window + j->segments[r].at;
                ptrdiff_t e = 0;
                for (; e + all <= j->len; e += all)
                    each = CV_(multiply_add)(each, CV_(fed_lanes)(run + e, VL), full);
                if (left)
                    each = CV_(multiply_add)(each, CV_(fed_lanes)(run + e, lanes), some);
            }
            v[q] = each;
        }
        CV_(transpose)(v);
        CV_UNROLL(16)
        for (int q = 0; q < VL; q++)
            sum += (CV_(modulo))v[q];
        CV_(store)(windows + i, (vec)sum);
    }
}

/* Sums of `count` pixels less the zero points of their weights times the sums of the windows. */
static void CV_(feed_end)(const T *zeros, const T *windows, ptrdiff_t count, ptrdiff_t nv, T *c,
                          ptrdiff_t ldc) {
    for (ptrdiff_t v = 0; v < nv; v++) {
        const CV_(modulo) zero = (CV_(modulo))CV_(load)(zeros + v * VL);
        for (ptrdiff_t i = 0; i < count; i++) {
            T *to = c + i * ldc + v * VL;
            const CV_(modulo) sum = (CV_(modulo))CV_(load)(to);
            CV_(store)(to, (vec)(sum - zero * (CV_(modulo))CV_(set1)(windows[i])));
        }
    }
}

/* The sums of `count` pixels for the channels from `oc` on. */
CV_INLINE void CV_(deliver)(const CV_(broadcast_job) *j, ptrdiff_t pixel, ptrdiff_t count,
                            ptrdiff_t oc, ptrdiff_t outs, const T *sums, ptrdiff_t ld) {
    CV_(nhwc_out)(&j->p, pixel, count, oc, outs, sums, ld, j->y, j->wide_y);
}
#endif
