"""Streams: results in a row are bit for bit those of the whole, however the input is cut."""

import pickle

import numpy as np
import pytest

import convlib
from convlib import SpecError, UnsupportedError, plan_conv1d

RNG = np.random.default_rng(0)


def random(*shape, dtype="float32"):
    if np.dtype(dtype).kind in "iu":
        return RNG.integers(0, 9, shape).astype(dtype)
    if np.dtype(dtype).kind == "c":
        return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(dtype)
    return RNG.standard_normal(shape).astype(dtype)


def cut(x, axis, sizes):
    """Yield pieces of the sizes, again and again, to the end."""
    start, turn = 0, 0
    while start < x.shape[axis]:
        size = sizes[turn % len(sizes)]
        yield np.take(x, range(start, min(start + size, x.shape[axis])), axis)
        start, turn = start + size, turn + 1


CASES = {
    "causal": ((2, 3, 97), (4, 3, 5), {"padding": "causal"}),
    "depthwise": ((1, 6, 80), (6, 1, 4), {"padding": "causal", "groups": 6}),
    "dilated": ((1, 8, 90), (16, 8, 3), {"padding": "causal", "dilation": 7}),
    "long": ((1, 1, 300), (1, 1, 150), {"padding": "causal"}),
    "wide": ((1, 64, 200), (64, 64, 9), {"padding": "causal"}),
    "valid": ((2, 3, 61), (4, 3, 5), {}),
    "more padding": ((1, 2, 40), (2, 2, 3), {"padding": [(5, 0)], "pad_value": 2.0}),
    "strided": ((1, 3, 71), (4, 3, 5), {"padding": "causal", "stride": 3}),
    "step of a window": ((1, 3, 71), (4, 3, 4), {"stride": 4}),
    "channels last": ((2, 50, 3), (4, 3, 5), {"padding": "causal", "layout": "NHWC"}),
    "unbatched": ((3, 50), (4, 3, 5), {"padding": "causal"}),
    "flipped": ((1, 2, 50), (4, 2, 5), {"padding": "causal", "flip": True}),
    "one element": ((1, 3, 20), (4, 3, 1), {"padding": "causal"}),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int16", "complex64"])
@pytest.mark.parametrize("name", CASES)
def test_chunks_do_not_show(name, dtype):
    x_shape, w_shape, options = CASES[name]
    x, w, bias = (random(*shape, dtype=dtype) for shape in (x_shape, w_shape, w_shape[:1]))
    plan = plan_conv1d(x_shape, w, bias, **options)
    axis = -2 if "layout" in options else -1
    stream = plan.stream()
    whole = stream(x)
    for sizes in ([1], [7], [1, 2, 3, 0, 11], [64]):
        stream.reset()
        parts = [stream(chunk) for chunk in cut(x, axis, sizes)]
        np.testing.assert_array_equal(np.concatenate(parts, axis), whole)
        assert all(part.dtype == whole.dtype for part in parts)
    named = convlib.conv1d(x, w, bias, **options, backend=stream.backend)
    np.testing.assert_array_equal(named, whole)
    np.testing.assert_allclose(
        plan(x), whole, rtol=5e-3 if dtype == "float16" else 1e-4, atol=5e-2 if dtype == "float16" else 1e-4
    )


@pytest.mark.parametrize("backend", [None, "cython", "native:direct"])
@pytest.mark.parametrize("activation", ["relu", "relu6", "hardsigmoid", "hardswish"])
def test_the_activation_of_a_plan_is_that_of_its_streams(activation, backend):
    x, w = random(1, 3, 60), random(4, 3, 5)
    plan = plan_conv1d(x.shape, w, padding="causal", activation=activation, backend=backend)
    stream = plan.stream()
    parts = np.concatenate([stream(chunk) for chunk in cut(x, -1, [7, 0, 20])], -1)
    np.testing.assert_allclose(parts, plan(x), rtol=1e-4, atol=1e-5)


def test_the_state_carries_over():
    x, w = random(1, 2, 30), random(3, 2, 4)
    plan = plan_conv1d(x.shape, w, padding="causal")
    stream = plan.stream()
    first = stream(x[..., :13])
    np.testing.assert_array_equal(stream.state, x[..., 10:13])
    other = pickle.loads(pickle.dumps(plan)).stream(stream.state)
    np.testing.assert_array_equal(np.concatenate((first, other(x[..., 13:])), -1), plan.stream()(x))
    copied = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(copied(x[..., 13:]), stream(x[..., 13:]))
    kept = stream.state
    kept[:] = 0  # a copy
    np.testing.assert_array_equal(stream.state, x[..., -3:])
    assert "3 elements held" in repr(stream)


def test_a_chunk_may_be_overwritten():
    x, w = random(1, 1, 8), random(1, 1, 3)
    stream, chunk = plan_conv1d(x.shape, w, padding="causal").stream(), np.empty((1, 1, 2), np.float32)
    found = []
    for start in range(0, 8, 2):
        chunk[:] = x[..., start : start + 2]
        found.append(stream(chunk))
        chunk[:] = np.nan
    np.testing.assert_array_equal(np.concatenate(found, -1), plan_conv1d(x.shape, w, padding="causal").stream()(x))


def test_what_the_backend_is():
    w = random(8, 8, 3)
    assert plan_conv1d((1, 8, 99), w).stream().backend.startswith("native:")
    assert plan_conv1d((1, 8, 99), w, backend="native:direct").stream().backend == "native:direct"
    assert plan_conv1d((1, 8, 99), w, backend="cython").stream().backend == "cython"
    assert plan_conv1d((1, 8, 99), w, backend="native").stream().backend.startswith("native:")
    for name in ("im2col", "fft", "native:gemm_columns"):
        plan = plan_conv1d((1, 8, 99), w, backend=name)
        with pytest.raises(UnsupportedError, match=f"sums of {name} depend on the length of the input"):
            plan.stream()


REFUSED = [
    ({"padding": "same"}, r"padding=\(1, 1\): a stream has no end to pad; use 'causal' or 'valid'"),
    ({"padding": [(2, 0)], "padding_mode": "edge"}, "padding_mode='edge' needs input that is not there yet"),
    ({"stride": 4}, "stride=4 leaves out inputs; a stream needs at most 3"),
]


@pytest.mark.parametrize(
    ("options", "message"), REFUSED, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_plans_without_a_stream(options, message):
    plan = plan_conv1d((1, 2, 9), random(2, 2, 3), **options)
    with pytest.raises(SpecError, match=message):
        plan.stream()


def test_a_chunk_for_which_there_is_no_memory_may_come_in_parts():
    plan = convlib.plan_conv1d((1, 1, 10), np.ones((1, 1, 3), "f4"))
    stream, x = plan.stream(), np.arange(5, dtype="f4").reshape(1, 1, 5)
    before = stream(x)
    with pytest.raises(MemoryError, match=r"a stream: no memory for \d+ bytes, .*; give parts of the arrays"):
        stream(np.broadcast_to(np.float32(1), (1, 1, 2**50)))
    np.testing.assert_array_equal(np.concatenate((before, stream(x)), -1), plan(np.concatenate((x, x), -1)))


def test_what_does_not_fit():
    with pytest.raises(SpecError, match="a plan over 2 axes has no stream; make it with plan_conv1d"):
        convlib.plan_conv2d((1, 1, 4, 4), random(1, 1, 2, 2)).stream()
    for other in (3, "native", random(1, 1, 4), convlib.max_pool1d):
        with pytest.raises(TypeError, match="plan must be one that plan_conv1d returned, not "):
            convlib.ConvStream(other)
    stream = plan_conv1d((1, 2, 9), random(2, 2, 3), padding="causal").stream()
    with pytest.raises(SpecError, match=r"x has the shape \(1, 3, 4\); expected \(1, 2, 9\), of any length"):
        stream(random(1, 3, 4))
    with pytest.raises(TypeError, match="x has dtype float64; this plan was made for float32"):
        stream(random(1, 2, 4, dtype="float64"))
    with pytest.raises(SpecError, match=r"state has the shape \(1, 2, 3\); windows need at most 2 elements of it"):
        stream.reset(random(1, 2, 3))
    assert stream(random(1, 2, 0)).shape == (1, 2, 0)
