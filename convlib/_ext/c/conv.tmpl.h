/* Implicit GEMM: any convolution as C[oc x pixels] = A[oc x K] · B[K x pixels], the B panels packed as they are needed.
 *
 * A unit of work is a block of pixel panels by a range of output channels.  Per unit and block of K: pack the B panels
 * (they stay in L2), then run every A panel (it stays in L1) over them.  A 1x1 convolution needs no packing pass: its
 * first A panel multiplies straight from the image and stores the rows it reads.
 */
#ifndef CV_KC
#define CV_KC 384               /* rows of K in a block: an A panel of 12 KB in L1 */
#define CV_B_BYTES (320 * 1024) /* B block: stays in a 1 MB L2 beside the rest */
#define CV_OWN_BYTES (8 << 20)  /* weights that all threads may pack for themselves: what others wrote comes slowly */
#define CV_MIN_WORK 1e6         /* multiply-adds that repay waking one more thread */

/* Join axis a to axis a+1 when a 1x1 convolution walks both without gaps: one long row instead of many short ones. */
static void cv_join(cv_conv *p, int a) {
    for (int i = a; i <= a + 1; i++)
        if (p->k[i] != 1 || p->stride[i] != 1 || p->lo[i] || p->in[i] != p->out[i]) return;
    if (p->in[a] > 1 && (p->xs[2 + a] != p->in[a + 1] * p->xs[3 + a] || p->ys[2 + a] != p->out[a + 1] * p->ys[3 + a]))
        return;
    p->in[a + 1] *= p->in[a];
    p->out[a + 1] *= p->out[a];
    p->in[a] = p->out[a] = 1;
}

static cv_conv cv_simplify(const cv_conv *p) {
    cv_conv q = *p;
    cv_join(&q, 1);
    if (q.in[1] == 1 && q.out[1] == 1 && q.k[1] == 1 && !q.lo[1]) { /* nothing left on H: let D take its place */
        q.in[1] = q.in[0], q.out[1] = q.out[0], q.k[1] = q.k[0];
        q.stride[1] = q.stride[0], q.dil[1] = q.dil[0], q.lo[1] = q.lo[0], q.xs[3] = q.xs[2], q.ys[3] = q.ys[2];
        q.ws[4] = q.ws[3];
        q.in[0] = q.out[0] = q.k[0] = q.stride[0] = q.dil[0] = 1, q.lo[0] = 0;
        cv_join(&q, 1);
    }
    return q;
}

/* Whether the windows of a simplified problem lie in x as rows of B: 1x1, unbroken rows, no padding before or behind. */
static int cv_in_place(const cv_conv *p) {
    return p->k[0] * p->k[1] * p->k[2] == 1 && p->in[0] == 1 && p->in[1] == 1 && p->out[0] == 1 && p->out[1] == 1 &&
           p->stride[2] == 1 && !p->lo[2] && p->out[2] <= p->in[2] && p->xs[4] == 1;
}
#endif

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x, *a, *bias;
    T *y, *scratch;
    ptrdiff_t scratch_each;        /* elements per worker: B block, then one spare tile */
    ptrdiff_t vecs, panels;        /* of one image's pixels */
    ptrdiff_t block, blocks;       /* pixel panels per unit; units per image and group */
    ptrdiff_t oc_panels, oc_block, oc_blocks;
    ptrdiff_t run_block, k_block;  /* runs and the most rows in a block of K */
    int in_place;                  /* B can be read straight from x */
    int flat;                      /* a channel of y is one unbroken row */
    int threads;
} CV_(job);

/* Vector panels are cut evenly: 13 vectors are 3+3+3+2+2, not 3+3+3+3+1. */
CV_INLINE ptrdiff_t CV_(panel_start)(const CV_(job) *j, ptrdiff_t i) { return i * j->vecs / j->panels * VL; }

