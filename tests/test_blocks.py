"""Calls in blocks, by meaning: what each block sees of the whole is listed, element by element; nothing is computed."""

import itertools

import pytest
from hypothesis import given, strategies as st

from convlib.spec import ConvSpec, PoolSpec, blocks, make_adaptive, origin

ONE = blocks.whole(PoolSpec.make("max", (1, 1, 1), 1, nd=1), 0)[0]  # an axis of one element, in one piece
MODES = ("constant", "reflect", "symmetric", "edge", "wrap")

amounts = st.integers(0, 6)
axes = st.tuples(
    st.integers(1, 14), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3), amounts, amounts
).filter(lambda axis: axis[0] + axis[4] + axis[5] > (axis[1] - 1) * axis[3])  # size, kernel, stride, dilation, lo, hi
chunks = st.lists(st.integers(0, 6), min_size=1, max_size=14)


def cut_up(size, sizes):
    """Return sizes of blocks that add up to `size`: some of `sizes`, and the rest."""
    found = []
    for part in sizes:
        found.append(min(part, size - sum(found)))
    return (*found, size - sum(found))


def convolution(axis, mode="constant"):
    size, k, s, d, lo, hi = axis
    return ConvSpec.make((1, 1, size), (1, 1, k), stride=s, dilation=d, padding=((lo, hi),), padding_mode=mode)


def pooling(axis, **options):
    size, k, s, d, lo, hi = axis
    span = (k - 1) * d
    lo, hi = min(lo, span), min(hi, span)
    return PoolSpec.make("avg", (1, 1, size), k, nd=1, stride=s, dilation=d, padding=((lo, hi),), **options)


def of(parts):
    """List what slices hold."""
    return [place for part in parts for place in range(part.start, part.stop)]


def seen(spec, elements, outputs):
    """List (output, tap, element) of all that windows hold, by the names of the outputs and of the elements."""
    assert len(elements) == spec.in_size[0]
    assert len(outputs) == spec.out_size[0]
    if getattr(spec, "adaptive", False):
        return [(output, None, elements[p]) for o, output in enumerate(outputs) for p in spec.taps(0, o)]
    pairs = ((output, spec.window(0, o)) for o, output in enumerate(outputs))
    return [(output, tap, elements[p]) for output, window in pairs for tap, p in window]


def everything(spec):
    """List what the whole call sees: copied padding is the element that it is a copy of."""
    whole, lo = blocks.inner(spec), spec.pad_lo[0]
    elements = range(spec.in_size[0])
    if blocks.copied_padding(spec):
        elements = [origin(spec.padding_mode, p - lo, spec.in_size[0]) for p in range(whole.in_size[0])]
    return seen(whole, elements, range(spec.out_size[0]))


def side_by_side(cuts, size):
    """Check that the results of blocks fill an axis, in order, and that no block is empty."""
    assert of(cut.target for cut in cuts) == list(range(size))
    assert all(cut.target.stop > cut.target.start for cut in cuts)


def check_forward(spec, sizes):
    cuts, found = blocks.forward(spec, 0, sizes), []
    side_by_side(cuts, spec.out_size[0])
    for cut in cuts:
        part, held = blocks.part(spec, ONE, ONE, [cut]), of(cut.x)
        elements = [held[place] for place in cut.places] if cut.places else held
        assert cut.y == (cut.target,)
        assert held == sorted(set(held))
        assert set(elements) == set(held)
        found += seen(part, elements, of(cut.y))
        if isinstance(spec, PoolSpec):
            assert [part.counted(0, o) for o in range(part.out_size[0])] == [spec.counted(0, o) for o in of(cut.y)]
    assert found == everything(spec)
    return cuts


@given(axes, chunks, st.sampled_from(MODES))
def test_blocks_of_a_convolution_see_what_the_whole_sees(axis, sizes, mode):
    spec = convolution(axis, mode)
    cuts = check_forward(spec, cut_up(axis[0], sizes))
    shared = spec.extent(0) - spec.stride[0]
    if len(cuts) > 1:  # no narrower than what neighbours share
        assert min((cut.target.stop - cut.target.start) * spec.stride[0] for cut in cuts) >= shared


