"""Pictures show what the operators compute."""

import json
import re
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import convlib
from convlib import SpecError, show
from convlib.layers import MaxPool2d
from convlib.show import geometry
from convlib.show.scene import ROLES
from convlib.spec import PADDING_MODES, make_conv, make_pool, make_transpose

MODES = sorted(set(PADDING_MODES.values()))


@st.composite
def filters(draw):
    """Return the sizes and options of a small convolution whose window fits."""
    per_axis = lambda low, high: draw(st.tuples(st.integers(low, high), st.integers(low, high)))  # noqa: E731
    groups = draw(st.integers(1, 2))
    kernel, dilation = per_axis(1, 3), per_axis(1, 2)
    size = tuple(max(s, (k - 1) * d + 1) for s, k, d in zip(per_axis(1, 5), kernel, dilation, strict=True))
    options = {
        "stride": per_axis(1, 3), "padding": tuple(zip(per_axis(0, 2), per_axis(0, 2), strict=True)),
        "dilation": dilation, "groups": groups, "padding_mode": draw(st.sampled_from(MODES)),
        "flip": draw(st.booleans()),
    }  # fmt: skip
    return (groups * draw(st.integers(1, 2)), *size), (groups * draw(st.integers(1, 2)), kernel), options


def integers(*shape):
    return np.random.default_rng(7).integers(-4, 5, shape)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(filters())
