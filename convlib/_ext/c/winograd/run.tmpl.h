/* How Winograd cuts its work, and runs: what floats and integers have in common. */
#ifndef CV_WINO_RUN
#define CV_WINO_RUN
#include "inputs.tmpl.h"
#include "outputs.tmpl.h"
#include "weights.tmpl.h"

/* weights that all threads may pack for themselves: what others wrote comes slowly */
#define CV_OWN_BYTES (8 << 20)
/* one vector of a tile's outputs in so many may be summed again, output by output: then that takes
 * no longer than to sum them all directly, by vectors */
#define CV_WINO_AGAIN (32 * VL)

/* ---- plan */

CV_INLINE void CV_(wino_measure)(CV_(wino_job) *j) {
    const cv_conv *p = &j->p;
    j->blocks = 1;
    for (int a = 0; a < 4; a++) {
        j->most[a] = (j->size[a] + j->cuts[a] - 1) / j->cuts[a];
        j->blocks *= j->cuts[a];
    }
    j->slices = cv_wino_slices(p, j->most[1]);
    j->tiles = j->most[0] * j->most[1] * j->most[2] * j->most[3] * cv_wino_across(p);
}

/* Images first; then, where windows span slices, rows of tiles before slices. */
static void CV_(wino_cut)(CV_(wino_job) *j) {
    const int deep = j->p.k[0] > 1, axes[5] = {0, deep ? 2 : 1, deep ? 1 : 2, 2, 3};
    for (int a = 0; a < 4; a++)
        j->cuts[a] = 1;
    CV_(wino_measure)(j);
    for (int i = 0; i < 5; i++) {
        const ptrdiff_t few = CV_WINO_TILES, spread = CV_WINO_SLICES * j->most[1],
                        bound = deep && i == 1 ? CV_MAX2(few, spread) : few;
        const int a = axes[i];
        if (j->tiles <= bound)
            continue;
        /* as many along the axis as the bound holds, and at least one */
        const ptrdiff_t along = CV_MAX2(1, bound / (j->tiles / j->most[a]));
        j->cuts[a] = (j->size[a] + along - 1) / along;
        CV_(wino_measure)(j);
    }
    /* an even share for each thread: 5 blocks keep two threads busy for 3 each */
    for (ptrdiff_t all; (all = j->p.groups * j->blocks) > j->threads && all < 4 * j->threads &&
                        all % j->threads;) {
        const int a = j->cuts[0] > 1 && j->cuts[0] < j->size[0] ? 0
                      : j->cuts[2] < j->size[2]                 ? 2
                                                                : 1;
        if (j->cuts[a] == j->size[a])
            break;
        j->cuts[a]++;
        CV_(wino_measure)(j);
    }
    while (j->p.groups * j->blocks * j->panels < 2 * j->threads && j->tiles > 2 * CV_PX &&
           j->cuts[2] < j->size[2]) {
        j->cuts[2]++;
        CV_(wino_measure)(j);
    }
}

/* The scratch of each worker.  Where blocks are too few to go round, or weights are large, a unit
 * has one panel only; whoever takes it computes V, rather than read what another thread wrote. */
static void CV_(wino_share)(CV_(wino_job) *j, int packed) {
    const cv_conv *p = &j->p;
    const ptrdiff_t a = j->a[0], across = cv_wino_across(p);
    const ptrdiff_t weights = CV_(wino_group)(p), panel = CV_MIN2(j->vecs, CV_NV) * VL;
    const int large = !packed && j->threads * weights * (ptrdiff_t)sizeof(T) > CV_OWN_BYTES;
    const int split = j->p.groups * j->blocks < j->threads || large;
    j->parts = split ? j->panels : 1;
    j->span = split && !packed ? j->blocks : 1;
    j->own = packed ? 0 : split ? j->planes * (j->k * panel + CV_WINO_SKEW) : weights;

    const ptrdiff_t width = CV_(wino_width)(j, j->most[3]);
    j->row = (width + VL) * VL;
    const ptrdiff_t tiles = j->most[0] * j->slices * j->most[2] * j->most[3] * across;
    /* tiles are neighbours, so that a line is written in one go, or a tile's channels are */
    const int near = CV_HALF_LINES && tiles >= 16 && !cv_wino_line(p);
    j->v_row = near ? VL : j->c_vecs * VL;
    j->v_vec = near ? (tiles + CV_MOST_PX / 2) * VL : VL;
    j->v_plane = cv_wino_apart((tiles + CV_MOST_PX / 2) * j->c_vecs * VL);
    j->m_plane = (j->tiles + CV_MOST_PX) * panel + CV_WINO_SKEW;
    j->v_size = j->points * j->v_plane;
    j->stage = CV_MAX2(width * a, j->m[0] * j->most[2] * p->dil[2] * j->m[1] * j->most[3]) * VL;
    j->index = p->k[0] * (near ? j->c_vecs : 1) * (ptrdiff_t)sizeof(cv_segment);
    j->index = CV_ROUND64(j->index) / (ptrdiff_t)sizeof(T);
    j->flags = CV_FLOAT * j->span * j->tiles * (ptrdiff_t)sizeof(T);
    j->flags = CV_ROUND64(j->flags) / (ptrdiff_t)sizeof(T);
    j->rows = j->most[2] * a;
    j->sizes = CV_FLOAT * j->most[0] * j->slices * j->rows * (j->row / VL);
    j->sizes = CV_ROUND64(j->sizes * (ptrdiff_t)sizeof(T)) / (ptrdiff_t)sizeof(T);
    j->each = j->index + j->flags + j->sizes + (a + 1) * j->row + j->stage +
              j->points * j->m_plane + j->span * j->v_size + j->own;
}

