"""The registry: who decides, how a refusal reads, plug-ins of others, good and bad."""

import asyncio
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import convlib
from convlib import registry
from convlib.backends import native_calls
from convlib.backends.naive import NaiveBackend
from convlib.registry import plugins, policy

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
SHAPES = (X.shape, W.shape)
ROOT = Path(__file__).parent.parent


class Marked(NaiveBackend):
    """Naive, but its convolutions say who made them, and it refuses dilation."""

    name = "marked"
    algorithms = {"conv": ("plain", "odd")}

    def supports(self, op, spec, dtype):
        return "does not dilate" if any(d > 1 for d in spec.dilation) else super().supports(op, spec, dtype)

    def supports_algorithm(self, algorithm, op, spec, dtype):
        return "needs an odd kernel" if algorithm == "odd" and spec.kernel[0] % 2 == 0 else None

    def choose(self, op, spec, dtype):
        return "plain", "it is plain"

    def _conv(self, spec, x, w, bias, y, algorithm):
        y[...] = {"plain": 1000, "odd": 2000}[algorithm]


def served_by(**options):
    return convlib.explain("conv2d", *SHAPES, **options)


# ------------------------------------------------------------------------------- precedence


def test_precedence(register, environment):
    register(Marked)
    automatic = served_by()
    assert automatic.source == "automatic"
    environment(CONVLIB_BACKEND="naive")
    assert (served_by().backend, served_by().source) == ("naive", "CONVLIB_BACKEND")
    with convlib.use_backend("marked"):
        assert (served_by().backend, served_by().source) == ("marked", "use_backend")
        assert convlib.conv2d(X, W)[0, 0, 0, 0] == 1000
        with convlib.use_backend("cython"):
            assert served_by().backend == "cython"
        said = served_by(backend="cython")
        assert (said.backend, said.source) == ("cython", "argument")
        assert convlib.conv2d(X, W, backend="naive")[0, 0, 0, 0] == 18
    assert served_by().backend == "naive"


def test_an_empty_variable_counts_as_unset(environment):
    environment(CONVLIB_BACKEND="")
    assert served_by().source == "automatic"


def test_a_variable_with_an_unknown_name_is_refused_with_its_name(environment):
    environment(CONVLIB_BACKEND="imcol")
    with pytest.raises(convlib.BackendError, match=r"unknown backend 'imcol'; known: .*naive.*CONVLIB_BACKEND"):
        convlib.conv2d(X, W)
    assert convlib.conv2d(X, W, backend="naive").shape == (1, 3, 3, 3)


def test_the_context_ends_with_its_block_even_after_an_error():
    with pytest.raises(ZeroDivisionError), convlib.use_backend("naive"):
        raise ZeroDivisionError
    assert served_by().source == "automatic"


def test_the_context_belongs_to_its_thread():
    seen = []
    with convlib.use_backend("naive"):
        thread = threading.Thread(target=lambda: seen.append(served_by().source))
        thread.start()
        thread.join()
        assert served_by().backend == "naive"
    assert seen == ["automatic"]


def test_the_context_belongs_to_its_task():
    async def task(name, ready, go):
        with convlib.use_backend(name):
            ready.set()
            await go.wait()
            return served_by().backend

    async def both():
        ready, go = [asyncio.Event(), asyncio.Event()], asyncio.Event()
        tasks = [asyncio.create_task(task(n, r, go)) for n, r in zip(("naive", "cython"), ready, strict=True)]
        for event in ready:
            await event.wait()
        assert served_by().source == "automatic"
        go.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(both()) == ["naive", "cython"]


# ------------------------------------------------------------------------------- names and algorithms


@pytest.mark.parametrize("name", ["imcol", "", "Naive", "convlib.backends.naive"])
def test_unknown_names_list_the_known_ones(name):
    with pytest.raises(convlib.BackendError, match=r"unknown backend .*known: .*naive"):
        convlib.conv2d(X, W, backend=name)
    with pytest.raises(convlib.BackendError, match=r"unknown backend .*known: .*naive"), convlib.use_backend(name):
        pass


@pytest.mark.parametrize("name", [3, ["naive"], {"naive": 1}, NaiveBackend])
def test_a_backend_is_named_by_a_string(name):
    with pytest.raises(TypeError, match="backend must be a name such as 'im2col'"):
        convlib.conv2d(X, W, backend=name)


def test_algorithms_follow_a_colon(register):
    register(Marked)
    assert convlib.conv2d(X, W, backend="marked:odd")[0, 0, 0, 0] == 2000
    assert served_by(backend="marked:odd").algorithm == "odd"
    with pytest.raises(convlib.UnsupportedError, match=r"no algorithm 'even' for conv; valid: plain, odd"):
        convlib.conv2d(X, W, backend="marked:even")
    with pytest.raises(convlib.UnsupportedError, match="needs an odd kernel"):
        convlib.conv2d(X, W[:, :, :2], backend="marked:odd")
    with pytest.raises(convlib.UnsupportedError, match="no algorithm 'odd' for pool; valid: none"):
        convlib.max_pool2d(X, 2, backend="marked:odd")