@pytest.mark.parametrize("mode", MODES[1:])
def test_a_block_that_reaches_to_both_ends_and_no_further_is_not_copied(mode):
    first, second = blocks.forward(convolution((9, 2, 1, 1, 1, 0), mode), 0, (1, 8))
    assert first.places
    assert second.x == (slice(0, 9),)
    assert not second.places


@given(axes, chunks, st.booleans())
def test_blocks_of_a_pooling_see_and_count_what_the_whole_does(axis, sizes, ceil_mode):
    check_forward(pooling(axis, ceil_mode=ceil_mode), cut_up(axis[0], sizes))


@given(st.integers(1, 16), st.integers(1, 16), chunks)
def test_blocks_of_an_adaptive_pooling_see_what_the_whole_sees(size, out, sizes):
    check_forward(make_adaptive(1, "avg", (1, 1, size), out), cut_up(size, sizes))


@given(axes, chunks, st.sampled_from(MODES))
def test_blocks_of_an_adjoint_hold_every_window_of_their_inputs(axis, sizes, mode):
    spec = convolution(axis, mode)
    whole = blocks.inner(spec)
    cuts, found = blocks.adjoint(spec, 0, cut_up(spec.out_size[0], sizes)), []
    side_by_side(cuts, whole.in_size[0])
    for cut in cuts:
        assert cut.x == (cut.target,)
        found += seen(blocks.part(spec, ONE, ONE, [cut], above=True), of(cut.x), of(cut.y))
    assert sorted(found) == sorted(seen(whole, range(whole.in_size[0]), range(whole.out_size[0])))


@given(st.integers(1, 9), st.integers(0, 9), st.integers(0, 9), chunks, st.sampled_from(MODES[1:]))
def test_folds_bring_each_element_of_the_padding_to_the_one_it_copies(size, lo, hi, sizes, mode):
    spec = ConvSpec.make((1, 1, size), (1, 1, 1), padding=((lo, hi),), padding_mode=mode)
    cuts, found = blocks.folds(spec, 0, cut_up(size + lo + hi, sizes)), {}
    side_by_side(cuts, size)
    for cut in cuts:
        assert len(of(cut.x)) == len(cut.places)
        found.update((p, cut.target.start + place) for p, place in zip(of(cut.x), cut.places, strict=True))
    assert found == {p: origin(mode, p - lo, size) for p in range(size + lo + hi)}
    assert sum(len(cut.places) for cut in cuts) == size + lo + hi


def check_gradient(spec, sizes):
    cuts = blocks.gradient(spec, 0, sizes)
    side_by_side(cuts, spec.in_size[0])
    for cut in cuts:
        part, inputs, outputs = blocks.part(spec, ONE, ONE, [cut]), of(cut.x), of(cut.y)
        found = seen(part, inputs, outputs)
        assert found == [one for one in everything(spec) if one[0] in outputs]  # all that their divisors count
        assert [part.counted(0, o) for o in range(part.out_size[0])] == [spec.counted(0, o) for o in outputs]
        wanted = [one for one in everything(spec) if one[2] in of([cut.target])]
        assert [one for one in found if one[2] in of([cut.target])] == wanted
        (length,), (here,), (there,) = blocks.overlap([cut])
        assert length == len(of([cut.target]))
        places = dict(zip(of([here]), inputs[there], strict=True))
        assert places == {p - cut.target.start: p for p in of([cut.target]) if p in inputs}
    return cuts


@given(axes, chunks, st.booleans())
def test_blocks_of_a_gradient_of_a_pooling(axis, sizes, ceil_mode):
    spec = pooling(axis, ceil_mode=ceil_mode)
    check_gradient(spec, cut_up(spec.out_size[0], sizes))


