"""The bridge to the engine: what it refuses before memory is touched, and plans that outlive a choice."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from expected import under_isa

import convlib
from convlib._ext import _native as native, _native_conv as conv, _native_pool as pooling

from .common import ISAS, WORKSPACE, posed, sizes, traced

PROBLEM = sizes(1, 1, 2, 3, (4, 5), (3, 3), lo=1)
GOOD: dict[str, Any] = {
    "x": np.ones((1, 2, 4, 5), "f4"), "w": np.ones((3, 2, 3, 3), "f4"), "bias": np.ones(3, "f4"),
    "y": np.full((1, 3, 4, 5), 5, "f4"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("array", "bad", "error", "match"),
    [
        ("x", np.ones((1, 2, 4, 4), "f4"), ValueError, "shape of the problem"),
        ("x", np.ones((2, 4, 5), "f4"), ValueError, "shape of the problem"),
        ("x", np.ones((1, 2, 4, 5)), (ValueError, TypeError), "type"),
        ("x", np.ones((1, 2, 4, 5), "i4"), (ValueError, TypeError), "type"),
        ("x", np.ones((1, 2, 4, 5), ">f4"), TypeError, "native byte order"),
        ("x", np.ones((1, 2, 4, 5), "c8"), TypeError, "plain number"),
        ("w", np.ones((3, 2, 3, 2), "f4"), ValueError, "weights"),
        ("w", np.ones((3, 2, 3, 3)), ValueError, "weights"),
        ("w", np.ones((3, 2, 3, 6), "f4")[..., ::2], ValueError, "strided weights"),
        ("w", np.ones((1, 3, 2, 3, 1), "f4").repeat(6, -1)[..., ::2], ValueError, "weights"),
        ("bias", np.ones(2, "f4"), ValueError, "bias"),
        ("bias", np.ones((1, 3), "f4"), ValueError, "bias"),
        ("bias", np.ones(6, "f4")[::2], ValueError, "bias"),
        ("y", np.full((1, 3, 4, 4), 5, "f4"), ValueError, "shape of the problem"),
        ("y", np.full((1, 3, 4, 5), 5.0), TypeError, "differ in type"),
        ("y", np.broadcast_to(np.float32(5), (1, 3, 4, 5)), ValueError, "read-only"),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if isinstance(value, np.ndarray) else str(value)[:20],
)
def test_arrays_that_do_not_fit_a_convolution(array: str, bad: Any, error: Any, match: str) -> None:
    given = {**GOOD, array: bad}
    p = conv.ConvProblem(*PROBLEM)
    if array == "w" and bad.ndim == 5:
        bad = given["w"] = bad[..., :2]
    with pytest.raises(error, match=match):
        conv.conv(p, given["x"], given["w"], given["bias"], given["y"], None, False, 1, WORKSPACE)
    assert (given["y"] == 5).all()


def test_arrays_that_do_not_fit_a_weight_gradient() -> None:
    op, p, x, y = "conv_grad_weight", conv.ConvProblem(*PROBLEM), GOOD["x"], GOOD["y"]
    w = np.full((3, 2, 3, 3), 5, "f4")
    with pytest.raises(ValueError, match="shape of the problem"):
        conv.gradient(op, p, x[:0], w, y, None, 1, WORKSPACE)
    with pytest.raises(ValueError, match="weights"):
        conv.gradient(op, p, x, w[:1], y, None, 1, WORKSPACE)
    with pytest.raises(ValueError, match="contiguous"):
        conv.gradient(op, p, x, np.ones((3, 2, 3, 6), "f4")[..., ::2], y, None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="differ in type"):
        conv.gradient(op, p, x, w, y.astype("f8"), None, 1, WORKSPACE)
    assert (w == 5).all()


def test_arrays_that_do_not_fit_a_pooling() -> None:
    p = pooling.PoolProblem(1, 2, (4, 5), (2, 2), (3, 4), (1, 1), (1, 1), (0, 0), (0, 0), "max")
    x, y = GOOD["x"], np.full((1, 2, 3, 4), 5, "f4")
    with pytest.raises(ValueError, match="shape of the problem"):
        pooling.pool(p, x[:, :1], y, None, None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="differ in type"):
        pooling.pool(p, x, y.astype("f8"), None, None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="indices must be int64"):
        pooling.pool(p, x, y, np.zeros(y.shape, "i4"), None, 1, WORKSPACE)
    with pytest.raises(ValueError, match="shape and strides"):
        pooling.pool(p, x, y, np.zeros((1, 2, 3, 5), int)[..., :4], None, 1, WORKSPACE)
    with pytest.raises(TypeError, match="no kernels for type"):
        pooling.pool(p, x.astype("f2"), y.astype("f2"), None, None, 1, WORKSPACE)
    assert (y == 5).all()


@pytest.mark.parametrize("names", ["", "nothing", "pool", "gemm_panel", "dots"])
def test_names_of_no_implementation_of_the_operation(names: str) -> None:
    p, y = conv.ConvProblem(*PROBLEM), GOOD["y"]
    assert p.chosen("conv", ord("f"), names, False, True, 1, WORKSPACE) is None
    with pytest.raises(MemoryError, match="serve these arrays"):
        conv.conv(p, GOOD["x"], GOOD["w"], None, y, names, False, 1, WORKSPACE)
    assert (y == 5).all()


def test_names_of_families_and_joined_names() -> None:
    p = conv.ConvProblem(*PROBLEM)
    rows = native.implementations("conv")
    for names in ("gemm", "direct", "gemm_panels+direct", "nothing+direct", "winograd+gemm"):
        plan, wanted = p.chosen("conv", ord("f"), names, False, True, 1, WORKSPACE), set(names.split("+"))
        assert plan.name in {name for name, family, *_ in rows if wanted & {name, family}}, names


def test_exact_plans_never_round_more(isa: str) -> None:
    p = conv.ConvProblem(*sizes(1, 1, 64, 64, (56, 56), (3, 3), lo=1))
    assert p.chosen("conv", ord("f"), "winograd", True, True, 1, WORKSPACE) is None
    assert p.chosen("conv", ord("f"), None, True, True, 1, WORKSPACE).name != "winograd"


def test_no_scratch_at_all_leaves_somebody_or_a_refusal(isa: str) -> None:
    p, (x, w, _, expected) = conv.ConvProblem(*PROBLEM), posed(PROBLEM)
    for bound in (-(2**40), 0, 1, 1 << 12, 2**62):
        y = np.empty(expected.shape, "f4")
        plan = p.chosen("conv", ord("f"), None, True, True, 2, bound)
        if plan is None:
            assert bound <= 1
            with pytest.raises(MemoryError, match="native cannot serve"):
                conv.conv(p, x, w, None, y, None, True, 2, bound)
        else:
            call = partial(conv.conv, p, x, w, None, y, None, True, 2, bound)
            assert traced(plan.name, bound, call) is not None
            np.testing.assert_array_equal(y, expected)


def test_packed_weights_keep_their_instruction_set() -> None:
    """A plan made under one is called under all others, with an array in place and with one that has gaps."""
    problem = sizes(2, 1, 20, 33, (9, 10), (3, 3), lo=1)
    x, w, _, expected = posed(problem)
    for isa in ISAS:
        with under_isa(isa):
            plan = convlib.plan_conv2d(x.shape, w, padding=1, backend="native", accuracy="strict")
            name = plan.explain().algorithm
        for other in ISAS:
            with under_isa(other):
                native.trace()
                for given in (x, np.repeat(x, 2, -1)[..., ::2]):
                    np.testing.assert_array_equal(plan(given), expected, err_msg=f"{name} of {isa} under {other}")
                assert name in native.traced()[0]


def test_a_trace_ends_when_it_is_read() -> None:
    x, w, _, _ = posed(PROBLEM)
    native.trace()
    convlib.conv2d(x, w, padding=1, backend="native:gemm_panels")
    convlib.conv2d(x, w, padding=1, backend="native:direct")
    assert native.traced()[0] == ("gemm_panels", "direct")
    convlib.conv2d(x, w, padding=1, backend="native:direct")
    assert native.traced() == ((), 0)
