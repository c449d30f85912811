"""Rubbish in place of any argument of any public function: refused in convlib's own words, without a warning."""

import fractions
import inspect
import io
import random
import re
import traceback

import numpy as np
import pytest

import convlib

ALLOWED = (convlib.SpecError, TypeError, convlib.BackendError, MemoryError)


class Broken:
    """An object that cannot become the array that it says it can."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


class Empty:
    """An object that is nothing in particular."""


class Number(int):
    """An integer of a kind of its own."""


LOOP = []
LOOP.append(LOOP)  # a list that holds itself
FLOATS = np.arange(32.0, dtype="f4")
RUBBISH = [
    LOOP, (LOOP, 1), None,
    True, False, 0, 1, -1, 3, 7, 2**61, 2**62, 2**63, 2**64, -(2**63), 0.5, 1.0, float("nan"), float("inf"),
    1e300, 1j, "", "x", "same", "NHWC", "reflect", "naive", "native:", ":", "fft:tiles", "é\ud800", b"x",
    bytearray(b"1"), (), (1,), (0, 1), (1, 2, 3), ((1, 2), (3, 4)), ((1, -2), (0, 0)), ((),), ("a",), (None,), (1.5,
    2), [1, 2], [[]], [1, [2]], [None], {}, {"a": 1}, set(), frozenset({1}), range(2), range(0), slice(1), object,
    Empty(), Broken(), [Broken()], len, lambda: 1, fractions.Fraction(1, 3), Number(2), np.float32(2), np.int8(2),
    np.bool_(True), np.array(2), np.array([1, 2]), np.array([]), np.array([1.5]), np.array(["a"]), np.array([None]),
    np.zeros((2, 3), "c8"), np.zeros((1, 2, 5, 5), "f4"), np.zeros((1, 2, 5), "?"), np.zeros((2, 0, 5), "f4"),
    np.full((1, 2, 5, 5), np.nan), np.full((1, 2, 5), 2**63, "u8"), np.zeros((1, 2, 5, 5), ">f4"), np.zeros((1, 2,
    5), "M8[s]"), np.zeros(3, [("a", "f4")]), np.ma.zeros((1, 2, 5)), np.zeros((2, 2)), memoryview(b"123"),
    io.StringIO("1"), NotImplemented, ..., Ellipsis, np.broadcast_to(np.float32(1), (1, 2, 5, 5)),
    FLOATS[::-2].reshape(1, 2, 8), np.full((1, 2, 5, 5), 1e30, "f4"), np.full((1, 2, 5, 5), 6e4, "f2"), np.full((1,
    2, 5, 5), -128, "i1"), np.dtype("f4"), "float32", "f2", int, np.float16,
]  # fmt: skip

OTHERS = {
    "cost": ((("conv2d", (1, 2, 5, 5), (3, 2, 3, 3))), {"dtype": "f4", "bias": True}),
    "explain": ((("conv2d", (1, 2, 5, 5), (3, 2, 3, 3))), {"dtype": "f4", "backend": None, "accuracy": None}),
    "receptive_field": (([{"kernel_size": 3, "padding": 1}],), {"nd": 2, "size": 9}),
    "solve_shape": ((8, 4), {"kernel_size": 3, "stride": None, "padding": None, "dilation": 1, "max_kernel": 5}),
    "max_workspace": ((1 << 20,), {}),
    "accuracy": (("fast",), {}),
    "use_backend": (("naive",), {}),
    "plan_cache": ((8,), {}),
    "num_threads": ((1,), {}),
    "conv_output_shape": (((1, 2, 5, 5), (3, 2, 3, 3)), {"stride": 1, "padding": 0, "layout": "NCHW"}),
    "pool_output_shape": (((1, 2, 5, 5), 3), {"stride": 1, "padding": 0, "ceil_mode": True}),
}
FUNCTIONS = sorted({*convlib.functional.__all__, *OTHERS} - {"ConvPlan", "ConvStream"})


def sensible(name):
    """Return positional and keyword arguments that `name` serves."""
    if name in OTHERS:
        return OTHERS[name]
    nd = next((int(c) for c in name if c in "123"), 2)
    space, three, one = (5,) * nd, (3,) * nd, (1,) * nd
    wide = (7,) * nd
    transposed = name.startswith("conv_transpose")
    x = np.ones((1, 2, *space), "f4")
    pooled = (1, 2, *(one if "adaptive" in name or "global" in name or "pool" in name else three))
    y_shape = pooled if "pool" in name else (1, 3, *(wide if transposed else three))
    w = np.ones((2, 3, *three) if transposed else (3, 2, *three), "f4")
    values = {
        "x": x, "w": w, "bias": np.ones(3, "f4"), "grad_y": np.ones(y_shape, "f4"), "x_shape": x.shape,
        "w_shape": w.shape, "kernel_size": 3, "p": 2, "y": np.ones(y_shape, "f4"),
        "image": np.ones((5, 5), "f4"), "scale": 0.5, "zero_point": 0,
        "kernel": np.ones((3, 3), "f4"), "cols": np.ones((1, 18, 9), "f4"), "indices": np.zeros(y_shape, int),
        "output_size": (5, 5) if name == "col2im" else 2,
    }  # fmt: skip
    if name == "requantize":  # of the integers that a sum gives
        values["x"] = x.astype(int)
    if "unpool" in name:
        values.update(x=np.ones((1, 2, *one), "f4"), indices=np.zeros((1, 2, *one), int), output_size=None)
    parameters = inspect.signature(getattr(convlib, name)).parameters.values()
    args = [values[p.name] for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return args, {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def call(name, args, options):
    result = getattr(convlib, name)(*args, **options)
    if hasattr(result, "__enter__"):
        with result:
            convlib.conv1d(np.ones((1, 1, 3)), np.ones((1, 1, 1)))
    if isinstance(result, convlib.functional.ConvPlan):
        result(np.ones(result.spec.x_shape, result.dtype))
    return result


def rubbish_calls(name, seed):
    """Yield calls of a function with one or two arguments replaced."""
    rng = random.Random(f"{name} {seed}")
    args, options = sensible(name)
    places = [*range(len(args)), *options]
    for _ in range(40):
        changed, named = list(args), dict(options)
        for place in rng.sample(places, rng.choice((1, 1, 2)) if len(places) > 1 else 1):
            (changed if isinstance(place, int) else named)[place] = rng.choice(RUBBISH)
        if rng.random() < 0.03:
            named["unknown"] = 1
        if rng.random() < 0.03:
            changed.pop()
        yield changed, named


def faults(name, seed):
    for args, options in rubbish_calls(name, seed):
        with np.errstate(all="raise"):
            try:
                call(name, args, options)
            except ALLOWED as error:
                if re.search("(conv|pool|transpose)nd", str(error)) or len(str(error)) > 2000:
                    yield f"{name}: {error}"
            except Exception:
                yield f"{name}: {traceback.format_exc()[-1500:]}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_sensible_calls_are_served(name):
    assert call(name, *sensible(name)) is not None


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rubbish_is_refused_in_our_own_words(name):
    assert not list(faults(name, 0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 30))
def test_much_rubbish_is_refused_in_our_own_words(seed):
    assert not [fault for name in FUNCTIONS for fault in faults(name, seed)]
