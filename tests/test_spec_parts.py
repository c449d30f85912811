"""What the spec says of boxes of windows and of inputs, and of padding in memory, against lists of single windows."""

import importlib
import itertools
import math
import sys

import numpy as np
import pytest

from convlib import ConvSpec, PoolSpec, SpecError
from convlib.spec import check_ending, make_adaptive, make_pool, make_scatter, runs, sizes, weight_order
from convlib.spec.arguments import frozen
from convlib.spec.windows import needs_padding, plain_padded, repeats, zero_padded

SPECS = {
    s: [
        PoolSpec.make("sum", (1, 1, n), (k,), stride=s, dilation=d, padding=((lo, hi),), ceil_mode=bool(ceil))
        for n, k, d, lo, hi, ceil in itertools.product((1, 4, 7), (1, 2, 3), (1, 2), (0, 2), (0, 1), (0, 1))
        if max(lo, hi) < k and n + lo + hi >= (k - 1) * d + 1
    ]
    for s in (1, 2, 4)
}


def boxes(size):
    """All stretches of an axis."""
    return [slice(begin, end) for begin in range(size) for end in range(begin + 1, size + 1)]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_box_of_windows_needs_the_inputs_under_it(stride):
    for spec in SPECS[stride]:
        longest = dict.fromkeys(range(1, spec.out_size[0] + 1), 0)
        for box in boxes(spec.out_size[0]):
            part, (inputs,), (outputs,) = spec.under([box])
            assert (outputs, part.out_size) == (box, (box.stop - box.start,))
            assert part.in_size == (inputs.stop - inputs.start,)
            assert min(part.pad_lo + part.pad_hi) >= 0
            for o in range(box.stop - box.start):
                whole = spec.window(0, box.start + o)
                assert [(tap, at + inputs.start) for tap, at in part.window(0, o)] == whole
                assert part.counted(0, o) == spec.counted(0, box.start + o)
            first, last = (o * spec.stride[0] - spec.pad_lo[0] for o in (box.start, box.stop - 1))
            covered = range(max(0, first), min(spec.in_size[0], last + spec.extent(0)))
            whole = box == slice(0, spec.out_size[0])  # which keeps what no window sees
            assert inputs == (slice(0, spec.in_size[0]) if whole else slice(covered.start, covered.stop))
            longest[box.stop - box.start] = max(longest[box.stop - box.start], inputs.stop - inputs.start)
        for outputs, inputs in longest.items():
            reach = (outputs - 1) * spec.stride[0] + spec.extent(0)
            assert inputs <= spec.span(0, outputs) == (
                spec.in_size[0] if outputs == spec.out_size[0] else min(spec.in_size[0], reach)
            )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_box_of_inputs_goes_with_the_windows_above_it(stride):
    for spec in SPECS[stride]:
        for box in boxes(spec.in_size[0]):
            part, (inputs,), (outputs,) = spec.above([box])
            assert inputs == box
            assert (part.in_size, part.out_size) == ((box.stop - box.start,), (outputs.stop - outputs.start,))
            assert min(part.pad_lo + part.pad_hi) >= 0
            mine = set(range(box.start, box.stop))
            for o in range(spec.out_size[0]):
                held = [(tap, at - box.start) for tap, at in spec.window(0, o) if at in mine]
                if outputs.start <= o < outputs.stop:
                    assert part.window(0, o - outputs.start) == held
                else:
                    assert held == []
            assert 1 <= outputs.stop - outputs.start <= max(1, spec.over(0, box.stop - box.start))
            if box == slice(0, spec.in_size[0]):
                assert (outputs, part) == (slice(0, spec.out_size[0]), spec)
                continue
            # From the first that reaches into the box, or begins before it, to the last that does not begin behind it.
            starts = [o * stride - spec.pad_lo[0] for o in range(spec.out_size[0])]
            reaching = [o for o, start in enumerate(starts) if start + spec.extent(0) > box.start]
            before = [o for o, start in enumerate(starts) if start <= box.start]
            first = min(reaching[:1] + before[-1:] + [spec.out_size[0] - 1])
            last = max([first, *(o for o, start in enumerate(starts) if start < box.stop)])
            assert outputs == slice(first, last + 1)
            end = starts[last] + spec.extent(0)
            assert (part.pad_lo, part.pad_hi) == ((box.start - starts[first],), (max(0, end - box.stop),))


def test_how_many_windows_hold_neighbouring_inputs():
    spec = PoolSpec.make("sum", (1, 1, 99), (3,), stride=2, dilation=2)  # of five elements
    assert [spec.over(0, inputs) for inputs in (1, 2, 3, 99)] == [4, 4, 5, 48]
    assert spec.out_size == (48,)