@given(st.integers(1, 16), st.integers(1, 16), chunks)
def test_blocks_of_a_gradient_of_an_adaptive_pooling(size, out, sizes):
    check_gradient(make_adaptive(1, "avg", (1, 1, size), out), cut_up(out, sizes))


# By hand: (size, kernel, stride, lo, hi), sizes of the blocks of the input, outputs of each block, its inputs.
CUT = {
    "neighbours": ((12, 3, 1, 1, 1), (4, 4, 4), [(0, 4), (4, 8), (8, 12)], [(0, 5), (3, 9), (7, 12)]),
    "joined": ((6, 3, 1, 1, 1), (1,) * 6, [(0, 2), (2, 4), (4, 6)], [(0, 3), (1, 5), (3, 6)]),
    "strided": ((13, 5, 2, 0, 0), (3, 10), [(0, 2), (2, 5)], [(0, 7), (4, 13)]),
    "too narrow at the end": ((12, 5, 1, 0, 0), (5, 5, 2), [(0, 8)], [(0, 12)]),
    "joined at the end": ((12, 4, 1, 0, 0), (4, 4, 4), [(0, 4), (4, 9)], [(0, 7), (4, 12)]),
    "as wide as what is shared": ((12, 5, 1, 0, 0), (4, 5, 3), [(0, 4), (4, 8)], [(0, 8), (4, 12)]),
    "apart": ((12, 2, 4, 0, 0), (4, 4, 4), [(0, 1), (1, 2), (2, 3)], [(0, 2), (4, 6), (8, 10)]),
    "as much padding as a window": ((8, 3, 1, 2, 2), (4, 4), [(0, 4), (4, 8), (8, 10)], [(0, 4), (2, 8), (6, 8)]),
    "more padding than a window": ((6, 3, 1, 6, 0), (3, 3), [(0, 7), (7, 10)], [(0, 3), (1, 6)]),
    "nothing but padding at the end": ((6, 2, 1, 0, 3), (3, 2, 1), [(0, 3), (3, 5), (5, 8)], [(0, 4), (3, 6), (5, 6)]),
    "one block": ((12, 3, 1, 1, 1), (12,), [(0, 12)], [(0, 12)]),
}


@pytest.mark.parametrize("name", CUT)
def test_where_blocks_are_cut(name):
    (size, k, s, lo, hi), sizes, outputs, inputs = CUT[name]
    cuts = check_forward(convolution((size, k, s, 1, lo, hi)), sizes)
    assert [(cut.target.start, cut.target.stop) for cut in cuts] == outputs
    assert [(cut.x[0].start, cut.x[0].stop) for cut in cuts] == inputs


def test_where_blocks_of_an_adjoint_are_cut():
    spec = convolution((12, 3, 1, 1, 1, 1))
    cuts = blocks.adjoint(spec, 0, (4, 4, 4))
    assert [cut.target for cut in cuts] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    assert [cut.y for cut in cuts] == [(slice(0, 5),), (slice(3, 9),), (slice(7, 12),)]
    cuts = blocks.adjoint(convolution((12, 2, 4, 1, 0, 0)), 0, (1, 2))
    assert [cut.target for cut in cuts] == [slice(0, 4), slice(4, 12)]
    assert [cut.y for cut in cuts] == [(slice(0, 1),), (slice(1, 3),)]
    cuts = check_gradient(pooling((12, 3, 1, 1, 1, 1)), (4, 4, 4))
    assert [cut.target for cut in cuts] == [slice(0, 4), slice(4, 8), slice(8, 12)]
    assert [cut.x for cut in cuts] == [(slice(0, 6),), (slice(2, 10),), (slice(6, 12),)]
    cuts = check_gradient(pooling((12, 2, 4, 1, 0, 0)), (1, 2))
    assert [cut.target for cut in cuts] == [slice(0, 4), slice(4, 12)]
    assert [cut.x for cut in cuts] == [(slice(0, 2),), (slice(4, 10),)]
    # Blocks of three, where windows share four, are joined.
    for cuts in (
        blocks.adjoint(convolution((12, 5, 1, 1, 0, 0)), 0, (3, 3, 2)),
        check_gradient(pooling((12, 5, 1, 1, 0, 0)), (3, 3, 2)),
    ):
        assert [cut.target for cut in cuts] == [slice(0, 6), slice(6, 12)]