def test_taps_are_those_of_a_convolution(case):
    shape, (oc, kernel), options = case
    x, w = integers(*shape), integers(oc, shape[0] // options["groups"], *kernel)
    spec = make_conv(2, x.shape, w.shape, **options)
    y = np.zeros(spec.y_shape, int)
    for channel, step in product(range(oc), geometry.steps(spec)):
        first = channel // spec.ocg * spec.icg
        for c, tap in product(range(spec.icg), geometry.taps(spec, step)):
            if tap.element is not None:
                y[(channel, *step)] += w[(channel, c, *tap.weight)] * x[(first + c, *tap.element)]
    np.testing.assert_array_equal(y, convlib.conv2d(x, w, **options))
    # The same as a matrix.
    matrix = show.toeplitz_matrix(x.shape, w, **options)
    np.testing.assert_array_equal(matrix @ x.ravel(), y.ravel())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(filters(), st.data())
def test_taps_are_those_of_a_transposed_convolution(case, data):
    shape, (oc, kernel), options = case
    del options["padding_mode"]
    x, w = integers(*shape), integers(shape[0], oc // options["groups"], *kernel)
    # Below the stride, so that the convolution of the result has as many outputs as there are inputs here.
    options["output_padding"] = tuple(data.draw(st.integers(0, s - 1)) for s in options["stride"])
    try:
        spec = make_transpose(2, x.shape, w.shape, **options)
    except SpecError:
        options["padding"] = 0  # it would cut all off
        spec = make_transpose(2, x.shape, w.shape, **options)
    frames = show.conv_transpose2d(x, w, np.arange(oc), **options)
    y = convlib.conv_transpose2d(x, w, np.arange(oc), **options)
    assert len(frames) == x.size
    outputs = frames.frame(-1).columns[-1]
    for channel, panel in enumerate(outputs):
        shown = np.array(panel.text)[tuple(
            slice(lo, lo + size) for lo, size in zip(spec.pad_lo, spec.in_size, strict=True)
        )]  # fmt: skip
        assert shown.tolist() == [[str(value) for value in row] for row in y[channel]]
    # Its matrix is the transpose of that of the convolution.
    del options["output_padding"]
    matrix = show.toeplitz_matrix(spec.x_shape, w, **options)
    np.testing.assert_array_equal(matrix.T @ x.ravel(), (y - np.arange(oc)[:, None, None]).ravel())


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("padding", [0, 1, ((1, 0), (0, 1))])
def test_pools_show_their_windows_and_results(kind, ceil_mode, padding):
    x = integers(2, 6, 5)
    options = {"stride": 2, "padding": padding, "ceil_mode": ceil_mode}
    scene = getattr(show, f"{kind}_pool2d")(x, 3, **options)
    y = getattr(convlib, f"{kind}_pool2d")(x, 3, **options)
    spec = make_pool(2, kind, x.shape, 3, **options)
    assert len(scene) == y.size
    for (channel, *step), frame in zip(np.ndindex(y.shape), scene, strict=True):
        inputs, outputs = frame.columns
        marked = {(r, c) for r, c in np.ndindex(inputs[channel].shape) if inputs[channel].role[r][c] == "window"}
        inside = {
            (r + spec.pad_lo[0], c + spec.pad_lo[1])
            for r, c in product(*(spec.taps(axis, o) for axis, o in enumerate(step)))
        }
        assert inside <= marked
        assert np.array(outputs[channel].role)[tuple(step)] == "now"
        left, right = frame.caption.split(" = ", 1)
        assert left == f"y[{channel},{step[0]},{step[1]}]"
        terms, shown = right.rsplit(" = ", 1)
        assert eval(terms, {"max": max}) == pytest.approx(y[(channel, *step)])
        assert float(shown) == pytest.approx(y[(channel, *step)], abs=5e-3 * max(1, abs(y[(channel, *step)])))


def test_formulas_are_true():
    x, w = integers(2, 4, 4), integers(3, 2, 2, 2)
    y = convlib.conv2d(x, w, np.arange(3), padding=1, pad_value=2, stride=2)
    scene = show.conv2d(x, w, np.arange(3), padding=1, pad_value=2, stride=2)
    assert len(scene) == y.size
    for place, frame in zip(np.ndindex(y.shape), scene, strict=True):
        name, products, result = frame.caption.split(" = ")
        assert name == f"y[{','.join(map(str, place))}]"
        assert eval(products.replace("·", "*")) == int(result) == y[place]
    long = show.conv2d((5, 5), (4, 4)).frame(0).caption
    assert long.endswith("... (16 terms)")
    assert long.count("·") == 8


def test_a_picture_without_numbers_names_the_elements_of_one_with_numbers():
    x, w = integers(4, 4), integers(2, 2)
    options = {"padding": 1, "padding_mode": "reflect", "flip": True}
    names = {"x": x, "w": w}
    for named, shown in zip(show.conv2d((4, 4), (2, 2), **options), show.conv2d(x, w, **options), strict=True):
        assert eval(named.caption.split(" = ")[1].replace("·", "*"), names) == int(shown.caption.split(" = ")[2])
        assert [panel.role for column in named.columns for panel in column] == [
            panel.role for column in shown.columns for panel in column
        ]


def test_columns_are_those_of_im2col():
    x = integers(2, 4, 5)
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}
    scene = show.im2col(x, (2, 2), **options)
    columns = convlib.im2col(x, (2, 2), **options)
    assert len(scene) == columns.shape[1]
    for step, frame in enumerate(scene):
        inputs, (table,) = frame.columns
        assert table.text == tuple(tuple(map(str, row)) for row in columns)
        assert {c for r, c in np.ndindex(table.shape) if table.role[r][c] == "window"} == {step}
        # The window has the colour of its column, and holds its numbers.
        for panel, part in zip(inputs, np.split(columns[:, step], 2), strict=True):
            marked = [place for place in np.ndindex(panel.shape) if panel.hue[place[0]][place[1]] == step]
            assert [int(panel.text[r][c]) for r, c in marked] == part.tolist()


def test_the_matrix_is_doubly_block_toeplitz():
    matrix = show.toeplitz_matrix((5, 6), integers(3, 3)).toarray()
    blocks = matrix.reshape(3, 4, 5, 6)  # output row, output column, input row, input column
    for row, column in product(range(2), range(3)):
        np.testing.assert_array_equal(blocks[row, :, :-1], blocks[row + 1, :, 1:])
        np.testing.assert_array_equal(blocks[:, column, :, :-1], blocks[:, column + 1, :, 1:])
    assert matrix.any()


def test_the_picture_of_the_matrix():
    x, w = integers(3, 4), integers(2, 2)
    y = convlib.conv2d(x[None], w[None, None])[0].ravel()
    scene = show.toeplitz(x, w)
    table = scene.frame(0).columns[0][0]
    numbers = [[int(text or 0) for text in row] for row in table.text]
    assert numbers == show.toeplitz_matrix(x.shape, w).toarray().tolist()
    assert [frame.caption.rsplit(" = ")[-1] for frame in scene] == [str(value) for value in y]
    by_hue = {}
    for r, c in np.ndindex(table.shape):
        if table.hue[r][c] >= 0:
            by_hue.setdefault(table.hue[r][c], set()).add(numbers[r][c])
    assert by_hue == {k: {value} for k, value in enumerate(w.ravel())}  # one colour, one weight
    assert "w[1,1]·x[5]" in show.toeplitz((3, 4), (2, 2)).frame(0).caption


@pytest.mark.parametrize("output", [None, (0, 0), (2, 1)])
def test_the_receptive_field_is_that_of_the_function_and_of_the_gradient(output):
    layers = [
        {"kernel_size": 3, "padding": 1}, MaxPool2d(2), {"kernel_size": (3, 2), "dilation": (1, 2)},
    ]  # fmt: skip
    scene = show.receptive_field(layers, (12, 11), output=output)
    columns = scene.frame(-1).columns
    last = np.array(columns[-1][0].role)
    place = tuple(np.argwhere(last == "now")[0])
    assert output is None or place == output
    ranges = convlib.receptive_field(layers).of(*map(int, place))
    expected = {at for at in product(*ranges) if 0 <= at[0] < 12 and 0 <= at[1] < 11}
    text = columns[0][0].text
    assert {at for at in np.ndindex(12, 11) if text[at[0]][at[1]]} == expected
    # How often each element takes part: the gradient of sums.
    grad = np.zeros((1, *last.shape), int)
    grad[(0, *place)] = 1
    ones = np.ones((1, 1, 3, 2), int)
    grad = convlib.conv2d_grad_input(grad, ones, (1, 6, 5), dilation=(1, 2))
    grad = convlib.conv2d_grad_input(grad, np.ones((1, 1, 2, 2), int), (1, 12, 11), stride=2)
    grad = convlib.conv2d_grad_input(grad, np.ones((1, 1, 3, 3), int), (1, 12, 11), padding=1)[0]
    assert [[int(cell or 0) for cell in row] for row in text] == grad.tolist()


def test_kernels_share_one_scale_round_zero():
    first, second = (c[0] for c in show.kernels([[[4, -2]], [[1, 0]]]).frame(0).columns)
    assert (first.shade, second.shade) == (((1, -0.5),), ((0.25, 0),))
    assert first.signed
    assert first.text == (("4", "-2"),)
    (positive,) = show.kernels([[1, 2]]).frame(0).columns[0]
    assert positive.shade == ((0.5, 1),)
    assert positive.signed


def test_feature_maps_run_from_the_least_to_the_largest():
    maps = np.array([[[2, 4]], [[6, 10]]])
    shades = [panel.shade for column in show.feature_maps(maps).frame(0).columns for panel in column]
    assert shades == [((0, 1),), ((0, 1),)]
    shades = [p.shade for column in show.feature_maps(maps, together=True).frame(0).columns for p in column]
    assert shades == [((0, 0.25),), ((0.5, 1),)]
    signed = show.feature_maps(maps - 6, together=True).frame(0).columns[0][0]
    assert signed.shade == ((-1, -0.5),)
    many = show.feature_maps(np.zeros((5, 2, 2)), columns=2).frame(0).columns
    assert [[panel.title for panel in column] for column in many] == [["0", "2", "4"], ["1", "3"]]


SCENES = [
    show.conv2d(integers(3, 4, 4), integers(2, 3, 2, 2), padding=1),
    show.conv2d(integers(3, 3) / 3, integers(2, 2) / 3),
    show.conv_transpose2d((2, 2), (3, 3), stride=2, padding=1, output_padding=1),
    show.max_pool2d(integers(4, 4), 2),
    show.im2col((3, 3), 2, padding=1),
    show.toeplitz((3, 3), (2, 2)),
    show.receptive_field([{"kernel_size": 3}], 5),
    show.kernels(integers(3, 3, 3)),
    show.feature_maps(integers(12, 12)),
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title.partition(":")[0])
def test_scenes_are_plain_data(scene):
    data = json.loads(json.dumps(scene.data()))
    assert data["title"] == scene.title
    assert len(data["frames"]) == len(scene) == len(list(scene))
    for frame in scene:
        assert len(frame.signs) == len(frame.columns) - 1
        for panel in (panel for column in frame.columns for panel in column):
            assert {len(row) for row in panel.role} == {len(row) for row in panel.text} == {panel.shape[1]}
            assert {role for row in panel.role for role in row} <= ROLES.keys()
    assert scene.text().startswith(scene.title)
    assert str(scene) == scene.text(0)
    assert repr(len(scene)) in repr(scene)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: show.conv2d((60, 60), (3, 3)), "too much to see"),
        (lambda: show.conv2d((9, 4, 4), (9, 3, 3)), "9 channels"),
        (lambda: show.max_pool2d((0, 4, 4), 2), "nothing to see"),
        (lambda: show.conv2d((4,), (3, 3)), "x has 1 axes"),
        (lambda: show.conv2d((3, 4, 4), (3, 3)), "x has 3 channels"),
        (lambda: show.conv2d((4, 4), (5, 5)), "larger than the padded input"),
        (lambda: show.toeplitz((9, 9), (3, 3)), "too large to see"),
        (lambda: show.im2col((9, 9), 2), "too large to see"),
        (lambda: show.conv2d((4, 4), (2, 2)).text(9), "step=9 is not there"),
        (lambda: show.receptive_field([], 5), "no layers"),
        (lambda: show.receptive_field([{"kernel_size": 3}], 5, output=3), "outside the result"),
        (lambda: show.feature_maps([[np.nan]]), "no shade"),
        (lambda: show.feature_maps([[1]], titles=["a", "b"]), "titles has 2"),
        (lambda: show.conv2d((4, 4), (2, 2)).save("a.gif", step=1), "no effect on an animation"),
    ],
)
def test_refusals_say_what_would_do(call, message):
    with pytest.raises(SpecError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call", [lambda: show.conv2d([["a"]], (1, 1)), lambda: show.kernels((3, 3))])
def test_what_is_no_number_is_refused(call):
    with pytest.raises(TypeError, match="numbers"):
        call()


def test_small_types_do_not_wrap_around():
    x, w = np.full((2, 2), 200, np.uint8), np.full((2, 2), 100, np.uint8)
    assert show.conv_transpose2d(x, w).frame(-1).columns[2][0].text[1][1] == "80000"
    assert (show.toeplitz_matrix((2, 2), w) @ x.ravel()).tolist() == [80000]
    assert show.conv_transpose2d(np.ones((1, 2), bool), np.ones((1, 2), bool)).frame(-1).columns[2][0].text == (
        ("1", "2", "1"),
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(np.nan, "nan"), (-np.inf, "-inf"), (0.25, "0.25"), (2.0, "2"), (3e6, "3e+06"), (1 + 2j, "1+2j")],
)
def test_numbers_of_all_kinds(value, text):
    assert show.conv2d([[value]], [[1]]).frame(0).columns[0][0].text == ((text,),)


