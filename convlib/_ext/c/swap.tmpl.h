/* The GEMM with its roles exchanged, for maps of few pixels: lanes are output channels, rows are pixels of the whole batch.
 *
 * A 7x7 map fills 49 of 64 lanes, but 49 of 56 rows, and a batch of them more.  Weights are the B panels, [oc panel][K]
 * [lane], and are read once; the windows are the A panels, [pixel panel][K][MR], packed once and shared by all threads.
 * Sums stay in a [pixel][lane] buffer until all of K is in, and are turned round on their way to y.
 */
typedef T CV_(row_t) __attribute__((vector_size(CV_MR * CV_BITS / 8), aligned(CV_BITS / 8), may_alias));

/* Whether exchanged roles fill the tile better; depends on the problem alone, as the weights are packed for it. */
static int CV_(swaps)(const cv_conv *p) {
    const ptrdiff_t pixels = p->out[0] * p->out[1] * p->out[2], all = p->n * pixels;
    if (pixels >= 2 * CV_NV * VL || p->ocg < CV_NV * VL) return 0;
    const double lanes = (double)pixels / (double)((pixels + VL - 1) / VL * VL);
    const double rows = (double)all / (double)((all + CV_MR - 1) / CV_MR * CV_MR);
    return rows * (double)p->ocg / (double)((p->ocg + VL - 1) / VL * VL) > 1.08 * lanes;
}

typedef struct {
    cv_conv p;
    cv_view view;
    const T *x, *w, *bias;
    T *y, *scratch, *a;
    ptrdiff_t *to;                 /* where each pixel of the batch lies in y */
    ptrdiff_t pixels, first, count; /* of the batch; those of this pass */
    ptrdiff_t panels, parts;       /* panels of count pixels; parts of K packed apart */
    ptrdiff_t vecs, oc_panels, run_block;
    int threads;
    T *own;                        /* for each worker a panel of weights, if none are packed */
} CV_(swap_job);

CV_INLINE ptrdiff_t CV_(swap_lane)(ptrdiff_t vecs, ptrdiff_t panels, ptrdiff_t i) { return i * vecs / panels * VL; }

static void CV_(swap_in_unit)(void *context, ptrdiff_t unit, int worker) {
    static const T zero;
    const CV_(swap_job) *j = context;
    const cv_conv *p = &j->p;
    (void)worker;
    const ptrdiff_t part = unit % j->parts, panel = unit / j->parts % j->panels, g = unit / j->parts / j->panels;
    const ptrdiff_t r0 = part * j->view.runs / j->parts, r1 = (part + 1) * j->view.runs / j->parts;
    T *dst = j->a + ((g * j->panels + panel) * j->view.k + cv_run_start(p, &j->view, r0)) * CV_MR;
    ptrdiff_t at[CV_MR][4]; /* n, z, y, x of a pixel's window */
    for (int m = 0; m < CV_MR; m++) {
        const ptrdiff_t i = CV_MIN2(j->first + panel * CV_MR + m, j->first + j->count - 1);
        at[m][3] = i % p->out[2] * p->stride[2] - p->lo[2];
        at[m][2] = i / p->out[2] % p->out[1] * p->stride[1] - p->lo[1];
        at[m][1] = i / p->out[2] / p->out[1] % p->out[0] * p->stride[0] - p->lo[0];
        at[m][0] = i / p->out[2] / p->out[1] / p->out[0];
    }
    for (ptrdiff_t r = r0; r < r1; r++) {
        const ptrdiff_t tap = r % j->view.taps, ic0 = r / j->view.taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        const ptrdiff_t dx = tap % p->k[2] * p->dil[2], dy = tap / p->k[2] % p->k[1] * p->dil[1];
        const ptrdiff_t dz = tap / p->k[2] / p->k[1] * p->dil[0];
        const T *from[CV_MR];
        ptrdiff_t step[CV_MR];
        int neighbours = 1;
        for (int m = 0; m < CV_MR; m++) {
            const ptrdiff_t z = at[m][1] + dz, y = at[m][2] + dy, x = at[m][3] + dx;
            const int in = z >= 0 && z < p->in[0] && y >= 0 && y < p->in[1] && x >= 0 && x < p->in[2];
            from[m] = &zero, step[m] = 0;
            if (in) {
                from[m] = j->x + at[m][0] * p->xs[0] + (g * p->icg + ic0) * p->xs[1] + z * p->xs[2] + y * p->xs[3] +
                          x * p->xs[4];
                step[m] = p->xs[1];
            }
            neighbours &= in && from[m] == from[0] + m;
        }
        if (neighbours)
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, dst += CV_MR)
                *(CV_(row_t) *)dst = *(const CV_(row_t) *)(from[0] + (ic - ic0) * p->xs[1]);
        else
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, dst += CV_MR) {
                CV_UNROLL(8)
                for (int m = 0; m < CV_MR; m++) dst[m] = *from[m], from[m] += step[m];
            }
    }
}

