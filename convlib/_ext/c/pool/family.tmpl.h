/* One floating-point type's rows of pooling, and of their gradients. */
#include "double.tmpl.h"
#include "spread.tmpl.h"
#include "uneven.tmpl.h"
#ifndef CV_FLOOR
#include "channels.tmpl.h"
#include "pairs.tmpl.h"
#include "places.tmpl.h"
#include "strips.tmpl.h"
#include "sweep.tmpl.h"
#include "whole.tmpl.h"
#include "whole_places.tmpl.h"
#include "windows.tmpl.h"
#endif
