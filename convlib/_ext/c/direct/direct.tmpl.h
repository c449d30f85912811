/* Direct convolution: depthwise, few channels, narrow groups – where packing for a GEMM would cost
 * more than it saves.
 *
 * A tile is M outputs by NV vectors of a row, kept in registers.  All M outputs read the same input
 * rows, so one load serves M multiply-adds.  What the M outputs are is the only difference between
 * the cases:
 *   rows      (one output channel): M output rows.  Input rows coincide when output rows lie
 *   `spacing` apart, with
 *             lcm(stride, dilation) input rows between them, and the kernel rows are taken in
 *             `phases` classes.
 *   channels  (several output channels in a group): M output channels of one row.
 * 1x1 windows over many large planes go another way: pointwise.tmpl.h.
 * The geometry is worked out once per strip of rows, as a list of steps (one input row each); the
 * tile only runs down that list.  Columns next to the padding load under lane masks straight from
 * the image: a padded copy of a small plane, read back at once, costs more than the whole
 * convolution.
 *
 * Each output is one chain of multiply-adds in an order that depends on the problem alone, so
 * neither tiling nor threads change a bit.
 */
#ifndef CV_DIRECT
#define CV_DIRECT
#include "pointwise.tmpl.h"
#include "tile.tmpl.h"

#define CV_DIRECT_NEAR (48 * 1024)  /* bytes of planes whose lines follow each other: an L1 */
#define CV_RUN (1 << 20) /* loads of a run of tiles, at most: between them nobody asks for a stop */

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    int channels; /* the M outputs are channels, not rows */
    int threads;
    ptrdiff_t oc_blocks, taps;         /* tiles of channels in a group; taps of a kernel */
    ptrdiff_t spacing, phases, strips; /* see above; strips of rows in a plane */
    /* of a row: vectors, tiles, and vectors of a tile; of the first `wide` one more */
    ptrdiff_t vecs, columns, least, wide;
    ptrdiff_t max_steps;
    ptrdiff_t block; /* of pixels, where channels are added a few at a time; else 0 */
    /* images x groups, into how many pieces they are cut, and how many stay in a cache together */
    ptrdiff_t planes, plane_pieces, near;
    int far; /* whether planes are asked for before their tiles */
    ptrdiff_t lines, line_pieces;   /* tiles of channels x depths x strips */
    /* of the columns that load under masks, one after the other */
    const CV_(lanes) *masks;
    CV_(step) *steps; /* max_steps per worker */
    const CV_(direct_tile) (*tiles)[CV_DNV];
} CV_(direct_job);

/* Strips that so many rows are cut into. */
static ptrdiff_t CV_(strips_of)(const CV_(direct_job) *j, ptrdiff_t rows) {
    return j->channels ? rows : (rows + CV_DM - 1) / CV_DM;
}

/* Rows of strip s of a plane: first, first + spacing, … ; returns how many.  The first offsets
 * have one row more than the others, which are as many as the dilation and so not gone through. */
static int CV_(strip_rows)(const CV_(direct_job) *j, ptrdiff_t s, ptrdiff_t *first) {
    ptrdiff_t rows = j->p.out[1] / j->spacing + 1, strips = CV_(strips_of)(j, rows), a = 0;
    const ptrdiff_t longer = j->p.out[1] % j->spacing;
    if (s >= longer * strips) {
        s -= longer * strips;
        a = longer;
        strips = CV_(strips_of)(j, --rows);
    }
    a += s / strips;
    s %= strips;
    const ptrdiff_t r0 = cv_part(rows, strips, s);
    *first = a + r0 * j->spacing;
    return (int)(cv_part(rows, strips, s + 1) - r0);
}

/* The steps of the strip whose first output row is (oz, oy), with `rows` rows or channels; returns
 * how many. */
