"""What functions say and keep: errors speak of what their user wrote, nothing is lost in silence, settings end."""

import contextvars
import gc
import random
import re
import signal
import time

import numpy as np
import pytest

import convlib
from convlib import SpecError, config

X = np.ones((1, 2, 5, 5), np.float32)
W = np.ones((3, 2, 3, 3), np.float32)
IMAGE = np.arange(30, dtype=np.float32).reshape(5, 6)


# ------------------------------------------------------------------------------- words of their own


SAID = {
    "filter_image": (lambda: convlib.filter2d(np.ones(3), [[1]]), SpecError, "image has 1 axes .3,.; expected .H, W."),
    "filter_kernel": (lambda: convlib.filter2d(IMAGE, [1, 2]), SpecError, "kernel has 1 axes .2,.; expected .KH, KW."),
    "filter_empty": (lambda: convlib.filter2d(IMAGE, np.ones((0, 3))), SpecError, "kernel has the shape .0, 3."),
    "filter_boundary": (lambda: convlib.filter2d(IMAGE, [[1]], boundary="x"), SpecError, "boundary='x' is unknown"),
    "filter_scipy": (lambda: convlib.filter2d(IMAGE, [[1]], boundary="nearest"), SpecError, "did you mean 'edge'"),
    "conv_scipy": (lambda: convlib.conv2d(X, W, padding_mode="mirror"), SpecError, "did you mean 'reflect'"),
    "filter_valid": (
        lambda: convlib.filter2d(IMAGE, np.ones((7, 3)), mode="valid"), SpecError, r"kernel \(7, 3\) .*image \(5, 6\)"
    ),
    "filter_dtype": (lambda: convlib.filter2d(IMAGE.astype(object), [[1]]), TypeError, "image has dtype object"),
    "filter_kernel_dtype": (lambda: convlib.filter2d(IMAGE, [["a"]]), TypeError, "kernel has dtype <U1"),
    "filter_nothing": (
        lambda: convlib.filter2d(np.ones((0, 3)), [[1, 1, 1]]), SpecError, r"boundary='reflect' .* empty axis of image"
    ),
    "filter_out": (lambda: convlib.filter2d(IMAGE, [[1]], out=IMAGE[1:]), SpecError, r"out .*\(4, 6\).*\(5, 6\)"),
    "filter_out_list": (lambda: convlib.filter2d(IMAGE, [[1]], out=[[1]]), TypeError, "out must be an array, not list"),
    "pool_missing": (lambda: convlib.max_pool2d(X), TypeError, r"max_pool2d\(\): missing .*'kernel_size'"),
    "pool_many": (lambda: convlib.avg_pool1d(X, 2, 3, 4), TypeError, r"avg_pool1d\(\): too many positional"),
    "pool_unknown": (lambda: convlib.lp_pool3d(X, 2, 3, acuracy=1), TypeError, r"lp_pool3d\(\): .*'acuracy'"),
    "pool_accuracy": (lambda: convlib.max_pool2d(X, 2, accuracy="fast"), TypeError, r"max_pool2d\(\): .*'accuracy'"),
    "plane": (lambda: convlib.max_pool2d(IMAGE, 2), SpecError, r"a single plane \(H, W\) is x\[None\]"),
    "plane_last": (lambda: convlib.max_pool2d(IMAGE, 2, layout="NHWC"), SpecError, r"is x\[\.\.\., None\]"),
    "plane_columns": (lambda: convlib.im2col(IMAGE, 2), SpecError, r"x\[None, None\], or x\[None\] with .*\(2, 2\)"),
    "no_axes": (lambda: convlib.pool_output_shape((), 2), SpecError, "x has 0 axes"),
    "no_window": (lambda: convlib.im2col(X, ()), SpecError, "kernel_size=.. names no axis"),
    "columns_size": (
        lambda: convlib.col2im(np.ones((8, 9)), 4, (2, 2)), SpecError, r"output_size=\(4,\) has 1 entries"
    ),
    "pairs": (lambda: convlib.conv2d(X, W, padding=((1, -2), (0, 0))), SpecError, r"padding=\(\(1, -2\), \(0, 0\)\)"),
    "same": (
        lambda: convlib.conv_transpose1d(X[..., 0], W[:2, :, 0], stride=2, padding="same"), SpecError, "size \\* stride"
    ),
    "pad_value": (
        lambda: convlib.conv2d(X, W, padding=1, padding_mode="edge", pad_value=2), SpecError, "pad_value=2 has no eff"
    ),
    "pad_value_large": (
        lambda: convlib.conv2d(X.astype(int), W.astype(int), padding=1, pad_value=2**63), SpecError, "pad_value=.*int64"
    ),
    "plan_bias": (lambda: convlib.plan_conv2d(X.shape, W, np.ones(2)), SpecError, r"bias has the shape \(2,\).*\(3,\)"),
    "plan_bias_0d": (lambda: convlib.plan_conv2d(X.shape, W, 1.0), SpecError, r"bias has the shape \(\)"),
    "plan_bias_im2col": (
        lambda: convlib.plan_conv2d(X.shape, W, np.ones((3, 1)), backend="im2col"), SpecError, "bias has the shape"
    ),
    "plan_dtype": (lambda: convlib.plan_conv2d(X.shape, W, dtype="float23"), TypeError, "dtype='float23' is no"),
    "indices": (lambda: convlib.max_pool2d(X, 2, return_indices=1), TypeError, "return_indices must be True or False"),
    "fields": (lambda: convlib.receptive_field([], nd=0), SpecError, "nd=0 is out of range; valid: 1 to"),
    "explain": (lambda: convlib.explain("filter2d", (5, 6)), TypeError, "missing .*'kernel'; .* filter2d"),
    "explain_filter": (
        lambda: convlib.explain("filter2d", (5, 6), (3, 3), stride=2), TypeError, r"filter2d\(\): .*'stride'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_what_is_said(name):
    call, kind, words = SAID[name]
    with pytest.raises(kind, match=words) as caught:
        call()
    assert not any(word in str(caught.value) for word in ("_poolnd", "_convnd"))
    if name.startswith("filter"):
        assert "padding" not in str(caught.value)


def test_unpooling_an_odd_size_names_output_size():
    y, indices = convlib.max_pool2d(np.arange(50.0).reshape(1, 2, 5, 5), 2, ceil_mode=True, return_indices=True)
    with pytest.raises(SpecError, match=r"the size \(6, 6\) is a guess.* as output_size"):
        convlib.max_unpool2d(y, indices + 20, 2)
    assert convlib.max_unpool2d(y, indices, 2, output_size=5).max() == 49


def test_explain_knows_every_public_operator():
    told = convlib.explain("filter2d", (5, 6), (3, 3), boundary="edge")
    assert (told.op, told.spec.y_shape, told.spec.padding_mode) == ("conv", (5, 6, 1), "edge")
    assert convlib.explain("filter2d", (5, 6, 3), (3, 3), mode="full").spec.y_shape == (7, 8, 3)
    assert convlib.cost("filter2d", (5, 6, 3), (3, 3), mode="valid").macs == 3 * 12 * 9
    assert convlib.cost("im2col", (1, 2, 5, 5), 3).nbytes == 4 * (50 + 18 * 9)
    assert convlib.cost("col2im", (1, 18, 9), (5, 5), 3, padding=0).macs == 18 * 9


# ------------------------------------------------------------------------------- results


def test_filter2d_returns_the_array_that_it_filled():
    out = np.empty_like(IMAGE)
    assert convlib.filter2d(IMAGE, np.ones((3, 3), "f4"), out=out) is out
    np.testing.assert_array_equal(out, convlib.filter2d(IMAGE, np.ones((3, 3), "f4")))
    colour = np.repeat(IMAGE[..., None], 3, 2)
    out = np.empty_like(colour)
    assert convlib.filter2d(colour, np.ones((3, 3), "f4"), out=out) is out


def test_out_of_a_subclass_is_filled_as_the_array_behind_it(tmp_path):
    out = np.zeros(IMAGE.shape, np.float32).view(np.matrix)
    assert convlib.filter2d(IMAGE, np.ones((1, 1), "f4"), out=out) is out
    np.testing.assert_array_equal(np.asarray(out), IMAGE)
    out = np.memmap(tmp_path / "y", np.float32, "w+", shape=(1, 3, 3, 3))
    assert convlib.conv2d(X, W, out=out) is out
    assert (out == 18).all()
    plan = convlib.plan_conv2d(X.shape, W)
    assert plan(X, out) is out
    y, places = convlib.max_pool2d(X, 3, stride=1, out=out[:, :2], return_indices=True)
    assert type(y) is np.memmap
    assert places.shape == y.shape
    with pytest.raises(TypeError, match=r"out is a masked array.*out\.data"):
        convlib.conv2d(X, W, out=np.ma.zeros((1, 3, 3, 3), dtype="f4"))


def test_a_plan_takes_what_calls_take():
    plan = convlib.plan_conv2d(X.shape, W)
    np.testing.assert_array_equal(plan(X.astype(">f4")), plan(X))
    np.testing.assert_array_equal(plan(X.tolist()), plan(X))
    swapped = convlib.plan_conv2d(X.shape, W, dtype=">f4")
    np.testing.assert_array_equal(swapped(X), plan(X))
    complex_ = convlib.plan_conv2d(X.shape, W, np.full(3, 1j))
    np.testing.assert_array_equal(complex_(X), convlib.conv2d(X, W, np.full(3, 1j)))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16", "i1", "u8"])
def test_lists_are_weak_as_python_numbers_are(dtype):
    x = np.ones((1, 1, 4), dtype)
    integers, floats, complexes = [[[1, 2]]], [[[0.5, 2]]], [[[1j, 2]]]
    for w, number in ((integers, 1), (floats, 1.0), (complexes, 1j)):
        expected = np.result_type(x.dtype, number)
        got = convlib.conv1d(x, w).dtype
        assert got == (np.dtype(int) if expected.kind in "iu" else expected)
        assert convlib.conv1d(w, x[..., :1]).dtype == got
    if np.dtype(dtype).kind == "f":
        assert convlib.filter2d(x[0], [[1.0, 2.0]]).dtype == np.dtype(dtype)
        assert convlib.conv1d(x, np.ones((1, 1, 2), dtype), [0.5]).dtype == np.dtype(dtype)
        assert convlib.plan_conv1d(x.shape, floats, dtype=dtype)(x).dtype == np.dtype(dtype)


def test_lists_of_arrays_keep_their_type():
    x = np.ones((1, 1, 4), "f4")
    assert convlib.conv1d(x, [[np.ones(2)]]).dtype == np.float64
    assert convlib.conv1d([[[1, 2]]], [[[0.5]]]).dtype == np.float64
    assert convlib.max_unpool1d(x, [[[0, 2, 4, 6]]], 2).dtype == np.float32
    with pytest.raises(SpecError, match="w holds numbers that float16 cannot"):
        convlib.conv1d(x.astype("f2"), [[[1e6]]])


# ------------------------------------------------------------------------------- masks and units


class Marked:
    """An array with a mask beside it, as astronomers have."""

    def __init__(self, data, mask):
        self.data, self.mask = data, mask

    def __array__(self, *args, **kwargs):
        return np.array(self.data)


class Measured:
    """An array with a unit beside it."""

    unit = "m"

    def __init__(self, value):
        self.value = value

    def __array__(self, *args, **kwargs):
        return np.array(self.value)


ROW = np.ma.masked_array([1.0, 2.0, 3.0], [0, 1, 0])
LOST = {
    "masked": (ROW[None, None], r"x is a masked array.*x\.filled\(0\)"),
    "masked rows": ([[ROW, ROW]], r"x\[0\]\[0\] is a masked array.*filled"),
    "masked number": ([[[1.0, np.ma.masked]]], r"x\[0\]\[0\]\[1\] is a masked array"),
    "mask beside": (Marked(np.ones((1, 1, 3)), np.zeros((1, 1, 3), bool)), r"x is a Marked with a mask.*x\.data"),
    "unit": (Measured(np.ones((1, 1, 3))), r"x is a Measured with a unit.*x\.value"),
    "units in a list": ([[Measured(np.ones(3))]], r"x\[0\]\[0\] is a Measured with a unit"),
}


@pytest.mark.parametrize("name", LOST)
def test_masks_and_units_are_not_lost_in_silence(name):
    x, words = LOST[name]
    with pytest.raises(TypeError, match=words):
        convlib.max_pool1d(x, 2)
    with pytest.raises(TypeError, match=re.sub(r"\bx\b", "w", words)):
        convlib.conv1d(np.ones((1, 1, 3)), x)


def test_without_a_mask_the_call_that_converts_is_named():
    x = Marked(np.ones((1, 1, 4)), None)
    with pytest.raises(TypeError, match=r"x is a Marked of .*convert it to NumPy: numpy\.asarray\(x\)"):
        convlib.max_pool1d(x, 2)
    assert convlib.max_pool1d(np.asarray(x), 2).shape == (1, 1, 2)


# ------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("nbytes", [2**62, 2**63, 2**64, 0, -1, (1 << 20) - 1])
def test_a_bound_on_scratch_that_nothing_could_keep(nbytes, environment):
    with pytest.raises(SpecError, match=r"nbytes=.*at least 1048576 .*less than 2\*\*62"):
        convlib.max_workspace(nbytes)
    environment(CONVLIB_MAX_WORKSPACE=str(nbytes))
    with pytest.raises(SpecError, match=r"CONVLIB_MAX_WORKSPACE=.*at least 1048576"):
        convlib.conv2d(X, W)


@pytest.mark.parametrize("nbytes", [float("inf"), float("nan"), 1e8, None, True, "64 MiB"])
def test_a_bound_on_scratch_that_is_no_number_of_bytes(nbytes):
    with pytest.raises((TypeError, SpecError), match="nbytes"):
        convlib.max_workspace(nbytes)


class Interrupted(BaseException):
    """What the handler of a signal raises."""


def interrupted(seconds):
    """Enter and leave settings until an interrupt comes; return whether one did.

    It does not if it meets a finalizer, in which errors are lost.
    """
    latest = time.monotonic() + 1
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while time.monotonic() < latest:
            with convlib.accuracy("strict"), convlib.num_threads(1), convlib.max_workspace(1 << 21):
                pass
    except Interrupted:
        return True
    return False


def test_no_setting_outlives_an_interrupt():
    """Signals arrive anywhere, also between the last line of a block and the first of its end."""

    def interrupt(*_):
        raise Interrupted

    old, delays = signal.signal(signal.SIGALRM, interrupt), random.Random(0)
    gc.disable()  # hypothesis is called back by it, and what is raised there only warns
    try:
        interrupts = 0
        for _ in range(3000):
            interrupts += interrupted(1e-5 + 2e-4 * delays.random())
            assert config.get_accuracy() == "fast"
            assert config.get_max_workspace() == config.DEFAULT_WORKSPACE
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()
    assert interrupts > 2900


def test_settings_nest_and_decorate():
    @convlib.accuracy("strict")
    def inside():
        return config.get_accuracy()

    assert [inside(), inside(), config.get_accuracy()] == ["strict", "strict", "fast"]
    strict = convlib.accuracy("strict")
    with strict, convlib.accuracy("fast"):
        assert config.get_accuracy() == "fast"
        with pytest.raises(SpecError, match="holds already"):
            strict.__enter__()
    assert config.get_accuracy() == "fast"
    with strict:
        assert config.get_accuracy() == "strict"


def test_settings_that_are_entered_again_lie_in_no_circle():
    """Each entering is a block of its own: what lay in an earlier one does not lead back to it."""
    strict, fast = convlib.accuracy("strict"), convlib.accuracy("fast")
    with strict, fast:
        context = contextvars.copy_context()
    for first, second in ((strict, fast), (fast, strict), (strict, strict)):
        first.__enter__()
        if second is not first:
            second.__enter__()
        first.__exit__(None, None, None)  # not in the order of entering
        if second is not first:
            assert config.get_accuracy() == second._value
            second.__exit__(None, None, None)
        assert config.get_accuracy() == "fast"
    with strict:
        assert context.run(config.get_accuracy) == "fast"


# ------------------------------------------------------------------------------- floating-point errors


def served(call, backend):
    """Call with every floating-point error raised; return whether the backend serves that."""
    with np.errstate(all="raise"):
        try:
            call({"backend": backend})
        except convlib.UnsupportedError:
            return False
    return True


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8"])
@pytest.mark.parametrize("value", [6e4, 1e38, 1e-45, 1e300, np.inf, np.nan])
def test_what_numpy_is_told_to_do_with_overflow_does_not_reach_calls(dtype, value, backend):
    with np.errstate(all="ignore"):
        x, w, y = (np.full(s, value).astype(dtype) for s in ((1, 2, 6, 6), (2, 2, 3, 3), (1, 2, 4, 4)))
    calls = [
        lambda o: convlib.conv2d(x, w, x[0, :, 0, 0], **o),
        lambda o: convlib.conv2d(x, w, padding=1, pad_value=1e300, **o),
        lambda o: convlib.conv_transpose2d(x, w, x[0, :, 0, 0], **o),
        lambda o: convlib.conv2d_grad_input(y, w, x.shape, **o),
        lambda o: convlib.conv2d_grad_weight(y, x, w.shape, **o),
        lambda o: convlib.avg_pool2d(x, 3, stride=1, **o),
        lambda o: convlib.sum_pool2d(x, 3, stride=1, **o),
        lambda o: convlib.avg_pool2d_grad_input(y, x.shape, 3, stride=1, **o),
        lambda o: convlib.adaptive_avg_pool2d_grad_input(y, x.shape, **o),
        lambda o: convlib.col2im(np.tile(x.reshape(2, 36), (9, 1))[:, :16], (6, 6), 3, **o),
    ]
    refused = [call for call in calls if not served(call, backend)]
    assert backend not in ("naive", "cython") or not refused
