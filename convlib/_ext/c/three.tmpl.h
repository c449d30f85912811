/* Depthwise 3x3, stride 1 or 2, the one kernel size worth its own code: nothing but loads and multiply-adds.
 *
 * A column of up to four vectors runs down the plane.  Each input row is loaded once and adds to the two or three output
 * rows whose windows hold it; they and the nine weights stay in registers.  Where a row fills at most half a vector, two
 * planes share it, one in each half.
 */
#undef CV_TNV /* vectors side by side: as many as leave room for nine weights */
#if CV_VB == 64 || defined(__aarch64__)
#define CV_TNV 4
#else
#define CV_TNV 1
#endif
#ifndef CV_THREE_ONCE
#define CV_THREE_ONCE
#define CV_THREE_ROWS 32 /* output rows per strip: a column's lines stay in the first-level cache for the next column */
#endif

/* Vectors side by side, and by tap the lanes whose input exists: only the outer vectors may touch the padding. */
typedef struct {
    ptrdiff_t ox, last; /* first output; lanes of the last vector that are outputs */
    int nv, masked;
    CV_(lanes) left[3], right[3];
} CV_(three_column);

/* A column of so many planes, one after the other. */
typedef struct {
    const T *x, *w, *bias, *zeros; /* bias may be NULL; zeros: a row of padding */
    T *y;
    ptrdiff_t planes, xplane, yplane; /* and elements between them */
    ptrdiff_t iy, rows;               /* first input row, may lie in the padding; output rows */
    ptrdiff_t height, lo, xpitch, ypitch;
    const CV_(three_column) *column;
} CV_(three_job);

/* Lanes of the first of two planes that share a vector. */
static const CV_INT(CV_BITS) CV_(three_low)[VL] __attribute__((aligned(CV_VB))) = {[0 ... VL / 2 - 1] = -1};

/* The vectors under the three taps of input row iy + r, of the plane at x and its partner `other` elements on. */
CV_INLINE void CV_(three_row)(const int nv, const int s, const int pair, const int masked, const CV_(three_job) *t,
                              const CV_(three_column) *c, const T *x, ptrdiff_t other, ptrdiff_t r, vec (*v)[CV_TNV]) {
    const ptrdiff_t iy = t->iy + r;
    const int inside = (size_t)iy < (size_t)t->height;
    const T *p = (inside ? x + iy * t->xpitch : t->zeros) + (c->ox * s - t->lo);
    if (!inside) other = 0;
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const CV_(lanes) *q = i ? c->right : c->left;
        const int m = masked && (i == 0 || i == nv - 1);
        const T *a = p + i * s * VL, *b = pair ? a + other : a + VL;
        if (s == 1) {
            CV_UNROLL(3)
            for (int kx = 0; kx < 3; kx++) {
                v[kx][i] = m ? CV_LOAD_A(a + kx, q + kx) : CV_(load)(a + kx);
                if (pair) v[kx][i] = (vec)((ivec)v[kx][i] | (ivec)CV_LOAD_B(b + kx - VL / 2, q + kx));
            }
        } else {
            const vec a0 = m ? CV_LOAD_A(a, q) : CV_(load)(a), b0 = m ? CV_LOAD_B(b, q) : CV_(load)(b);
            const vec a2 = m ? CV_LOAD_A(a + 2, q + 2) : CV_(load)(a + 2);
            const vec b2 = m ? CV_LOAD_B(b + 2, q + 2) : CV_(load)(b + 2);
            v[0][i] = CV_(even)(a0, b0), v[1][i] = CV_(odd)(a0, b0), v[2][i] = CV_(even)(a2, b2);
        }
    }
}

/* acc = from + (kernel row k) * v, or without `from` where it is NULL. */
CV_INLINE void CV_(three_add)(const int nv, const vec *k, vec (*v)[CV_TNV], const vec *from, vec *acc) {
    CV_UNROLL(4)
    for (int i = 0; i < nv; i++) {
        const vec first = from ? from[i] + k[0] * v[0][i] : k[0] * v[0][i];
        acc[i] = first + k[1] * v[1][i];
        acc[i] += k[2] * v[2][i];
    }
}