static ptrdiff_t CV_(list_steps)(const CV_(direct_job) *j, ptrdiff_t oz, ptrdiff_t oy, int rows,
                                 CV_(step) *list) {
    const cv_conv *p = &j->p;
    const ptrdiff_t phases = CV_MIN2(j->phases, p->k[1]), gap = j->phases * p->dil[1];
    const int m = j->channels ? 1 : rows;
    CV_(step) *s = list;
    for (ptrdiff_t ic = 0; ic < p->icg; ic++) {
        for (ptrdiff_t kz = 0; kz < p->k[0]; kz++) {
            const ptrdiff_t iz = oz * p->stride[0] + kz * p->dil[0] - p->lo[0];
            if (iz < 0 || iz >= p->in[0])
                continue;
            const ptrdiff_t xz = ic * p->xs[1] + iz * p->xs[2],
                            wz = (ic * p->k[0] + kz) * p->k[1] * p->k[2];
            for (ptrdiff_t ph = 0; ph < phases; ph++) {
                /* kernel rows of this phase */
                const ptrdiff_t kp = (p->k[1] - ph + j->phases - 1) / j->phases;
                ptrdiff_t iy = oy * p->stride[1] + ph * p->dil[1] - p->lo[1];
                for (ptrdiff_t r = 0; r < kp + m - 1; r++, iy += gap) {
                    if (iy < 0 || iy >= p->in[1])
                        continue;
                    *s++ = (CV_(step)){xz + iy * p->xs[3], wz + (ph + r * j->phases) * p->k[2],
                                       j->channels ? 0 : (int)CV_MAX2(0, r - kp + 1),
                                       j->channels ? rows : (int)CV_MIN2(m, r + 1)};
                }
            }
        }
    }
    return s - list;
}

/* Lanes of a tile's last vector that are outputs. */
CV_INLINE ptrdiff_t CV_(last_lanes)(const CV_(direct_job) *j, const CV_(column) *c) {
    return CV_MIN2(VL, j->p.out[2] - c->ox - (c->nv - 1) * VL);
}

/* The next tile of a row; whether it loads under masks: some of its inputs may not exist, or there
 * is no tile of its width without. */
CV_INLINE int CV_(next_column)(const CV_(direct_job) *j, ptrdiff_t i, CV_(column) *c) {
    const cv_conv *p = &j->p;
    c->ox = i ? c->ox + c->nv * VL : 0;
    c->nv = (int)(j->least + (i < j->wide));
    c->last = CV_(last_lanes)(j, c);
    const ptrdiff_t first = c->ox * p->stride[2] - p->lo[2];
    if (j->tiles && !j->tiles[0][c->nv - 1])
        return 1;
    return first < 0 || first + (p->k[2] - 1) * p->dil[2] + c->nv * VL * p->stride[2] > p->in[2];
}

/* On from the i-th column, which loads without masks, to the last one beside it that is as wide and
 * does so, too, over `most` of them at most; returns how many. */
CV_INLINE ptrdiff_t CV_(pass_columns)(const CV_(direct_job) *j, ptrdiff_t i, ptrdiff_t most,
                                      CV_(column) *c) {
    const cv_conv *p = &j->p;
    const ptrdiff_t alike = (i < j->wide ? j->wide : j->columns) - i - 1;
    const ptrdiff_t end = c->ox * p->stride[2] - p->lo[2] + (p->k[2] - 1) * p->dil[2];
    if (!CV_MIN2(alike, most))
        return 0;
    const ptrdiff_t fit = (p->in[2] - end) / (c->nv * VL * p->stride[2]) - 1,
                    passed = CV_MIN2(CV_MIN2(alike, most), fit);
    c->ox += passed * c->nv * VL;
    c->last = CV_(last_lanes)(j, c);
    return passed;
}

/* One line: a strip of rows at one depth, for one tile of channels, in planes p0 .. p1-1; a plane
 * is one group of one image.  The list of steps is the same for all of them. */
