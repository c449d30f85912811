/* How Winograd's work is cut into units, and the call. */

#define CV_WINO(step, ...)                                   \
    do {                                                     \
        if (j->r == 5) CV_(step)(2, 5, __VA_ARGS__);         \
        else if (j->m == 4) CV_(step)(4, 3, __VA_ARGS__);    \
        else CV_(step)(2, 3, __VA_ARGS__);                   \
    } while (0)

static void CV_(wino_in_block)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b, const CV_(wino_scratch) *s,
                               T *v) {
    CV_WINO(wino_in, j, g, b, s, v);
}

/* Panel i of the output channels of group g, whose weights lie at u. */
static void CV_(wino_out_block)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b, ptrdiff_t i, const T *u,
                                const CV_(wino_scratch) *s, const T *v) {
    const ptrdiff_t l0 = CV_(pixels_lane)(j->vecs, j->panels, i), l1 = CV_(pixels_lane)(j->vecs, j->panels, i + 1);
    CV_(wino_multiply)(j, b, (l1 - l0) / VL, u, v, s);
    CV_WINO(wino_out, j, g, b, l0, (l1 - l0) / VL, s);
}
#undef CV_WINO

/* Some blocks of a group, by a part of its panels.  Weights that are not packed each thread transforms for itself, as
 * numbers that another one wrote come slowly: a group's at once, or a panel's, which stay in L2 for all blocks. */
static void CV_(wino_unit)(void *context, ptrdiff_t unit, int worker) {
    CV_(wino_job) *j = context;
    const ptrdiff_t part = unit % j->parts, blocks = unit / j->parts, g = blocks / (j->blocks / j->span);
    const ptrdiff_t first = blocks % (j->blocks / j->span) * j->span;
    const CV_(wino_scratch) s = CV_(wino_space)(j, worker);
    CV_(wino_block) b;
    if (j->held[worker][0] != blocks + 1)
        for (ptrdiff_t i = 0; i < j->span; i++) {
            CV_(wino_at_block)(j, first + i, &b);
            CV_(wino_in_block)(j, g, &b, &s, s.v + i * j->v_size);
        }
    j->held[worker][0] = blocks + 1;
    for (ptrdiff_t panel = part * j->panels / j->parts; panel < (part + 1) * j->panels / j->parts; panel++) {
        const ptrdiff_t before = CV_(wino_before)(j->points, j->k, j->vecs, panel);
        const T *u = j->u + g * CV_(wino_group)(&j->p) + before;
        if (j->own) {
            T *own = s.own + (j->parts > 1 ? 0 : before);
            if (j->parts > 1 || j->held[worker][1] != g + 1)
                CV_(wino_pack_panel)(&j->p, j->w + g * j->p.ws[0], panel, own);
            u = own;
        }
        for (ptrdiff_t i = 0; i < j->span; i++) {
            CV_(wino_at_block)(j, first + i, &b);
            CV_(wino_out_block)(j, g, &b, panel, u, &s, s.v + i * j->v_size);
        }
    }
    j->held[worker][1] = g + 1;
}

/* u: packed weights, or NULL. */
static int CV_(wino_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *w, const T *u, const T *bias, T *y) {
    CV_(wino_job) j;
    int first, status = CV_OK;
    if (!p->n || !p->groups || !p->ocg || !p->out[0] || !p->out[1] || !p->out[2]) return CV_OK;
    const ptrdiff_t bytes = CV_(wino_plan)(&j, p, e, u != NULL, &first);
    j.scratch = cv_alloc((size_t)bytes);
    if (!j.scratch) return CV_NOMEM;
    j.x = x, j.w = w, j.u = u, j.bias = bias, j.y = y;
    for (int i = 0; i < j.threads; i++)
        __builtin_memset(CV_(wino_space)(&j, i).zeros, 0, (size_t)j.row * sizeof(T));
    if (first) {
        T *packed = j.scratch + j.threads * j.each;
        status = CV_(wino_pack)(p, e, w, packed);
        j.u = packed;
    }
    const ptrdiff_t units = p->groups * (j.blocks / j.span) * j.parts;
    if (status == CV_OK) status = cv_parallel(CV_(wino_unit), &j, units, j.threads);
    cv_free(j.scratch);
    return status;
}