/* Bytes of scratch.  Large weights of a call are packed before all else  where V would be larger
 * still. */
static ptrdiff_t CV_(wino_sizes)(CV_(wino_job) *j, const cv_problem *problem) {
    const cv_conv *p = &problem->conv;
    const int packed = !problem->fresh;
    *j = (CV_(wino_job)){.p = *p};
    for (int i = 0; i < 2; i++) {
        j->m[i] = CV_(wino_m)(p, i + 1);
        j->r[i] = (int)p->k[i + 1];
        j->s[i] = (int)p->stride[i + 1];
        j->a[i] = (int)cv_wino_reach(p, i + 1, j->m[i]);
    }
    j->planes = CV_(wino_planes)(p);
    j->points = CV_(wino_points)(p);
    j->k = CV_(wino_k)(p);
    j->vecs = (p->ocg + VL - 1) / VL;
    j->panels = CV_(lane_panels)(j->vecs);
    j->c_vecs = (CV_(wino_lanes)(p) + VL - 1) / VL;
    j->th = cv_wino_along(p, 1, j->m[0]);
    j->size[0] = p->n;
    j->size[1] = p->out[0];
    j->size[2] = CV_MIN2(p->dil[1], p->out[1]) * j->th;
    j->size[3] = cv_wino_along(p, 2, j->m[1]);
    const double tiles = CV_(wino_tiles_of)(p);
    const ptrdiff_t weights = CV_(wino_size)(p) * (ptrdiff_t)sizeof(T);
    /* each number of V and M takes as long as some products */
    const double work =
        (double)p->groups * tiles * j->points * (double)(p->ocg * j->k + 7 * p->icg + 10 * p->ocg);
    j->threads = cv_threads_for(work, CV_WORK_GEMM, problem->threads);
    const int first =
        !packed && j->threads * weights / p->groups > CV_OWN_BYTES && j->threads * tiles > p->ocg;
    j->packed = first ? CV_(wino_size)(p) : 0;
    for (;; j->threads--) {
        CV_(wino_cut)(j);
        CV_(wino_share)(j, packed || first);
        const ptrdiff_t bytes =
            j->threads * j->each * (ptrdiff_t)sizeof(T) + j->packed * (ptrdiff_t)sizeof(T);
        if (j->threads == 1 || bytes <= problem->max_workspace)
            return bytes;
    }
}

static void CV_(wino_in_block)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                               const CV_(wino_scratch) *s, T *v, T *flags) {
    CV_(wino_in)(j, g, b, s, v);
#if CV_FLOAT
    CV_(wino_ranges)(j, b, s, flags);
#else
    (void)flags;
#endif
}

/* Panel i of the output channels of group g, whose weights lie at u. */
static void CV_(wino_out_block)(const CV_(wino_job) *j, ptrdiff_t g, const CV_(wino_block) *b,
                                ptrdiff_t i, const T *u, const CV_(wino_scratch) *s, const T *v,
                                const T *flags) {
    const ptrdiff_t l0 = CV_(lane_of)(j->vecs, j->panels, i),
                    l1 = CV_(lane_of)(j->vecs, j->panels, i + 1);
    CV_(wino_multiply)(j, b, (l1 - l0) / VL, u, v, s);
    CV_(wino_out)(j, g, b, l0, (l1 - l0) / VL, u, s, flags);
}

/* Some blocks of a group, by a part of its panels.  Weights that are not packed each thread
 * transforms for itself, as
 * numbers that another one wrote come slowly: a group's at once, or a panel's, which stay in L2 for
 * all blocks. */
