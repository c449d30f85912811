/* Padding that is no zeros: planes copied together with it, and gradients of such, folded back. */
#ifndef CV_BORDER_H
#define CV_BORDER_H

#include <stddef.h>
#include <stdint.h>

/* Where the padding of some planes comes from. */
typedef struct cv_frame {
    ptrdiff_t planes;
    ptrdiff_t inner; /* numbers side by side in each place: channels, if they come last */
    ptrdiff_t in[3], padded[3], lo[3];
    /* of the last axis, how many elements lie side by side from lo on, and the first of them */
    ptrdiff_t first, run;
    const int64_t *source[3]; /* the element at each place of a padded axis; -1: the value */
} cv_frame;

/* What an instruction set has for one type. */
typedef struct cv_border {
    /* Write planes together with their padding, which holds the value where nothing is repeated. */
    void (*extend)(const cv_frame *, const void *x, void *wide, double value);
    /* The adjoint of all of the padding; wide is changed. */
    void (*fold)(const cv_frame *, void *wide, void *x);
} cv_border;

#endif