def test_a_shape_of_numpy_integers_is_a_shape():
    assert show.conv2d((np.int64(3), np.int64(3)), (2, 2)).title == show.conv2d((3, 3), (2, 2)).title


# ------------------------------------------------------------------------------- files


def test_text_needs_nothing(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "convlib.show.figure", raising=False)
    scene = show.conv2d((3, 3), (2, 2))
    scene.save(tmp_path / "picture.txt")
    assert (tmp_path / "picture.txt").read_text() == scene.text() + "\n"
    for name in ("picture.svg", "picture.gif"):
        with pytest.raises(ImportError, match="pictures need Matplotlib"):
            scene.save(tmp_path / name)
    with pytest.raises(ImportError, match="pictures need Matplotlib"):
        scene.plot()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title.partition(":")[0])
def test_pictures(scene, tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    for path in (tmp_path / "one.svg", tmp_path / "two.svg", tmp_path / "picture.png"):
        scene.save(path, step=-1)
    svg = (tmp_path / "one.svg").read_text()
    assert svg == (tmp_path / "two.svg").read_text()
    # Letters are letters.
    assert f">{scene.title}<" in svg
    assert (tmp_path / "picture.png").stat().st_size > 2000


def test_animations(tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    from PIL import Image

    scene = show.conv2d(integers(3, 3), integers(2, 2))
    scene.save(tmp_path / "windows.gif", seconds=0.5)
    with Image.open(tmp_path / "windows.gif") as image:
        assert image.n_frames == len(scene)
        assert image.info["duration"] == 500


def test_it_loads_when_it_is_used():
    code = (
        "import sys, convlib; assert 'convlib.show' not in sys.modules;"
        "print(convlib.show.conv2d((2, 2), (2, 2)).title); assert 'matplotlib' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "conv2d: input 2 x 2, kernel 2 x 2, output 1 x 1\n"
