"""Handlers that raise at random times: a call ends with their exception or the right numbers, and the next is right."""

import signal
import sys

import pytest
from tools import python

import convlib
from convlib.backends.native import NativeBackend

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

CODE = """
import random, signal, time
import numpy as np
import convlib
from convlib._ext import _threads

_threads.ask_for_signals(milliseconds=0)
convlib.set_num_threads(3)
rng = np.random.default_rng(0)
x = rng.integers(-3, 4, (4, 16, 40, 40)).astype("f4")
w = rng.integers(-3, 4, (32, 16, 3, 3)).astype("f4")
fixed = w.copy()
fixed.flags.writeable = False
y = convlib.conv2d(x, w, padding=1)

class Alarm(Exception):
    pass

def settings():
    with convlib.use_backend("native"), convlib.max_workspace(1 << 21), convlib.num_threads(2), convlib.plan_cache(4):
        return convlib.conv2d(x, fixed, padding=1)

calls = [
    lambda: convlib.conv2d(x, w, padding=1, backend="native:direct"), lambda: convlib.conv2d(x, w, padding=1),
    lambda: convlib.conv2d(x, w, padding=1, backend="im2col"), lambda: convlib.max_pool2d(x, 3, stride=1),
    lambda: convlib.conv2d_grad_weight(y, x, w.shape, padding=1), lambda: convlib.conv2d(x[:1], w, backend="cython"),
    lambda: convlib.plan_conv2d(x.shape, w, padding=1)(x), settings,
    lambda: convlib.conv2d(x.astype("f2"), w.astype("f2"), padding=1),
]
expected = [call() for call in calls]

def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

times = [min(timed(call) for _ in range(5)) for call in calls]  # of a busy machine not what it makes of one of them

def handler(*_):
    raise Alarm

signal.signal(signal.SIGALRM, handler)
random.seed(SEED)
raised = wrong = 0
before = convlib.config.settings(), convlib.registry.state()
for _ in range(ROUNDS):
    place = random.randrange(len(calls))
    try:
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, times[place] * random.uniform(0.01, 1.2)))
        found = calls[place]()
        signal.setitimer(signal.ITIMER_REAL, 0)  # before the look: array_equal answers False to what is raised in it
        wrong += not np.array_equal(found, expected[place])
    except Alarm:
        raised += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    if BROKEN and random.random() < 0.1:
        expected[place] = expected[place] + 1
    wrong += (convlib.config.settings(), convlib.registry.state()) != before
again = [np.array_equal(call(), answer) for call, answer in zip(calls, expected)]
print(raised > ROUNDS // 10, wrong, all(again), _threads.live_workers())
"""


def raising(rounds, seed, broken=False):
    """Interrupt so many calls; return what the process prints."""
    done = python("-c", f"ROUNDS, SEED, BROKEN = {rounds}, {seed}, {broken}\n{CODE}", OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_handlers_that_raise_leave_everything_whole(seed):
    assert raising(200 if seed == 0 else 2000, seed) == "True 0 True 2\n"


def test_numbers_that_an_interrupt_ruined_would_be_noticed():
    assert "True 0 True" not in raising(50, 0, broken=True)


@pytest.mark.parametrize("method", ["available", "choose"])
def test_what_a_handler_raises_is_no_fault_of_a_backend(monkeypatch, method):
    """A handler runs while a backend is asked what it can: its exception arrives, not a tale of a broken backend."""
    def interrupted(*_):
        signal.raise_signal(signal.SIGALRM)

    def handler(*_):
        raise TimeoutError("enough")

    monkeypatch.setattr(NativeBackend, method, interrupted)
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(TimeoutError, match="enough"):
            convlib.conv1d([[[1.0, 2, 3]]], [[[7.0]]], backend="native", padding=1)
    finally:
        signal.signal(signal.SIGALRM, before)
