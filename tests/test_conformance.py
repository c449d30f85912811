"""Every backend through every check of the public conformance suite; nothing here knows any backend."""

import pytest
from conftest import available_backends

import convlib
from convlib import testing
from convlib.testing.check import _is_exact, all_checks

PAIRS = [
    pytest.param(name, check, id=f"{name}-{label}")
    for name in [*available_backends(), "native:winograd", "native:bf16x3"]
    for label, check in all_checks(_is_exact(name))
]


@pytest.mark.parametrize(("name", "check"), PAIRS)
def test_conformance(name, check):
    try:
        reason = check(name)
    except convlib.UnsupportedError as error:
        # A backend may say no, but says why; what it serves at all is for the test below.
        reason = None if "cannot serve this" in str(error) else str(error)
    assert reason is None, reason


def test_every_backend_serves_something(backend):
    served = 0
    for case in testing.cases():
        try:
            convlib.explain(case.call, *case.arrays, *case.args, dtype=case.dtypes[0], backend=backend, **case.options)
        except convlib.UnsupportedError:
            continue
        except convlib.SpecError:
            assert case.call == "filter2d"  # an image has no rank in its name
            continue
        served += 1
    assert served > 20


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
    missing = {name for name in convlib.functional.__all__ if name[-2:] == "2d" and "plan" not in name}
    missing -= called
    assert not missing, f"no case calls {missing}"


def test_unknown_backends_are_refused():
    with pytest.raises(convlib.BackendError, match="unknown backend"):
        testing.check_backend("imcol")