def test_an_axis_can_be_cut_where_no_window_sees_padding_alone():
    for lo, hi, cut in ((0, 0, True), (4, 0, True), (0, 4, True), (5, 0, False), (0, 5, False)):
        spec = ConvSpec.make((1, 1, 9), (1, 1, 3), dilation=2, padding=((lo, hi),))
        assert spec.divisible(0) == cut


@pytest.mark.parametrize(("size", "out", "longest"), [(5, 3, 3), (7, 5, 3), (3, 2, 3), (1, 2, 1), (6, 3, 2)])
def test_the_longest_window_of_an_adaptive_pooling(size, out, longest):
    spec = make_adaptive(1, "avg", (1, 1, size), out)
    assert spec.longest == (longest,)
    assert max(len(spec.taps(0, o)) for o in range(out)) <= longest
    assert spec.taps_inside(0) == sum(len(spec.taps(0, o)) for o in range(out))


def test_padded_values_get_no_gradient_but_as_the_largest_element():
    asked = make_pool(1, "lp", (1, 1, 9), 3, padding=1, norm=2, pad_value=3)
    assert asked.pad_value == 3
    assert asked.of_gradient() == make_pool(1, "lp", (1, 1, 9), 3, padding=1, norm=2)
    extreme = make_pool(1, "lp", (1, 1, 9), 3, padding=1, norm=math.inf, pad_value=3)
    assert extreme.of_gradient() is extreme
    plain = make_pool(1, "avg", (1, 1, 9), 3, padding=1)
    assert plain.of_gradient() is plain


def test_padded_zeros_change_no_sum_and_other_values_do():
    sums = {kind: make_pool(1, kind, (1, 1, 9), 3, padding=1) for kind in ("sum", "avg")}
    for kind, plain in sums.items():
        assert make_pool(1, kind, (1, 1, 9), 3, padding=1, pad_value=0) == plain
        assert make_pool(1, kind, (1, 1, 9), 3, padding=1, pad_value=1).pad_value == 1
    for kind in ("max", "min"):
        assert make_pool(1, kind, (1, 1, 9), 3, padding=1, pad_value=0).pad_value == 0


def test_complex_numbers_are_twice_the_channels():
    spec = ConvSpec.make((2, 6, 9), (3, 6, 6), w_layout="WIO")
    assert spec.w_memory
    assert spec.paired() == ConvSpec.make((2, 12, 9), (12, 12, 3))


def test_gradients_have_the_shape_of_the_result():
    conv, pool = ConvSpec.make((1, 2, 9), (4, 2, 3)), make_pool(1, "avg", (1, 2, 9), 3)
    conv.check_grad((1, 4, 7))
    pool.check_grad("grad_y", (1, 2, 3))
    with pytest.raises(SpecError, match=r"grad_y has the shape \(1, 4, 8\).* gives \(1, 4, 7\)"):
        conv.check_grad((1, 4, 8))
    with pytest.raises(SpecError, match=r"indices has the shape \(1, 2, 4\).* gives \(1, 2, 3\)"):
        pool.check_grad("indices", (1, 2, 4))


def test_padding_that_must_be_written():
    def conv(**options):
        return ConvSpec.make((1, 1, 9, 9), (1, 1, 3, 3), **options)

    asked = {
        "none": (conv(), False, 1),
        "zeros": (conv(padding=1), False, 1),
        "a value without padding": (conv(pad_value=2), False, 1),
        "a value": (conv(padding=1, pad_value=2), True, 1),
        "a mode without padding": (conv(padding_mode="edge"), False, 1),
        "a mode": (conv(padding=((1, 0), (0, 2)), padding_mode="edge"), True, 2 * 3),
        "left out of extremes": (make_pool(2, "max", (1, 1, 9, 9), 3, padding=1), False, 1),
        "zeros in extremes": (make_pool(2, "max", (1, 1, 9, 9), 3, padding=1, pad_value=0), True, 1),
    }
    for name, (spec, needs, often) in asked.items():
        assert (needs_padding(spec), repeats(spec)) == (needs, often), name
        plain, seen = plain_padded(spec), zero_padded(spec)
        assert (plain.padding_mode, plain.pad_value, plain.pad_lo) == ("constant", spec.unset, spec.pad_lo)
        assert seen == plain_padded(spec.unpadded() if needs else spec)
        assert seen.padded == (spec.padded and not needs)


def test_taps_behind_the_padding_do_not_count():
    spec = make_pool(1, "avg", (1, 1, 7), 3, stride=4, dilation=2, ceil_mode=True)
    assert [spec.counted(0, o) for o in range(2)] == [3, 2]  # the last would lie at 8
    assert [len(spec.taps(0, o)) for o in range(2)] == [3, 2]


