"""Sixteen threads call everything in orders of their own: the bits are those of one thread alone."""

import random
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

import convlib
from convlib import testing
from convlib.backends.naive import NaiveBackend
from convlib.testing.arrays import arrays_of

THREADS = 16


def answer(case, arrays, **options):
    """Return what a case gives, as bytes; its refusal, if that is it."""
    try:
        found = getattr(convlib, case.call)(*arrays, *case.args, **case.options, **options)
    except convlib.UnsupportedError as error:
        return str(error)
    return [(a.dtype.str, a.shape, a.tobytes()) for a in (found if isinstance(found, tuple) else (found,))]


def differences(calls, expected, rounds=1):
    """Let threads make all calls at the same time, each in its own order; return the places of the wrong answers."""
    wrong, start = [], threading.Barrier(THREADS)

    def work(seed):
        order = list(range(len(calls))) * rounds
        random.Random(seed).shuffle(order)
        with convlib.num_threads(1 + seed % 4):
            start.wait()
            for place in order:
                try:
                    if calls[place]() != expected[place]:
                        wrong.append(place)
                except BaseException as error:  # whatever it is, it is no answer
                    wrong.append((place, repr(error)))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    return wrong


def calls_of(**options):
    """Return the conformance cases, and a call for each that returns its answer."""
    cases = [case for case in testing.cases() if "large" not in case.name or case.fill == "large"]
    return cases, [partial(answer, case, arrays_of(case), **options) for case in cases]


@pytest.mark.parametrize("backend", [None, pytest.param("cython", marks=pytest.mark.slow),
                                     pytest.param("im2col", marks=pytest.mark.slow)])  # fmt: skip
def test_sixteen_threads_get_the_bits_of_one(backend):
    cases, calls = calls_of(backend=backend)
    expected = [call() for call in calls]
    wrong = differences(calls, expected)
    assert not wrong, [(cases[place].name if isinstance(place, int) else place) for place in wrong[:5]]


@pytest.mark.slow
def test_many_rounds_of_everything():
    _, calls = calls_of()
    wrong = differences(calls, [call() for call in calls], rounds=10)
    assert not wrong, wrong[:5]


def test_settings_that_change_all_the_time_change_no_bits():
    """Threads, scratch and cached plans: each call has settings of its own, and the registry changes beneath."""
    w = np.random.default_rng(0).standard_normal((24, 12, 3, 3)).astype("f4")
    w.flags.writeable = False
    x = np.random.default_rng(1).standard_normal((2, 12, 20, 20)).astype("f4")

    class Another(NaiveBackend):
        name = "another"

    def call(number):
        with convlib.max_workspace((1 + number % 3) << 20), convlib.plan_cache(2), convlib.num_threads(1 + number % 3):
            if number == 0:
                convlib.set_num_threads(1 + random.randrange(4))
            return convlib.conv2d(x, w, padding=1, accuracy="strict", backend="native:direct").tobytes()

    calls = [lambda n=number: call(n) for number in range(12)]
    stop = threading.Event()

    def register():
        while not stop.is_set():
            convlib.register_backend(Another)
            convlib.unregister_backend("another")

    thread = threading.Thread(target=register)
    expected = [call() for call in calls]
    try:
        thread.start()
        wrong = differences(calls, expected, rounds=3)
    finally:
        stop.set()
        thread.join()
        convlib.set_num_threads(None)
    assert len(set(expected)) == 1
    assert not wrong, wrong[:5]


def test_scratch_that_is_shared_would_be_noticed():
    """A backend whose threads share one buffer, as one with a static array does."""
    shared = np.zeros(4)

    def call(value):
        shared[...] = value
        time.sleep(1e-3)  # others run meanwhile
        return shared.sum()

    calls = [lambda v=value: call(v) for value in range(20)]
    assert differences(calls, [4.0 * value for value in range(20)])
