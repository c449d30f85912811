"""What `explain` says: every public function, by arrays or shapes, with the rule that decided, in words."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import testing
from convlib.functional.described import public
from convlib.problem import parse
from convlib.registry import POLICY, policy

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
PAGE = Path(__file__).parents[1] / "docs/dispatch.md"


def table():
    """Return the policy as the page shows it."""
    lines = ["| | backend | operation | if | because |", "|---|---|---|---|---|"]
    for number, rule in enumerate(POLICY, start=1):
        op = "any" if rule.op == "*" else f"`{rule.op}`"
        lines.append(f"| {number} | `{rule.backend}` | {op} | {rule.condition} | {rule.reason} |")
    return "\n".join(lines)


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not here")
def test_the_page_shows_the_policy():
    assert table() in PAGE.read_text(), f"put this table into {PAGE.name}:\n{table()}"


def test_conditions_say_what_their_functions_ask():
    """A condition that is not "always" asks something, and names each number that its function compares with."""
    for rule in POLICY:
        always = rule.applies.__name__ == "_always"
        assert (rule.condition == "always") is always
        numbers = {str(c) for c in rule.applies.__code__.co_consts if isinstance(c, int) and c not in (0, 1)}
        said = rule.condition.replace(" 000", "000").replace("200 million", "200000000")
        assert numbers <= set(re.findall(r"\d+", said))


def test_every_public_function_can_be_explained_by_arrays_and_by_shapes():
    asked = set()
    for case in testing.cases():
        arrays = testing.case_arrays(case.name)
        said = convlib.explain(case.call, *arrays, *case.args, **case.options)
        assert said.function == case.call
        assert str(said).startswith(f"{case.call} of ")
        assert said.rule.startswith("line ")
        assert said.determinism
        json.dumps(said.as_dict())
        if len(set(case.dtypes)) == 1:
            by_shape = convlib.explain(case.call, *case.arrays, *case.args, dtype=case.dtypes[0], **case.options)
            assert (by_shape.backend, by_shape.algorithm, by_shape.dtype) == (said.backend, said.algorithm, said.dtype)
        asked.add(case.call)
    more = {
        "conv_transpose2d_grad_input": ((1, 2, 7, 7), (3, 2, 3, 3), (1, 3, 5, 5)),
        "lp_pool2d_grad_input": (X, X, X, 2, 1),
        "conv_transpose2d_grad_weight": ((1, 2, 7, 7), (1, 3, 5, 5), (3, 2, 3, 3)),
    }  # fmt: skip
    for name, args in more.items():
        assert str(convlib.explain(name, *args)).startswith(f"{name} of ")
    asked |= {*more}
    assert {re.sub("[13]d", "2d", name) for name in public()} <= {re.sub("[13]d", "2d", name) for name in asked}


def test_a_problem_string_says_the_same_work():
    known = 0
    for case in testing.cases():
        dtype = "int64" if "zero_points" in case.name else "float32"
        said = convlib.explain(case.call, *case.arrays, *case.args, dtype=dtype, **case.options)
        if said.problem is None:
            continue
        problem, spec = parse(said.problem), said.spec
        known += 1
        assert (problem.n, problem.i, problem.k, problem.s, problem.d) == (
            spec.n, spec.in_size, spec.kernel, spec.stride, spec.dilation,
        )  # fmt: skip
        assert problem.spec.out_size == spec.out_size
    assert known > 150


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (("conv2d", (2, 4, 9, 9), (6, 2, 3, 3), (6,)), "n2 ic4 ih9 iw9 oc6 g2 kh3 kw3 ph1 bias"),
        (("conv2d_grad_weight", (2, 6, 9, 9), (2, 4, 9, 9), (6, 2, 3, 3)), "gradw n2 ic4 ih9 iw9 oc6 g2 kh3 kw3 ph1"),
    ],
)
def test_problem_strings_of_groups_and_gradients(call, problem):
    assert convlib.explain(*call, groups=2, padding=1).problem == problem


def test_problem_strings_of_pools_and_transposes():
    said = convlib.explain("avg_pool2d", (1, 3, 9, 9), 3, stride=2, ceil_mode=True, count_include_pad=False, padding=1)
    assert said.problem == "avgpool n1 ic3 ih9 iw9 kh3 kw3 sh2 ph1 nopad"
    said = convlib.explain("max_pool1d", (1, 3, 10), 3, stride=2, ceil_mode=True)
    assert said.problem == "maxpool n1 ic3 iw10 kw3 sw2 ceil"
    said = convlib.explain("conv_transpose2d", (1, 4, 3, 3), (4, 2, 2, 2), stride=2)
    assert said.problem.startswith("gradx n1 ic2 ih6")
    x = (1, 1, 7, 7)
    for call in (("lp_pool2d", x, 2, 3), ("im2col", x, 3), ("adaptive_max_pool2d", x, 3)):
        assert convlib.explain(*call).problem is None
    assert convlib.explain("conv2d", X, W, padding=1, padding_mode="reflect").problem is None
    assert convlib.explain("conv2d", X, W, flip=True).problem is None


def test_rules_are_told_for_every_contender(monkeypatch):
    said = convlib.explain("conv2d", (1, 64, 28, 28), (64, 64, 3, 3))
    rules = {verdict.backend: verdict.rule for verdict in said.others}
    assert said.rule == "line 2 of the policy: native for conv, always"
    assert "asks for floats or complex numbers, taps * icg * ocg" in rules["fft"]
    assert rules["im2col"] == "its line 10 of the policy comes after line 2"
    pool = {verdict.backend: verdict.rule for verdict in convlib.explain("max_pool2d", X, 2).others}
    assert pool["im2col"] == "its line 14 of the policy comes after line 7"
    with monkeypatch.context() as patch:
        patch.setattr(policy, "POLICY", [rule for rule in POLICY if (rule.backend, rule.op) != ("im2col", "*")])
        unpool = {v.backend: v.rule for v in convlib.explain("max_unpool2d", (1, 2, 3, 3), (1, 2, 3, 3), 2).others}
        assert "has no line for it" in unpool["im2col"]
    with convlib.use_backend("cython"):
        assert convlib.explain("conv2d", X, W).rule == "use_backend names it"
    large = (1, 1, 700, 700), (1, 1, 63, 63)
    assert convlib.explain("conv2d", *large).rule.startswith("line 1 of the policy: fft")
    assert all(verdict.rule for verdict in said.others if verdict.serves)


def test_a_backend_whose_library_is_missing_says_so(register):
    from convlib.backends.cython import CythonBackend

    register(type("Far", (CythonBackend,), {"name": "far", "array_type": "no_such_library"}))
    (far,) = (v for v in convlib.explain("conv2d", X, W).others if v.backend == "far")
    assert far.reason == "takes no_such_library arrays, and no_such_library is not installed"


def test_arrays_bring_their_types():
    said = convlib.explain("conv2d", X, W.astype(np.float64))
    assert said.dtype == "float64"
    assert [copy.array for copy in said.copies] == ["x"]
    assert convlib.explain("conv2d", X, W.shape, dtype="float64").dtype == "float64"
    assert convlib.explain("conv2d", X.astype("i1"), W.astype("i2")).dtype == "int64"
    assert convlib.explain("lp_pool2d_grad_input", X, X, X.astype(float), 2, 1).dtype == "float64"
    with pytest.raises(TypeError, match="w must be an array or its shape, not None"):
        convlib.explain("conv2d", X, None)
    with pytest.raises(TypeError, match="object"):
        convlib.explain("conv2d", X.astype(object), W)
    with pytest.raises(convlib.SpecError, match=r"grad_y has the shape"):
        convlib.explain("conv2d_grad_input", X, W, X.shape)
    with pytest.raises(convlib.SpecError, match="bias"):
        convlib.explain("conv2d", X, W, np.ones(2))


def test_predictions_and_bounds():
    said = convlib.explain("conv2d", (1, 16, 32, 32), (16, 16, 3, 3), padding=1, backend="native:direct")
    row = next(found for found in said.implementations if found.name == "direct")
    assert said.predicted == row.seconds > 0
    assert said.measured is None
    eps = np.finfo(np.float32).eps
    assert said.error_bound == (16 * 9 + 16) * eps
    assert convlib.explain("max_pool2d", X, 2).error_bound == 0
    assert convlib.explain("conv2d", X.astype(int), W.astype(int)).error_bound == 0
    half = convlib.explain("conv2d", X, W, dtype="float16").error_bound
    assert convlib.explain("conv2d", X.shape, W.shape, dtype="float16").error_bound > half


def test_a_plan_says_the_same():
    plan = convlib.plan_conv2d(X.shape, W, np.ones(3, np.float32), padding=1)
    said = plan.explain()
    assert said.problem == "n1 ic2 ih5 iw5 oc3 kh3 kw3 ph1 bias"
    assert said.function == "plan_conv2d"
    assert said.rule.startswith("line 2 of the policy: native")
    assert str(said).startswith("plan_conv2d of x (1, 2, 5, 5), w (3, 2, 3, 3) in float32: native:")


@pytest.mark.parametrize("name", ["naive", "cython", "native", "fft"])
def test_bits_that_are_said_to_be_the_same_for_any_number_of_threads_are(name):
    rng = np.random.default_rng(3)
    x, w = rng.standard_normal((2, 6, 17, 19), "float32"), rng.standard_normal((8, 6, 5, 5), "float32")
    assert convlib.explain("conv2d", x, w, backend=name).determinism == "the same for any number of threads"
    results = []
    for threads in (1, 2, 3):
        with convlib.num_threads(threads):
            results.append(convlib.conv2d(x, w, padding=2, backend=name))
    assert all(np.array_equal(y, results[0]) for y in results)


@pytest.mark.parametrize("mode", [{"pad_value": 1}, {"padding_mode": "reflect"}])
def test_groups_without_channels(mode):
    """Of which no number is copied at once with its padding."""
    said = convlib.explain("conv2d", (2, 0, 5, 5), (8, 0, 3, 3), padding=1, groups=2, **mode)
    assert said.workspace_nbytes == 0
    plan = convlib.plan_conv2d((2, 0, 5, 5), np.ones((8, 0, 3, 3), "f4"), padding=1, groups=2, **mode)
    assert plan.workspace_nbytes == said.workspace_nbytes
