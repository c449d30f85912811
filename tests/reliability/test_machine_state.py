"""A call leaves its thread as it was: vector control word, errno, np.errstate; and denormals stay what they are."""

from pathlib import Path

import numpy as np
import pytest
from tools import python

import convlib

from . import machine

X = np.random.default_rng(0).standard_normal((2, 16, 24, 24)).astype("f4")
W = np.random.default_rng(1).standard_normal((16, 16, 3, 3)).astype("f4")


def refused(backend):
    """Call what is no convolution."""
    with pytest.raises(convlib.SpecError):
        convlib.conv2d(X, W, stride=0, backend=backend)


HALVES = X.astype("f2"), W.astype("f2")
WIDE = X.copy()
WIDE[0, 0, 5, 5] = 1e30  # which fft sums directly
DOUBLES = X.astype("f8")
NORMS = convlib.lp_pool2d(DOUBLES, 3, 3)
CALLS = {
    "conv": lambda backend: convlib.conv2d(X, W, padding=1, backend=backend),
    "conv_grad_weight": lambda backend: convlib.conv2d_grad_weight(X, X, W.shape, padding=1, backend=backend),
    "max_pool": lambda backend: convlib.max_pool2d(X, 3, backend=backend),
    "lp_pool": lambda backend: convlib.lp_pool2d(X, 2, 3, backend=backend),
    "lp_pool_grad": lambda backend: convlib.lp_pool2d_grad_input(NORMS, DOUBLES, NORMS, 3, 3, backend=backend),
    "lp_pool_doubles": lambda backend: convlib.lp_pool2d(DOUBLES, 3, 3, backend=backend),
    "wide": lambda backend: convlib.conv2d(WIDE, W, backend=backend),
    "half": lambda backend: convlib.conv2d(HALVES[0], HALVES[1], backend=backend),
    "refused": lambda backend: refused(backend),
}
COMPILED = ("native", "cython", "im2col", "fft")


@pytest.fixture
def state():
    """Return a function that says what a call must leave alone."""
    if not machine.X86:
        pytest.skip("reads MXCSR and errno as glibc on x86-64 has them")
    return lambda: (machine.control_word(), machine.error_number().value)


def changes(state, call):
    """Return what a call does to the state of its thread."""
    machine.error_number().value = 4321
    before = state()
    call()
    return [(a, b) for a, b in zip(before, state(), strict=True) if a != b]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("backend", COMPILED)
def test_control_word_and_errno_are_left_alone(state, backend, name):
    CALLS[name](backend)  # the first call imports modules, which looks for files
    assert changes(state, lambda: CALLS[name](backend)) == []


@pytest.mark.parametrize("backend", COMPILED)
def test_the_first_call_of_a_shape_leaves_errno_alone(state, backend):
    CALLS["conv"](backend)
    narrow = np.ascontiguousarray(X[..., :19])
    assert changes(state, lambda: convlib.conv2d(narrow, W, dilation=2, backend=backend)) == []


def test_a_call_that_flushes_denormals_would_be_noticed(state):
    before = machine.control_word()
    try:
        word = before | machine.FLUSH_TO_ZERO
        assert changes(state, lambda: machine.set_control_word(word)) == [(before, word)]
    finally:
        machine.set_control_word(before)


def test_a_call_that_leaves_an_error_number_would_be_noticed(state):
    assert changes(state, lambda: setattr(machine.error_number(), "value", 7)) == [(4321, 7)]


@pytest.mark.parametrize("name", [name for name in CALLS if name != "refused"])
@pytest.mark.parametrize("backend", COMPILED)
def test_error_states_of_numpy_stay_as_they_were(backend, name):
    def raised(kind, flag):
        raise AssertionError(f"{kind} {flag}")

    with np.errstate(all="call", call=raised), np.errstate(under="ignore"):
        before = np.geterr(), np.geterrcall()
        CALLS[name](backend)
        assert (np.geterr(), np.geterrcall()) == before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("backend", ["naive", "cython", "im2col", "native"])
def test_denormals_are_numbers(backend, dtype, threads):
    """Neither flushed on the way in nor on the way out; whole multiples of the smallest one have exact sums."""
    tiny = np.finfo(dtype).smallest_subnormal
    units = np.random.default_rng(2).integers(-3, 4, (1, 8, 12, 12))
    w = np.random.default_rng(3).integers(-3, 4, (8, 8, 3, 3))
    expected = convlib.conv2d(units, w, padding=1, backend="naive")
    with convlib.num_threads(threads):
        y = convlib.conv2d(units.astype(dtype) * tiny, w.astype(dtype), padding=1, backend=backend)
        top = convlib.max_pool2d(units.astype(dtype) * tiny, 2, backend=backend)
    np.testing.assert_array_equal(y, expected * tiny)
    assert np.count_nonzero(y) > 800
    np.testing.assert_array_equal(top, convlib.max_pool2d(units, 2, backend="naive") * tiny)


FLUSHER = """
import threading, numpy as np, convlib
from convlib._ext import _threads
from reliability import machine

convlib.set_num_threads(4)
tiny = np.finfo("f4").smallest_subnormal
x, w = np.full((16, 32, 56, 56), tiny), np.ones((32, 32, 1, 1), "f4")
word = machine.control_word()
call = lambda: convlib.conv2d(x, w, backend="native")

def flushing():
    machine.set_control_word(word | machine.FLUSH_TO_ZERO | machine.DENORMALS_ARE_ZERO)
    assert not any(call().any() for _ in range(5))

thread = threading.Thread(target=flushing)
thread.start()
thread.join()
assert _threads.live_workers() == 3
print(all((call() == 32 * tiny).all() for _ in range(5)))
"""


@pytest.mark.skipif(not machine.X86, reason="sets MXCSR as glibc on x86-64 has it")
def test_workers_do_not_inherit_how_their_first_caller_treats_denormals():
    """Each call is computed as its own thread would do it alone, whoever started the workers."""
    done = python("-c", FLUSHER, path=(Path(__file__).parents[1],))
    assert done.stdout == "True\n", done.stderr
