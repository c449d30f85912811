/* The im2col view of an image packed into B panels, which is all of im2col that ever exists. */
#ifndef CV_IM2COL
#define CV_IM2COL
#include "../gemm/view.h"

/* Rows [r0, r1) (in runs) of the im2col view for outputs p0 .. p0+count-1 of the image and group at
 * x.  Row width: width elements.  Rows follow each other as runs do; pitch > 0: they lie pitch
 * apart, [c][tap] as weights do, the first of all at dst.  A piece stores a whole vector; what it
 * writes past its end belongs to the next piece, written later; the last one stores no more than
 * its row. */
static void CV_(pack_panel)(const cv_conv *p, const cv_view *view, const T *x, ptrdiff_t p0,
                            ptrdiff_t count, ptrdiff_t width, ptrdiff_t r0, ptrdiff_t r1,
                            ptrdiff_t pitch, T *dst) {
    cv_piece pieces[CV_NV * VL];
    cv_item items[CV_NV * VL];
    const int n = cv_pieces(p, p0, count, VL, pieces);
    const ptrdiff_t step = p->stride[2] * p->xs[4], next = pitch ? view->taps * pitch : width;
    T *const first = dst;
    for (ptrdiff_t r = r0; r < r1; r++) {
        const ptrdiff_t ic0 = r / view->taps * CV_ICB, ic1 = CV_MIN2(ic0 + CV_ICB, p->icg);
        if (pitch)
            dst = first + (ic0 * view->taps + r % view->taps) * pitch;
        cv_items(p, r % view->taps, pieces, n, items);
        if (ic1 - ic0 < 8) {
            for (ptrdiff_t ic = ic0; ic < ic1; ic++, dst += next) {
                const T *src = x + ic * p->xs[1];
                for (int i = 0; i < n; i++) {
                    const cv_item it = items[i];
                    const vec v = step == 1 ? CV_(load_range)(src + it.src, it.lo, it.hi)
                                            : CV_(gather)(src + it.src, step, it.lo, it.hi);
                    if (it.dst + VL <= width)
                        CV_(store)(dst + it.dst, v);
                    else
                        CV_(store_n)(dst + it.dst, v, width - it.dst);
                }
            }
            continue;
        }
        /* channels innermost: the lanes of a piece are worked out once for all of them */
        for (int i = 0; i < n; i++) {
            const cv_item it = items[i];
            const T *src = x + ic0 * p->xs[1] + it.src;
            T *to = dst + it.dst;
            const ptrdiff_t room = CV_MIN2(width - it.dst, VL);
#define CV_COPY(value)                                                      \
    for (ptrdiff_t ic = ic0; ic < ic1; ic++, src += p->xs[1], to += next) { \
        const vec v = value;                                                \
        if (room == VL)                                                     \
            CV_(store)(to, v);                                              \
        else                                                                \
            CV_(store_n)(to, v, room);                                      \
    }
            if (step != 1) {
                CV_COPY(CV_(gather)(src, step, it.lo, it.hi))
            } else if (it.lo == 0 && it.hi == VL) {
                CV_COPY(CV_(load)(src))
            } else {
                CV_COPY(CV_(load_range)(src, it.lo, it.hi))
            }
#undef CV_COPY
        }
        dst += (ic1 - ic0) * width;
    }
}
#endif