static void CV_(wino_unit)(void *context, ptrdiff_t unit, int worker) {
    CV_(wino_job) *j = context;
    const ptrdiff_t part = unit % j->parts, blocks = unit / j->parts,
                    g = blocks / (j->blocks / j->span);
    const ptrdiff_t first = blocks % (j->blocks / j->span) * j->span;
    const CV_(wino_scratch) s = CV_(wino_space)(j, worker);
    CV_(wino_block) b;
    if (atomic_load_explicit(j->again, memory_order_relaxed) > j->most_again)
        return;
    if (j->held[worker][0] != blocks + 1) {
        for (ptrdiff_t i = 0; i < j->span; i++) {
            CV_(wino_at_block)(j, first + i, &b);
            CV_(wino_in_block)(j, g, &b, &s, s.v + i * j->v_size, s.flags + i * j->tiles);
        }
    }
    j->held[worker][0] = blocks + 1;
    for (ptrdiff_t panel = part * j->panels / j->parts; panel < (part + 1) * j->panels / j->parts;
         panel++) {
        const ptrdiff_t before = CV_(wino_before)(j->planes, j->k, j->vecs, panel);
        const T *u = j->u + g * CV_(wino_group)(&j->p) + before;
        if (j->own) {
            T *own = s.own + (j->parts > 1 ? 0 : before);
            if (j->parts > 1 || j->held[worker][1] != g + 1)
                CV_(wino_pack_panel)(&j->p, j->w + g * j->p.ws[0], panel, own);
            u = own;
        }
        for (ptrdiff_t i = 0; i < j->span; i++) {
            CV_(wino_at_block)(j, first + i, &b);
            CV_(wino_out_block)(j, g, &b, panel, u, &s, s.v + i * j->v_size,
                                s.flags + i * j->tiles);
        }
    }
    j->held[worker][1] = g + 1;
}

/* Nanoseconds of the products, which reach a share of the pace, and of the transforms of inputs and
 * outputs, so many operations of each vector at each point. */
CV_ONCE double CV_(wino_time)(const cv_conv *p, double share, double in, double out) {
    const double points = CV_(wino_points)(p), k = (double)CV_(wino_k)(p),
                 groups = (double)p->groups;
    const double tiles = CV_(wino_tiles_of)(p), slices = (double)p->k[0] > 1 ? 1.3 : 1.0;
    const double vecs = (double)((p->ocg + VL - 1) / VL),
                 c_vecs = (double)((CV_(wino_lanes)(p) + VL - 1) / VL);
    double ns = groups * CV_MAX2(tiles, CV_PX / 2) * points * vecs * k / (share * CV_PACE);
    ns += groups * tiles * points * (in * c_vecs * slices + out * vecs) / CV_PACE;
    if (vecs == 1) /* few products in each tile of them, which has to begin and end */
        ns += groups * points * ceil(tiles / CV_FEW_PX) * (CV_REGISTERS > 16 ? 8 : 11);
    /* written past the caches */
    return ns + 0.06 * sizeof(T) * (double)p->n * groups * (double)p->ocg * (double)cv_outputs(p);
}

CV_ONCE void CV_(wino_plan)(const cv_problem *problem, cv_plan *plan) {
    CV_(wino_job) *j = CV_JOB(plan, CV_(wino_job));
    plan->scratch = CV_(wino_sizes)(j, problem);
    plan->threads = j->threads;
#if CV_FLOAT
    plan->ends = CV_(endable)(&problem->conv);
#endif
    plan->packed = problem->fresh ? 0 : CV_(wino_size)(&problem->conv) * (ptrdiff_t)sizeof(T);
}

static int CV_(wino_pack_weights)(const cv_plan *plan, const void *w, void *packed) {
    return CV_(wino_pack)(&plan->problem.conv, plan->problem.threads, w, packed);
}

static int CV_(wino_run)(const cv_plan *plan, const cv_call *call) {
    CV_(wino_job) j = *CV_JOB(plan, CV_(wino_job));
    const cv_conv *p = &j.p;
    ptrdiff_t held[CV_MAX_THREADS][2] = {{0}};
    int status = CV_OK;
    j.x = call->x;
    j.w = call->w;
    j.u = call->packed;
    j.bias = call->bias;
    j.y = call->y;
    j.scratch = (T *)call->scratch;
    j.held = held;
    CV_(wino_begin)(&j, call);
    for (int i = 0; i < j.threads; i++)
        CV_(wino_pad)(&j, 0, j.row / VL, CV_(wino_space)(&j, i).zeros);
    if (j.packed) {
        T *packed = j.scratch + j.threads * j.each;
        status = CV_(wino_pack)(p, plan->problem.threads, j.w, packed);
        j.u = packed;
    }
    if (status != CV_OK)
        return status;
    _Atomic ptrdiff_t again = 0;
    const double all = CV_(wino_tiles_of)(p) * (double)(p->groups * j.vecs);
    j.again = &again;
    j.most_again = call->insist ? PTRDIFF_MAX : (ptrdiff_t)(all / CV_WINO_AGAIN);
    status = cv_parallel(CV_(wino_unit), &j, p->groups * (j.blocks / j.span) * j.parts, j.threads);
    return status == CV_OK && again > j.most_again ? CV_UNFIT : status;
}
#endif