static void CV_(direct_line)(const CV_(direct_job) *j, ptrdiff_t line, ptrdiff_t p0, ptrdiff_t p1,
                             CV_(step) *steps) {
    const cv_conv *p = &j->p;
    const ptrdiff_t strip = line % j->strips, oz = line / j->strips % p->out[0],
                    ob = line / j->strips / p->out[0];
    const ptrdiff_t oc0 = ob * p->ocg / j->oc_blocks, oc1 = (ob + 1) * p->ocg / j->oc_blocks,
                    k = p->icg * j->taps;
    ptrdiff_t oy;
    const int strip_rows = CV_(strip_rows)(j, strip, &oy),
              rows = j->channels ? (int)(oc1 - oc0) : strip_rows;
    CV_(column) column = {0, 0, 0, NULL};
    CV_(tile_job) t = {.steps = steps,
                       .kw = p->k[2],
                       .dx = p->dil[2] * p->xs[4],
                       .xstep = p->stride[2] * p->xs[4],
                       .ylane = p->ys[4],
                       .rows = rows,
                       .column = &column};
    t.wstep = j->channels ? k : -j->phases * p->k[2];
    t.ystep = j->channels ? p->ys[1] : j->spacing * p->ys[3];
    t.count = CV_(list_steps)(j, oz, oy, rows, steps);
    const ptrdiff_t most = CV_RUN / CV_MAX2(1, t.count * t.kw);
    ptrdiff_t g = p0 % p->groups, n = p0 / p->groups;
    double work = 0;
    for (ptrdiff_t plane = p0; plane < p1; plane++) {
        const ptrdiff_t oc = g * p->ocg + oc0;
        const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1];
        T *y = j->y + n * p->ys[0] + oc * p->ys[1] + oz * p->ys[2] + oy * p->ys[3];
        const CV_(lanes) *masks = j->masks;
        t.w = j->w + oc * k;
        for (int m = 0; m < rows; m++)
            t.bias[m] = j->bias ? j->bias[j->channels ? oc + m : oc] : 0;
        for (ptrdiff_t i = 0; i < j->columns; i++) {
            const int masked = CV_(next_column)(j, i, &column);
            column.masks = masked ? masks : NULL;
            if (masked)
                masks += p->k[2] * column.nv;
            t.x = x + (column.ox * p->stride[2] - p->lo[2]) * p->xs[4];
            t.y = y + column.ox * p->ys[4];
            t.run = 1;
            if (!masked) {
                const ptrdiff_t passed = CV_(pass_columns)(j, i, most, &column);
                i += passed;
                t.run += passed;
            }
            if (j->tiles)
                j->tiles[masked][column.nv - 1](&t);
            else if (masked)
                CV_(any_1_1)(&t);
            else
                CV_(any_0_1)(&t);
            if (cv_stop_after(&work, (double)(t.count * t.run) *
                                         (double)(t.kw * rows * column.nv * VL)))
                return;
        }
        if (++g == p->groups) {
            g = 0;
            n++;
        }
    }
}

#ifndef CV_FLOOR
/* A block of pixels in planes p0 .. p1-1. */
static void CV_(direct_block)(const CV_(direct_job) *j, ptrdiff_t line, ptrdiff_t p0,
                              ptrdiff_t p1) {
    const cv_conv *p = &j->p;
    const ptrdiff_t at = line * j->block, n = CV_MIN2(j->block, p->out[2] - at);
    for (ptrdiff_t plane = p0; plane < p1; plane++) {
        const ptrdiff_t g = plane % p->groups, image = plane / p->groups;
        CV_(pointwise_pixels)(p, at, n, j->x + image * p->xs[0] + g * p->icg * p->xs[1],
                              j->w + g * p->ocg * p->icg, j->bias ? j->bias + g * p->ocg : NULL,
                              j->y + image * p->ys[0] + g * p->ocg * p->ys[1]);
    }
}
#endif

static void CV_(direct_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(direct_job) *j = context;
    const ptrdiff_t lc = unit % j->line_pieces, pc = unit / j->line_pieces;
    const ptrdiff_t p0 = cv_part(j->planes, j->plane_pieces, pc),
                    p1 = cv_part(j->planes, j->plane_pieces, pc + 1);
    const ptrdiff_t l0 = cv_part(j->lines, j->line_pieces, lc),
                    l1 = cv_part(j->lines, j->line_pieces, lc + 1);
    for (ptrdiff_t at = p0, next; at < p1; at = next) {
        next = CV_MIN2(at + j->near, p1);
        if (j->far)
            CV_(ask_planes)(&j->p, j->x, j->y, at, next);
        for (ptrdiff_t l = l0; l < l1; l++) {
#ifndef CV_FLOOR
            if (j->block) {
                CV_(direct_block)(j, l, at, next);
                continue;
            }
#endif
            CV_(direct_line)(j, l, at, next, j->steps + worker * j->max_steps);
        }
    }
}
#endif
