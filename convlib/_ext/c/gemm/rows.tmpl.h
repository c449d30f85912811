/* One type's rows of the family gemm. */
#include "panels.tmpl.h"
#ifndef CV_FLOOR
#include "broadcast_plan.tmpl.h"
#include "columns.tmpl.h"
#include "nopack.tmpl.h"
#include "strips.tmpl.h"
#endif