def test_where_folds_and_adaptive_windows_are_cut():
    spec = ConvSpec.make((1, 1, 6), (1, 1, 3), padding=((2, 1),), padding_mode="reflect")  # 2 1 | 0 1 2 3 4 5 | 4
    first, last = blocks.folds(spec, 0, (5, 4))
    assert (first.target, last.target) == (slice(0, 3), slice(3, 6))
    assert (first.x, first.places) == ((slice(0, 5),), (2, 1, 0, 1, 2))
    assert (last.x, last.places) == ((slice(5, 9),), (0, 1, 2, 1))
    halves = make_adaptive(1, "avg", (1, 1, 10), 4)  # windows 0-3, 2-5, 5-8, 7-10
    assert [cut.target for cut in blocks.forward(halves, 0, (5, 5))] == [slice(0, 2), slice(2, 4)]
    assert [cut.target for cut in blocks.forward(halves, 0, (4, 6))] == [slice(0, 2), slice(2, 4)]  # not within one
    assert [cut.target for cut in blocks.gradient(halves, 0, (2, 2))] == [slice(0, 5), slice(5, 10)]
    odd = make_adaptive(1, "avg", (1, 1, 7), 3)  # no place that no window reaches over
    assert [cut.x for cut in blocks.forward(odd, 0, (4, 3))] == [(slice(0, 3),), (slice(2, 5),), (slice(4, 7),)]
    assert [cut.target for cut in blocks.forward(odd, 0, (7,))] == [slice(0, 3)]  # one block of inputs


def test_copied_padding_is_taken_from_where_it_lies():
    spec = ConvSpec.make((1, 1, 6), (1, 1, 3), padding=1, padding_mode="wrap")
    first, last = blocks.forward(spec, 0, (3, 3))
    assert (first.x, first.places) == ((slice(0, 4), slice(5, 6)), (4, 0, 1, 2, 3))
    assert (last.x, last.places) == ((slice(0, 1), slice(2, 6)), (1, 2, 3, 4, 0))
    longer = ConvSpec.make((1, 1, 9), (1, 1, 3), padding=1, padding_mode="edge")
    assert blocks.forward(longer, 0, (3, 3, 3))[1] == blocks.Cut(slice(3, 6), (slice(2, 7),), (slice(3, 6),))
    assert not blocks.copied_padding(ConvSpec.make((1, 1, 6), (1, 1, 3), padding_mode="wrap"))  # there is none
    assert not blocks.copied_padding(ConvSpec.make((1, 1, 6), (1, 1, 3), padding=1, pad_value=2))


def test_images_and_channels():
    assert [cut.target for cut in blocks.images(5, (2, 0, 3))] == [slice(0, 2), slice(2, 5)]
    assert blocks.images(5, (5,)) == (blocks.Cut(slice(0, 5), (slice(0, 5),), (slice(0, 5),)),)
    assert blocks.images(0, (0, 0)) == (blocks.Cut(slice(0, 0), (slice(0, 0),), (slice(0, 0),)),)
    spec = ConvSpec.make((1, 6, 5), (9, 2, 1), groups=3)
    first, last = blocks.channels(spec, (3, 1, 2), "y")  # cut between groups only
    assert (first.target, first.x, first.y) == (slice(0, 6), (slice(0, 4),), (slice(0, 6),))
    assert (last.target, last.x, last.y) == (slice(6, 9), (slice(4, 6),), (slice(6, 9),))
    first, last = blocks.channels(spec, (3, 6), "x")
    assert (first.target, first.x, first.y) == (slice(0, 2), (slice(0, 2),), (slice(0, 3),))
    assert (last.target, last.x, last.y) == (slice(2, 6), (slice(2, 6),), (slice(3, 9),))
    none = ConvSpec.make((1, 0, 5), (4, 0, 1))
    assert blocks.channels(none, (0,), "y") == (blocks.Cut(slice(0, 4), (slice(0, 0),), (slice(0, 4),)),)


