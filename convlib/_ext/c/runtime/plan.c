/* From a problem to a plan, and from a plan to a result: the one place where a row is chosen, where
 * its scratch is allocated, and where weights that come with a call are packed. */
#include "../engine.h"
#include "port.h"

#include <string.h>

static int (*pool)(cv_task, void *, ptrdiff_t, int);
static int (*stopping)(void);

void cv_use_pool(int (*run)(cv_task, void *, ptrdiff_t, int), int (*asked)(void)) {
    pool = run;
    stopping = asked;
}

int cv_stopping(void) { return stopping && stopping(); }

int cv_parallel(cv_task task, void *context, ptrdiff_t units, int threads) {
    if (pool)
        return pool(task, context, units, threads);
    for (ptrdiff_t i = 0; i < units; i++)
        task(context, i, 0);
    return CV_OK;
}

static ptrdiff_t round64(ptrdiff_t bytes) { return (bytes + 63) / 64 * 64; }

static ptrdiff_t item_bytes(cv_type type) {
    static const char bytes[CV_TYPES] = {4, 8, 8, 4, 2, 1, 8, 4, 2, 1};
    return bytes[type];
}

static const cv_impl *impl_of(const cv_plan *plan) {
    return plan->row->by_type[plan->problem.type];
}

/* ---- plans on paper: no memory is taken */

/* The problem of a part: so many outputs of one group, or of each if those are all, with packed
 * weights, which may take half of the scratch. */
static cv_problem part_of(const cv_problem *whole, ptrdiff_t outputs) {
    cv_problem part = *whole;
    part.fresh = 0;
    part.max_workspace -= whole->max_workspace / 2;
    if (outputs == whole->conv.ocg)
        return part;
    part.conv.groups = 1;
    part.conv.ocg = outputs;
    return part;
}

/* How many output channels' packed weights fit in half of the scratch: all, or a number of
 * sixteens. */
static ptrdiff_t fitting_outputs(const cv_problem *p, ptrdiff_t packed) {
    const ptrdiff_t most = p->max_workspace / 2;
    if (packed <= most)
        return p->conv.ocg;
    const ptrdiff_t sixteens = p->conv.groups * ((p->conv.ocg + 15) / 16);
    const ptrdiff_t fit = most / (packed / sixteens + 1);
    return 16 * fit < p->conv.ocg ? 16 * (fit ? fit : 1) : p->conv.ocg;
}

static void sketch(const cv_row *row, const cv_problem *problem, cv_plan *plan) {
    memset(plan, 0, offsetof(cv_plan, job));
    plan->row = row;
    plan->problem = *problem;
    impl_of(plan)->plan(problem, plan);
    if (!problem->fresh || !plan->packed)
        return;

    const ptrdiff_t outputs = fitting_outputs(problem, plan->packed);
    const ptrdiff_t left = problem->conv.ocg % outputs;
    const cv_problem part = part_of(problem, outputs), rest = part_of(problem, left);
    cv_plan inner;
    sketch(row, &part, &inner);
    plan->part_outputs = outputs;
    plan->scratch = round64(inner.packed) + inner.scratch;
    plan->tables = inner.tables;
    plan->packed = 0;
    plan->ends = 0;
    if (!left)
        return;
    sketch(row, &rest, &inner);
    const ptrdiff_t more = round64(inner.packed) + inner.scratch;
    if (more > plan->scratch)
        plan->scratch = more;
    plan->tables += inner.tables;
}

/* With so many threads that the scratch fits, as far as fewer threads need less: which rows fit
 * then depends on no number of threads. */
static void sketch_within(const cv_row *row, const cv_problem *problem, cv_plan *plan) {
    cv_problem p = *problem;
    for (;;) {
        sketch(row, &p, plan);
        if (cv_plan_scratch(plan) <= p.max_workspace || p.threads <= 1)
            return;
        p.threads = (p.threads + 1) / 2;
    }
}

