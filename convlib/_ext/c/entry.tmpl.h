/* The kernels of the table: packing once, running often, and the call that does both within the scratch limit. */

static ptrdiff_t CV_(packed_size)(const cv_conv *p) {
    const ptrdiff_t panels = p->groups * ((p->ocg + CV_MR - 1) / CV_MR) * CV_MR;
    return panels * p->icg * p->k[0] * p->k[1] * p->k[2];
}

typedef struct {
    const cv_conv *p;
    cv_view view;
    const T *w;
    T *packed;
    ptrdiff_t oc_panels, units;
} CV_(pack_job);

static void CV_(pack_unit)(void *ctx, ptrdiff_t unit, int worker) {
    (void)worker;
    const CV_(pack_job) *j = ctx;
    const ptrdiff_t all = j->p->groups * j->oc_panels;
    for (ptrdiff_t i = unit * all / j->units; i < (unit + 1) * all / j->units; i++) {
        const ptrdiff_t g = i / j->oc_panels, oc0 = i % j->oc_panels * CV_MR;
        const T *w = j->w + g * j->p->ocg * j->view.k;
        CV_(pack_rows)(j->p, &j->view, w, oc0, j->packed + i * j->view.k * CV_MR);
    }
}

static int CV_(pack)(const cv_conv *p, const cv_exec *e, const T *w, T *packed) {
    CV_(pack_job) j = {p, cv_view_of(p), w, packed, (p->ocg + CV_MR - 1) / CV_MR, 0};
    const ptrdiff_t size = CV_(packed_size)(p);
    const int threads = (int)CV_MIN2(e->threads, 1 + size / 65536);
    j.units = CV_MIN2(p->groups * j.oc_panels, threads == 1 ? 1 : 4 * threads);
    return cv_parallel(CV_(pack_unit), &j, j.units, threads);
}

/* Output channels whose packed weights take at most half of the scratch: all of them, or as many panels as fit. */
static ptrdiff_t CV_(oc_chunk)(const cv_conv *p, const cv_exec *e) {
    const ptrdiff_t bytes = CV_(packed_size)(p) * (ptrdiff_t)sizeof(T), half = e->max_workspace / 2;
    if (bytes <= half) return p->ocg;
    const ptrdiff_t panels = p->groups * ((p->ocg + CV_MR - 1) / CV_MR);
    return CV_MIN2(p->ocg, CV_MAX2(1, half / (bytes / panels)) * CV_MR);
}

/* packed == NULL: pack w first, a range of output channels at a time when the weights are large. */
static int CV_(conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed, const T *bias, T *y) {
    if (!p->n || !p->groups || !p->ocg || !p->out[0] || !p->out[1] || !p->out[2]) return CV_OK;
    if (packed) return CV_(gemm_conv)(p, e, x, packed, bias, y);
    const ptrdiff_t chunk = CV_(oc_chunk)(p, e), k = p->icg * p->k[0] * p->k[1] * p->k[2];
    const int whole = CV_(packed_size)(p) * (ptrdiff_t)sizeof(T) <= e->max_workspace / 2;
    cv_conv part = *p;
    if (!whole) part.groups = 1, part.ocg = chunk;
    T *buffer = cv_alloc((size_t)CV_(packed_size)(&part) * sizeof(T));
    if (!buffer) return CV_NOMEM;
    int status = CV_OK;
    for (ptrdiff_t oc = 0; oc < p->groups * p->ocg && !status; oc += whole ? p->groups * p->ocg : part.ocg) {
        const ptrdiff_t g = oc / p->ocg;
        if (!whole) part.ocg = CV_MIN2(chunk, (g + 1) * p->ocg - oc);
        status = CV_(pack)(&part, e, w + oc * k, buffer);
        if (!status)
            status = CV_(gemm_conv)(&part, e, x + g * p->icg * p->xs[1], buffer, bias ? bias + oc : NULL,
                                     y + oc * p->ys[1]);
    }
    cv_free(buffer);
    return status;
}

static ptrdiff_t CV_(workspace)(const cv_conv *p, const cv_exec *e) {
    CV_(job) j;
    CV_(plan_job)(&j, p, e);
    return j.threads * j.scratch_each * (ptrdiff_t)sizeof(T);
}
