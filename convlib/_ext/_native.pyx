# cython: freethreading_compatible=True
"""The native engine: instruction sets, the list of implementations, and plans.

Nothing is checked here beyond what keeps memory safe from a mistake in the backend.  The spec has refused everything
else.
"""

from convlib._ext._native_arrays cimport finish
from convlib._ext._threads cimport parallel, stopping

cv_use_pool(parallel, stopping)

#: The operations of the list, by the names that Python gives them.
OPERATIONS = {
    "conv": CV_OP_CONV, "conv_int8": CV_OP_CONV_INT8, "conv_grad_input": CV_OP_GRAD_INPUT,
    "conv_grad_weight": CV_OP_GRAD_WEIGHT, "pool": CV_OP_POOL, "spread": CV_OP_SPREAD,
}

cdef enum:
    KEPT = 8  # plans of one problem: for other strides, settings or instruction sets


# ------------------------------------------------------------------ instruction sets

def built_isas():
    """Return the instruction sets this build has kernels for, best first."""
    return isas(False)


def detected_isas():
    """Return those of `built_isas` that this processor can run."""
    return isas(True)


cdef tuple isas(bint detected):
    cdef int i = 0
    names = []
    while cv_isa_at(i) != NULL:
        if not detected or cv_isa_at(i).supported():
            names.append(cv_isa_at(i).name.decode())
        i += 1
    return tuple(names)


cdef const cv_isa* active() except NULL:
    cdef const cv_isa* isa = cv_active()
    if isa == NULL:
        raise ValueError(f"CONVLIB_ISA names no instruction set of this machine; it has {', '.join(detected_isas())}")
    return isa


def active_isa():
    """Return the instruction set in use; ValueError if CONVLIB_ISA names one that cannot run here."""
    return active().name.decode()


def vector_bytes():
    """Return the width of the vectors of the instruction set in use, in bytes."""
    return active().vector_bytes


def set_isa(str name):
    """Use the kernels of one instruction set from now on; "" is the best. ValueError if it cannot run here."""
    if cv_set_isa(name.encode()) != CV_OK:
        raise ValueError(f"isa {name!r} cannot run here; choose from {', '.join(detected_isas())}")


# ------------------------------------------------------------------ the list

def implementations(str op):
    """Return (name, family, why, rounds more than direct summation) of each implementation of an operation, in order.

    Parameters
    ----------
    op : {"conv", "conv_int8", "conv_grad_input", "conv_grad_weight", "pool", "spread"}
    """
    cdef const cv_isa* isa = active()
    cdef int i, number = OPERATIONS[op]
    return tuple(
        (isa.rows[i].name.decode(), isa.rows[i].family.decode(), isa.rows[i].why.decode(), bool(isa.rows[i].rounds))
        for i in range(CV_ROWS)
        if isa.rows[i].op == number
    )


cdef uint64_t named(const cv_isa* isa, str names) except? 0:
    """Return the rows that names stand for: one, all of a family, or several of these joined by "+"."""
    cdef uint64_t found = 0
    cdef int i
    wanted = names.encode().split(b"+")
    for i in range(CV_ROWS):
        if isa.rows[i].name in wanted or isa.rows[i].family in wanted:
            found |= <uint64_t>1 << i
    return found


cdef object verdicts(const cv_problem* p):
    """Return (name, family, refusal or None, predicted nanoseconds, bytes of scratch) of each row of the operation."""
    cdef const cv_isa* isa = active()
    cdef Py_ssize_t scratch = 0
    cdef const char* refusal
    said = []
    for i in range(CV_ROWS):
        if isa.rows[i].op != p.op:
            continue
        who = isa.rows[i].name.decode(), isa.rows[i].family.decode()
        refusal = cv_refusal(&isa.rows[i], p, &scratch)
        if refusal == NULL:
            said.append((*who, None, predicted(&isa.rows[i], p), scratch))
        elif scratch > p.max_workspace:
            reason = f"needs {scratch} bytes of scratch, more than max_workspace={p.max_workspace}"
            said.append((*who, reason, 0.0, scratch))
        else:
            reason = refusal.decode()
            if isa.rows[i].lacks != NULL:
                reason = f"{reason}, not {isa.name.decode()}"
            said.append((*who, reason, 0.0, 0))
    return said


cdef object predicted(const cv_row* row, const cv_problem* p):
    return planned(active(), row, p).nanoseconds


# ------------------------------------------------------------------ plans

