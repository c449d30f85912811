"""What is said of a call is what happens: the implementations that run, and the scratch that they take.

Every conformance case that the native engine serves, under every instruction set of this machine.
"""

from collections import Counter
from functools import partial

import expected
import numpy as np
import pytest

import convlib
from convlib import config, testing
from convlib._ext import _native
from convlib.backends import native_calls
from convlib.registry.plugins import changed
from convlib.testing.arrays import arrays_of
from convlib.testing.checks import operator_of

FLOATS = ("float32", "float64")
BOUNDS = (1 << 20, 64 << 20)
OPERATORS = sorted({operator_of(case.call) for case in testing.cases()})


def element(case):
    """Return the type by which a case is described; integers of all kinds make sums in int64."""
    if not case.call.startswith(("conv", "filter2d")):
        return np.dtype(case.dtypes[0])
    found = np.result_type(*case.dtypes)
    return np.dtype("int64") if all(np.dtype(kind).kind in "iub" for kind in case.dtypes) else found


def said_of(case, backend):
    """Return the explanation of a case; None if the backend that is named refuses it.

    Sums of integers are described by their arrays, as those of 8 bits may be served otherwise than others.
    """
    given = arrays_of(case) if element(case) == "int64" and case.call.startswith(("conv", "filter2d")) else case.arrays
    try:
        return convlib.explain(case.call, *given, *case.args, dtype=element(case), backend=backend, **case.options)
    except convlib.UnsupportedError:
        assert backend is not None
        return None


def forget():
    """Let the next call make its plans anew, so that a trace sees their tables."""
    changed()
    calls = native_calls
    for cache in (calls.conv_problem, calls.pool_problem, calls.phase_calls, calls.best_way):
        cache.cache_clear()


def happened(call, times=2):
    """Call; return the implementations that ran, and the most bytes at once of each call; the first makes plans."""
    forget()
    runs, peaks = set(), []
    for _ in range(times):
        _native.trace()
        try:
            call()
        finally:
            ran, peak = _native.traced()
        runs.add(ran)
        peaks.append(peak)
    assert len(runs) == 1
    return set(ran), *peaks


def calling(case, backend):
    """Return a function that calls a case."""
    arrays = arrays_of(case)
    return lambda: getattr(convlib, case.call)(*arrays, *case.args, **case.options, backend=backend)


def names(said):
    """Return the implementations that an explanation names."""
    return set(said.algorithm.split("+")) if said.algorithm else set()


def copied(case):
    """Return whether a call may copy an array, or is made of several problems or of powers, which the trace misses."""
    padded = case.options.get("padding_mode", "constant") != "constant" or case.options.get("pad_value")
    phases = case.call.startswith("conv_transpose") or "grad_input" in case.call
    turned = case.options.get("flip") or "w_layout" in case.options
    return bool(padded or phases or turned or case.call.startswith(("filter2d", "lp_pool")))


def check(case, said, bound, call):
    """Compare what is said with what happens.

    Scratch is said with the tables of a plan, which only the first of many calls allocates; a choice may make a second
    plan, whose tables stay with it.
    """
    ran, first, again = happened(call)
    told = f"{case.name} under {_native.active_isa()}: said {said.algorithm}, {said.workspace_nbytes} bytes"
    if element(case).name in FLOATS or not case.call.startswith(("conv", "filter2d")):
        assert ran == names(said), f"{told}; {ran} ran"
    else:  # integers become floats that hold them exactly, if there are any: that depends on the numbers
        assert ran <= names(said), f"{told}; {ran} ran"
    assert again <= said.workspace_nbytes <= bound, f"{told}; {again} of {bound} were taken"
    if element(case).name in FLOATS and not copied(case):
        assert said.workspace_nbytes <= first, f"{told}; the first call took no more than {first}"


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("isa", _native.detected_isas())
def test_calls(isa, operator, bound):
    served = 0
    with expected.under_isa(isa), config.max_workspace(bound):
        for case in testing.cases():
            said = said_of(case, "native") if operator_of(case.call) == operator else None
            if said is None:
                continue
            served += 1
            check(case, said, bound, calling(case, "native"))
    assert served == expected.expected("native", isa).get(operator, 0)


@pytest.mark.parametrize("isa", _native.detected_isas())
def test_plans(isa):
    """Weights are packed beforehand; what a call of the plan takes is what it says."""
    served = 0
    with expected.under_isa(isa):
        for case in testing.cases():
            make = getattr(convlib, f"plan_{case.call}", None)
            if make is None or element(case).name not in FLOATS or len(set(case.dtypes)) > 1:
                continue
            x, *weights = arrays_of(case)
            plan = make(x.shape, *weights, dtype=x.dtype, **case.options, backend="native")
            said = plan.explain()
            assert said.workspace_nbytes == plan.workspace_nbytes
            ran, _, again = happened(partial(plan, x))
            told = f"{case.name} under {isa}: said {said.algorithm}, {said.workspace_nbytes} bytes"
            assert ran == names(said), f"{told}; {ran} ran"
            assert again <= said.workspace_nbytes, f"{told}; {again} were taken"
            served += 1
    assert served > 30


@pytest.mark.parametrize("isa", _native.detected_isas())
def test_the_automatic_choice(isa):
    """Whoever is chosen, the engine runs if and only if it was said to, and stays in the bound."""
    by_engine = 0
    with expected.under_isa(isa), config.max_workspace(BOUNDS[0]):
        for case in testing.cases():
            said = said_of(case, None)
            if said.backend == "native":
                check(case, said, BOUNDS[0], calling(case, None))
                by_engine += 1
            else:
                assert happened(calling(case, None), 1) == (set(), 0), f"{case.name}: {said.backend} was said"
    assert by_engine > 300


def test_without_scratch_somebody_serves():
    """The engine takes none where it may have none: other backends, or implementations that need none, serve."""
    cases = [case for case in testing.cases() if {np.dtype(kind).name for kind in case.dtypes[:2]} <= {*FLOATS}]
    seen = set()  # what another backend serves depends on no instruction set, once it is known that the engine rests
    for isa in _native.detected_isas():
        served = Counter()
        with expected.under_isa(isa), config.scratch(0):
            for case in cases:
                said = said_of(case, None)
                served[said.backend] += 1
                if (case.name, said.backend) not in seen:
                    taken = happened(calling(case, None), 2 if said.backend == "native" else 1)[1:]
                    assert not any(taken), f"{case.name} under {isa}: said {said}"
                if said.backend != "native":
                    seen.add((case.name, said.backend))
        assert served["native"] > 20
        assert served["cython"] > 100
