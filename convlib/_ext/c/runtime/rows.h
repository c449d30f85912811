/* The rows of one instruction set, from impls.def.  Included by dispatch.c once for each, after
 *   CV_HERE                  its name
 *   CV_FROM_ANY, _FAST, …    whose functions serve a row with that need, or NONE
 *   CV_LACKS_ANY, _FAST, …   what it lacks for such a row, or NULL
 *   CV_BYTES, CV_SUPPORTED   vector bytes; the test of the processor
 */
#define CV_IMPL(op, name, family, types, needs, rounding, why) \
    CV_PASTE(CV_DECLARE, CV_FROM_##needs)(types, name)
#include "../impls.def"
#undef CV_IMPL

#define CV_IMPL(op_, name_, family_, types, needs, rounding, why_) \
    [CV_ROW_##name_] = {.name = #name_,                            \
                        .number = CV_ROW_##name_,                  \
                        .family = #family_,                        \
                        .why = why_,                               \
                        .op = CV_OP_##op_,                         \
                        .rounds = CV_ROUNDS_##rounding,            \
                        .lacks = CV_LACKS_##needs,                 \
                        .by_type = {CV_PASTE(CV_LIST, CV_FROM_##needs)(types, name_)}},
extern const cv_border CV_BORDER(CV_FROM_ANY, f32), CV_BORDER(CV_FROM_ANY, f64);
static const cv_isa CV_PASTE(isa, CV_HERE) = {
    .name = CV_TEXT(CV_HERE),
    .vector_bytes = CV_BYTES,
    .supported = CV_SUPPORTED,
    .borders = {&CV_BORDER(CV_FROM_ANY, f32), &CV_BORDER(CV_FROM_ANY, f64)},
    .rows =
        {
#include "../impls.def"
        },
};
#undef CV_IMPL
#undef CV_HERE
#undef CV_FROM_ANY
#undef CV_FROM_FAST
#undef CV_FROM_MASKS
#undef CV_FROM_DOTS
#undef CV_FROM_MATRIX
#undef CV_LACKS_FAST
#undef CV_LACKS_MASKS
#undef CV_LACKS_DOTS
#undef CV_LACKS_MATRIX
#undef CV_BYTES
#undef CV_SUPPORTED