static void CV_(plan_job)(CV_(job) *j, const cv_conv *conv, const cv_exec *e) {
    *j = (CV_(job)){.p = cv_simplify(conv)};
    const cv_conv *p = &j->p;
    j->view = cv_view_of(p);
    const cv_view *v = &j->view;
    j->vecs = (v->pixels + VL - 1) / VL;
    j->panels = (j->vecs + CV_NV - 1) / CV_NV;
    j->oc_panels = (p->ocg + CV_MR - 1) / CV_MR;
    const ptrdiff_t k_blocks = (v->k + CV_KC - 1) / CV_KC;
    j->run_block = (v->runs + k_blocks - 1) / k_blocks;
    j->k_block = CV_MIN2(v->k, j->run_block * CV_MIN2(CV_ICB, p->icg));
    const double work = (double)p->n * p->groups * p->ocg * v->pixels * v->k;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);

    const ptrdiff_t panel_bytes = j->k_block * CV_NV * VL * (ptrdiff_t)sizeof(T), all = p->n * p->groups * j->panels;
    j->block = CV_MAX2(1, CV_MIN2(j->panels, CV_B_BYTES / panel_bytes));
    j->oc_block = j->oc_panels;
    if (j->threads > 1) {
        /* pixels first; too few of them: output channels, each unit packing the pixels again */
        const ptrdiff_t want = 6 * j->threads;
        if (all / j->block < want) j->block = CV_MAX2(CV_MIN2(2, j->block), all / want);
        j->block = CV_MAX2(1, CV_MIN2(j->block, j->panels));
        const ptrdiff_t units = p->n * p->groups * ((j->panels + j->block - 1) / j->block);
        if (units < want) j->oc_block = CV_MAX2(CV_MIN2(4, j->oc_panels), j->oc_panels * units / want);
    }
    while (j->threads > 1 && j->block > 1 && j->threads * j->block * panel_bytes > e->max_workspace) j->block /= 2;
    j->blocks = (j->panels + j->block - 1) / j->block;
    j->block = (j->panels + j->blocks - 1) / j->blocks;
    j->blocks = (j->panels + j->block - 1) / j->block;
    j->oc_blocks = (j->oc_panels + j->oc_block - 1) / j->oc_block;
    j->scratch_each = (j->block * j->k_block + CV_MR + 1) * CV_NV * VL;
    j->in_place = cv_in_place(p);
    j->flat = p->ys[4] == 1 && (p->out[1] == 1 || p->ys[3] == p->out[2]) &&
              (p->out[0] == 1 || p->ys[2] == p->out[1] * p->out[2]);
}

/* A tile whose outputs do not lie in one row (NHWC, strided out): rows through `tile`, then one by one to y.  Whichever
 * of channels and pixels lies closer together in y is innermost. */
static void CV_(scatter)(const CV_(job) *j, const T *tile, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t p0, ptrdiff_t count,
                         const T *bias, T *y) {
    const cv_conv *p = &j->p;
    ptrdiff_t ox = p0 % p->out[2], oy = p0 / p->out[2] % p->out[1], oz = p0 / p->out[2] / p->out[1];
    const ptrdiff_t step = p->ys[4];
    for (ptrdiff_t i = 0, len; i < count; i += len) {
        T *at = y + oz * p->ys[2] + oy * p->ys[3] + ox * step;
        len = CV_MIN2(p->out[2] - ox, count - i);
        if (p->ys[1] < step)
            for (ptrdiff_t l = 0; l < len; l++, at += step)
                for (ptrdiff_t m = 0; m < rows; m++) at[m * p->ys[1]] = tile[m * ld + i + l] + (bias ? bias[m] : at[m * p->ys[1]]);
        else
            for (ptrdiff_t m = 0; m < rows; m++, at += p->ys[1]) {
                const T *from = tile + m * ld + i;
                if (bias)
                    for (ptrdiff_t l = 0; l < len; l++) at[l * step] = from[l] + bias[m];
                else
                    for (ptrdiff_t l = 0; l < len; l++) at[l * step] += from[l];
            }
        ox = 0;
        if (++oy == p->out[1]) oy = 0, oz++;
    }
}

