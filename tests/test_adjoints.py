"""Adjoints of convolution and pooling as forward problems: every product is there once, whatever the stride."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from convlib.spec import ConvSpec, PoolSpec

SIZES = [
    (size, kernel, stride, dilation, lo, hi)
    for size, kernel, stride, dilation in itertools.product((1, 4, 9), (1, 2, 3, 5), (1, 2, 3, 7), (1, 2, 3, 4))
    for lo, hi in ((0, 0), (1, 0), (2, 5), (9, 9))
    if size + lo + hi >= (kernel - 1) * dilation + 1
]


def products(spec):
    """List (input, output, tap) of each product on an axis: output o meets tap k on input ``o s + k d - p``."""
    for o, k in itertools.product(range(spec.out_size[0]), range(spec.kernel[0])):
        i = o * spec.stride[0] + k * spec.dilation[0] - spec.pad_lo[0]
        if 0 <= i < spec.in_size[0]:
            yield i, o, k


def test_phases_hold_each_product_once():
    for size, kernel, stride, dilation, lo, hi in SIZES:
        spec = ConvSpec.make(
            (1, 1, size), (1, 1, kernel), stride=stride, dilation=dilation, padding=((lo, hi),)
        )
        found, seen = [], []
        for phase in spec.phases().phases:
            places, taps = range(size)[phase.inputs[0]], range(kernel)[phase.taps[0]]
            assert (len(places), len(taps)) == (phase.size[0], phase.kernel[0])
            assert len(places) > 0
            assert len(taps) > 0
            seen += places
            for j, t in itertools.product(range(len(places)), range(len(taps))):  # a forward problem of stride 1
                o = j + t * phase.dilation[0] - phase.lo[0]
                if 0 <= o < spec.out_size[0]:
                    found.append((places[j], o, taps[t]))
        assert sorted(found) == sorted(products(spec)), spec
        assert len(seen) == len(set(seen))
        assert spec.phases().covers_all == (len(seen) == size)
        assert len(spec.phases().phases) <= spec.phase_count <= min(kernel, stride, size)


def test_phases_of_several_axes_are_all_pairs_of_theirs():
    spec = ConvSpec.make((1, 1, 9, 8), (1, 1, 3, 2), stride=(2, 3), padding=(1, 2))
    alone = [
        ConvSpec.make((1, 1, size), (1, 1, k), stride=s, padding=p).phases().phases
        for size, k, s, p in ((9, 3, 2, 1), (8, 2, 3, 2))
    ]
    pairs = [tuple(a + b for a, b in zip(one, two, strict=True)) for one, two in itertools.product(*alone)]
    assert [tuple(phase) for phase in spec.phases().phases] == pairs
    assert not spec.phases().covers_all


@pytest.mark.parametrize("stride", [512, 2**20, 2**40])
def test_a_huge_stride_makes_no_more_phases_than_taps(stride):
    spec = ConvSpec.make((1, 1, 2**20 + 3, 1027), (1, 1, 3, 3), stride=(stride, 512))
    found = spec.phases()
    assert len(found.phases) == 9
    assert not found.covers_all
    assert {phase.kernel for phase in found.phases} == {(1, 1)}


def pooled(spec, x):
    """Sum or average the windows of an axis by the formula, in fractions of one divisor."""
    y = []
    for o in range(spec.out_size[0]):
        places = [o + k * spec.dilation[0] - spec.pad_lo[0] for k in range(spec.kernel[0])]
        y.append(sum(x[i] for i in places if 0 <= i < len(x)))
    return np.array(y) if spec.kind == "sum" else np.array(y) / (spec.divisor or spec.taps_count)


@pytest.mark.parametrize("kind", ["sum", "avg"])
@pytest.mark.parametrize("divisor", [None, 4])
def test_the_adjoint_of_a_pooling(kind, divisor):
    rng, served = np.random.default_rng(0), 0
    for size, kernel, stride, dilation, lo, hi in SIZES:
        if max(lo, hi) > (kernel - 1) * dilation:
            continue
        spec = PoolSpec.make(
            kind, (2, 3, size), kernel, nd=1, stride=stride, dilation=dilation, padding=((lo, hi),),
            divisor_override=divisor,
        )  # fmt: skip
        adjoint = spec.adjoint()
        if stride > 1:
            assert adjoint is None
            continue
        served += 1
        assert adjoint is not None
        assert (adjoint.x_shape, adjoint.y_shape) == (spec.y_shape, spec.x_shape)
        assert min(adjoint.pad_lo + adjoint.pad_hi) >= 0
        # As many windows as there are inputs, if the last ends where the padding does.
        assert spec.out_size[0] + adjoint.pad_lo[0] + adjoint.pad_hi[0] == size + (kernel - 1) * dilation
        x, grad_y = rng.integers(-9, 10, size), rng.integers(-9, 10, spec.out_size[0])
        assert math.isclose(pooled(spec, x) @ grad_y, x @ pooled(adjoint, grad_y), abs_tol=1e-9)
        # What counts in each average is what the divisor says, at the ends, too.
        assert all(adjoint.counted(0, o) == kernel for o in range(size)) or adjoint.divisor
    assert served > 50


def test_poolings_without_an_adjoint():
    spec = PoolSpec.make("avg", (1, 1, 9), 3, nd=1, stride=1, padding=1)
    assert spec.adjoint() is not None
    assert replace(spec, count_include_pad=False).adjoint() is None
    assert replace(spec, count_include_pad=False, divisor=3).adjoint() is not None
    for kind in ("max", "min", "lp"):
        assert replace(spec, kind=kind).adjoint() is None
    assert replace(spec, adaptive=True).adjoint() is None
