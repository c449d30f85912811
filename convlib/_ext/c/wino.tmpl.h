static ptrdiff_t CV_(wino_points)(int algorithm) { return algorithm == CV_WINO4 ? 36 : 16; }
static void CV_(wino_weights)(const cv_conv *p, int algorithm, const T *w, ptrdiff_t oc0, T *packed) {}
static int CV_(wino_conv)(const cv_conv *p, const cv_exec *e, const T *x, const T *packed, const T *bias, T *y) {return CV_OK;}
static ptrdiff_t CV_(wino_workspace)(const cv_conv *p, const cv_exec *e) { return 0; }