def test_the_spec_of_a_block():
    spec = ConvSpec.make((4, 6, 9, 8), (9, 2, 3, 1), groups=3, padding=(1, 0), pad_value=5)
    n, c = blocks.images(4, (3, 1))[0], blocks.channels(spec, (4, 2), "y")[0]
    rows = blocks.forward(spec, 0, (4, 5))[1]
    part = blocks.part(spec, n, c, [rows, blocks.whole(spec, 1)[0]])
    assert (part.n, part.c, part.oc, part.groups) == (3, 4, 6, 2)
    assert (part.in_size, part.out_size, part.pad_lo, part.pad_hi) == ((6, 8), (5, 8), (0, 0), (1, 0))
    part = blocks.part(ConvSpec.make((1, 4, 5), (0, 2, 1), groups=2), n, blocks.channels(
        ConvSpec.make((1, 4, 5), (0, 2, 1), groups=2), (4,), "y")[0], blocks.forward(spec, 1, (8,)))  # fmt: skip
    assert (part.c, part.oc, part.groups) == (4, 0, 2)
    columns = [blocks.whole(spec, axis)[0] for axis in (0, 1)]
    assert [(cut.x, cut.y) for cut in columns] == [((slice(0, 9),), (slice(0, 9),)), ((slice(0, 8),), (slice(0, 8),))]


def test_a_window_in_pieces():
    spec = PoolSpec.make("avg", (1, 1, 9, 9), 9, nd=2, padding=0)
    cut = blocks.Cut(slice(0, 1), (slice(2, 9),), (slice(0, 1),))
    assert blocks.split(cut, (2, 3, 2, 2)) == [slice(2, 5), slice(5, 7), slice(7, 9)]
    assert blocks.split(cut, (9,)) == [slice(2, 9)]
    piece = blocks.window(spec, "sum", [slice(2, 5), slice(5, 7)])
    assert (piece.kind, piece.in_size, piece.kernel, piece.stride) == ("sum", (3, 2), (3, 2), (3, 2))
    assert (piece.pad_lo, piece.pad_hi, piece.adaptive) == ((0, 0), (0, 0), False)
    apart = blocks.Cut(slice(0, 3), (slice(4, 8),), (slice(0, 1),))  # no window holds the first three inputs
    assert blocks.overlap([apart]) == ((3,), (slice(4, 4),), (slice(0, 0),))


def test_a_block_that_sees_one_element_less_is_noticed(monkeypatch):
    """Blocks that end where those of the inputs do, without their neighbours' elements."""
    honest = blocks._alone

    def narrow(cut, sizes, axis, box):
        spec, inputs, outputs = honest(cut, sizes, axis, box)
        return spec, slice(inputs.start, inputs.stop - 1), outputs

    monkeypatch.setattr(blocks, "_alone", narrow)
    with pytest.raises(AssertionError):
        check_forward(convolution((12, 3, 1, 1, 1, 1)), (4, 4, 4))


def test_three_axes_are_cut_one_by_one():
    spec = ConvSpec.make((1, 1, 9, 7, 5), (1, 1, 3, 2, 1), stride=(2, 1, 1), padding=(1, 0, 0))
    cuts = [blocks.forward(spec, axis, sizes) for axis, sizes in enumerate([(5, 4), (3, 4), (2, 3)])]
    for box in itertools.product(*cuts):
        part = blocks.part(spec, ONE, ONE, box)
        assert part.in_size == tuple(len(of(cut.x)) for cut in box)
        assert part.out_size == tuple(len(of(cut.y)) for cut in box)
