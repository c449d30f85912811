"""The plan cache: what it keeps, and that no change of an array deceives it."""

import gc
import threading

import numpy as np
import pytest

import convlib
from convlib import SpecError, config
from convlib.functional import kept

RNG = np.random.default_rng(0)
X = RNG.integers(-3, 4, (1, 16, 9, 9)).astype(np.float32)
OPTIONS = {"padding": 1, "accuracy": "strict"}


def weights(read_only=True, **more):
    w = RNG.integers(-3, 4, (16, 16, 3, 3)).astype(np.float32)
    w.flags.writeable = not read_only
    return w


def expected(w, bias=None):
    with convlib.num_threads(1):
        return convlib.conv2d(X, np.array(w), None if bias is None else np.array(bias), backend="cython", padding=1)


def call(w, bias=None, **more):
    y = convlib.conv2d(X, w, bias, **OPTIONS, **more)
    np.testing.assert_array_equal(y, expected(w, bias))
    return len(kept.active())


def test_a_plan_is_made_once_for_each_kind_of_call():
    w = weights()
    with convlib.plan_cache(8):
        assert call(w) == 1
        first = next(iter(kept.active()._plans.values()))[1]
        assert call(w) == 1
        assert next(iter(kept.active()._plans.values()))[1] is first
        assert call(w, np.ones(16, np.float32)) == 2
        assert call(w, np.full(16, 2, np.float32)) == 3
        convlib.conv2d(X[:, :, 1:], w)
        assert len(kept.active()) == 4
    assert kept.active() is None


def test_views_of_one_array_share_its_plan():
    w = np.ascontiguousarray(weights().transpose(2, 3, 1, 0))
    w.flags.writeable = False
    with convlib.plan_cache(8):
        for _ in range(2):
            y = convlib.conv2d(X, w[...], w_layout="HWIO", **OPTIONS)
            np.testing.assert_array_equal(y, expected(w.transpose(3, 2, 0, 1)))
            assert call(np.moveaxis(w, (3, 2), (0, 1))) <= 2
        assert len(kept.active()) == 2
        assert call(np.moveaxis(w, (3, 2), (0, 1))[::-1]) == 3  # elsewhere in the same memory


def test_what_can_be_written_is_never_kept():
    w = weights(read_only=False)
    seen = w[...]
    seen.flags.writeable = False  # but its owner can be written
    memory = bytearray(w.tobytes())
    shared = np.frombuffer(memory, np.float32).reshape(w.shape)
    shared.flags.writeable = False
    with convlib.plan_cache(8):
        for array in (w, seen, shared):
            assert call(array) == 0
            w += 1
            memory[0:4] = np.float32(3).tobytes()
            assert call(array) == 0


@pytest.mark.parametrize(
    ("good", "bad"),
    [({"stride": 1}, {"stride": True}), ({"groups": 1}, {"groups": 1.0}), ({"flip": False}, {"flip": 0})],
)
def test_what_a_call_refuses_is_refused_after_a_call_that_equals_it(good, bad):
    w = weights()
    with convlib.plan_cache(8):
        convlib.conv2d(X, w, **good)
        with pytest.raises(TypeError, match=next(iter(bad))):
            convlib.conv2d(X, w, **bad)


def test_memory_that_nobody_can_write_is_kept():
    w = np.frombuffer(weights().tobytes(), np.float32).reshape(16, 16, 3, 3)
    with convlib.plan_cache(8):
        assert call(w) == call(w) == 1


def test_a_change_is_seen():
    w = weights()
    with convlib.plan_cache(8):
        assert call(w) == 1
        w.flags.writeable = True
        w += 1
        assert call(w) == 0
        w += 1
        w.flags.writeable = False
        assert call(w) == 1
        bias = np.zeros(16, np.float32)
        call(w, bias)
        bias += 1
        call(w, bias)


def test_freed_weights_take_their_plans_along():
    with convlib.plan_cache(8):
        w = weights()
        assert call(w) == 1
        del w
        gc.collect()
        assert len(kept.active()) == 0


def test_an_address_used_again_meets_no_plan_of_another_array():
    met = set()
    with convlib.plan_cache(64):
        for _ in range(20):
            w = weights()
            assert call(w) == 1
            met.add((id(w), w.ctypes.data))
            del w
    assert len(met) < 20, "no address came twice: the test says nothing"


def test_the_latest_stay():
    arrays = [weights() for _ in range(4)]
    with convlib.plan_cache(2):
        assert [call(w) for w in arrays] == [1, 2, 2, 2]
        order = [plan[0]() for plan in kept.active()._plans.values()]
        assert [array is w for array, w in zip(order, arrays[2:], strict=True)] == [True, True]


def test_out_and_settings_hold():
    w, out = weights(), np.empty((1, 16, 9, 9), np.float32)
    with convlib.plan_cache(8):
        assert convlib.conv2d(X, w, padding=1, out=out, accuracy="strict") is out
        np.testing.assert_array_equal(out, expected(w))
        assert call(w) == 1
        with convlib.use_backend("im2col"):
            assert call(w) == 2
        with pytest.raises(SpecError, match="channel mismatch"):
            convlib.conv2d(X[:, :3], w)
        with pytest.raises(TypeError, match="layout must be"):
            convlib.conv2d(X, w, layout=["NCHW"])


def test_many_threads_share_a_cache():
    arrays, wrong = [weights() for _ in range(6)], []
    with convlib.plan_cache(3):
        cache = kept.active()

        def work():
            for i in range(60):
                w = arrays[i % 6]
                plan = cache.plan(2, X, w, None, (1, 1, 1, 1, "constant", 0, False, "NCHW", "OIHW"), "cython")
                if not np.array_equal(plan(X), truths[i % 6]):
                    wrong.append(i)

        truths = [expected(w) for w in arrays]
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert len(cache) == 3


def test_the_environment_gives_the_process_a_cache(monkeypatch):
    monkeypatch.setenv("CONVLIB_PLAN_CACHE", "4")
    config.read_environment()
    try:
        w = weights()
        assert call(w) == 1
        assert call(w) == 1
        monkeypatch.setenv("CONVLIB_PLAN_CACHE", "many")
        config.read_environment()
        with pytest.raises(SpecError, match="CONVLIB_PLAN_CACHE='many'"):
            convlib.conv2d(X, w)
    finally:
        monkeypatch.undo()
        config.read_environment()


@pytest.mark.parametrize(("size", "error"), [(0, SpecError), (-1, SpecError), (2.0, TypeError), ("8", TypeError)])
def test_sizes_that_are_none(size, error):
    with pytest.raises(error, match="maxsize"):
        convlib.plan_cache(size)
