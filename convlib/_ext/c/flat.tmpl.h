/* Small planes: rows shorter than two vectors would leave lanes idle, so the plane is taken as one long row.
 *
 * That needs input and output planes of one shape, without gaps, and stride 1; then tap (ky, kx) is a constant offset,
 * and a mask per (tap, vector) drops what crossed an edge.  Only AVX-512 loads under such masks cheaply; narrower
 * vectors fit short rows anyway. */
#if CV_VB == 64
#define CV_FLAT 8 /* vectors at once */

typedef struct {
    cv_conv p;
    const T *x, *w, *bias;
    T *y;
    ptrdiff_t taps, size, vecs, groups, planes, pieces; /* groups of up to CV_FLAT vectors */
    ptrdiff_t *offset;                                  /* [taps] */
    CV_GLUE(CV_MASK, CV_BITS) *masks;                   /* [vecs][taps] in groups: [group][tap][vector] */
} CV_(flat_job);

CV_INLINE void CV_(flat)(const int nv, const CV_(flat_job) *j, const CV_GLUE(CV_MASK, CV_BITS) *q, const T *x, const T *w,
                         T bias, T *y, ptrdiff_t last) {
    vec acc[CV_FLAT];
    CV_UNROLL(8)
    for (int i = 0; i < nv; i++) acc[i] = (vec){0};
    for (ptrdiff_t t = 0; t < j->taps; t++, q += nv) {
        const T *p = x + j->offset[t];
        const vec a = CV_(set1)(w[t]);
        CV_UNROLL(8)
        for (int i = 0; i < nv; i++)
            acc[i] += a * (vec)CV_GLUE(_mm512_maskz_loadu_epi, CV_BITS)(q[i], p + i * VL);
    }
    CV_UNROLL(8)
    for (int i = 0; i < nv - 1; i++) CV_(store)(y + i * VL, acc[i] + CV_(set1)(bias));
    CV_(store_n)(y + (nv - 1) * VL, acc[nv - 1] + CV_(set1)(bias), last);
}

static void CV_(flat_task)(void *context, ptrdiff_t unit, int worker) {
    const CV_(flat_job) *j = context;
    (void)worker;
    for (ptrdiff_t plane = unit * j->planes / j->pieces; plane < (unit + 1) * j->planes / j->pieces; plane++) {
        const ptrdiff_t g = plane % j->p.groups, n = plane / j->p.groups;
        const T *x = j->x + n * j->p.xs[0] + g * j->p.xs[1], *w = j->w + g * j->taps;
        T *y = j->y + n * j->p.ys[0] + g * j->p.ys[1];
        const T bias = j->bias ? j->bias[g] : 0;
        for (ptrdiff_t i = 0; i < j->groups; i++) {
            const ptrdiff_t v0 = i * j->vecs / j->groups, v1 = (i + 1) * j->vecs / j->groups;
            const ptrdiff_t last = CV_MIN2(VL, j->size - (v1 - 1) * VL);
            const CV_GLUE(CV_MASK, CV_BITS) *q = j->masks + v0 * j->taps;
            switch (v1 - v0) {
#define CV_CASE(nv) case nv: CV_(flat)(nv, j, q, x + v0 * VL, w, bias, y + v0 * VL, last); break;
                CV_CASE(1) CV_CASE(2) CV_CASE(3) CV_CASE(4) CV_CASE(5) CV_CASE(6) CV_CASE(7) CV_CASE(8)
#undef CV_CASE
            }
        }
    }
}

static void CV_(flat_masks)(CV_(flat_job) *j) {
    const cv_conv *p = &j->p;
    for (ptrdiff_t i = 0; i < j->groups; i++) {
        const ptrdiff_t v0 = i * j->vecs / j->groups, v1 = (i + 1) * j->vecs / j->groups;
        CV_GLUE(CV_MASK, CV_BITS) *q = j->masks + v0 * j->taps;
        for (ptrdiff_t t = 0; t < j->taps; t++) {
            const ptrdiff_t dx = t % p->k[2] * p->dil[2] - p->lo[2], dy = t / p->k[2] * p->dil[1] - p->lo[1];
            j->offset[t] = dy * p->in[2] + dx;
            for (ptrdiff_t v = v0; v < v1; v++, q++) {
                *q = 0;
                for (ptrdiff_t l = v * VL; l < CV_MIN2((v + 1) * VL, j->size); l++) {
                    const ptrdiff_t ix = l % p->in[2] + dx, iy = l / p->in[2] + dy;
                    if (ix >= 0 && ix < p->in[2] && iy >= 0 && iy < p->in[1])
                        *q |= (CV_GLUE(CV_MASK, CV_BITS))((uint64_t)1 << (l - v * VL));
                }
            }
        }
    }
}

/* Whether the flat way fits and pays: the rows would fill less than 7 of 8 lanes, the kernel most of its taps. */
static int CV_(flat_fits)(const cv_conv *p) {
    const ptrdiff_t lanes = (p->in[2] + VL - 1) / VL * VL;
    if (p->ocg != 1 || p->icg != 1 || p->in[0] != 1 || p->k[0] != 1 || p->lo[0] || p->out[0] != 1) return 0;
    for (int i = 1; i < 3; i++)
        if (p->stride[i] != 1 || p->in[i] != p->out[i]) return 0;
    return p->xs[4] == 1 && p->ys[4] == 1 && p->xs[3] == p->in[2] && p->ys[3] == p->in[2] && p->in[2] * 8 < lanes * 7 &&
           p->in[2] < 4 * VL && p->in[1] < 4 * VL && p->k[1] <= p->in[1] && p->k[2] <= p->in[2];
}

static int CV_(flat_conv)(const cv_conv *p, const T *x, const T *w, const T *bias, T *y, int threads) {
    CV_(flat_job) j = {.p = *p, .x = x, .w = w, .bias = bias, .y = y};
    ptrdiff_t one;
    j.taps = p->k[1] * p->k[2], j.size = p->in[1] * p->in[2], j.planes = p->n * p->groups;
    j.vecs = (j.size + VL - 1) / VL, j.groups = (j.vecs + CV_FLAT - 1) / CV_FLAT;
    cv_cut((double)j.planes * j.size * j.taps, &threads, j.planes, 1, &j.pieces, &one);
    j.offset = cv_alloc((size_t)j.taps * (sizeof *j.offset + (size_t)j.vecs * sizeof *j.masks));
    if (!j.offset) return CV_NOMEM;
    j.masks = (void *)(j.offset + j.taps);
    CV_(flat_masks)(&j);
    const int status = cv_parallel(CV_(flat_task), &j, j.pieces, threads);
    cv_free(j.offset);
    return status;
}
#endif