static void CV_(swap_unit)(void *context, ptrdiff_t unit, int worker) {
    static const T zeros[CV_MR];
    const CV_(swap_job) *j = context;
    const cv_conv *p = &j->p;
    const ptrdiff_t g = unit / j->oc_panels, op = unit % j->oc_panels, ld = CV_NV * VL;
    const ptrdiff_t l0 = CV_(swap_lane)(j->vecs, j->oc_panels, op), l1 = CV_(swap_lane)(j->vecs, j->oc_panels, op + 1);
    const T *w, *a = j->a + g * j->panels * j->view.k * CV_MR;
    T *sums = j->scratch + worker * j->panels * CV_MR * ld;
    if (j->own) {
        T *own = j->own + worker * j->view.k * ld;
        CV_(pack_weights)(p, &j->view, j->w + g * p->ws[0], l0, l1 - l0, own);
        w = own;
    } else {
        w = j->w + (g * j->vecs * VL + l0) * j->view.k;
    }
    for (ptrdiff_t r0 = 0; r0 < j->view.runs; r0 += j->run_block) {
        const ptrdiff_t r1 = CV_MIN2(r0 + j->run_block, j->view.runs);
        const ptrdiff_t k0 = cv_run_start(p, &j->view, r0), kc = cv_run_start(p, &j->view, r1) - k0;
        for (ptrdiff_t i = 0; i < j->panels; i++) {
            const CV_(tile_out) o = {sums + i * CV_MR * ld, ld, CV_MR, VL, r0 ? NULL : zeros};
            CV_(tiles)[(l1 - l0) / VL](kc, a + (i * j->view.k + k0) * CV_MR, w + k0 * (l1 - l0), l1 - l0, NULL, &o);
        }
    }
    const ptrdiff_t oc0 = g * p->ocg + l0, ocs = CV_MIN2(l1, p->ocg) - l0;
    const T *bias = j->bias ? j->bias + oc0 : NULL;
    T *y = j->y + oc0 * p->ys[1];
    if (p->ys[1] == 1)
        for (ptrdiff_t i = 0; i < j->count; i++)
            for (ptrdiff_t l = 0; l < ocs; l += VL) {
                const ptrdiff_t n = CV_MIN2(ocs - l, VL);
                const vec b = bias ? CV_(load_n)(bias + l, n) : (vec){0};
                CV_(store_n)(y + j->to[j->first + i] + l, CV_(load)(sums + i * ld + l) + b, n);
            }
    else
        for (ptrdiff_t l = 0; l < ocs; l++)
            for (ptrdiff_t i = 0; i < j->count; i++)
                y[l * p->ys[1] + j->to[j->first + i]] = sums[i * ld + l] + (bias ? bias[l] : 0);
}

/* Pixels of one pass: their panels take at most half of the scratch. */
static void CV_(swap_plan)(CV_(swap_job) *j, const cv_conv *p, const cv_exec *e) {
    *j = (CV_(swap_job)){.p = *p, .view = cv_view_of(p)};
    j->pixels = p->n * j->view.pixels;
    j->vecs = (p->ocg + VL - 1) / VL;
    j->oc_panels = (j->vecs + CV_NV - 1) / CV_NV;
    const ptrdiff_t blocks = (j->view.k + CV_KC - 1) / CV_KC;
    j->run_block = (j->view.runs + blocks - 1) / blocks;
    const double work = (double)p->groups * p->ocg * j->pixels * j->view.k;
    j->threads = (int)CV_MIN2((double)e->threads, 1 + work / CV_MIN_WORK);
    const ptrdiff_t row = p->groups * j->view.k + j->threads * CV_NV * VL;
    const ptrdiff_t most = CV_MIN2(e->max_workspace / 2, 8 << 20) / (row * CV_MR * (ptrdiff_t)sizeof(T));
    j->panels = CV_MAX2(1, CV_MIN2((j->pixels + CV_MR - 1) / CV_MR, most));
    j->parts = CV_MIN2(j->view.runs, 4);
}

/* Bytes of scratch; own: of weights that are packed where they are used, too. */
static ptrdiff_t CV_(swap_workspace)(const cv_conv *p, const cv_exec *e, int own) {
    CV_(swap_job) j;
    CV_(swap_plan)(&j, p, e);
    const ptrdiff_t rows = j.panels * CV_MR * (p->groups * j.view.k + j.threads * CV_NV * VL);
    const ptrdiff_t weights = own ? j.threads * j.view.k * CV_NV * VL : 0;
    return (rows + weights) * (ptrdiff_t)sizeof(T) + j.pixels * (ptrdiff_t)sizeof *j.to;
}

static ptrdiff_t CV_(swap_passes)(const cv_conv *p, const cv_exec *e) {
    CV_(swap_job) j;
    CV_(swap_plan)(&j, p, e);
    return (j.pixels + j.panels * CV_MR - 1) / (j.panels * CV_MR);
}

/* w: packed, or (own) as it is. */
static int CV_(swap_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, int own, const T *bias, T *y) {
    CV_(swap_job) j;
    CV_(swap_plan)(&j, p, e);
    T *scratch = cv_alloc((size_t)CV_(swap_workspace)(p, e, own));
    if (!scratch) return CV_NOMEM;
    j.x = x, j.w = w, j.bias = bias, j.y = y;
    const ptrdiff_t pass = j.panels * CV_MR;
    j.to = (ptrdiff_t *)scratch;
    j.a = (T *)(j.to + j.pixels);
    j.scratch = j.a + p->groups * pass * j.view.k;
    j.own = own ? j.scratch + j.threads * pass * CV_NV * VL : NULL;
    for (ptrdiff_t i = 0; i < j.pixels; i++) {
        const ptrdiff_t at = i / p->out[2], plane = at / p->out[1];
        j.to[i] = plane / p->out[0] * p->ys[0] + plane % p->out[0] * p->ys[2] + at % p->out[1] * p->ys[3] +
                  i % p->out[2] * p->ys[4];
    }
    int status = CV_OK;
    for (; j.first < j.pixels && status == CV_OK; j.first += pass) {
        j.count = CV_MIN2(pass, j.pixels - j.first);
        j.panels = (j.count + CV_MR - 1) / CV_MR;
        status = cv_parallel(CV_(swap_in_unit), &j, p->groups * j.panels * j.parts, j.threads);
        if (status == CV_OK) status = cv_parallel(CV_(swap_unit), &j, p->groups * j.oc_panels, j.threads);
    }
    cv_free(scratch);
    return status;
}
