/* One integer type's rows of pooling. */
#include "double.tmpl.h"
#include "uneven.tmpl.h"
#ifndef CV_FLOOR
#include "sweep.tmpl.h"
#endif