cdef class Plan:
    """An implementation, and all of its work that depends on the problem alone; immutable."""

    def __dealloc__(self):
        cv_plan_free(self.plan)

    @property
    def name(self):
        """Name of the implementation."""
        return self.plan.row.name.decode()

    @property
    def why(self):
        """What the implementation is good at."""
        return self.plan.row.why.decode()

    @property
    def scratch(self):
        """Bytes that a call takes, the plan's tables included."""
        return cv_plan_scratch(self.plan)

    @property
    def packed(self):
        """Bytes of packed weights."""
        return self.plan.packed

    @property
    def frames(self):
        """Whether calls may say what pads the input."""
        return bool(self.plan.frames)

    @property
    def nanoseconds(self):
        """Predicted time of a call on one thread, by which implementations are compared."""
        return cv_cost(self.plan.row, &self.plan.problem)

    cdef int run(self, const cv_call* call) except -1:
        cdef int status
        with nogil:
            status = cv_plan_run(self.plan, call)
        if status == CV_BAD_INDEX:
            return 0
        finish(status)
        return 1

    cdef Plan like(self, const cv_problem* p):
        """Return a plan by the same implementation and instruction set for another problem; None if it does not fit."""
        cdef Py_ssize_t scratch = 0
        if cv_refusal(self.plan.row, p, &scratch) != NULL:
            return None
        return planned(self.isa, self.plan.row, p)

    cdef int pack(self, const void* w, void* packed) except -1:
        cdef int status
        with nogil:
            status = cv_plan_pack(self.plan, w, packed)
        return finish(status)


cdef class Problem:
    """A problem and its plans."""

    cdef Plan plan(self, const cv_problem* p, names, bint exact):
        """Return the plan for these sizes, strides and settings; None if no implementation that is named fits."""
        cdef const cv_isa* isa = active()
        cdef const cv_row* row
        cdef Plan plan
        key = ((<const char*>p)[:sizeof(cv_problem)], names, exact, <size_t>isa)
        found = self.plans.get(key)
        if found is not None:
            return found
        row = cv_choose(isa, p, ~<uint64_t>0 if names is None else named(isa, names), exact)
        if row == NULL:
            return None
        plan = planned(isa, row, p)
        if len(self.plans) >= KEPT:
            self.plans = {}
        self.plans[key] = plan
        return plan


cdef Plan planned(const cv_isa* isa, const cv_row* row, const cv_problem* p):
    cdef Plan plan = Plan.__new__(Plan)
    plan.isa, plan.plan = isa, cv_plan_new(row, p)
    if plan.plan == NULL:
        raise MemoryError("the tables of a plan")
    return plan


cdef int execute(const cv_plan* plan, const cv_call* call) noexcept nogil:
    """Run a plan and return the engine's status, for modules that do so without the lock."""
    return cv_plan_run(plan, call)


cdef int refuse(names, Py_ssize_t max_workspace, said=()) except -1:
    """Refuse arrays in whose memory no implementation that is named fits; `said` are the `verdicts` on them."""
    who = f"native:{names}" if names else "native"
    wanted = set(names.split("+")) if names else set()
    reasons = "; ".join([f"{row} {reason}" for row, family, reason, *_ in said if reason and wanted & {row, family}])
    told = (
        f"{who} cannot serve these arrays within {max_workspace} bytes of scratch{f' ({reasons})' if reasons else ''}; "
        "give C-contiguous ones, raise convlib.max_workspace, or leave the backend to be chosen"
    )
    error = MemoryError(told)
    error.explained = told  # by those who know what helps
    raise error


cdef void* allocate(Py_ssize_t size) except NULL:
    cdef void* block = cv_alloc(size)
    if block == NULL:
        raise MemoryError(f"{size} bytes of packed weights or a padded copy")
    return block


cdef void release(void* block) noexcept:
    cv_free(block)


cdef cv_type type_of(char code, Py_ssize_t itemsize) except *:
    """Return the engine's name of a type; TypeError where it has none."""
    if code == b"f":
        return CV_F32
    if code == b"d":
        return CV_F64
    if code in b"bhilq":
        return CV_I8 if itemsize == 1 else CV_I16 if itemsize == 2 else CV_I32 if itemsize == 4 else CV_I64
    if code in b"?BHILQ":
        return CV_U8 if itemsize == 1 else CV_U16 if itemsize == 2 else CV_U32 if itemsize == 4 else CV_U64
    raise TypeError(f"the engine has no kernels for type {chr(code)!r}")


# ------------------------------------------------------------------ what tests see

def trace():
    """Begin to record which implementations run and what they allocate."""
    cv_trace(1)


def traced():
    """Return the names of the implementations that ran since `trace`, and the most bytes allocated at once; stop."""
    cdef uint64_t rows = cv_trace_rows()
    cdef size_t peak = cv_trace_peak()
    cv_trace(0)
    return tuple(active().rows[i].name.decode() for i in range(CV_ROWS) if rows >> i & 1), peak
