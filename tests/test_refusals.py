"""Every refusal of the spec, word for word: what it names, what it counts, and where it draws the line."""

from pathlib import Path

import pytest

from convlib import SpecError, spec
from convlib.spec import make_conv, make_filter, make_transpose
from convlib.spec.arguments import frozen
from convlib.testing import integer_array

#: A call, and below it what is said; the texts were read one by one.
TABLE = (Path(__file__).parent / "golden/refusals.txt").read_text().split("\n\n")
CASES = [case.strip().split("\n    ") for case in TABLE]


@pytest.mark.parametrize(("call", "said"), CASES, ids=[call for call, _ in CASES])
def test_what_is_said(call, said):
    with pytest.raises((SpecError, TypeError)) as caught:
        eval(call, vars(spec))
    assert f"{type(caught.value).__name__}: {caught.value}" == said


#: The last calls before a refusal of the table, with the sizes of what they give.
SERVED = [
    ("make_conv(2, (2, 6, 9, 8), (8, 3, 3, 3), groups=2)", (7, 6)),
    ("make_conv(2, (2, 6, 5, 8), (4, 6, 2, 3), dilation=(4, 2), padding=((0, 0), (0, 1)))", (1, 5)),
    ("make_conv(2, (2, 6, 9, 8), (4, 6, 3, 3), pad_value=2**53)", (7, 6)),
    ("make_conv(2, (2, 6, 43690, 2**20), (4, 6, 3, 3))", (43688, 2**20 - 2)),
    ("make_conv(2, (1, 1, 2**28, 2**26 - 2**8), (1, 1, 16, 16))", (2**28 - 15, 2**26 - 2**8 - 15)),
    ("make_conv(1, (3, 2, 4), (5, 2, 1), stride=19215358410114116)", (1,)),
    ("make_conv(1, (3, 2, 4), (5, 2, 2), dilation=2**54, padding=2**53)", (4,)),
    ("PoolSpec.make('max', (2, 6, 9, 8), (3, 2))", (3, 4)),
    ("make_columns((1, 1, 2**58 - 1), 1)", (2**58 - 1,)),
    ("make_columns((1, 1, 1), 2**16, padding='full')", (2**16,)),
    ("make_columns((1, 1, 1), 1, padding=((0, 2**32 - 2),))", (2**32 - 1,)),
    ("make_transpose(2, (2, 6, 9, 8), (6, 4, 3, 3), stride=(2, 3), output_size=(20, 26))", (9, 8)),
    ("make_transpose(2, (2, 6, 2, 1), (6, 4, 3, 3), padding=((1, 0), (1, 1)), stride=2)", (2, 1)),
]


@pytest.mark.parametrize(("call", "sizes"), SERVED, ids=[call for call, _ in SERVED])
def test_what_is_just_served(call, sizes):
    assert eval(call, vars(spec)).out_size == sizes


def test_arguments_that_cannot_be_remembered_are_named():
    with pytest.raises(TypeError, match=r"^stride must be a number, a string or a tuple, not list \(\[1\]\)$"):
        make_conv(1, (1, 1, 3), (1, 1, 1), stride=[1])
    with pytest.raises(TypeError, match="missing a required argument: 'w_shape'"):
        make_conv(1, (1, 1, 3))


def test_lists_are_taken_down_to_pairs_per_axis_and_no_deeper():
    assert frozen([[1, 2], [3, 4]]) == ((1, 2), (3, 4))
    assert frozen([[[1]]]) == (((1,),),)
    with pytest.raises(TypeError, match=r"nested too deep; valid: a number, one per axis, or \(lo, hi\) pairs"):
        frozen([[[[1]]]])


@pytest.mark.parametrize("channels", [0, 1, 2])
def test_a_filter_is_a_depthwise_convolution_of_stride_1(channels):
    asked = make_filter((4, 9, channels), (3, 5), "same", "reflect", True)
    w, groups = (channels, min(channels, 1), 3, 5), max(channels, 1)
    options = {"padding": "same", "groups": groups, "padding_mode": "reflect", "flip": True, "layout": "NHWC"}
    assert asked == make_conv(2, (4, 9, channels), w, **options)
    assert (asked.stride, asked.dilation, asked.pad_lo, asked.pad_hi) == ((1, 1), (1, 1), (1, 2), (1, 2))


@pytest.mark.parametrize(
    ("options", "size", "low", "high"),
    [
        ({"stride": 2}, 6, 2, 3),  # of 2 * 2 + 7 elements 5 are cut off
        ({"stride": 2, "output_padding": 1}, 6, 3, 3),
        ({"stride": 2, "output_size": 8}, 8, 1, 2),
        ({"stride": 2, "output_size": 13}, 13, 0, 0),  # none, where zeros must be added
        ({"stride": 9}, 27, 0, 0),
        ({"stride": 1, "dilation": 2}, 3, 6, 6),
    ],
)
def test_a_transposed_convolution_with_same_padding_cuts_off_what_is_too_much(options, size, low, high):
    for padding, amounts in (("same_upper", (low, high)), ("same_lower", (high, low))):
        spec = make_transpose(1, (1, 1, 3), (1, 1, 7), padding=padding, **options)
        assert (*spec.in_size, *spec.pad_lo, *spec.pad_hi) == (size, *amounts)


@pytest.mark.parametrize("shape", [(2**40, 2**30), (2**60,), (2**31, 0, 2**31)])
def test_arrays_of_small_integers_end_where_all_others_do(shape):
    with pytest.raises(SpecError, match=r"^an integer_array would have the shape .*; use sizes that leave"):
        integer_array(shape, "uint8", 0)
