"""Sizes at which integer types end: refused by name, or answered, and never a signal or a wait."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import SpecError
from convlib.spec.sizes import MOST, count_before

X = np.ones((1, 8, 8, 8), np.float32)  # channels first and last alike
UP = np.ones((8, 1, 3, 3), np.float32)


def fuzz(first, count):
    """Run that many drawn calls, each in a process of its own; return the faults and the outcomes."""
    script = Path(__file__).with_name("size_cases.py")
    done = subprocess.run(
        [sys.executable, str(script), str(first), str(count)], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    *faults, outcomes = map(json.loads, done.stdout.splitlines())
    return faults, outcomes


def test_drawn_sizes_are_refused_or_answered():
    faults, outcomes = fuzz(0, 400)
    assert not faults
    assert outcomes["refused"] > 100
    assert outcomes["answered"] > 40


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 9000, 1000))
def test_many_drawn_sizes_are_refused_or_answered(first):
    faults, _ = fuzz(first, 1000)
    assert not faults


FAR = {"dilation": (274176, 67280421310720), "padding": (137088, 33640210655360), "stride": (2**19, 2**47)}
ABSURD = {
    # windows of 2**64 elements, nearly all of them padding
    "window": (lambda x, **o: convlib.max_pool2d(x, 2**32, padding=2**31, stride=2**33, **o), "stride"),
    "window_1d": (lambda x, **o: convlib.avg_pool1d(x[0], 2**60, padding=2**59, stride=1, **o), "kernel_size"),
    "window_3d": (lambda x, **o: convlib.sum_pool3d(x[None], 2**20, padding=2**19, **o), "kernel_size"),
    "window_ceil": (lambda x, **o: convlib.max_pool2d(x, 2**32, padding=2**31, ceil_mode=True, **o), "kernel_size"),
    "columns": (lambda x, **o: convlib.im2col(x, 2**32, padding=2**31, stride=2**33, **o), "columns"),
    # 274177 * 67280421310721 == 2**64 + 1
    "wraps": (lambda x, **o: convlib.max_pool2d(x, (2, 2), **FAR, **o), "reaches too far"),
    "conv_wraps": (lambda x, **o: convlib.conv2d(x, X[..., :2, :2], **FAR, **o), "reaches too far"),
    "transpose_wraps": (
        lambda x, **o: convlib.conv_transpose2d(x, UP, dilation=2**40, padding=2**40, **o), "dilation"
    ),
    "grad_wraps": (
        lambda x, **o: convlib.sum_pool2d_grad_input(x, x.shape, 2**32, padding=2**31, stride=2**33, **o), "stride"
    ),
    # within 64 bits, but nothing except padding to look at
    "padding": (lambda x, **o: convlib.sum_pool1d(x[0], 2**40, padding=2**40 - 1, stride=2**40, **o), "at most 8"),
    "unpool": (lambda x, **o: convlib.max_unpool2d(x, x.astype(int), 2, stride=2**40, **o), "use sizes|too far"),
}


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", ABSURD)
def test_absurd_sizes_are_refused_by_name(name, layout, backend):
    call, words = ABSURD[name]
    if layout == "NHWC" and name == "columns":
        pytest.skip("im2col has one layout")
    with pytest.raises(SpecError, match=words):
        call(X, backend=backend, **({} if name == "columns" else {"layout": layout}))


@pytest.mark.parametrize("value", [2**62, -(2**62), 2**64, 10**5000], ids=["2**62", "-2**62", "2**64", "10**5000"])
def test_integers_stay_below_two_to_the_62(value):
    with pytest.raises(SpecError, match=r"stride=.*must stay below 2\*\*62"):
        convlib.conv2d(X, X, stride=value)
    with pytest.raises(SpecError, match=r"x_shape=.*must stay below 2\*\*62"):
        convlib.conv_output_shape((1, 1, value), (1, 1, 1))


HUGE = 10**5000  # has no text: Python refuses to write it


@pytest.mark.parametrize(
    "call",
    [
        lambda: convlib.max_pool2d(X, HUGE), lambda: convlib.max_pool2d(X, (1, 2, HUGE)),
        lambda: convlib.conv2d(X, X, padding=((HUGE, 0), (0, -HUGE))), lambda: convlib.conv2d(X, X, groups=HUGE),
        lambda: convlib.conv2d(X, X, padding=1, pad_value=HUGE), lambda: convlib.conv2d(X, X, layout=HUGE),
        lambda: convlib.adaptive_avg_pool2d(X, HUGE), lambda: convlib.lp_pool2d(X, HUGE, 2),
        lambda: convlib.solve_shape(HUGE, 3), lambda: convlib.receptive_field([HUGE]), lambda: convlib.cost(HUGE),
        lambda: convlib.max_workspace(HUGE), lambda: convlib.accuracy(HUGE), lambda: convlib.num_threads(HUGE),
        lambda: convlib.conv2d(X, X, flip=HUGE), lambda: convlib.explain("conv2d", X.shape, X.shape, dtype=HUGE),
        lambda: convlib.costs.connections(HUGE, 3), lambda: convlib.show_config(HUGE),
    ],
)  # fmt: skip
def test_integers_without_a_text_are_refused_like_others(call):
    with pytest.raises((SpecError, TypeError)):
        call()


def test_the_largest_array_has_less_than_two_to_the_62_bytes():
    assert convlib.conv_output_shape((1, 1, MOST - 1), (1, 1, 1)) == (1, 1, MOST - 1)
    with pytest.raises(SpecError, match=f"at most {MOST - 1} on axis 2"):
        convlib.conv_output_shape((1, 1, MOST), (1, 1, 1))


def test_the_most_work_has_less_than_two_to_the_62_window_elements():
    """2**31 windows of 2**31 elements, all of them in the input."""
    assert convlib.conv_output_shape((1, 1, 2**32 - 2), (1, 1, 2**31)) == (1, 1, 2**31 - 1)
    with pytest.raises(SpecError, match=rf"^{2**62} window elements over 1 planes are 2\*\*62 or more"):
        convlib.conv_output_shape((1, 1, 2**32 - 1), (1, 1, 2**31))


@pytest.mark.parametrize(
    ("kernel", "stride", "hi", "served"),
    [
        (2**17, 4, 2**17 - 5, True),  # 2**32 - 2**17 window elements: little enough to look at
        (2**17, 4, 2**17 - 1, False),  # 2**32, of which 2**15 lie in the input
        (2**16, 1, 2**16 - 1, True),  # 2**32, of which 2**16 do
        (2**16 + 1, 1, 2**16, False),  # less than one of 2**16
    ],
)
def test_how_much_padding_is_too_much_to_look_at(kernel, stride, hi, served):
    def make():
        return convlib.PoolSpec.make("sum", (1, 1, 1), kernel, nd=1, stride=stride, padding=((kernel - 1, hi),))

    if served:
        assert make().pad_hi == (hi,)
    else:
        with pytest.raises(SpecError, match=r"window elements over 1 planes only .* lie in the input"):
            make()


@pytest.mark.parametrize(
    ("size", "kernel", "options", "said", "advice"),
    [
        (MOST - 1, 1, {"padding": ((1, 0),), "stride": 2}, "padding lo", "lo [+] hi of at most 0"),
        (9, 3, {"padding": 2**60, "dilation": 2**60}, "dilation", f"at most {(MOST - 2) // 2}"),
        # A smaller stride would not help: the window alone is too large.
        (9, 3, {"padding": 2**59, "dilation": 2**59, "stride": 2**61}, "dilation", f"at most {(MOST - 2) // 2}"),
    ],
)
def test_what_reaches_too_far_is_named(size, kernel, options, said, advice):
    with pytest.raises(SpecError, match=rf"^{said}.* reaches too far: .*; use {advice} on axis 0$"):
        convlib.conv_output_shape((1, 1, size), (1, 1, kernel), **options)


def test_windows_that_reach_far_over_a_large_input_are_served():
    """An echo: two taps, a second apart."""
    x = np.zeros((1, 1, 100_000), np.float32)
    x[..., 0] = 1
    y = convlib.conv1d(x, np.ones((1, 1, 2), np.float32), dilation=44_100, padding="causal")
    assert np.flatnonzero(y).tolist() == [0, 44_100]


EMPTY = {
    "no_channels": ((1, 0, 9, 9), (3, 0, 3, 3), {}),
    "no_outputs": ((1, 2, 9, 9), (0, 2, 3, 3), {}),
    "no_images": ((0, 2, 9, 9), (3, 2, 3, 3), {"padding": 1}),
    "nothing": ((0, 0, 9, 9), (0, 0, 3, 3), {}),
}


@pytest.mark.parametrize("dtype", ["f2", "f4", "i1", "c8"])
@pytest.mark.parametrize("name", EMPTY)
def test_sums_over_nothing_are_zero(name, dtype, backend):
    x_shape, w_shape, options = EMPTY[name]
    x, w = np.ones(x_shape, dtype), np.ones(w_shape, dtype)
    options = {**options, "backend": backend}
    y = convlib.conv2d(x, w, **options)
    assert not y.any()
    bias = np.arange(w_shape[0]).astype(dtype)
    biased = convlib.conv2d(x, w, bias, **options)
    if x.size == 0:
        np.testing.assert_array_equal(biased, np.broadcast_to(bias.reshape(-1, 1, 1), y.shape))
    assert convlib.conv2d(x, w, out=np.empty_like(y), **options).shape == y.shape
    gradients = {} if backend == "fft" else {  # which has none
        "input": convlib.conv2d_grad_input(y, w, x_shape, **options),
        "weight": convlib.conv2d_grad_weight(y, x, w_shape, **options),
    }  # fmt: skip
    assert not any(gradient.any() for gradient in gradients.values())


def test_an_empty_output_takes_any_room():
    x = np.zeros((0, 2, 9, 9), np.float32)
    out = np.empty((0, 3, 7, 7), np.float32)
    assert convlib.conv2d(x, np.ones((3, 2, 3, 3), np.float32), out=out) is out
    out = np.empty((0, 2, 4, 4), np.float32)
    assert convlib.max_pool2d(x, 2, out=out) is out


@pytest.mark.parametrize("shape", [(2, 0), (2, 3)])
def test_empty_results_of_absurd_size_take_no_time(shape):
    n, c = (0, 3) if shape[1] else (2, 0)
    assert convlib.adaptive_max_pool2d(np.ones((n, c, 2, 8), "f4"), 2**20).shape == (n, c, 2**20, 2**20)


def test_size_cliffs_of_options_answer_at_once():
    """Each of these took seconds to minutes."""
    with pytest.raises(SpecError, match="padding=a tuple of 20000 entries has 20000 entries"):
        convlib.conv2d(X, X, padding=[0] * 20_000)
    with pytest.raises(SpecError, match="stride"):
        convlib.conv2d(X, X, stride=(1,) * 20_000)
    with pytest.raises(SpecError, match="max_kernel=2147483648 must be at most"):
        convlib.solve_shape(8, 4, max_kernel=2**31)
    with pytest.raises(SpecError, match="more than 100000 solutions"):
        convlib.solve_shape(2**40, 2)
    assert convlib.solve_shape(2**40, 2**39, kernel_size=3)[0][:3] == (3, 2, 1)
    with pytest.raises(SpecError, match="nd=18446744073709551616 is out of range"):
        convlib.receptive_field([3], nd=2**64)
    assert convlib.receptive_field([{"kernel_size": 2**30, "dilation": 2**20}], nd=1).size == ((2**30 - 1) * 2**20 + 1,)
    large = convlib.explain("conv2d", (1, 1, 2**26, 2**26), (1, 1, 3, 3))
    assert math.prod(large.spec.out_size) == (2**26 - 2) ** 2
    assert convlib.cost("max_pool1d", (1, 1, 2**50), 2**20).macs_inside == 2**50


@pytest.mark.parametrize("algorithm", [None, "direct"])
def test_as_many_strips_as_the_dilation_take_no_time_of_its_square(algorithm):
    """Each row finds its strip at once: a search from the first on took 20 s of processor time."""
    x = np.arange(200_002 * 3, dtype=np.float32).reshape(1, 1, 200_002, 3) % 8
    w = np.array([[1, 2], [4, 8]], np.float32).reshape(1, 1, 2, 2)
    start = time.process_time()
    y = convlib.conv2d(x, w, dilation=(100_001, 1), backend=f"native:{algorithm}" if algorithm else None)[0, 0]
    assert time.process_time() - start < 5
    near, far = x[0, 0, :100_001], x[0, 0, 100_001:]
    np.testing.assert_array_equal(y, near[:, :2] + 2 * near[:, 1:] + 4 * far[:, :2] + 8 * far[:, 1:])


def test_a_plan_is_made_as_fast_for_any_dilation():
    start = time.process_time()
    convlib.explain("conv2d", (1, 1, 2**31, 2), (1, 1, 2, 2), dilation=(2**30, 1))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("limit", range(-3, 25))
def test_pairs_are_counted(limit):
    for outputs, stride, taps, dilation in [(4, 3, 3, 2), (1, 5, 6, 1), (7, 1, 2, 9), (0, 2, 3, 1), (5, 2, 1, 1)]:
        pairs = [(o, t) for o in range(outputs) for t in range(taps) if o * stride + t * dilation < limit]
        assert count_before(limit, outputs, stride, taps, dilation) == len(pairs)
