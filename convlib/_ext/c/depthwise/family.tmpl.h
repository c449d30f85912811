/* One type's rows of the family depthwise. */
#ifndef CV_FLOOR
#include "channels.tmpl.h"
#include "nhwc.tmpl.h"
#include "plane.tmpl.h"
#include "rows.tmpl.h"
#include "transposed.tmpl.h"
#endif
