/* Blocks of bytes: read where few of them exist, and turned round. */
#ifndef CV_BYTES_H
#define CV_BYTES_H

enum { CV_BLOCK = 16 }; /* bytes that are turned round at once */

typedef uint8_t cv_bytes __attribute__((vector_size(CV_BLOCK)));
typedef uint8_t cv_bytes_at __attribute__((vector_size(CV_BLOCK), aligned(1), may_alias));
typedef uint64_t cv_words __attribute__((vector_size(CV_BLOCK)));

/* Up to a block of neighbours, `next` apart; zeros past them. */
CV_INLINE cv_bytes cv_some_bytes(const uint8_t *from, ptrdiff_t next, ptrdiff_t n) {
    if (next == 1 && n == CV_BLOCK)
        return *(const cv_bytes_at *)from;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (next == 1 && n >= 4) { /* its ends, which overlap */
        cv_words words = {0};
        if (n >= 8) {
            uint64_t ends[2];
            __builtin_memcpy(ends, from, 8);
            __builtin_memcpy(ends + 1, from + n - 8, 8);
            words = (cv_words){ends[0], n > 8 ? ends[1] >> 8 * (CV_BLOCK - n) : 0};
        } else {
            uint32_t ends[2];
            __builtin_memcpy(ends, from, 4);
            __builtin_memcpy(ends + 1, from + n - 4, 4);
            words[0] = ends[0] | (uint64_t)ends[1] << 8 * (n - 4);
        }
        return (cv_bytes)words;
    }
#endif
    cv_bytes v = {0};
    for (ptrdiff_t i = 0; i < n; i++)
        v[i] = from[i * next];
    return v;
}

/* A block of rows, turned round. */
CV_INLINE void cv_turn_bytes(cv_bytes *v) {
    CV_UNROLL(4)
    for (int stage = 0; stage < 4; stage++) {
        cv_bytes u[CV_BLOCK];
        CV_UNROLL(8)
        for (int i = 0; i < CV_BLOCK / 2; i++) {
            u[2 * i] = __builtin_shufflevector(v[i], v[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5,
                                               21, 6, 22, 7, 23);
            u[2 * i + 1] = __builtin_shufflevector(v[i], v[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12,
                                                   28, 13, 29, 14, 30, 15, 31);
        }
        CV_UNROLL(16)
        for (int i = 0; i < CV_BLOCK; i++)
            v[i] = u[i];
    }
}
#endif
