/* The kernels of the table: packing once, running often, and the call that does both within the scratch limit. */

static ptrdiff_t CV_(packed_size)(const cv_conv *p) {
    const ptrdiff_t step = CV_(pixels_fit)(p) ? VL : CV_MR;
    return p->groups * ((p->ocg + step - 1) / step) * step * p->icg * p->k[0] * p->k[1] * p->k[2];
}

typedef struct {
    const cv_conv *p;
    cv_view view;
    const T *w;
    T *packed;
    ptrdiff_t vecs, oc_panels, units; /* vecs: of output channels, if lanes are those */
} CV_(pack_job);

static void CV_(pack_unit)(void *ctx, ptrdiff_t unit, int worker) {
    (void)worker;
    const CV_(pack_job) *j = ctx;
    const ptrdiff_t all = j->p->groups * j->oc_panels;
    for (ptrdiff_t i = unit * all / j->units; i < (unit + 1) * all / j->units; i++) {
        const ptrdiff_t g = i / j->oc_panels, op = i % j->oc_panels;
        const T *w = j->w + g * j->p->ws[0];
        if (!j->vecs) {
            CV_(pack_weights)(j->p, &j->view, w, op * CV_MR, j->packed + i * j->view.k * CV_MR);
            continue;
        }
        const ptrdiff_t l0 = CV_(pixels_lane)(j->vecs, j->oc_panels, op);
        const ptrdiff_t l1 = CV_(pixels_lane)(j->vecs, j->oc_panels, op + 1);
        CV_(pixels_pack)(j->p, w, l0, l1, j->packed + (g * j->vecs * VL + l0) * j->view.k);
    }
}

static int CV_(pack)(const cv_conv *p, const cv_exec *e, const T *w, T *packed) {
    CV_(pack_job) j = {p, cv_view_of(p), w, packed, 0, (p->ocg + CV_MR - 1) / CV_MR, 0};
    if (CV_(pixels_fit)(p)) j.vecs = (p->ocg + VL - 1) / VL, j.oc_panels = CV_(pixels_panels)(j.vecs);
    const ptrdiff_t size = CV_(packed_size)(p);
    const int threads = (int)CV_MIN2(e->threads, 1 + size / 65536);
    j.units = CV_MIN2(p->groups * j.oc_panels, threads == 1 ? 1 : 4 * threads);
    return cv_parallel(CV_(pack_unit), &j, j.units, threads);
}

static int CV_(run_packed)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed, const T *bias,
                           T *y) {
    (void)w;
    if (!CV_(pixels_fit)(p)) return CV_(gemm_conv)(p, e, x, packed, bias, y);
    CV_(pixels_job) j;
    CV_(pixels_plan)(&j, p, e, 0);
    return CV_(pixels_run)(&j, x, packed, bias, y);
}

/* A way that packs weights: elements they take, packing, and the convolution after it. */
typedef struct {
    ptrdiff_t (*size)(const cv_conv *);
    int (*pack)(const cv_conv *, const cv_exec *, const T *w, T *packed);
    int (*run)(const cv_conv *, const cv_exec *, const T *x, const T *w, const T *packed, const T *bias, T *y);
} CV_(way);

/* Output channels whose packed weights take at most half of the scratch: all of them, or as many sixteens as fit. */
static ptrdiff_t CV_(oc_chunk)(ptrdiff_t size, const cv_conv *p, const cv_exec *e) {
    const ptrdiff_t bytes = size * (ptrdiff_t)sizeof(T), half = e->max_workspace / 2;
    if (bytes <= half) return p->ocg;
    const ptrdiff_t panels = p->groups * ((p->ocg + 15) / 16);
    return CV_MIN2(p->ocg, CV_MAX2(1, half / (bytes / panels)) * 16);
}

/* packed == NULL: pack w first, a range of output channels at a time when the weights are large. */
static int CV_(run_way)(const CV_(way) *way, const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed,
                        const T *bias, T *y) {
    if (!p->n || !p->groups || !p->ocg || !p->out[0] || !p->out[1] || !p->out[2]) return CV_OK;
    if (packed) return way->run(p, e, x, w, packed, bias, y);
    const ptrdiff_t size = way->size(p), chunk = CV_(oc_chunk)(size, p, e);
    const int whole = size * (ptrdiff_t)sizeof(T) <= e->max_workspace / 2;
    cv_conv part = *p;
    if (!whole) part.groups = 1, part.ocg = chunk;
    T *buffer = cv_alloc((size_t)way->size(&part) * sizeof(T));
    if (!buffer) return CV_NOMEM;
    int status = CV_OK;
    for (ptrdiff_t oc = 0; oc < p->groups * p->ocg && !status; oc += whole ? p->groups * p->ocg : part.ocg) {
        const ptrdiff_t g = oc / p->ocg;
        if (!whole) part.ocg = CV_MIN2(chunk, (g + 1) * p->ocg - oc);
        const T *from = w + g * p->ws[0] + oc % p->ocg * p->ws[1];
        status = way->pack(&part, e, from, buffer);
        if (!status)
            status = way->run(&part, e, x + g * p->icg * p->xs[1], from, buffer, bias ? bias + oc : NULL, y + oc * p->ys[1]);
    }
    cv_free(buffer);
    return status;
}

static int CV_(conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *packed, const T *bias, T *y) {
    static const CV_(way) way = {CV_(packed_size), CV_(pack), CV_(run_packed)};
    const cv_conv flat = cv_simplify(p);
    if (CV_(unpacked_fits)(&flat, packed != NULL)) return CV_(unpacked_conv)(&flat, e, x, w, bias, y);
    if (!packed && CV_(pixels_fit)(p)) {
        CV_(pixels_job) j;
        if (CV_(columns_fit)(&flat, e)) return CV_(columns_conv)(&flat, e, x, w, bias, y);
        if (CV_(pixels_fresh)(&j, p, e)) return CV_(pixels_run)(&j, x, w, bias, y);
    }
    return CV_(run_way)(&way, p, e, x, w, packed, bias, y);
}

static ptrdiff_t CV_(workspace)(const cv_conv *p, const cv_exec *e, int packed) {
    const cv_conv flat = cv_simplify(p);
    if (CV_(unpacked_fits)(&flat, packed)) return 0;
    const ptrdiff_t weights = CV_MIN2(CV_(packed_size)(p) * (ptrdiff_t)sizeof(T), e->max_workspace / 2);
    ptrdiff_t bytes;
    if (CV_(pixels_fit)(p)) {
        CV_(pixels_job) j;
        if (!packed && CV_(columns_fit)(&flat, e)) return CV_(columns_bytes)(&flat);
        if (!packed && CV_(pixels_fresh)(&j, p, e)) return CV_(pixels_bytes)(&j);
        CV_(pixels_plan)(&j, p, e, 0);
        bytes = CV_(pixels_bytes)(&j);
    } else {
        CV_(job) j;
        CV_(plan_job)(&j, p, e);
        bytes = j.threads * j.scratch_each * (ptrdiff_t)sizeof(T);
    }
    return bytes + (packed ? 0 : weights);
}
