/* The numbers of a Winograd convolution: tiles, blocks of them, and the scratch of each worker. */
#ifndef CV_WINO_JOB
#define CV_WINO_JOB
#include "../gemm/broadcast_tile.tmpl.h"
#include "../layout/weights.tmpl.h"
#if CV_FLOAT
#include "../layout/ending.tmpl.h"
#endif
#include "sizes.h"

#include <stdatomic.h>

/* A block: of images, output slices, rows of tiles (phase by phase) and columns of tiles (of all
 * phases). */
typedef struct {
    ptrdiff_t first[4], count[4];
} CV_(wino_block);

typedef struct {
    cv_conv p;
    int m[2], r[2], a[2], s[2];  /* along H and W: outputs of a tile, taps, inputs, the stride */
    int points, planes, threads; /* of V and M, of U */
    const CV_(source) *x;
    const CV_(weight) *w;
    const T *u, *bias;
    T *y, *scratch;
#if CV_FLOAT
    CV_(ending) ending;
#else
    int offset, zero, padding, wide_y; /* offset: what x counts from in V */
#endif
    /* lanes of products per point; vectors of output channels, panels, vectors of inputs */
    ptrdiff_t k, vecs, panels, c_vecs;
    ptrdiff_t th;                       /* rows of tiles of a phase */
    ptrdiff_t size[4], cuts[4], blocks; /* what is cut into blocks */
    /* in a block at most: counts, slices of input under it, tiles of output */
    ptrdiff_t most[4], slices, tiles;
    /* a unit: so many blocks, by one of so many parts of the panels */
    ptrdiff_t span, parts;
    /* of V: from tile to tile, from one vector of channels to the next, from point to point */
    ptrdiff_t v_row, v_vec, v_plane;
    ptrdiff_t row, m_plane, v_size, stage, index, flags;
    ptrdiff_t rows, sizes; /* of a slice of input under a block; elements of all their magnitudes */
    /* elements of weights that a worker transforms for itself; of all its scratch */
    ptrdiff_t own, each;
    /* elements of all weights, where they are packed before all else; or 0 */
    ptrdiff_t packed;
    /* of each worker: the blocks whose V it has, the group whose weights, and one more */
    ptrdiff_t (*held)[2];
    /* vectors of outputs of a tile that were summed again, and how many may be: beyond that the
     * whole call had better be summed directly */
    _Atomic ptrdiff_t *again;
    ptrdiff_t most_again;
} CV_(wino_job);

/* Columns of input under so many columns of tiles. */
CV_INLINE ptrdiff_t CV_(wino_width)(const CV_(wino_job) *j, ptrdiff_t tiles) {
    return j->p.dil[2] * cv_wino_reach(&j->p, 2, j->m[1] * tiles);
}

#define CV_WINO_EACH (VL * CV_DEPTH) /* channels that fill a vector of V */

/* Integers have F(4, 3) only. */
CV_INLINE int CV_(wino_m)(const cv_conv *p, int axis) { return CV_FLOAT ? cv_wino_m(p, axis) : 4; }
CV_INLINE int CV_(wino_points)(const cv_conv *p) {
    return (int)(cv_wino_reach(p, 1, CV_(wino_m)(p, 1)) * cv_wino_reach(p, 2, CV_(wino_m)(p, 2)));
}

/* Points along an axis whose weights differ: with stride 2 the last m all have the middle tap. */
CV_INLINE int CV_(wino_sorts)(int points, int m, ptrdiff_t stride) {
    return stride == 2 ? points - (m - 1) : points;
}

/* Planes of U. */
CV_INLINE int CV_(wino_planes)(const cv_conv *p) {
    int planes = 1;
    for (int axis = 1; axis < 3; axis++) {
        const int m = CV_(wino_m)(p, axis);
        planes *= CV_(wino_sorts)((int)cv_wino_reach(p, axis, m), m, p->stride[axis]);
    }
    return planes;
}
CV_INLINE double CV_(wino_tiles_of)(const cv_conv *p) {
    return cv_wino_tiles(p, CV_(wino_m)(p, 1), CV_(wino_m)(p, 2));
}

/* Lanes that the channels of a group fill, CV_DEPTH in each; those of a window. */
CV_INLINE ptrdiff_t CV_(wino_lanes)(const cv_conv *p) { return (p->icg + CV_DEPTH - 1) / CV_DEPTH; }
CV_INLINE ptrdiff_t CV_(wino_k)(const cv_conv *p) { return CV_(wino_lanes)(p) * p->k[0]; }

/* Elements of U before panel i of a group that has `vecs` vectors of output channels. */
CV_INLINE ptrdiff_t CV_(wino_before)(ptrdiff_t planes, ptrdiff_t k, ptrdiff_t vecs, ptrdiff_t i) {
    const ptrdiff_t panels = CV_(lane_panels)(vecs);
    return planes * (k * CV_(lane_of)(vecs, panels, i) + CV_WINO_SKEW * i);
}

/* Of a group. */
CV_INLINE ptrdiff_t CV_(wino_group)(const cv_conv *p) {
    const ptrdiff_t vecs = (p->ocg + VL - 1) / VL;
    return vecs
               ? CV_(wino_before)(CV_(wino_planes)(p), CV_(wino_k)(p), vecs, CV_(lane_panels)(vecs))
               : 0;
}
static ptrdiff_t CV_(wino_size)(const cv_conv *p) { return p->groups * CV_(wino_group)(p); }

/* A worker's scratch. */
typedef struct {
    cv_segment *segments;                    /* one per slice of the window */
    T *zeros, *rows, *turned, *mm, *v, *own; /* turned: columns of input, or a stage of output */
    T *flags;                                /* of each tile of the blocks, see wino_judge */
    T *sizes;                                /* magnitudes of inputs, pixel by pixel */
} CV_(wino_scratch);

CV_INLINE CV_(wino_scratch) CV_(wino_space)(const CV_(wino_job) *j, int worker) {
    CV_(wino_scratch) s;
    T *base = j->scratch + worker * j->each;
    s.segments = (cv_segment *)base;
    s.flags = base + j->index;
    s.sizes = s.flags + j->flags;
    s.zeros = s.sizes + j->sizes;
    s.rows = s.zeros + j->row;
    s.turned = s.rows + j->a[0] * j->row;
    s.own = base + j->each - j->own;
    s.v = s.own - j->span * j->v_size;
    s.mm = s.v - j->points * j->m_plane;
    return s;
}

static void CV_(wino_at_block)(const CV_(wino_job) *j, ptrdiff_t block, CV_(wino_block) *b) {
    for (int a = 3; a >= 0; block /= j->cuts[a--]) {
        const ptrdiff_t i = block % j->cuts[a];
        b->first[a] = i * j->size[a] / j->cuts[a];
        b->count[a] = (i + 1) * j->size[a] / j->cuts[a] - b->first[a];
    }
}
#endif