def test_a_named_backend_that_cannot_serve_raises_with_its_reason_and_those_who_can(register, environment):
    register(Marked)
    pattern = r"backend 'marked' \(named by: {}\) cannot serve this conv: does not dilate. These can: .*naive"
    with pytest.raises(convlib.UnsupportedError, match=pattern.format("argument")):
        convlib.conv2d(X, W, dilation=2, backend="marked")
    with pytest.raises(convlib.UnsupportedError, match=pattern.format("use_backend")), convlib.use_backend("marked"):
        convlib.conv2d(X, W, dilation=2)
    environment(CONVLIB_BACKEND="marked")
    with pytest.raises(convlib.UnsupportedError, match=pattern.format("CONVLIB_BACKEND")):
        convlib.conv2d(X, W, dilation=2)


def test_the_automatic_choice_falls_through(monkeypatch, register):
    register(Marked)
    rules = (registry.Rule("marked", "*", lambda spec, dtype: True, "for the test"), *registry.POLICY)
    monkeypatch.setattr(policy, "POLICY", rules)
    plugins.changed()
    try:
        assert served_by().backend == "marked"
        assert served_by(dilation=2).backend != "marked"
        assert "does not dilate" in str(served_by(dilation=2))
    finally:
        plugins.changed()


# ------------------------------------------------------------------------------- explain


def test_explain_as_data():
    said = served_by(stride=2, backend="naive")
    assert (said.op, said.dtype, said.backend, said.source) == ("conv", "float32", "naive", "argument")
    assert said.spec == convlib.ConvSpec.make(*SHAPES, stride=2)
    assert {verdict.backend for verdict in said.others} == set(convlib.backends()) - {"naive"}
    assert all(verdict.reason for verdict in said.others)
    assert json.loads(json.dumps(said.as_dict()))["spec"]["stride"] == [2, 2]


def test_explain_as_text(register):
    register(Marked)
    text = str(served_by(dilation=2, backend="naive"))
    assert text.startswith("conv2d of x (1, 2, 5, 5), w (3, 2, 3, 3) in float32: naive (decided by: argument)")
    assert "not marked: does not dilate" in text
    assert "could cython" in text


@pytest.mark.parametrize(
    ("args", "options", "op"),
    [
        (("conv2d", *SHAPES), {"layout": "NCHW", "padding": "same"}, "conv"),
        (("conv1d", (2, 9), (3, 2, 3)), {}, "conv"),
        (("conv2d_grad_input", (1, 3, 3, 3), W.shape, X.shape), {}, "conv_grad_input"),
        (("conv2d_grad_weight", (1, 3, 3, 3), X.shape, W.shape), {}, "conv_grad_weight"),
        (("conv_transpose2d", (1, 3, 3, 3), W.shape), {"stride": 2}, "conv_grad_input"),
        (("max_pool2d", X.shape, 2), {"return_indices": True}, "pool"),
        (("lp_pool3d", (1, 1, 4, 4, 4), 2, (2, 1, 2)), {}, "pool"),
        (("adaptive_avg_pool2d", X.shape, (2, None)), {}, "pool"),
        (("global_max_pool1d", (1, 2, 5)), {}, "pool"),
        (("max_unpool2d", X.shape, X.shape, 2), {}, "unpool"),
    ],
)
def test_explain_takes_what_the_function_takes(args, options, op):
    assert convlib.explain(*args, **options).op == op


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        (("conv2d", X.shape), {}, TypeError, r"conv2d\(\): missing .*: 'w'.* as conv2d\(x, w, bias=None,"),
        (("conv2d_grad_input", (1, 3, 3, 3), W.shape), {}, TypeError, "missing a required argument: 'x_shape'"),
        (("conv4d", *SHAPES), {}, convlib.SpecError, "unknown"),
        ((3, *SHAPES), {}, TypeError, "op must be"),
        (("conv2d", *SHAPES), {"dtype": "O"}, TypeError, "object"),
        (("conv2d", *SHAPES), {"stride": 0}, convlib.SpecError, "stride"),
        (("conv2d", *SHAPES), {"backend": "imcol"}, convlib.BackendError, "unknown backend"),
        (("conv2d", *SHAPES), {"backend": "fft", "dtype": "i4"}, convlib.UnsupportedError, "exact"),
        (("max_pool2d", (-1, 2, 5, 5), 2), {}, convlib.SpecError, "negative"),
        (("max_pool2d", X.shape, 9), {}, convlib.SpecError, "larger"),
        (("max_pool2d", X.shape, 2), {"dtype": "c8"}, TypeError, "no order"),
        (("conv2d", *SHAPES), {"strides": 2}, TypeError, "did you mean 'stride'"),
    ],
)
def test_explain_refuses_what_the_call_would_refuse(args, options, error, words):
    with pytest.raises(error, match=words):
        convlib.explain(*args, **options)


