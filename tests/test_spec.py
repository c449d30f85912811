"""The spec, by meaning: windows are laid out and counted, sizes are never computed by its own formula."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

import convlib
from convlib import ConvSpec, PoolSpec, SpecError
from convlib.spec import make_adaptive, make_pool, make_transpose, make_unpool, origin

BEYOND = "beyond"  # what a window of ceil_mode reaches behind the padding


def line(size, lo, hi):
    """Lay one axis out: its positions, and None for padding."""
    return [None] * lo + list(range(size)) + [None] * hi


def floor_windows(size, k, s, d, lo, hi):
    """Slide a window from the start and keep what it sees, while it fits into the padded axis."""
    axis, windows, start = line(size, lo, hi), [], 0
    while len(seen := axis[start : start + (k - 1) * d + 1]) == (k - 1) * d + 1:
        windows.append(seen[::d])
        start += s
    return windows


def ceil_windows(size, k, s, d, lo, hi):
    """Add to the windows that fit the one that would begin next, if it covers elements that were left over.

    It must begin inside the input or its low padding.
    """
    windows = floor_windows(size, k, s, d, lo, hi)
    span, whole = (k - 1) * d + 1, size + lo + hi
    last_end = (len(windows) - 1) * s + span
    start = len(windows) * s
    if last_end < whole and start < size + lo:
        seen = (line(size, lo, hi) + [BEYOND] * span)[start : start + span]
        windows.append(seen[::d])
    return windows


axes = st.tuples(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 5), st.integers(0, 5)
)  # size, kernel, stride, dilation, lo, hi


def conv_spec(size, k, s, d, lo, hi, **options):
    return ConvSpec.make((1, 1, size), (1, 1, k), stride=s, dilation=d, padding=((lo, hi),), **options)


@given(st.integers(2, 4), st.integers(1, 4), st.integers(1, 3), st.data())
def test_a_window_that_fits_nowhere_is_refused(k, s, d, data):
    room = (k - 1) * d  # one less than it takes
    size = data.draw(st.integers(1, room))
    lo = data.draw(st.integers(0, room - size))
    axis = size, k, s, d, lo, data.draw(st.integers(0, room - size - lo))
    assert not floor_windows(*axis)
    with pytest.raises(SpecError, match="larger than the padded input"):
        conv_spec(*axis)


@given(axes)
def test_the_windows_of_a_convolution_are_those_that_fit(axis):
    windows = floor_windows(*axis)
    assume(windows)
    spec = conv_spec(*axis)
    assert spec.out_size == (len(windows),)
    for o, seen in enumerate(windows):
        inside = [(tap, position) for tap, position in enumerate(seen) if position is not None]
        assert spec.window(0, o) == inside
        assert list(spec.taps(0, o)) == [position for _, position in inside]


@given(axes)
def test_reach_lists_the_outputs_whose_tap_lies_inside_the_input(axis):
    windows = floor_windows(*axis)
    assume(windows)
    spec = conv_spec(*axis)
    for tap in range(axis[1]):
        expected = [o for o, seen in enumerate(windows) if seen[tap] is not None]
        assert list(range(*spec.reach(0, tap))) == expected


@given(axes)
def test_live_taps_are_those_that_some_window_holds(axis):
    windows = floor_windows(*axis)
    assume(windows)
    spec = conv_spec(*axis)
    expected = [tap for tap in range(axis[1]) if any(seen[tap] is not None for seen in windows)]
    assert list(spec.live_taps(0)) == expected
    assert spec.taps_inside(0) == sum(position is not None for seen in windows for position in seen)


@given(axes)
def test_the_windows_of_a_pooling_with_ceil_mode(axis):
    size, k, s, d, lo, hi = axis
    span = (k - 1) * d + 1
    lo, hi = min(lo, span - 1), min(hi, span - 1)
    windows = ceil_windows(size, k, s, d, lo, hi)
    options = {"stride": s, "dilation": d, "padding": ((lo, hi),), "ceil_mode": True, "nd": 1}
    if not windows:
        with pytest.raises(SpecError, match="ceil_mode"):
            PoolSpec.make("avg", (1, 1, size), k, **options)
    else:
        spec = PoolSpec.make("avg", (1, 1, size), k, **options)
        assert spec.out_size == (len(windows),)
        for o, seen in enumerate(windows):
            assert list(spec.taps(0, o)) == [position for position in seen if position not in (None, BEYOND)]
            assert spec.counted(0, o) == sum(position != BEYOND for position in seen)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_keeps_every_stride_th_position_with_the_least_padding(size, k, s, d):
    for name in ("same_upper", "same_lower"):
        spec = ConvSpec.make((1, 1, size), (1, 1, k), stride=s, dilation=d, padding=name)
        (lo,), (hi,) = spec.pad_lo, spec.pad_hi
        kept = len(range(0, size, s))
        assert spec.out_size == (kept,)
        assert (lo, hi) == tuple(sorted((lo, hi), reverse=name == "same_lower"))
        assert abs(lo - hi) <= 1
        if lo + hi:  # one element less would not do
            assert len(floor_windows(size, k, s, d, 0, lo + hi - 1)) < kept
    if s == 1:
        same = ConvSpec.make((1, 1, size), (1, 1, k), dilation=d, padding="same")
        upper = ConvSpec.make((1, 1, size), (1, 1, k), dilation=d, padding="same_upper")
        assert same == upper


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 3))
def test_full_has_a_window_for_every_way_to_touch_the_input(size, k, d):
    spec = ConvSpec.make((1, 1, size), (1, 1, k), dilation=d, padding="full")
    span = (k - 1) * d + 1
    touching = [start for start in range(-2 * span, size + 2 * span) if start < size and start + span > 0]
    assert spec.out_size == (len(touching),)
    assert (-spec.pad_lo[0]) == touching[0]


@given(st.integers(1, 20), st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_causal_never_sees_the_future(size, k, d, s):
    spec = ConvSpec.make((1, 1, size), (1, 1, k), stride=s, dilation=d, padding="causal")
    present = list(range(0, size, s))
    assert spec.out_size == (len(present),)
    assert [max(spec.taps(0, o)) for o in range(len(present))] == present


@given(st.integers(1, 15), st.integers(1, 15))
def test_adaptive_windows_cover_everything_in_order(size, out):
    spec = make_adaptive(1, "avg", (1, 1, size), out)
    windows = [list(spec.taps(0, o)) for o in range(out)]
    assert spec.out_size == (out,)
    assert set(itertools.chain(*windows)) == set(range(size))
    assert windows == sorted(windows)
    assert all(window == list(range(window[0], window[-1] + 1)) for window in windows)
    assert max(map(len, windows)) - min(map(len, windows)) <= 2
    assert windows == [window[::-1] for window in [[size - 1 - p for p in w] for w in windows[::-1]]]  # symmetric


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 5), st.integers(0, 8))
def test_the_formulas_of_the_notes(n, k, s, p):
    """There, ``p`` is the padding of an axis in all."""

    def size(n, k, p=0, s=1):
        return conv_spec(n, k, s, 1, p // 2, p - p // 2).out_size[0]

    if k <= n:
        assert size(n, k) == n - k + 1
    if k <= n + p:
        assert size(n, k, p) == n - k + p + 1
        assert size(n, k, p, s) == (n - k + p + s) // s
    assert size(n, k, k - 1, s) == (n + s - 1) // s
    assert size(n * s, k, k - 1, s) == n


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (((8, 8), (3, 3), {"padding": 1}), (8, 8)),
        (((8, 8), (5, 3), {"padding": (2, 1)}), (8, 8)),
        (((8, 8), (3, 3), {"padding": 1, "stride": 2}), (4, 4)),
        (((8, 8), (3, 5), {"padding": (0, 1), "stride": (3, 4)}), (2, 2)),
        (((6, 8), (1, 2), {}), (6, 7)),
        (((227, 227), (11, 11), {"stride": 4}), (55, 55)),
    ],
)
def test_the_examples_of_the_notes(options, expected):
    size, kernel, more = options
    assert convlib.conv_output_shape((1, 1, *size), (1, 1, *kernel), **more) == (1, 1, *expected)


@pytest.mark.parametrize(
    ("shape", "kernel", "options", "expected"),
    [
        ((9, 9), 4, {"stride": 4, "padding": 2, "ceil_mode": True}, (3, 3)),
        ((5, 5), 3, {"stride": 3, "padding": 1, "ceil_mode": True}, (2, 2)),
        ((4, 4), 3, {"stride": 2, "ceil_mode": True}, (2, 2)),
        ((4, 4), 3, {"stride": 2, "padding": 1, "ceil_mode": True}, (3, 3)),
        ((112, 112), 3, {"stride": 2, "padding": 1}, (56, 56)),
    ],
)
def test_known_pool_shapes(shape, kernel, options, expected):
    assert convlib.pool_output_shape((1, 1, *shape), kernel, **options) == (1, 1, *expected)


def test_known_transposed_shapes():
    up = make_transpose(2, (1, 1, 3, 3), (1, 1, 3, 3), 2, "same_upper")
    assert up.x_shape == (1, 1, 6, 6)
    assert (up.pad_lo, up.pad_hi) == ((0, 0), (1, 1))
    down = make_transpose(2, (1, 1, 3, 3), (1, 1, 3, 3), 2, "same_lower")
    assert (down.pad_lo, down.pad_hi) == ((1, 1), (0, 0))


@given(axes, st.integers(0, 3))
def test_a_transposed_convolution_undoes_the_shape_of_a_convolution(axis, extra):
    windows = floor_windows(*axis)
    size, k, s, d, lo, hi = axis
    assume(windows)
    spec = conv_spec(*axis)
    left = size + lo + hi - ((len(windows) - 1) * s + (k - 1) * d + 1)  # what no window sees at the end
    up = make_transpose(1, spec.y_shape, (1, 1, k), s, ((lo, hi),), left, None, d)
    assert up.x_shape == spec.x_shape
    assert up.y_shape == spec.y_shape
    by_size = make_transpose(1, spec.y_shape, (1, 1, k), s, ((lo, hi),), 0, size, d)
    assert by_size == up


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 4))
def test_unpooling_undoes_the_shape_of_pooling(size, k, s):
    windows = floor_windows(size, k, s, 1, 0, 0)
    assume(windows)
    assert make_unpool(1, (1, 1, len(windows)), k, s, 0, size).x_shape == (1, 1, size)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batched", [True, False])
def test_layout_and_batch_axis(layout, batched):
    spatial, out = (7, 9), (5, 5)
    order = (lambda c, size: (*size, c)) if layout == "NHWC" else (lambda c, size: (c, *size))
    front = (4,) if batched else ()
    spec = ConvSpec.make((*front, *order(6, spatial)), (8, 3, 3, 5), groups=2, layout=layout)
    assert spec.y_shape == (*front, *order(8, out))
    assert (spec.n, spec.c, spec.oc, spec.icg, spec.ocg) == (4 if batched else 1, 6, 8, 3, 4)
    assert spec.reduction == 3 * 15
    assert spec.macs == spec.n * 8 * 25 * 45


def test_zero_sizes():
    assert ConvSpec.make((0, 3, 1, 1), (3, 3, 1, 1)).y_shape == (0, 3, 1, 1)
    assert ConvSpec.make((2, 16, 0, 6), (32, 16, 2, 1), padding=(1, 0)).y_shape == (2, 32, 1, 6)
    assert ConvSpec.make((1, 0, 5), (2, 0, 3)).y_shape == (1, 2, 3)
    with pytest.raises(SpecError, match="larger than the padded input"):
        ConvSpec.make((2, 16, 0, 6), (32, 16, 2, 1))


def test_any_number_of_axes():
    spec = ConvSpec.make((1, 2, 3, 4, 5, 6), (1, 2, 2, 2, 2, 2), padding="same")
    assert spec.out_size == (3, 4, 5, 6)
    assert spec.nd == 4


def test_specs_are_equal_hashable_cached_and_immutable():
    a = ConvSpec.make([1, 2, 5, 5], (3, 2, 3, 3), padding=[1, 1])
    b = ConvSpec.make((1, 2, 5, 5), (3, 2, 3, 3), padding=((1, 1), (1, 1)))
    assert a == b
    assert hash(a) == hash(b)
    assert a is ConvSpec.make((1, 2, 5, 5), (3, 2, 3, 3), padding=(1, 1))
    with pytest.raises(AttributeError):
        a.n = 3
    assert a != ConvSpec.make((1, 2, 5, 5), (3, 2, 3, 3), padding=1, flip=True)


@pytest.mark.parametrize("bad", [1.0, True, "1"])
def test_a_cache_never_takes_a_float_or_bool_for_the_integer_it_equals(bad):
    ConvSpec.make((1, 1, 5), (1, 1, 1), stride=1, groups=1)
    for options in ({"stride": bad}, {"stride": (bad,)}, {"padding": ((bad, 1),)}, {"groups": bad}, {"dilation": bad}):
        with pytest.raises((TypeError, SpecError)):
            ConvSpec.make((1, 1, 5), (1, 1, 1), **options)


def test_unpadded_holds_the_same_windows():
    spec = ConvSpec.make((1, 1, 6, 7), (1, 1, 3, 2), padding=((2, 1), (0, 3)), stride=2)
    inner = spec.unpadded()
    assert inner.in_size == (9, 10)
    assert inner.out_size == spec.out_size
    for axis, lo in enumerate(spec.pad_lo):
        for o in range(spec.out_size[axis]):
            kept = [p - lo for p in inner.taps(axis, o) if 0 <= p - lo < spec.in_size[axis]]
            assert kept == list(spec.taps(axis, o))


def test_shapes_need_no_arrays():
    """A size that no machine holds has a shape all the same."""
    assert convlib.conv_output_shape((1, 1, 10**6, 10**6), (1, 1, 3, 3)) == (1, 1, 10**6 - 2, 10**6 - 2)
    with pytest.raises(SpecError, match="2\\*\\*62 bytes"):
        convlib.conv_output_shape((1, 1, 10**10, 10**10), (1, 1, 3, 3))
    assert math.prod(convlib.pool_output_shape((1, 1, 4, 4), (2, 2), padding=1)) == 9


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_padding_is_made_of_the_elements_that_numpy_takes(mode, size):
    lo, hi = 3 * size + 1, 4 * size
    expected = np.pad(np.arange(size), (lo, hi), mode=mode)
    np.testing.assert_array_equal([origin(mode, p - lo, size) for p in range(len(expected))], expected)


#: Which element a mode repeats at a place before and behind an axis of n elements.
REPEATED = {
    "reflect": lambda i, n: -i if i < 0 else 2 * n - 2 - i,
    "symmetric": lambda i, n: -i - 1 if i < 0 else 2 * n - 1 - i,
    "edge": lambda i, n: 0 if i < 0 else n - 1,
}


@pytest.mark.parametrize("mode", REPEATED)
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_is_left_out_where_each_window_holds_what_it_repeats(mode, dilation):
    found = set()
    for n, k, stride, lo, hi, ceil in itertools.product((3, 6, 7), (2, 3, 5), (1, 2, 3), (0, 1, 2), (0, 1, 2), (0, 1)):
        if max(lo, hi) >= k or n + lo + hi < (k - 1) * dilation + 1:
            continue
        spec = PoolSpec.make(
            "max", (1, 1, n), (k,), stride=stride, padding=((lo, hi),), dilation=dilation, ceil_mode=bool(ceil),
            padding_mode=mode,
        )  # fmt: skip
        held = True
        for o in range(spec.out_size[0]):
            places = [o * stride - lo + tap * dilation for tap in range(k)]
            inside = {i for i in places if 0 <= i < n}
            outside = {REPEATED[mode](i, n) for i in places if -lo <= i < 0 or n <= i < n + hi}
            held &= outside <= inside
        if dilation == 1:
            assert (spec.with_places(False).padding_mode == "constant") == held, spec
        else:  # not looked at
            assert spec.with_places(False).padding_mode == mode
        # Of equal elements the first counts, which may be a mirrored one.
        assert mode == "edge" or spec.with_places(True).padding_mode == mode
        found.add(held)
    assert found == ({True} if mode == "edge" and dilation == 1 else {False, True})


def test_a_pooling_to_a_size_that_divides_is_the_ordinary_one():
    even = make_adaptive(2, "avg", (1, 1, 6, 8), (3, 2))
    assert even == make_pool(2, "avg", (1, 1, 6, 8), (2, 4))
    assert even.with_places(False) is even
    assert (even.places, even.with_places(True).places) == (False, True)


def test_along_live_axes_there_is_more_than_one_element_which_is_the_window():
    assert make_pool(3, "max", (1, 1, 1, 1, 1), 1).live_axes == (2,)  # at least one
    assert make_pool(3, "max", (1, 1, 1, 4, 1), 1).live_axes == (1,)
    assert make_pool(3, "max", (1, 1, 2, 1, 3), (2, 1, 1)).live_axes == (0, 2)
    assert make_pool(2, "max", (1, 1, 1, 1), (2, 1), padding=((1, 0), (0, 0))).live_axes == (0,)
