/* Winograd's weights: U[group][point][oc panel][c][MR] = G g G^T of every 3x3 filter g. */
#ifndef CV_WINO_CHANNELS
#define CV_WINO_CHANNELS 16 /* input channels whose weights are turned round together */
#define CV_WINO_ROWS CV_MAX2(CV_MR, VL)
#endif

/* G: the weights are transformed in double, MR output channels to a vector, and rounded once. */
typedef double CV_(rows_t) __attribute__((vector_size(CV_MR * 8)));
typedef T CV_(row_t) __attribute__((vector_size(CV_MR * CV_BITS / 8), aligned(CV_BITS / 8), may_alias));

CV_INLINE void CV_(wino_g)(const int m, const CV_(rows_t) *g, const int s, CV_(rows_t) *r) {
    if (m == 4) {
        const CV_(rows_t) a = g[0] + 0.5625 * g[2 * s], b = 0.75 * g[s], c = g[0] + 2.25 * g[2 * s], d = 1.5 * g[s];
        r[0] = g[0] * (1 / 0.31640625), r[1] = (a + b) * (-1 / 0.474609375), r[2] = (a - b) * (-1 / 0.474609375);
        r[3] = (c + d) * (1 / 3.796875), r[4] = (c - d) * (1 / 3.796875), r[5] = g[2 * s] * 4;
    } else {
        const CV_(rows_t) a = 0.5 * (g[0] + g[2 * s]), b = 0.5 * g[s];
        r[0] = g[0], r[1] = a + b, r[2] = a - b, r[3] = g[2 * s];
    }
}

typedef struct {
    const cv_conv *p;
    const T *w;
    T *u;
    ptrdiff_t oc_panels;
} CV_(wino_pack_job);

/* Channels c0 .. c0+n-1 of the weights of a panel, turned round: to[c * 9 + tap][output channel]. */
CV_INLINE void CV_(wino_gather)(const cv_conv *p, const T *w, ptrdiff_t rows, ptrdiff_t c0, ptrdiff_t n, T *to) {
    if (!cv_joined_weights(p)) {
        ptrdiff_t tap[9];
        for (int t = 0; t < 9; t++) tap[t] = cv_tap_of(p, t);
        for (ptrdiff_t r = 0; r < CV_MR; r++)
            for (ptrdiff_t c = 0; c < n; c++)
                for (int t = 0; t < 9; t++)
                    to[(c * 9 + t) * CV_WINO_ROWS + r] = r < rows ? w[r * p->ws[1] + (c0 + c) * p->ws[2] + tap[t]] : 0;
        return;
    }
    for (ptrdiff_t r = 0; r < CV_MR; r += VL)
        for (ptrdiff_t k = 0; k < n * 9; k += VL) {
            vec v[VL];
            CV_(turn_rows)(w + r * p->ws[1] + c0 * 9 + k, p->ws[1], 1, rows - r, CV_MIN2(VL, n * 9 - k), v);
            CV_UNROLL(16)
            for (int i = 0; i < VL; i++) CV_(store)(to + (k + i) * CV_WINO_ROWS + r, v[i]);
        }
}

/* Panel op of the weights of a group at w, to [point][c][MR], points `plane` apart. */
CV_INLINE void CV_(wino_pack_rows)(const int m, const cv_conv *p, const T *w, ptrdiff_t op, T *u, ptrdiff_t plane) {
    const int a = m + 2;
    const ptrdiff_t rows = CV_MIN2(CV_MR, p->ocg - op * CV_MR), c_all = p->icg;
    T turned[(CV_WINO_CHANNELS * 9 + VL) * CV_WINO_ROWS];
    w += op * CV_MR * p->ws[1];
    for (ptrdiff_t c = 0; c < c_all; c++, u += CV_MR) {
        CV_(rows_t) half[6 * 3], r[6], k[9];
        const ptrdiff_t c0 = c / CV_WINO_CHANNELS * CV_WINO_CHANNELS;
        if (c == c0) CV_(wino_gather)(p, w, rows, c, CV_MIN2(CV_WINO_CHANNELS, c_all - c), turned);
        CV_UNROLL(9)
        for (int t = 0; t < 9; t++)
            k[t] = __builtin_convertvector(*(CV_(row_t) *)(turned + ((c - c0) * 9 + t) * CV_WINO_ROWS), CV_(rows_t));
        CV_UNROLL(3)
        for (int x = 0; x < 3; x++) {
            CV_(wino_g)(m, k + x, 3, r);
            CV_UNROLL(6)
            for (int i = 0; i < a; i++) half[i * 3 + x] = r[i];
        }
        CV_UNROLL(6)
        for (int i = 0; i < a; i++) {
            CV_(wino_g)(m, half + i * 3, 1, r);
            CV_UNROLL(6)
            for (int q = 0; q < a; q++)
                *(CV_(row_t) *)(u + (i * a + q) * plane) = __builtin_convertvector(r[q], CV_(row_t));
        }
    }
}

static void CV_(wino_pack_panel)(const cv_conv *p, const T *w, ptrdiff_t op, T *u, ptrdiff_t plane) {
    if (cv_wino_m(p) == 4) CV_(wino_pack_rows)(4, p, w, op, u, plane);
    else CV_(wino_pack_rows)(2, p, w, op, u, plane);
}

static void CV_(wino_pack_unit)(void *context, ptrdiff_t unit, int worker) {
    const CV_(wino_pack_job) *j = context;
    const ptrdiff_t g = unit / j->oc_panels, op = unit % j->oc_panels, plane = CV_(u_plane)(j->p);
    (void)worker;
    T *u = j->u + g * (CV_(wino_size)(j->p) / j->p->groups) + op * j->p->icg * CV_MR;
    CV_(wino_pack_panel)(j->p, j->w + g * j->p->ws[0], op, u, plane);
}

static int CV_(wino_pack)(const cv_conv *p, const cv_exec *e, const T *w, T *u) {
    CV_(wino_pack_job) j = {p, w, u, (p->ocg + CV_MR - 1) / CV_MR};
    const int threads = (int)CV_MIN2(e->threads, 1 + CV_(wino_size)(p) / 65536);
    return cv_parallel(CV_(wino_pack_unit), &j, p->groups * j.oc_panels, threads);
}