def test_explain_answers_as_the_call_does(register):
    """What explain says and what a call does come from one decision."""
    register(Marked)
    with convlib.use_backend("marked:odd"):
        assert (served_by().backend, served_by().algorithm) == ("marked", "odd")
        assert convlib.conv2d(X, W)[0, 0, 0, 0] == 2000


# ------------------------------------------------------------------------------- register_backend


def test_register_and_unregister():
    convlib.register_backend(Marked())
    try:
        assert "marked" in convlib.backends()
        with pytest.raises(convlib.BackendError, match="belongs to"):
            convlib.register_backend(Marked)
    finally:
        convlib.unregister_backend("marked")
    assert "marked" not in convlib.backends()
    with pytest.raises(convlib.BackendError, match="not added"):
        convlib.unregister_backend("marked")
    with pytest.raises(convlib.BackendError, match="not added"):
        convlib.unregister_backend("naive")


@pytest.mark.parametrize("name", ["", "a:b", "naive"])
def test_names_that_cannot_be_registered(name):
    with pytest.raises(convlib.BackendError, match="name"):
        convlib.register_backend(type("Odd", (NaiveBackend,), {"name": name}))


@pytest.mark.parametrize("kind", [object(), dict, "naive", None])
def test_only_backends_can_be_registered(kind):
    with pytest.raises(TypeError, match=r"convlib\.Backend"):
        convlib.register_backend(kind)


def test_a_backend_that_cannot_run_here_says_why(register):
    class Absent(NaiveBackend):
        name = "absent"

        def available(self):
            return "the library libabsent is missing; pip install absent"

    register(Absent)
    with pytest.raises(convlib.BackendError, match=r"'absent' is not available: .*pip install absent"):
        convlib.conv2d(X, W, backend="absent")
    assert "pip install absent" in str(served_by())


@pytest.mark.parametrize(
    ("name", "arguments", "options", "served"),
    [
        ("conv_transpose2d", ((1, 1, 2, 2), (1, 1, 512, 512)), {"stride": 512}, "cython"),
        ("conv_transpose3d", ((1, 4, 2, 2, 2), (4, 4, 16, 16, 16)), {"stride": 16}, "cython"),
        ("conv_transpose1d", ((1, 1, 200), (1, 1, 10**5)), {"stride": 50_000}, "cython"),
        ("conv_transpose2d", ((1, 64, 8, 8), (64, 16, 8, 8)), {"stride": 8}, "im2col"),
        ("conv_transpose2d", ((1, 64, 16, 16), (64, 64, 8, 8)), {"stride": 8}, "native"),
        ("max_pool2d", ((1, 1, 2000, 2000), 1601), {"stride": 1}, "native"),
        ("sum_pool2d", ((1, 1, 2000, 2000), 801), {"stride": 1, "dtype": "float64"}, "native"),
    ],
)
def test_sizes_at_which_other_ways_pay(name, arguments, options, served):
    assert convlib.explain(name, *arguments, **options).backend == served


def test_a_stride_of_very_many_phases_is_explained_at_once():
    """Each phase is a problem of its own for the engine, which made all 262 144 before it said anything."""
    shapes, before = ((1, 1024, 4096, 4096), (1024, 1024, 1024, 1024)), native_calls.phase_calls.cache_info().misses
    with pytest.raises(convlib.UnsupportedError, match="its stride has more than 1024 phases, each a convolution"):
        convlib.explain("conv_transpose2d", *shapes, stride=512, backend="native")
    assert convlib.explain("conv_transpose2d", *shapes, stride=512).backend == "cython"
    assert native_calls.phase_calls.cache_info().misses == before


def test_huge_windows_and_many_phases_take_no_minutes():
    """By the engine these took more than a minute each."""
    x = np.random.default_rng(0).integers(-9, 10, (1, 1, 1500, 1500)).astype("f4")
    expected = sliding_window_view(sliding_window_view(x, 1201, -1).max(-1), 1201, 2).max(-1)
    np.testing.assert_array_equal(convlib.max_pool2d(x, 1201, stride=1), expected)
    y, w = x[:, :, :2, :2], x[:, :, :700, :700].copy()
    result = convlib.conv_transpose2d(y, w, stride=700)
    np.testing.assert_array_equal(result, np.kron(y[0, 0], w[0, 0])[None, None])