CV_INLINE void CV_(three_store)(const int nv, const int pair, const CV_(three_column) *c, T *y, ptrdiff_t other, vec bias,
                                const vec *acc) {
    CV_UNROLL(4)
    for (int i = 0; i < nv - 1; i++) CV_(store)(y + i * VL, acc[i] + bias);
    const vec r = acc[nv - 1] + bias;
    CV_(store_n)(y + (nv - 1) * VL, r, c->last);
    if (pair) CV_(store_range)(y + other - VL / 2, r, VL / 2, VL / 2 + c->last);
}

/* The job and its column are copies of this function's own: no store can change them, so masks stay in registers. */
CV_INLINE void CV_(three)(const int nv, const int s, const int pair, const int masked, const CV_(three_job) *job) {
    const CV_(three_job) own = *job, *t = &own;
    const CV_(three_column) column = *job->column, *c = &column;
    const ivec low = *(const ivec *)CV_(three_low);
    const T *x = t->x, *w = t->w, none = 0, *bias = t->bias ? t->bias : &none;
    T *y = t->y + c->ox;
    for (ptrdiff_t plane = 0; plane < t->planes; plane += 1 + pair) {
        const ptrdiff_t next = pair && plane + 1 < t->planes; /* a last one alone is its own partner */
        const ptrdiff_t xo = next * t->xplane, yo = next * t->yplane, bo = t->bias ? next : 0;
        vec k[9], b = CV_(set1)(bias[0]), v[3][CV_TNV], top[CV_TNV], mid[CV_TNV];
        CV_UNROLL(9)
        for (int i = 0; i < 9; i++) {
            k[i] = CV_(set1)(w[i]);
            if (pair) k[i] = CV_(select)(low, k[i], CV_(set1)(w[9 * next + i]));
        }
        if (pair) b = CV_(select)(low, b, CV_(set1)(bias[bo]));
        T *to = y;
#define CV_ROW(r) CV_(three_row)(nv, s, pair, masked, t, c, x, xo, r, v)
#define CV_ADD(row, from, acc) CV_(three_add)(nv, k + 3 * (row), v, from, acc)
#define CV_OUT() CV_(three_store)(nv, pair, c, to, yo, b, top)
        CV_ROW(0);
        CV_ADD(0, NULL, mid);
        if (s == 1) {
            CV_ROW(1);
            CV_ADD(1, mid, top);
            CV_ADD(0, NULL, mid);
            for (ptrdiff_t o = 1; o < t->rows; o++, to += t->ypitch) {
                CV_ROW(o + 1);
                CV_ADD(2, top, top);
                CV_OUT();
                CV_ADD(1, mid, top);
                CV_ADD(0, NULL, mid);
            }
            CV_ROW(t->rows + 1);
            CV_ADD(2, top, top);
            CV_OUT();
        } else {
            for (ptrdiff_t o = 0; o < t->rows; o++, to += t->ypitch) {
                CV_ROW(2 * o + 1);
                CV_ADD(1, mid, top);
                CV_ROW(2 * o + 2);
                CV_ADD(2, top, top);
                CV_OUT();
                CV_ADD(0, NULL, mid);
            }
        }
#undef CV_ROW
#undef CV_ADD
#undef CV_OUT
        x += (1 + pair) * t->xplane, y += (1 + pair) * t->yplane, w += 9 * (1 + pair);
        if (t->bias) bias += 1 + pair;
    }
}

/* By [stride][shared by two planes, or touching the padding][vectors]. */
typedef void (*CV_(three_fn))(const CV_(three_job) *);
#define CV_THREE(nv, s, pair, masked) \
    static __attribute__((noinline)) void CV_(three_##nv##_##s##_##pair##_##masked)(const CV_(three_job) *t) { \
        CV_(three)(nv, s, pair, masked, t);                                                                    \
    }