static void CV_(unit)(void *ctx, ptrdiff_t unit, int worker) {
    static const T zeros[CV_MR];
    const CV_(job) *j = ctx;
    const cv_conv *p = &j->p;
    const ptrdiff_t oc_block = unit % j->oc_blocks, rest = unit / j->oc_blocks;
    const ptrdiff_t i0 = rest % j->blocks * j->block, i1 = CV_MIN2(i0 + j->block, j->panels);
    const ptrdiff_t g = rest / j->blocks % p->groups, n = rest / j->blocks / p->groups;
    const ptrdiff_t op0 = oc_block * j->oc_block, op1 = CV_MIN2(op0 + j->oc_block, j->oc_panels);
    const T *x = j->x + n * p->xs[0] + g * p->icg * p->xs[1];
    T *y = j->y + n * p->ys[0] + g * p->ocg * p->ys[1];
    const T *a = j->a + g * j->oc_panels * j->view.k * CV_MR;
    T *b = j->scratch + worker * j->scratch_each, *spare = b + j->block * j->k_block * CV_NV * VL + VL;

    for (ptrdiff_t r0 = 0; r0 < j->view.runs; r0 += j->run_block) {
        const ptrdiff_t r1 = CV_MIN2(r0 + j->run_block, j->view.runs);
        const ptrdiff_t k0 = cv_run_start(p, &j->view, r0), kc = cv_run_start(p, &j->view, r1) - k0;
        for (ptrdiff_t op = op0; op < op1; op++) {
            const T *panel_a = a + (op * j->view.k + k0) * CV_MR, *bias = j->bias ? j->bias + g * p->ocg + op * CV_MR : zeros;
            const ptrdiff_t rows = CV_MIN2(CV_MR, p->ocg - op * CV_MR);
            T *bp = b;
            for (ptrdiff_t i = i0; i < i1; i++) {
                const ptrdiff_t p0 = CV_(panel_start)(j, i), width = CV_(panel_start)(j, i + 1) - p0;
                const ptrdiff_t count = CV_MIN2(width, j->view.pixels - p0), nv = width / VL;
                CV_(tile_out) o = {y + op * CV_MR * p->ys[1] + p0, p->ys[1], rows, count - width + VL, r0 ? NULL : bias};
                if (!j->flat) o.c = spare, o.ldc = CV_NV * VL, o.bias = zeros;
                if (op == op0 && j->in_place && count == width) {
                    (op1 - op0 > 1 ? CV_(tiles_copy) : CV_(tiles))[nv](kc, panel_a, x + k0 * p->xs[1] + p0, p->xs[1], bp, &o);
                } else {
                    if (op == op0) CV_(pack_panel)(p, &j->view, x, p0, count, width, r0, r1, 0, bp);
                    CV_(tiles)[nv](kc, panel_a, bp, width, NULL, &o);
                }
                if (!j->flat)
                    CV_(scatter)(j, spare, CV_NV * VL, rows, p0, count, r0 ? NULL : bias, y + op * CV_MR * p->ys[1]);
                bp += kc * width;
            }
        }
    }
}

static int CV_(gemm_conv)(const cv_conv *conv, const cv_exec *e, const T *x, const T *a, const T *bias, T *y) {
    CV_(job) j;
    CV_(plan_job)(&j, conv, e);
    const ptrdiff_t units = j.p.n * j.p.groups * j.blocks * j.oc_blocks;
    j.x = x, j.a = a, j.bias = bias, j.y = y;
    j.scratch = cv_alloc((size_t)(j.threads * j.scratch_each) * sizeof(T));
    if (!j.scratch) return CV_NOMEM;
    const int status = cv_parallel(CV_(unit), &j, units, j.threads);
    cv_free(j.scratch);
    return status;
}

/* ---- what the fast sums cannot do: infinities and NaN would reach outputs whose window does not hold them */

CV_INLINE int CV_(any)(ivec mask) {
    uint64_t parts[CV_VB / 8], all = 0;
    __builtin_memcpy(parts, &mask, CV_VB);
    CV_UNROLL(8)
    for (int i = 0; i < CV_VB / 8; i++) all |= parts[i];
    return all != 0;
}

/* The output (n, z, y, x) of channel oc of group g by its formula. */
static __attribute__((unused)) T CV_(plain)(const cv_conv *p, const T *x, const T *w, const T *bias, ptrdiff_t g, ptrdiff_t oc,
                                            const ptrdiff_t *o) {
    const ptrdiff_t taps = p->k[0] * p->k[1] * p->k[2];
    T sum = 0;
    x += o[0] * p->xs[0] + g * p->icg * p->xs[1], w += g * p->ws[0] + oc * p->ws[1];
    for (ptrdiff_t t = 0; t < taps; t++) {
        const ptrdiff_t k[3] = {t / p->k[2] / p->k[1], t / p->k[2] % p->k[1], t % p->k[2]};
        ptrdiff_t at = 0, in = 1;
        for (int a = 0; a < 3; a++) {
            const ptrdiff_t i = o[1 + a] * p->stride[a] + k[a] * p->dil[a] - p->lo[a];
            in &= i >= 0 && i < p->in[a];
            at += i * p->xs[2 + a];
        }
        for (ptrdiff_t c = 0; in && c < p->icg; c++) sum += w[c * p->ws[2] + cv_tap_of(p, t)] * x[c * p->xs[1] + at];
    }
    return sum + (bias ? bias[g * p->ocg + oc] : 0);
}
