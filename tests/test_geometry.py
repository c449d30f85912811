"""Receptive fields by looking where a change arrives; solved shapes by trying them."""

import itertools

import numpy as np
import pytest

import convlib
from convlib import ConvSpec, PoolSpec, SpecError, layers, receptive_field, solve_shape

STACKS = [
    [{"kernel_size": 3}, {"kernel_size": 3}, {"kernel_size": 3}],
    [{"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (5, 1), "padding": "same"}],
    [{"kernel_size": 2, "stride": 3}, {"kernel_size": 3, "dilation": 2, "padding": ((2, 1), (0, 3))}],
    [{"kernel_size": 3, "padding": "causal"}, {"kernel_size": 3, "dilation": 2, "padding": "causal"}],
    [
        {"kernel_size": 3, "stride": 2, "padding": "same_upper"},
        {"kernel_size": 4, "stride": 2, "padding": "same_lower"},
    ],
]


def run(stack, x):
    for options in stack:
        x = convlib.sum_pool2d(x, **{"stride": 1, **options})
    return x


@pytest.mark.parametrize("stack", STACKS)
def test_where_a_change_arrives(stack):
    size = (19, 17)
    field = receptive_field(stack, size=size)
    base = run(stack, np.zeros((1, 1, *size), int))
    seen = np.zeros((*base.shape[2:], *size), bool)
    for place in np.ndindex(size):
        x = np.zeros((1, 1, *size), int)
        x[(0, 0, *place)] = 1
        seen[(slice(None), slice(None), *place)] = run(stack, x)[0, 0] != 0
    for out in np.ndindex(base.shape[2:]):
        rows, columns = np.nonzero(seen[out].any(1))[0], np.nonzero(seen[out].any(0))[0]
        for positions, expected, limit in zip((rows, columns), field.of(*out), size, strict=True):
            inside = [p for p in expected if 0 <= p < limit]
            # Dilation and strides beyond the kernel leave gaps, but never reach further.
            assert set(positions) <= set(inside)
            if expected.start >= 0:
                assert positions[0] == expected.start
            if expected.stop <= limit:
                assert positions[-1] == expected.stop - 1


def test_layers_and_specs():
    """The stem of ResNet: a 7×7 convolution and a 3×3 pooling, both with stride 2."""
    expected = ((11, 11), (4, 4), (-5, -5))
    stem = [layers.Conv2d(64, 7, stride=2, padding=3), layers.MaxPool2d(3, stride=2, padding=1)]
    specs = [
        ConvSpec.make((1, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3),
        PoolSpec.make("max", (1, 64, 112, 112), 3, nd=2, stride=2, padding=1),
    ]
    for stack in (stem, specs):
        field = receptive_field(stack)
        assert (field.size, field.jump, field.start) == expected
    assert receptive_field([]).size == (1, 1)
    assert receptive_field([layers.MaxPool1d(2)], nd=1).jump == (2,)  # the stride is the window by default
    assert receptive_field([layers.AvgPool3d(2, ceil_mode=True)], nd=3).size == (2, 2, 2)
    assert receptive_field([layers.Conv2d(1, 3), layers.GlobalAvgPool2d()], size=(9, 8)).size == (9, 8)
    assert receptive_field([layers.AdaptiveMaxPool2d((2, 4))], size=8).jump == (4, 2)


@pytest.mark.parametrize(
    ("stack", "options", "words"),
    [
        ([layers.GlobalAvgPool2d()], {}, "give size="),
        ([{"kernel_size": 3, "stride": 2, "padding": "same_upper"}], {}, "give size="),
        ([layers.AdaptiveAvgPool2d(3)], {"size": 8}, "different sizes"),
        ([layers.ConvTranspose2d(1, 3)], {}, "spreads"),
        ([layers.Conv1d(1, 3)], {}, "1 spatial axes"),
        ([{"stride": 2}], {}, "kernel_size"),
        ([{"kernel_size": 3}], {"size": 2}, "larger than the padded input"),
    ],
)
def test_refusals(stack, options, words):
    with pytest.raises(SpecError, match=words):
        receptive_field(stack, **options)


def test_wrong_types():
    with pytest.raises(TypeError, match="a layer must be"):
        receptive_field([3])
    with pytest.raises(SpecError, match="output="):
        receptive_field([]).of(1)


def test_solutions_hold():
    for size, out in ((224, 112), (7, 7), (28, 24), (5, 9), (10, 3), (7, 1)):
        for kernel_size, stride, padding, dilation, _ in solve_shape(size, out, max_kernel=5):
            shape = convlib.conv_output_shape(
                (1, 1, size), (1, 1, kernel_size), stride=stride, padding=padding, dilation=dilation
            )
            assert shape == (1, 1, out)


def test_transposed_solutions_hold():
    w = {k: np.ones((1, 1, k)) for k in range(1, 5)}
    for size, out in ((5, 10), (4, 4), (3, 8)):
        found = solve_shape(size, out, transposed=True, max_kernel=4, dilation=2)
        assert found
        for s in found:
            y = convlib.conv_transpose1d(
                np.ones((1, 1, size)), w[s.kernel_size], stride=s.stride, padding=s.padding, dilation=s.dilation,
                output_padding=s.output_padding,
            )  # fmt: skip
            assert y.shape == (1, 1, out)


def test_all_symmetric_solutions_are_found():
    for size, out in ((8, 4), (6, 6), (9, 2)):
        found = {(s.kernel_size, s.stride, s.padding) for s in solve_shape(size, out, max_kernel=4)}
        fitting = {
            (k, stride, p)
            for k, stride in itertools.product(range(1, 5), range(1, 12))
            for p in range(k)
            if size + 2 * p >= k and (size + 2 * p - k) // stride + 1 == out
        }
        assert fitting
        assert fitting <= found


@pytest.mark.parametrize(
    ("question", "options", "answer"),
    [
        ((224, 112), {"kernel_size": 7}, (7, 2, 3)),
        ((224, 112), {}, (3, 2, 1)),
        ((56, 56), {"kernel_size": 3}, (3, 1, 1)),
        ((56, 56), {"kernel_size": 3, "dilation": 2}, (3, 1, 2)),
        ((8, 8), {"kernel_size": 2}, (2, 1, ((0, 1),))),
        ((32, 28), {}, (5, 1, 0)),
        ((28, 14), {"kernel_size": 2}, (2, 2, 0)),
    ],
)
def test_usual_answers_come_first(question, options, answer):
    assert solve_shape(*question, **options)[0][:3] == answer


def test_unsolvable_and_wrong():
    assert solve_shape(4, 100, max_kernel=3) == []
    assert solve_shape(8, 8, kernel_size=3, padding=0) == []
    for bad in ({"size": 0}, {"out": -1}, {"kernel_size": 0}, {"stride": 0}, {"padding": -1}, {"dilation": 0}):
        with pytest.raises(SpecError):
            solve_shape(**{"size": 8, "out": 4, **bad})
    with pytest.raises(TypeError):
        solve_shape(8.0, 4)