#if CV_TNV == 4
#define CV_THREES(s, masked) \
    CV_THREE(1, s, 0, masked) CV_THREE(2, s, 0, masked) CV_THREE(3, s, 0, masked) CV_THREE(4, s, 0, masked)
#define CV_THREE_ROW(s, m) \
    {CV_(three_1_##s##_0_##m), CV_(three_2_##s##_0_##m), CV_(three_3_##s##_0_##m), CV_(three_4_##s##_0_##m)}
#else
#define CV_THREES(s, masked) CV_THREE(1, s, 0, masked)
#define CV_THREE_ROW(s, m) {CV_(three_1_##s##_0_##m)}
#endif
CV_THREES(1, 1) CV_THREES(2, 1) CV_THREE(1, 1, 1, 1) CV_THREE(1, 2, 1, 1)
#if CV_VB == 64 /* masked loads cost nothing: no second set */
#define CV_THREE_PLAIN(s) CV_THREE_ROW(s, 1)
#else
CV_THREES(1, 0) CV_THREES(2, 0)
#define CV_THREE_PLAIN(s) CV_THREE_ROW(s, 0)
#endif
static const CV_(three_fn) CV_(threes)[2][3][CV_TNV] = {
    {CV_THREE_PLAIN(1), CV_THREE_ROW(1, 1), {CV_(three_1_1_1_1)}},
    {CV_THREE_PLAIN(2), CV_THREE_ROW(2, 1), {CV_(three_1_2_1_1)}},
};
#undef CV_THREE
#undef CV_THREES
#undef CV_THREE_ROW
#undef CV_THREE_PLAIN

typedef struct {
    cv_conv p;
    const T *x, *w, *bias, *zeros;
    T *y;
    int pair;
    ptrdiff_t planes, plane_pieces, row_pieces, columns;
    CV_(three_column) *column;
} CV_(three_map);

/* Output rows r .. r+rows-1 of planes p0 .. p1-1, which belong to one image. */
static void CV_(three_strip)(const CV_(three_map) *j, ptrdiff_t p0, ptrdiff_t p1, ptrdiff_t r, ptrdiff_t rows) {
    const cv_conv *p = &j->p;
    const ptrdiff_t g = p0 % p->groups, n = p0 / p->groups;
    CV_(three_job) t = {
        .x = j->x + n * p->xs[0] + g * p->xs[1], .w = j->w + g * 9, .bias = j->bias ? j->bias + g : NULL, .zeros = j->zeros,
        .y = j->y + n * p->ys[0] + g * p->ys[1] + r * p->ys[3], .planes = p1 - p0, .xplane = p->xs[1], .yplane = p->ys[1],
        .iy = r * p->stride[1] - p->lo[1], .rows = rows, .height = p->in[1], .lo = p->lo[2], .xpitch = p->xs[3],
        .ypitch = p->ys[3],
    };
    for (ptrdiff_t i = 0; i < j->columns; i++) {
        t.column = j->column + i;
        CV_(threes)[p->stride[2] - 1][j->pair ? 2 : t.column->masked][t.column->nv - 1](&t);
    }
}

static void CV_(three_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(three_map) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t rc = unit % j->row_pieces, pc = unit / j->row_pieces;
    const ptrdiff_t end = (pc + 1) * j->planes / j->plane_pieces;
    const ptrdiff_t r0 = rc * p->out[1] / j->row_pieces, r1 = (rc + 1) * p->out[1] / j->row_pieces;
    (void)worker;
    for (ptrdiff_t p0 = pc * j->planes / j->plane_pieces, p1; p0 < end; p0 = p1) {
        p1 = j->columns > 1 ? p0 + 1 : CV_MIN2(end, (p0 / p->groups + 1) * p->groups); /* lines of a plane stay near */
        for (ptrdiff_t r = r0; r < r1; r += CV_THREE_ROWS)
            CV_(three_strip)(j, p0, p1, r, CV_MIN2(CV_THREE_ROWS, r1 - r));
    }
}

/* Lanes of the vector whose first output is ox, under tap kx. */
static CV_(lanes) CV_(three_lanes)(const CV_(three_map) *j, ptrdiff_t ox, ptrdiff_t kx) {
    const cv_conv *p = &j->p;
    const ptrdiff_t s = p->stride[2], ix = ox * s + kx - p->lo[2], half = VL / 2;
    ptrdiff_t a0, a1, b0, b1;
    if (!j->pair) return CV_(lanes_of)(p, ox, kx);
    cv_lanes(ix, 1, p->in[2], s == 1 ? half : VL, &a0, &a1);
    b0 = s == 1 ? a0 + half : a0, b1 = s == 1 ? a1 + half : a1;
    return CV_(lanes_in)(a0, a1, b0, b1, 0, 0);
}

static void CV_(three_columns)(CV_(three_map) *j) {
    const cv_conv *p = &j->p;
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL, s = p->stride[2];
    for (ptrdiff_t i = 0; i < j->columns; i++) {
        CV_(three_column) *c = j->column + i;
        const ptrdiff_t v0 = i * vecs / j->columns, v1 = (i + 1) * vecs / j->columns;
        c->ox = v0 * VL, c->nv = (int)(v1 - v0), c->last = CV_MIN2(VL, p->out[2] - (v1 - 1) * VL);
        c->masked = c->ox * s < p->lo[2] || v1 * VL * s - p->lo[2] + 2 > p->in[2];
        for (int kx = 0; kx < 3; kx++)
            c->left[kx] = CV_(three_lanes)(j, c->ox, kx), c->right[kx] = CV_(three_lanes)(j, (v1 - 1) * VL, kx);
    }
}

static int CV_(three_fits)(const cv_conv *p) {
    return p->icg == 1 && p->ocg == 1 && p->xs[4] == 1 && p->ys[4] == 1 && p->in[0] == 1 && p->out[0] == 1 && p->k[0] == 1 &&
           !p->lo[0] && p->k[1] == 3 && p->k[2] == 3 && p->dil[1] == 1 && p->dil[2] == 1 && p->stride[1] == p->stride[2] &&
           p->stride[1] <= 2;
}

static int CV_(three_conv)(const cv_conv *p, const T *x, const T *w, const T *bias, T *y, int threads) {
    CV_(three_map) j = {.p = *p, .x = x, .w = w, .bias = bias, .y = y, .planes = p->n * p->groups};
    const ptrdiff_t vecs = (p->out[2] + VL - 1) / VL;
    const ptrdiff_t hi = (p->out[2] - 1) * p->stride[2] + 3 - p->lo[2] - p->in[2];
    const ptrdiff_t most = p->lo[2] <= VL && hi <= 1 ? CV_TNV : CV_MIN2(2, CV_TNV); /* inner vectors load unmasked */
    j.pair = j.planes > 1 && 2 * p->out[2] <= VL;
    j.columns = (vecs + most - 1) / most;
    cv_cut(9.0 * j.planes * p->out[1] * p->out[2], &threads, (j.planes + j.pair) / (1 + j.pair), (p->out[1] + 7) / 8,
           &j.plane_pieces, &j.row_pieces);
    const size_t columns = (size_t)j.columns * sizeof *j.column, zeros = (size_t)p->in[2] * sizeof(T);
    char *scratch = cv_alloc(columns + zeros);
    if (!scratch) return CV_NOMEM;
    j.column = (CV_(three_column) *)scratch;
    j.zeros = memset(scratch + columns, 0, zeros);
    CV_(three_columns)(&j);
    const int status = cv_parallel(CV_(three_task), &j, j.plane_pieces * j.row_pieces, threads);
    cv_free(scratch);
    return status;
}
