"""Every backend and every algorithm through every check of the public conformance suite; nothing here knows any.

How much may be refused stands in `expected.toml`.
"""

from collections import Counter, defaultdict
from functools import cache

import expected
import pytest

import convlib
from convlib import registry, testing
from convlib.testing.checks import ORACLE, all_checks, operator_of

NAMES = [name for name in expected.names() if registry.get_backend(name.partition(":")[0]).array_type == "numpy"]


@cache
def checks(name):
    """Return {operator: checks} of a backend; "" has what every backend must refuse."""
    found = defaultdict(list)
    for check in all_checks(name):
        found[check.operator].append(check)
    return found


def operators():
    """Yield (name, instruction set, operator) for all operators that a backend has, and the refusals once per backend.

    The instruction set is the best one under which it serves anything: a matrix unit may be there in plain C only.
    """
    for name in NAMES:
        isa = next((isa for isa in expected.isas(name) if expected.expected(name, isa)), expected.PLAIN)
        wanted = set(expected.expected(name, isa)) | (set() if ":" in name else {""})
        for operator in checks(name):
            if operator in wanted:
                yield pytest.param(name, isa, operator, id=f"{name}-{operator or 'refusals'}")


@pytest.mark.parametrize(("name", "isa", "operator"), list(operators()))
def test_conformance(name, isa, operator):
    """All checks of an operator: one by one, ten thousand tests would take longer than what they test."""
    held, refused, wrong = [], [], []
    with expected.under_isa(isa):
        for check in checks(name)[operator]:
            try:
                reason = check.run(name)
            except convlib.UnsupportedError:
                refused.append(check.name)
                continue
            except Exception as error:
                error.add_note(f"in the check {check.name}")
                raise
            if reason is None:
                held.append(check.name)
            else:
                wrong.append(f"{check.name}: {reason}")
    assert not wrong, "\n".join(wrong)
    assert held, f"all of {refused} are refused"


@pytest.mark.parametrize(("name", "isa"), [(name, isa) for name in NAMES for isa in expected.isas(name)])
def test_as_many_cases_are_served_as_expected(name, isa):
    found, wanted = expected.measured(name, isa), expected.expected(name, isa)
    assert found == wanted, f"{name} under {isa}; if that is meant: {expected.COMMAND}"


def test_what_rounds_by_its_own_choice_may():
    """The engine without vectors takes Winograd for lines of two channels, where others sum directly."""
    with expected.under_isa("scalar"):
        report = testing.check_backend("native", select="conv2d-tall", strict=False)
        assert convlib.explain("conv2d", *testing.case_arrays("conv2d-tall")).algorithm == "winograd"
    assert report.passed
    assert not report.failed


@pytest.mark.parametrize("name", NAMES)
def test_everything_serves_something_somewhere(name):
    counts = [counts for key, counts in expected.LIST.items() if key.partition("@")[0] == name]
    assert any(counts), f"no conformance case reaches {name}: add one to convlib/testing/cases"


def test_the_list_of_expectations_names_nothing_that_is_gone():
    known = set(convlib.backends())
    assert {key.partition("@")[0].partition(":")[0] for key in expected.LIST} <= known
    here = set(expected.names())
    bases = {name.partition(":")[0] for name in here}
    gone = {key for key in expected.LIST if key.partition("@")[0] not in here and key.partition(":")[0] in bases}
    assert not gone, f"take {gone} out of {expected.FILE.name}"


def test_no_case_is_served_by_the_oracle_alone():
    """Another backend serves all cases of each operator, by the list, which is true of each backend."""
    cases = Counter(operator_of(case.call) for case in testing.cases())
    served = Counter()
    for name in NAMES:
        served |= Counter(expected.expected(name) if name != ORACLE else ())  # the most of any
    assert served == cases


def test_every_operator_has_cases():
    called = {operator_of(case.call) for case in testing.cases()}
    assert called == set(expected.LIST[ORACLE])


def test_cases_have_names_of_their_own():
    names = [case.name for case in testing.cases()]
    assert len(set(names)) == len(names)


def test_cases_stand_on_the_edges():
    """The list is judged by what it covers, so that no edge gets lost when it is edited."""
    text = " ".join(case.name for case in testing.cases())
    for edge in (
        "kernel_eq_input", "stride_gt_kernel", "dilation_2_pad_asym", "groups_eq_channels", "n_zero", "ic_zero",
        "ic_prime", "pad_gt_kernel", "same_lower", "causal", "full", "unbatched", "nhwc", "flip", "reflect",
        "symmetric", "wrap", "pad_value", "ceil", "empty_window", "divisor", "nan", "inf", "ties", "extremes",
        "no_pad_count", "global", "adaptive", "lp_pool", "grad_input", "grad_weight", "conv_transpose", "im2col",
        "col2im", "filter2d", "unpool", "large",
    ):  # fmt: skip
        assert edge in text, edge
    called = {case.call for case in testing.cases()}
    missing = {name for name in convlib.functional.__all__ if "2d" in name and "plan" not in name} - called
    assert not missing, f"no case calls {missing}"


def test_unknown_backends_are_refused():
    with pytest.raises(convlib.BackendError, match="unknown backend"):
        testing.check_backend("imcol")
