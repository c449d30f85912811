"""Plans give what the functions give, for any number of calls, threads and trips through pickle."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import convlib
from convlib.testing import integer_array

OPTIONS = {"stride": 2, "padding": ((1, 0), (2, 1)), "groups": 2}


@pytest.fixture
def problem():
    x = integer_array((2, 4, 9, 8), "float32", 1)
    w = integer_array((6, 2, 3, 3), "float32", 2)
    bias = integer_array((6,), "float32", 3)
    return x, w, bias


def test_plan_gives_what_the_function_gives(problem):
    x, w, bias = problem
    plan = convlib.plan_conv2d(x.shape, w, bias, **OPTIONS)
    expected = convlib.conv2d(x, w, bias, **OPTIONS)
    for _ in range(3):
        assert (plan(x) == expected).all()
    out = np.empty_like(expected)
    assert plan(x, out) is out
    assert (out == expected).all()
    assert (pickle.loads(pickle.dumps(plan))(x) == expected).all()


def test_the_plan_keeps_its_own_weights(problem):
    x, w, bias = problem
    plan = convlib.plan_conv2d(x.shape, w, bias, **OPTIONS)
    expected = plan(x)
    w[:], bias[:] = 0, 0
    assert (plan(x) == expected).all()


def test_many_threads_share_a_plan(problem):
    x, w, bias = problem
    plan = convlib.plan_conv2d(x.shape, w, bias, **OPTIONS)
    expected = plan(x)
    with ThreadPoolExecutor(8) as pool:
        for y in pool.map(plan, [x] * 200):
            assert (y == expected).all()


def test_wrong_input_is_refused(problem):
    x, w, bias = problem
    plan = convlib.plan_conv2d(x.shape, w, bias, **OPTIONS)
    with pytest.raises(convlib.SpecError, match=r"shape \(1, 4, 9, 8\); this plan was made for \(2, 4, 9, 8\)"):
        plan(x[:1])
    with pytest.raises(TypeError, match="dtype float64; this plan was made for float32"):
        plan(x.astype(float))
    with pytest.raises(convlib.SpecError, match="channel"):
        convlib.plan_conv2d((2, 5, 9, 8), w)


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_ranks_and_mixed_types(nd):
    x = integer_array((1, 3, *(5, 6, 7)[:nd]), "int8", 4)
    w = integer_array((2, 3, *(2,) * nd), "float64", 5)
    plan = getattr(convlib, f"plan_conv{nd}d")(x.shape, w, dtype="int8")
    assert (plan(x) == getattr(convlib, f"conv{nd}d")(x, w)).all()


def test_it_says_what_it_chose(problem):
    x, w, bias = problem
    plan = convlib.plan_conv2d(x.shape, w, bias, backend="im2col:packed", **OPTIONS)
    assert (plan.explain().backend, plan.explain().algorithm) == ("im2col", "packed")
    assert plan.workspace_nbytes > 0
    assert "im2col:packed" in repr(plan)


def test_accuracy_is_an_argument_of_every_convolution() -> None:
    x, w = np.ones((1, 64, 56, 56), "f4"), np.ones((64, 64, 3, 3), "f4")
    fast, strict = (convlib.plan_conv2d(x.shape, w, padding=1, accuracy=level) for level in ("fast", "strict"))
    for plan in (strict, pickle.loads(pickle.dumps(strict))):
        assert plan.explain().algorithm != "winograd"
    assert convlib.explain("conv2d", x.shape, w.shape, padding=1, accuracy="strict").algorithm != "winograd"
    if fast.explain().backend == "native":
        assert fast.explain().algorithm == "winograd"
    calls = (
        lambda **more: convlib.conv2d(x, w, padding=1, **more),
        lambda **more: convlib.conv_transpose2d(x, w, padding=1, **more),
        lambda **more: convlib.conv2d_grad_input(x, w, x.shape, padding=1, **more),
        lambda **more: convlib.conv2d_grad_weight(x, x, w.shape, padding=1, **more),
        lambda **more: convlib.conv_transpose2d_grad_input(x, w, x.shape, padding=1, **more),
    )
    for call in calls:
        with convlib.accuracy("strict"):
            expected = call()
        np.testing.assert_array_equal(call(accuracy="strict"), expected)
        with pytest.raises(convlib.SpecError, match=r"accuracy='exact'.*'fast', 'strict'"):
            call(accuracy="exact")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_channels_last_take_the_short_way_whatever_their_strides(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (2, 9, 8, 20)).astype(dtype)
    w, bias = rng.integers(-3, 4, (24, 20, 3, 3)).astype(dtype), np.arange(24).astype(dtype)
    first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    options = {"stride": 2, "padding": 1}
    expected = np.moveaxis(convlib.conv2d(first, w, bias, backend="naive", **options), 1, -1)
    pooled = np.moveaxis(convlib.max_pool2d(first, 3, backend="naive", **options), 1, -1)
    plan = convlib.plan_conv2d(x.shape, w, bias, dtype=x.dtype, layout="NHWC", backend="native", **options)
    frame = np.zeros((2, 9, 10, 41), dtype)
    sparse = frame[:, :, 1:-1, 1::2]
    sparse[...] = x
    for source in (x, np.moveaxis(first, 1, -1), np.asfortranarray(x), sparse):
        for y in (plan(source), convlib.conv2d(source, w, bias, layout="NHWC", backend="native", **options)):
            assert y.flags.c_contiguous
            np.testing.assert_array_equal(y, expected)
        y = convlib.max_pool2d(source, 3, layout="NHWC", backend="native", **options)
        np.testing.assert_array_equal(y, pooled)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("groups", [1, 4])
def test_plans_with_a_padding_mode_take_the_short_way_of_calls(mode, groups, monkeypatch):
    x = np.random.default_rng(0).integers(-4, 5, (2, 4, 9, 11)).astype("f4")
    w = np.random.default_rng(1).integers(-4, 5, (4, 4 // groups, 3, 3)).astype("f4")
    options = {"padding": 1, "padding_mode": mode, "groups": groups, "backend": "native:direct"}
    expected = convlib.conv2d(x, w, **options | {"backend": "naive"})

    def long_way(*args, **kwargs):
        raise AssertionError("the plan takes the long way")

    monkeypatch.setattr(convlib.storage.calls, "conv", long_way)
    plan, out = convlib.plan_conv2d(x.shape, w, **options), np.empty(expected.shape, "f4")
    assert np.array_equal(plan(x), expected)
    assert plan(x, out=out) is out
    assert np.array_equal(out, expected)