/* ---- the choice */

static const char *unserved(const cv_row *row, const cv_problem *problem) {
    if (row->lacks)
        return row->lacks;
    if (!row->by_type[problem->type])
        return "has no kernel for this type";
    return row->by_type[problem->type]->fits(problem);
}

const char *cv_refusal(const cv_row *row, const cv_problem *problem, ptrdiff_t *scratch) {
    *scratch = 0;
    const char *reason = unserved(row, problem);
    if (reason)
        return reason;
    cv_plan plan;
    sketch_within(row, problem, &plan);
    *scratch = cv_plan_scratch(&plan);
    return *scratch > problem->max_workspace ? "needs more scratch than max_workspace" : NULL;
}

double cv_cost(const cv_row *row, const cv_problem *problem) {
    return row->by_type[problem->type]->cost(problem);
}

const cv_row *cv_choose(const cv_isa *isa, const cv_problem *problem, uint64_t only, int exact) {
    const cv_row *best = NULL;
    double least = 0;
    ptrdiff_t scratch;
    for (const cv_row *row = isa->rows; row < isa->rows + CV_ROWS; row++) {
        if (row->op != problem->op || !(only >> row->number & 1) || (exact && row->rounds))
            continue;
        if (unserved(row, problem))
            continue;
        const double cost = cv_cost(row, problem);
        if ((best && cost >= least) || cv_refusal(row, problem, &scratch))
            continue;
        best = row;
        least = cost;
    }
    return best;
}

/* ---- plans */

static int fill(cv_plan *plan);

/* A plan as a function sketches it, with its tables. */
static cv_plan *plan_as(void (*sketched)(const cv_row *, const cv_problem *, cv_plan *),
                        const cv_row *row, const cv_problem *problem) {
    cv_plan *plan = cv_aligned(sizeof *plan);
    if (!plan)
        return NULL;
    sketched(row, problem, plan);
    if (fill(plan))
        return plan;
    cv_plan_free(plan);
    return NULL;
}

/* The plan of a part, which must be the one that the scratch of the whole was counted for: with as
 * many threads, though these leave less than they could. */
static cv_plan *plan_of_part(const cv_plan *whole, ptrdiff_t outputs) {
    const cv_problem part = part_of(&whole->problem, outputs);
    return plan_as(sketch, whole->row, &part);
}

static int fill(cv_plan *plan) {
    if (plan->part_outputs) {
        const ptrdiff_t left = plan->problem.conv.ocg % plan->part_outputs;
        plan->part = plan_of_part(plan, plan->part_outputs);
        if (left)
            plan->rest = plan_of_part(plan, left);
        return plan->part && (plan->rest || !left);
    }
    if (!plan->tables)
        return 1;
    plan->table = cv_alloc((size_t)plan->tables);
    if (plan->table)
        impl_of(plan)->fill(plan);
    return plan->table != NULL;
}

cv_plan *cv_plan_new(const cv_row *row, const cv_problem *problem) {
    return plan_as(sketch_within, row, problem);
}

void cv_plan_free(cv_plan *plan) {
    if (!plan)
        return;
    cv_plan_free(plan->part);
    cv_plan_free(plan->rest);
    cv_free(plan->table);
    cv_aligned_free(plan);
}

ptrdiff_t cv_plan_scratch(const cv_plan *plan) { return plan->scratch + plan->tables; }

int cv_plan_pack(const cv_plan *plan, const void *w, void *packed) {
    return impl_of(plan)->pack(plan, w, packed);
}

/* ---- calls */