def test_what_follows_a_convolution():
    assert [check_ending(name, (2, 3), (2, 3)) for name in (None, "relu", "hardswish")] == [None, "relu", "hardswish"]
    with pytest.raises(SpecError, match="activation='swish'"):
        check_ending("swish", None, (2, 3))
    with pytest.raises(SpecError, match=r"residual has the shape \(2, 4\)"):
        check_ending(None, (2, 4), (2, 3))


@pytest.mark.parametrize("bad", [(1.0, 1.0), (True, True), (1, 1.0), [True]])
def test_entries_that_only_equal_integers_are_refused(bad):
    with pytest.raises(TypeError, match="integer"):
        frozen(bad)


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_runs_of_padding_are_those_of_numpy(mode, size):
    for lo, hi in itertools.product((0, 1, 2, 5, 20), repeat=2):
        found = []
        for run in runs(mode, -lo, size + hi, size):
            assert run.start == len(found) - lo
            found += np.broadcast_to(np.arange(size)[run.source], (run.stop - run.start,)).tolist()
        assert found == np.pad(np.arange(size), (lo, hi), mode=mode).tolist()


@pytest.mark.parametrize(
    ("order", "w_shape", "groups", "stored"),
    [
        ("HWCM", (6, 1, 4, 5), 3, (4, 5, 3, 2)),
        ("HWCM", (6, 1, 4, 5), 1, (4, 5, 1, 6)),
        ("HWCM", (0, 1, 4, 5), 0, (4, 5, 0, 0)),
        ("HWIO", (6, 3, 4, 5), 1, (4, 5, 3, 6)),
    ],
)
def test_the_shape_in_which_weights_are_stored(order, w_shape, groups, stored):
    assert weight_order(2, order).stored_shape(w_shape, groups) == stored


def test_indices_that_were_kept_stand_for_windows_of_one_element():
    spec = make_scatter(2, (1, 2, 3, 4), (1, 2, 9, 9))
    assert (spec.in_size, spec.out_size) == ((9, 9), (3, 4))
    assert spec.kernel == spec.stride == spec.dilation == (1, 1)
    assert spec.pad_lo == spec.pad_hi == (0, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_taps_where_the_stride_is_the_size_of_the_input_or_more(size):
    for more, k, lo, hi in itertools.product(range(2), (2, 4), range(5), range(9)):
        if size + lo + hi < k:
            continue
        spec = ConvSpec.make((1, 1, size), (1, 1, k), stride=size + more, padding=((lo, hi),))
        held = {tap for o in range(spec.out_size[0]) for tap, _ in spec.window(0, o)}
        assert list(spec.live_taps(0)) == sorted(held)


@pytest.mark.parametrize("stride", [1, 4, 5, 7])
@pytest.mark.parametrize("dilation", [2, 3])
def test_taps_of_a_dilated_window_that_only_see_padding_are_left_out(stride, dilation):
    spec = ConvSpec.make((1, 1, 4), (1, 1, 4), stride=stride, padding=((1, 9),), dilation=dilation)
    held = {tap for o in range(spec.out_size[0]) for tap, _ in spec.window(0, o)}
    assert len(held) < 4
    assert list(spec.live_taps(0)) == sorted(held)


@pytest.mark.parametrize("value", ["1", True])
def test_a_number_is_asked_for_and_no_text_or_flag(value):
    with pytest.raises(TypeError, match=f"^pad_value must be a real number, not {type(value).__name__}"):
        PoolSpec.make("max", (1, 1, 9), 3, nd=1, padding=1, pad_value=value)


def test_words_of_a_spec_that_is_asked_for_by_name():
    with pytest.raises(TypeError, match=r"^PoolSpec.make\(\): got an unexpected keyword argument 'strides'.*stride"):
        PoolSpec.make("max", (1, 1, 9), 3, nd=1, strides=1)
    for axes in (0, 63):
        with pytest.raises(SpecError, match=f"nd={axes} is out of range; valid: 1 to 62"):
            PoolSpec.make("max", (1, 1, 9), 3, nd=axes)


@pytest.mark.parametrize(("addresses", "bits"), [(2**63, 62), (2**31, 29)])
def test_sizes_stay_within_what_addresses_count(monkeypatch, addresses, bits):
    most = 2**bits // 16 - 1
    monkeypatch.setattr(sys, "maxsize", addresses - 1)
    importlib.reload(sizes)
    try:
        sizes.check_array("x", (1, most))
        with pytest.raises(SpecError, match=rf"2\*\*{bits} bytes or more; use .* at most {most} on axis 1"):
            sizes.check_array("x", (1, most + 1))
    finally:
        monkeypatch.undo()
        importlib.reload(sizes)
