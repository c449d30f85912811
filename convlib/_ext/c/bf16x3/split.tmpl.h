/* How a convolution is laid out for the matrix unit, and numbers split in three. */
#ifndef CV_BF16_SPLIT
#define CV_BF16_SPLIT
#include "../gemm/view.h"

/* planes of a block: stay in a 2 MB L2 beside the weights of 32 channels */
#define CV_BF16_BYTES (768 * 1024)
#define CV_BF16_SHARED (8 << 20) /* of all threads, where blocks are too few to go round */
#define CV_BF16_FEW 256          /* pixels */
#define CV_BF16_K 32             /* channels in a tile */
#define CV_BF16_TILE 1024        /* bytes */
#define CV_BF16_SIDE 32          /* outputs and pixels of a product: 2 x 2 tiles */

/* Part of a row of results: element `src` of the product's row, `dst` of y. */
typedef struct {
    ptrdiff_t src, dst, len;
} cv_span32;

/* The outputs of one block. */
typedef struct {
    ptrdiff_t from[4], count[4];
} CV_(bf16_block);

CV_INLINE ptrdiff_t CV_(bf16_outs)(const cv_conv *p) { return (p->ocg + 15) / 16; }

/* How a problem's K becomes blocks of 32: [block of channels][tap][channel], where some taps may
 * count as channels. */
typedef struct {
    ptrdiff_t spread[3];              /* taps of each axis that are channels: 1 or all of them */
    ptrdiff_t channels, taps, blocks; /* taps: those that remain */
} CV_(bf16_view);

/* Of no tap, those along W, or all, spread what costs least: cycles of filling planes and of
 * products for 16 pixels. */
static CV_(bf16_view) CV_(bf16_view_of)(const cv_conv *p) {
    CV_(bf16_view) best = {.blocks = 0};
    ptrdiff_t least = 0;
    for (int axes = 0; axes <= 3; axes += axes ? 2 : 1) {
        CV_(bf16_view) v = {{1, 1, 1}, p->icg, p->k[0] * p->k[1] * p->k[2], 0};
        for (int a = 3 - axes; a < 3; a++) {
            v.spread[a] = p->k[a];
            v.channels *= p->k[a];
            v.taps /= p->k[a];
        }
        v.blocks = (v.channels + CV_BF16_K - 1) / CV_BF16_K * v.taps;
        const ptrdiff_t cost = v.channels * 12 + v.blocks * CV_(bf16_outs)(p) * 96;
        if (!best.blocks || cost < least) {
            best = v;
            least = cost;
        }
    }
    return best;
}

/* Whether pixels are the rows of a tile, and outputs its columns: the channels of a pixel lie side
 * by side. */
CV_INLINE int CV_(bf16_last)(const cv_conv *p, const CV_(bf16_view) *v) {
    return p->last && v->channels == p->icg;
}

/* Channel i of the view and tap j of those that remain: the problem's channel, and its tap on each
 * axis. */
CV_INLINE ptrdiff_t CV_(bf16_origin)(const cv_conv *p, const CV_(bf16_view) *v, ptrdiff_t i,
                                     ptrdiff_t j, ptrdiff_t *tap) {
    tap[0] = tap[1] = tap[2] = 0;
    if (!j && v->channels == p->icg)
        return i; /* without a division */
    for (int a = 2; a >= 0; a--) {
        const ptrdiff_t left = p->k[a] / v->spread[a];
        tap[a] = i % v->spread[a] + j % left; /* one of the two is 0 */
        i /= v->spread[a];
        j /= left;
    }
    return i;
}

typedef struct {
    cv_conv p;
    CV_(bf16_view) view;
    int shared, threads, last; /* last: planes of pixels, not of channel pairs */
    ptrdiff_t pairs;           /* of channels in the planes: whole blocks of 16 */
    /* rows of a plane beyond those of its outputs; phases of each axis */
    ptrdiff_t ext[3], phases[3];
    ptrdiff_t step[4], cuts[4];              /* a block of outputs over n, d, h, w */
    ptrdiff_t size[3], image, plane, region; /* elements; region: planes of a block */
    ptrdiff_t row;                           /* elements of a pixel, channels last */
    ptrdiff_t panel;                         /* bytes of a tile's weights */
    /* tiles of output channels; parts of a block's pixels, if it is shared */
    ptrdiff_t outs, blocks, parts;
    ptrdiff_t *at; /* where each block of K begins in the region */
    const T *x, *w, *bias;
    const char *packed;
    T *y;
    /* a region for each worker, or for each block if they are shared */
    uint32_t *scratch;
    /* for each worker two tiles' weights, if none are packed */
    char *tiles;
    int *tiny; /* a number was too small to be split */
} CV_(bf16_job);

/* The three parts of each lane, in the upper half of its bits. */
CV_INLINE void CV_(bf16_split)(vec v, ivec *part) {
    const ivec upper = (ivec){0} + (CV_INT(CV_BITS))0xffff0000;
    part[0] = (ivec)v & upper;
    const vec r = v - (vec)part[0];
    part[1] = (ivec)r & upper;
    part[2] = (ivec)(r - (vec)part[1]) & upper;
}
typedef uint32_t CV_(uvec_t) __attribute__((vector_size(CV_VB)));

/* The lanes between 0 and 2^-100, whose lower parts may lie below 2^-126, where digits are lost. */
CV_INLINE ivec CV_(bf16_tiny)(vec v) {
    const CV_(uvec_t) size = (CV_(uvec_t))v & 0x7fffffff;
    return (ivec)(size - 1 < (CV_(uvec_t)){0} + ((127 - 100) << 23) - 1);
}

/* Remember whether there were any. */
CV_INLINE void CV_(bf16_note)(ivec tiny, int *flag) {
    if (CV_(any)(tiny))
        __atomic_store_n(flag, 1, __ATOMIC_RELAXED);
}

/* The parts of two vectors, side by side in 32 bits: `step` elements between them. */
CV_INLINE void CV_(bf16_pair)(vec a, vec b, uint32_t *to, ptrdiff_t step, ivec *tiny) {
    ivec u[3], v[3];
    *tiny |= CV_(bf16_tiny)(a) | CV_(bf16_tiny)(b);
    CV_(bf16_split)(a, u);
    CV_(bf16_split)(b, v);
    CV_UNROLL(3)
    for (int k = 0; k < 3; k++)
        CV_(store)((T *)(to + k * step), (vec)((CV_(uvec_t))u[k] >> 16 | (CV_(uvec_t))v[k]));
}
#endif