/* Pack the weights of some outputs, run with them, and so on. */
static int run_parts(const cv_plan *plan, const cv_call *call) {
    const cv_conv *c = &plan->problem.conv;
    const cv_problem *p = &plan->problem;
    const int int8 = p->op == CV_OP_CONV_INT8;
    const ptrdiff_t size = item_bytes(p->type), each = plan->part_outputs;
    const ptrdiff_t y_size = int8 ? 4 << p->wide_y : size;
    const ptrdiff_t bias_size = int8 ? 4 : size;
    const ptrdiff_t groups = each == c->ocg ? 1 : c->groups;
    int status = CV_OK;
    for (ptrdiff_t g = 0; g < groups; g++) {
        for (ptrdiff_t oc = 0; oc < c->ocg && status == CV_OK; oc += each) {
            const cv_plan *part = oc + each <= c->ocg ? plan->part : plan->rest;
            const ptrdiff_t output = g * c->ocg + oc;
            const cv_call some = {
                .x = (const char *)call->x + g * c->icg * c->xs[1] * size,
                .w = (const char *)call->w + (g * c->ws[0] + oc * c->ws[1]) * size,
                .packed = call->scratch,
                .bias = call->bias ? (const char *)call->bias + output * bias_size : NULL,
                .y = (char *)call->y + output * c->ys[1] * y_size,
                .zero = call->zero,
                .padding = call->padding,
                .w_zeros = call->w_zeros ? call->w_zeros + output : NULL,
                .scratch = call->scratch + round64(part->packed),
            };
            status = cv_plan_pack(part, some.w, call->scratch);
            if (status == CV_OK)
                status = impl_of(part)->run(part, &some);
        }
    }
    return status;
}

/* Do what ends the call, in a pass of its own. */
#define END(T)                                                   \
    do {                                                         \
        const T *r = call->residual;                             \
        T *y = call->y;                                          \
        for (ptrdiff_t i = 0; i < all; i++) {                    \
            T v = r ? y[i] + r[i] : y[i];                        \
            v = call->activation && v <= 0 ? 0 : v;              \
            y[i] = call->activation == CV_RELU6 && v > 6 ? 6 : v; \
        }                                                        \
    } while (0)
static void end(const cv_plan *plan, const cv_call *call) {
    const cv_conv *c = &plan->problem.conv;
    const ptrdiff_t all = c->n * c->groups * c->ocg * c->out[0] * c->out[1] * c->out[2];
    if (!call->residual && !call->activation)
        return;
    if (plan->problem.type == CV_F32)
        END(float);
    else
        END(double);
}
#undef END

/* What serves a call whose numbers are not for the plan's implementation: the best of those that
 * sum directly, within the same scratch; or else the same, which takes its time. */
static int run_directly(const cv_plan *plan, const cv_call *given) {
    const cv_row *first = plan->row - plan->row->number;
    const cv_isa *isa = (const cv_isa *)((const char *)first - offsetof(cv_isa, rows));
    cv_call call = *given;
    cv_problem p = plan->problem;
    p.fresh = 1;
    p.max_workspace = cv_plan_scratch(plan);
    const cv_row *row = cv_choose(isa, &p, ~((uint64_t)1 << plan->row->number), 1);
    call.insist = !row;
    if (!row)
        return cv_plan_run(plan, &call);
    call.packed = NULL;
    cv_plan *other = cv_plan_new(row, &p);
    const int status = other ? cv_plan_run(other, &call) : CV_NOMEM;
    cv_plan_free(other);
    return status;
}

int cv_plan_run(const cv_plan *plan, const cv_call *given) {
    cv_call call = *given;
    cv_trace_run(plan->row->number);
    if (plan->scratch) {
        call.scratch = cv_alloc((size_t)plan->scratch);
        if (!call.scratch)
            return CV_NOMEM;
    }
    if (!plan->ends) {
        call.residual = NULL;
        call.activation = 0;
    }
    const int status = plan->part ? run_parts(plan, &call) : impl_of(plan)->run(plan, &call);
    cv_free(call.scratch);
    if (status == CV_UNFIT)
        return run_directly(plan, given);
    if (status == CV_OK && !plan->ends)
        end(plan, given);
    return status;
}
