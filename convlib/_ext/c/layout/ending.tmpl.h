/* What ends a convolution, on a part of y that was just written and is still near: a residual is
 * added, then an activation applied. */
#ifndef CV_ENDING
#define CV_ENDING

typedef struct {
    const T *y, *residual; /* the first elements; no residual: NULL */
    int activation;
} CV_(ending);

CV_INLINE CV_(ending) CV_(ending_of)(const cv_call *call) {
    return (CV_(ending)){call->y, call->residual, call->activation};
}

/* What an activation lets through at most. */
CV_INLINE vec CV_(limit)(int activation) {
    return CV_(set1)(activation == CV_RELU6 ? (T)6 : (T)__builtin_inf());
}

/* NaN stays. */
CV_INLINE vec CV_(active)(vec limit, vec v) {
    const vec none = {0};
    v = CV_(select)((ivec)(v <= none), none, v);
    return CV_(select)((ivec)(v > limit), limit, v);
}

CV_INLINE void CV_(end_row)(const int active, const T *residual, vec limit, T *y,
                            ptrdiff_t count) {
    ptrdiff_t i = 0;
    for (; i + VL <= count; i += VL) {
        const vec v = residual ? CV_(load)(y + i) + CV_(load)(residual + i) : CV_(load)(y + i);
        CV_(store)(y + i, active ? CV_(active)(limit, v) : v);
    }
    if (i < count) {
        const ptrdiff_t n = count - i;
        vec v = CV_(load_n)(y + i, n);
        if (residual)
            v += CV_(load_n)(residual + i, n);
        CV_(store_n)(y + i, active ? CV_(active)(limit, v) : v, n);
    }
}

/* Rows of y, ld apart. */
static CV_UNUSED void CV_(end_rows)(const CV_(ending) *e, T *y, ptrdiff_t rows, ptrdiff_t ld,
                                    ptrdiff_t count) {
    const T *r = e->residual ? e->residual + (y - e->y) : NULL;
    const vec limit = CV_(limit)(e->activation);
    if (!r && !e->activation)
        return;
    for (; rows > 0; rows--, y += ld, r = r ? r + ld : NULL) {
        if (e->activation)
            CV_(end_row)(1, r, limit, y, count);
        else
            CV_(end_row)(0, r, limit, y, count);
    }
}

/* Whether outputs lie without gaps, channels first or last. */
CV_INLINE int CV_(endable)(const cv_conv *p) {
    const ptrdiff_t image = p->out[0] * p->out[1] * p->out[2], c = p->groups * p->ocg;
    return p->ys[3] == p->out[2] * p->ys[4] && p->ys[2] == p->out[1] * p->ys[3] &&
           p->ys[0] == c * image &&
           ((p->ys[4] == 1 && p->ys[1] == image) || (p->ys[4] == c && p->ys[1] == 1));
}

/* The outputs of `count` pixels, the first one number `pixel` of the batch; outs channels, the
 * first one at y.  Outputs lie without gaps. */
static CV_UNUSED void CV_(end_pixels)(const cv_conv *p, const CV_(ending) *e, ptrdiff_t pixel,
                                      ptrdiff_t count, ptrdiff_t outs, T *y) {
    const ptrdiff_t image = p->out[0] * p->out[1] * p->out[2];
    if (!e->residual && !e->activation)
        return;
    if (p->ys[1] == 1) {
        const ptrdiff_t step = image == 1 ? p->ys[0] : p->ys[4];
        CV_(end_rows)(e, y + pixel * step, count, step, outs);
        return;
    }
    for (ptrdiff_t n; count > 0; count -= n, pixel += n) {
        n = CV_MIN2(count, image - pixel % image);
        CV_(end_rows)(e, y + pixel / image * p->ys[0] + pixel % image, outs, p->ys[1], n);
    }
}
#endif
