"""Ctrl-C during a long call: every loop, in Python, Cython, C and NumPy's passes, lets the handler run soon."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from tools import CLOCK, clock_of

import convlib
from convlib.backends.base import pieces

CALL = """
import numpy as np, convlib, signal, sys, time
from convlib import registry
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it, and so would Python
def ones(*shape, dtype="f4"): return np.ones((1, *shape), dtype)
def flat(*shape, dtype="f4"): return np.broadcast_to(np.ones((), dtype), (1, 1, *shape))
def places(*shape): return np.broadcast_to(np.int64(0), (1, 1, *shape))
x, w, y = ones(1, 3000, 3000), ones(1, 1500, 1500), ones(1, 1501, 1501)
for name in ("naive", "cython", "im2col", "native"):  # their imports take as long as the wait below
    registry.get_backend(name)
print("ready", flush=True)
try:
    convlib.{call}
except KeyboardInterrupt:
    print("stopped", {clock}, flush=True)
"""

#: Of each kind of loop one.
CALLS = [
    'conv2d(x, w, backend="cython")',
    'lp_pool2d(x, 3.5, (2, 1500), stride=1, dilation=(1, 2), padding=(0, 1499), backend="cython")',
    'avg_pool2d(x, 2900, stride=1, backend="naive")',
    'max_pool2d(ones(1, 2, 10**6), (2, 40000), stride=1, return_indices=True, backend="im2col")',
    'conv1d(ones(1, 10**7), ones(1, 20001), backend="native:direct")',  # one row
    'max_pool2d(ones(9, 3000, 3000), 1500, stride=1, return_indices=True, backend="native:pool_places")',
    'max_unpool2d(flat(8000, 8000), places(8000, 8000), 3, backend="cython")',  # GBs of new memory
]

MORE = [
    'conv2d_grad_input(y, w, x.shape, backend="cython")',
    'conv2d_grad_weight(y, x, w.shape, backend="cython")',
    'max_pool2d(x, 1500, stride=1, backend="cython")',
    'avg_pool2d(x, 1500, stride=1, backend="cython")',
    'conv2d(ones(8, 700, 700, dtype="c8"), np.ones((64, 8, 9, 9), "c8"), backend="cython")',
    'conv2d(ones(1, 6000, 6000, dtype="f8"), ones(1, 25, 25, dtype="f8"), backend="cython")',
    'conv_transpose2d(ones(1, 6000, 6000), ones(1, 9, 9), stride=2, backend="cython")',
    'conv2d(x, w, backend="naive")',
    'max_unpool2d(flat(8000, 8000), places(8000, 8000), 3, backend="im2col")',
    'max_unpool2d(flat(8000, 8000), places(8000, 8000), 3, backend="native")',
    'im2col(ones(1, 1500, 1500), (40, 40), backend="cython")',
    'im2col(ones(1, 1500, 1500), (40, 40), backend="im2col")',
    'conv1d(ones(1, 10**7), ones(1, 20001), backend="native")',
    'conv2d(ones(2, 1000, 1000), np.ones((2, 1, 401, 401), "f4"), groups=2, backend="native:depthwise_channels")',
    'max_pool2d(ones(20, 3000, 3000), 1500, stride=1, return_indices=True, backend="native:pool_double")',
    'avg_pool2d(ones(40, 3000, 3000), 1000, stride=1, backend="native:pool_double")',
    'max_pool2d(ones(1, 16000, 16000).transpose(0, 1, 3, 2), 16000, backend="native")',  # a window is copied whole
    'avg_pool2d(ones(1, 3000, 3000, dtype="i1"), 1000, stride=1, backend="native")',
    'max_pool2d(ones(1000, 1000, 16), 500, stride=1, layout="NHWC", backend="native:pool_channels")',
    'max_pool2d(ones(1000, 1000, 16), 500, stride=1, layout="NHWC", return_indices=True, backend="native:pool_double")',
]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("call", [*CALLS, *(pytest.param(call, marks=pytest.mark.slow) for call in MORE)])
def test_interrupt_is_answered(call):
    with subprocess.Popen(
        [sys.executable, "-P", "-c", CALL.format(call=call, clock=CLOCK)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=os.environ | {"CONVLIB_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    ) as child:  # fmt: skip
        try:
            assert child.stdout.readline() == "ready\n"
            time.sleep(0.3)
            sent = clock_of(child.pid)
            child.send_signal(signal.SIGINT)
            answer, errors = child.communicate(timeout=60)
        finally:
            child.kill()
        assert answer.startswith("stopped "), (child.returncode, errors)
    assert float(answer.split()[1]) - sent < 3  # a second, of two threads, with room


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "MOST", 7)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (100,), (3, 5, 4), (2, 1, 50), (1, 8, 8)])
@pytest.mark.parametrize("turned", [False, True])
def test_pieces_are_small_and_cover_an_array_once(shape, turned, in_order):
    a = np.zeros(shape, int)
    a = a.T[::-1] if turned and shape else a
    numbers = np.arange(a.size).reshape(a.shape)
    seen = []
    for at in pieces.pieces(a, in_order):
        assert a[at].size <= 7
        a[at] += 1
        seen += numbers[at].ravel().tolist()
    assert (a == 1).all()
    assert sorted(seen) == list(range(a.size))
    if in_order:
        assert seen == sorted(seen)


@pytest.mark.usefixtures("small_pieces")
def test_writing_by_pieces_is_writing():
    a, row = np.zeros((3, 5, 4), np.float32), np.arange(4)
    pieces.assign(a, row)
    np.testing.assert_array_equal(a, np.broadcast_to(row, a.shape))
    pieces.add(a, np.arange(60).reshape(3, 5, 4))
    np.testing.assert_array_equal(a, row + np.arange(60).reshape(3, 5, 4))
    pieces.assign(a, 2)
    assert (a == 2).all()


@pytest.mark.usefixtures("small_pieces")
def test_of_equal_places_the_last_stays_whatever_lies_first_in_memory():
    x = np.arange(36.0).reshape(1, 1, 6, 6).transpose(0, 1, 3, 2)
    places = np.repeat(np.arange(4), 9).reshape(1, 1, 6, 6)
    y = convlib.max_unpool2d(x, places.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2), 2, backend="im2col")
    expected = convlib.max_unpool2d(x, places, 2, backend="naive")
    np.testing.assert_array_equal(y, expected)
