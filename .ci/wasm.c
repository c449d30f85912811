/* Reads problems with their answers, as `.ci/wasm.py` writes them, runs each by every
 * implementation that serves it, and says how many results were right. */
#include "../convlib/_ext/c/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pool, which has functions of the same names: here they are called so. */
int pool_parallel(cv_task task, void *context, ptrdiff_t units, int threads);
int pool_stopping(void);
int cv_live_workers(void);

enum { X, W, BIAS, Y, INDICES, ZEROS, ARRAYS, FRAME = 64, UNTOUCHED = 7 };
typedef struct {
    cv_problem problem;
    double margin; /* of implementations that round more */
    int32_t zero, padding, bytes[ARRAYS];
} record;

static const int result_of[CV_OPS] = {Y, Y, X, W, Y, X};

static int is_result(const cv_problem *p, int array) {
    return array == result_of[p->op] || (array == INDICES && p->op == CV_OP_POOL);
}

static int near(double a, double b, double margin) {
    return a == b || (a != a && b != b) || fabs(a - b) <= margin;
}

static int is_right(const record *r, const cv_row *row, int array, const char *made,
                    const char *wanted) {
    const int bytes = r->bytes[array];
    const double margin = row->rounds ? r->margin : 0;
    for (int i = 0; i < FRAME; i++) {
        if (made[i] != UNTOUCHED || made[FRAME + bytes + i] != UNTOUCHED)
            return 0;
    }
    made += FRAME;
    if (!memcmp(made, wanted, (size_t)bytes))
        return 1;
    if (array == INDICES || r->problem.type > CV_F64 || r->problem.op == CV_OP_CONV_INT8)
        return 0;
    int right = 1;
    for (int i = 0; r->problem.type == CV_F32 && i < bytes / 4; i++)
        right &= near(((const float *)made)[i], ((const float *)wanted)[i], margin);
    for (int i = 0; r->problem.type == CV_F64 && i < bytes / 8; i++)
        right &= near(((const double *)made)[i], ((const double *)wanted)[i], margin);
    return right;
}

static int run(const record *r, const cv_problem *p, const cv_row *row, char *const given[]) {
    char *arrays[ARRAYS], *made[ARRAYS] = {0};
    for (int i = 0; i < ARRAYS; i++) {
        arrays[i] = r->bytes[i] ? given[i] : NULL;
        if (!arrays[i] || !is_result(p, i))
            continue;
        made[i] = aligned_alloc(64, ((size_t)r->bytes[i] + 2 * FRAME + 63) / 64 * 64);
        memset(made[i], UNTOUCHED, (size_t)r->bytes[i] + 2 * FRAME);
        arrays[i] = made[i] + FRAME;
    }
    cv_plan *plan = cv_plan_new(row, p);
    char *packed = plan->packed ? cv_alloc((size_t)plan->packed) : NULL;
    const cv_call call = {.x = arrays[X],
                          .w = arrays[W],
                          .packed = packed,
                          .bias = arrays[BIAS],
                          .y = arrays[Y],
                          .indices = (int64_t *)arrays[INDICES],
                          .w_zeros = (int32_t *)arrays[ZEROS],
                          .zero = r->zero,
                          .padding = r->padding};
    int right = (!packed || cv_plan_pack(plan, arrays[W], packed) == CV_OK) &&
                cv_plan_run(plan, &call) == CV_OK;
    for (int i = 0; i < ARRAYS; i++) {
        if (made[i])
            right &= is_right(r, row, i, made[i], given[i]);
        free(made[i]);
    }
    cv_free(packed);
    cv_plan_free(plan);
    return right;
}

int main(void) {
    static int served[8][CV_ROWS], right[8][CV_ROWS];
    static record r;
    cv_use_pool(pool_parallel, pool_stopping);
    for (int number = 0; fread(&r, sizeof r, 1, stdin) == 1; number++) {
        char *given[ARRAYS];
        for (int i = 0; i < ARRAYS; i++) {
            given[i] = malloc((size_t)r.bytes[i] + 1);
            if (fread(given[i], 1, (size_t)r.bytes[i], stdin) != (size_t)r.bytes[i])
                return 1;
        }
        for (int i = 0; cv_isa_at(i); i++) {
            for (int fresh = r.problem.op <= CV_OP_CONV_INT8 ? 0 : 1; fresh < 2; fresh++) {
                cv_problem p = r.problem;
                ptrdiff_t scratch;
                p.fresh = fresh;
                for (int n = 0; n < CV_ROWS; n++) {
                    const cv_row *row = &cv_isa_at(i)->rows[n];
                    if (row->op != p.op || cv_refusal(row, &p, &scratch))
                        continue;
                    const int good = run(&r, &p, row, given);
                    served[i][n]++;
                    right[i][n] += good;
                    if (!good)
                        fprintf(stderr, "problem %d, %s under %s: wrong\n", number, row->name,
                                cv_isa_at(i)->name);
                }
            }
        }
        for (int i = 0; i < ARRAYS; i++)
            free(given[i]);
    }
    for (int i = 0; cv_isa_at(i); i++) {
        for (int n = 0; n < CV_ROWS; n++) {
            const cv_row *row = &cv_isa_at(i)->rows[n];
            if (!row->lacks)
                printf("%s %s %d %d\n", cv_isa_at(i)->name, row->name, served[i][n], right[i][n]);
        }
    }
    return cv_live_workers();
}
