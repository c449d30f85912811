"""Whole networks: costs that add up, fields that are probed, two conventions of padding that differ."""

import numpy as np
import pytest

import convlib
from convlib import SpecError, cost, diff_padding, layers, receptive_field, solve_shape
from convlib.networks import NetworkCost, Residual, onnx_cost, onnx_field

LENET = [
    layers.Conv2d(6, 5, padding=2), "sigmoid", layers.AvgPool2d(2), layers.Conv2d(16, 5), np.tanh, layers.AvgPool2d(2),
]  # fmt: skip
BLOCK = Residual([layers.Conv2d(8, 3, padding=1), "relu", layers.Conv2d(8, 3, padding=1)])
DOWN = Residual(
    [layers.Conv2d(16, 3, stride=2, padding=1), layers.Conv2d(16, 3, padding=1)], [layers.Conv2d(16, 1, stride=2)]
)


def test_rows_are_what_each_layer_costs_alone():
    found = cost(LENET, (2, 1, 28, 28))
    assert isinstance(found, NetworkCost)
    alone = [
        cost("conv2d", (2, 1, 28, 28), (6, 1, 5, 5), padding=2, bias=True), None,
        cost("avg_pool2d", (2, 6, 28, 28), 2), cost("conv2d", (2, 6, 14, 14), (16, 6, 5, 5), bias=True), None,
        cost("avg_pool2d", (2, 16, 10, 10), 2),
    ]  # fmt: skip
    for row, expected in zip(found.rows, alone, strict=True):
        assert row.known is (expected is not None)
        assert expected is None or row.cost == expected
    assert [row.y_shape for row in found.rows if row.known] == [
        (2, 6, 28, 28), (2, 6, 14, 14), (2, 16, 10, 10), (2, 16, 5, 5)
    ]  # fmt: skip
    assert found.rows[1].cost.nbytes == 2 * 4 * 2 * 6 * 28 * 28
    total = found.total
    assert total.parameters == 6 * 26 + 16 * 151
    assert total.macs == sum(row.cost.macs for row in found.rows)
    assert found.y_shape == (2, 16, 5, 5)
    assert total.intensity == pytest.approx(2 * total.macs / total.nbytes)


def test_the_table():
    lines = str(cost(LENET, (1, 1, 28, 28))).splitlines()
    assert lines[0].split() == ["layer", "result", "parameters", "multiply-adds", "share", "bytes", "per", "byte"]
    assert lines[2].split() == ["Conv2d", "1×6×28×28", "156", "117", "600", "32.3%", "22", "576", "10.4"]
    assert lines[-2].startswith("total")
    assert "100.0%" in lines[-2]
    assert lines[-1] == "? taken to work element by element: sigmoid, tanh"
    shares = [float(line.split("%")[0].split()[-1]) for line in lines[2:-3]]
    assert sum(shares) == pytest.approx(100, abs=0.5)


def test_a_layer_of_its_own_and_every_kind_of_ours():
    class Swish:
        def forward(self, x):
            return x

    class Mine(layers.Conv2d):
        """A user's subclass."""

    x = (1, 4, 12, 12)
    stack = [
        Mine(8, 3, groups=2), Swish(), layers.ConvTranspose2d(6, 2, stride=2, bias=False), layers.LpPool2d(2, 2),
        layers.AdaptiveAvgPool2d(4), convlib.PoolSpec.make("max", (1, 6, 4, 4), (2, 2)),
        {"op": "conv2d", "out_channels": 3, "kernel_size": 2, "name": "head", "bias": True}, layers.GlobalMaxPool2d(),
    ]  # fmt: skip
    found = cost(stack, x)
    assert [row.name for row in found.rows] == [
        "Mine", "Swish", "ConvTranspose2d", "LpPool2d", "AdaptiveAvgPool2d", "pool", "head", "GlobalMaxPool2d"
    ]  # fmt: skip
    y = np.ones(x, np.float32)
    for layer, row in zip(stack[:5], found.rows[:5], strict=True):
        y = layer(y) if not isinstance(layer, Swish) else y
        assert y.shape == row.y_shape
    learned = [layer for layer in stack[:3] if isinstance(layer, layers.Layer)]
    assert sum(p.value.size for layer in learned for p in layer.parameters()) == sum(
        row.cost.parameters for row in found.rows[:3]
    )
    assert found.rows[6].cost.parameters == 3 * (6 * 4 + 1)
    assert found.y_shape == (1, 3, 1, 1)
    assert cost([layers.Conv1d(2, 3)], (1, 1, 9)).total.macs == 2 * 3 * 7
    assert cost([layers.Conv2d(2, 3, layout="NHWC")], (1, 9, 9, 4)).y_shape == (1, 7, 7, 2)


def test_residual_paths_add_up():
    found = cost([layers.Conv2d(8, 3, padding=1), BLOCK, DOWN], (1, 3, 16, 16))
    names = [row.name for row in found.rows]
    assert names == ["Conv2d", "  Conv2d", "  relu", "  Conv2d", "add", "  Conv2d", "  Conv2d", "  Conv2d", "add"]
    assert found.y_shape == (1, 16, 8, 8)
    convolutions = [row.cost.macs for row in found.rows if "Conv" in row.name]
    assert convolutions == [3 * 8 * 9 * 256, *(8 * 8 * 9 * 256,) * 2, 8 * 16 * 9 * 64, 16 * 16 * 9 * 64, 8 * 16 * 64]


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        ([layers.Conv2d(4, 3), layers.Conv2d(4, 3, in_channels=3)], "layer 2, Conv2d, over .*in_channels=3"),
        ([layers.MaxPool2d(9)], r"layer 1, MaxPool2d, over an input of \(1, 3, 8, 8\): .*larger"),
        ([Residual([layers.Conv2d(4, 1)])], "its branch gives .* and its shortcut .*, which cannot be added"),
        ([{"kernel_size": 3}], "names no op; add it"),
        ([convlib.ConvSpec.make((1, 2, 8, 8), (3, 2, 3, 3))], r"the spec is of an input of \(1, 2, 8, 8\)"),
        ([{"op": "conv2d", "kernel_size": 3}], "needs out_channels"),
    ],
)
def test_what_does_not_fit_is_named_with_its_layer(stack, words):
    with pytest.raises(SpecError, match=words):
        cost(stack, (1, 3, 8, 8))


def test_a_network_is_called_for_by_layers_and_a_shape():
    with pytest.raises(TypeError, match=r"cost\(layers, x_shape\)"):
        cost(LENET)
    with pytest.raises(TypeError, match="a mapping or something to call, not int"):
        cost([3], (1, 1, 8, 8))


# ------------------------------------------------------------------------------- receptive fields


def probed(stack, size):
    """Find by differences what the output in the middle sees of an image."""
    rng = np.random.default_rng(0)

    def run(x, parts):
        for part in parts:
            if isinstance(part, Residual):
                x = run(x, part.branch) + run(x, part.shortcut)
            elif isinstance(part, layers.Layer):
                x = part(x)
        return x

    x = rng.standard_normal((1, 1, size, size))
    y = run(x, stack)
    middle = tuple(s // 2 for s in y.shape[2:])
    rows = []
    for position in range(size):
        moved = x.copy()
        moved[0, 0, position, :] += 1
        if not np.array_equal(run(moved, stack)[0, :, middle[0], middle[1]], y[0, :, middle[0], middle[1]]):
            rows.append(position)
    return rows, middle[0]


@pytest.mark.parametrize("name", ["plain", "residual", "down"])
def test_fields_by_probing(name):
    double = {"dtype": "float64", "rng": np.random.default_rng(3)}
    conv = layers.Conv2d(2, 3, padding=1, **double)
    stacks = {
        "plain": [conv, "relu", layers.Conv2d(2, 5, stride=2, **double), np.tanh, layers.AvgPool2d(2)],
        "residual": [conv, Residual([layers.Conv2d(2, 3, padding=1, **double), "relu"]), layers.AvgPool2d(2)],
        "down": [conv, Residual(
            [layers.Conv2d(4, 5, stride=2, padding=2, **double)], [layers.Conv2d(4, 1, stride=2, **double)]
        )],
    }  # fmt: skip
    rows, middle = probed(stacks[name], 24)
    seen = receptive_field(stacks[name], size=24)
    assert rows == list(seen.of(middle, middle)[0])


def test_a_shortcut_that_reaches_further_counts():
    wide = Residual([layers.Conv2d(1, 3, padding=1)], [layers.Conv2d(1, 7, padding=3)])
    assert receptive_field([wide]).size == (7, 7)
    assert receptive_field([wide]).start == (-3, -3)
    with pytest.raises(SpecError, match="its paths have the steps"):
        receptive_field([Residual([layers.Conv2d(1, 3, stride=2)])])
    with pytest.raises(SpecError, match="its paths give the sizes"):
        receptive_field([Residual([layers.Conv2d(1, 3)])], size=9)


def test_the_field_as_text():
    seen = receptive_field([{"kernel_size": 7, "stride": 2, "padding": 3}, "relu", BLOCK])
    assert [name for name, _ in seen.steps] == ["input", "kernel_size=7", "relu", "Residual"]
    lines = seen.text().splitlines()
    assert lines[2].split() == ["kernel_size=7", "7", "2", "#######"]
    assert lines[-1].split()[1:3] == ["15", "2"]
    large = receptive_field([{"kernel_size": 101}] * 3).text(width=40)
    assert max(line.count("#") for line in large.splitlines()) == 40


def test_the_field_as_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
    path = tmp_path / "field.png"
    receptive_field([*LENET[:3], BLOCK], size=28).plot(str(path), (28, 28))
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(SpecError, match="a picture has two axes"):
        receptive_field([{"kernel_size": 3}], nd=1).plot(str(path))
    with pytest.raises(SpecError, match="cannot write the picture"):
        receptive_field([{"kernel_size": 3}]).plot(str(tmp_path / "no" / "field.png"))


# ------------------------------------------------------------------------------- ONNX


@pytest.fixture
def model(tmp_path):
    """Write a small residual network; return its path."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper = onnx.helper

    def weights(name, *shape):
        return helper.make_tensor(name, 1, shape, np.ones(int(np.prod(shape)), np.float32))

    tensors = [weights("w1", 8, 3, 7, 7), weights("w2", 8, 8, 3, 3), weights("w3", 8, 8, 3, 3), weights("w4", 40, 8)]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], "stem", strides=[2, 2], pads=[3, 3, 3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w2"], ["d"], "one", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Conv", ["e", "w3"], ["f"], "two", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "f"], ["g"]),
        helper.make_node("GlobalAveragePool", ["g"], ["h"]),
        helper.make_node("Flatten", ["h"], ["i"]),
        helper.make_node("Gemm", ["i", "w4"], ["y"], transB=1),
    ]
    x, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 3, 64, 64]), ("y", [1, 40])))
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", [x], [y], tensors)), path)
    return str(path)


def test_a_model_costs_what_its_layers_cost(model):
    found = onnx_cost(model)
    counts = {row.name: row.count for row in found.rows}
    assert counts["one"] == 2
    assert found.total.macs >= 8 * 3 * 49 * 32 * 32 + 2 * 64 * 9 * 16 * 16
    assert "(2 times)" in str(found)
    assert found.x_shape == (1, 3, 64, 64)


def test_a_models_field_goes_through_its_branches(model):
    stack = [
        {"kernel_size": 7, "stride": 2, "padding": 3}, {"kernel_size": 3, "stride": 2, "padding": 1},
        Residual([{"kernel_size": 3, "padding": 1}, "relu", {"kernel_size": 3, "padding": 1}]),
    ]  # fmt: skip
    assert onnx_field(model) == receptive_field(stack)


# ------------------------------------------------------------------------------- shapes and padding


def test_solutions_hold_and_usual_ones_come_first():
    found = solve_shape(28, 14, kernel_size=3, dilation=None)
    assert found[0] == (3, 2, 1, 1, 0)
    assert {solution.dilation for solution in found} == {1, 2, 3, 4}
    for k, s, padding, d, _ in found:
        assert convlib.conv_output_shape((1, 1, 28), (1, 1, k), stride=s, padding=padding, dilation=d) == (1, 1, 14)
    up = solve_shape(14, 28, kernel_size=4, transposed=True)
    assert up[0] == (4, 2, 1, 1, 0)
    assert solve_shape(14, 28, kernel_size=3, transposed=True, dilation=None)[0] == (3, 2, 1, 1, 1)
    with pytest.raises(SpecError, match="max_dilation=0 must be at least 1"):
        solve_shape(14, 28, dilation=None, max_dilation=0)


@pytest.mark.parametrize("size", range(5, 12))
@pytest.mark.parametrize(("k", "s", "d"), [(3, 2, 1), (3, 1, 1), (4, 1, 1), (5, 3, 1), (3, 2, 2), (1, 2, 1)])
def test_padding_differs_where_results_do(size, k, s, d):
    """The reference is the computation itself by both rules."""
    found = diff_padding(size, k, s, d)
    x, w = np.arange(1.0, size + 1).reshape(1, 1, -1), np.arange(1.0, k + 1).reshape(1, 1, -1)
    tf = convlib.conv1d(x, w, stride=s, dilation=d, padding="same_upper")
    torch = convlib.conv1d(x, w, stride=s, dilation=d, padding=found.torch[0])
    assert found.outputs == (tf.shape[-1], torch.shape[-1])
    assert found.agree is (tf.shape == torch.shape and bool((tf == torch).all()))
    assert ("They agree" in str(found)) is found.agree


def test_the_difference_is_explained():
    said = str(diff_padding(224, 7, stride=2))
    assert "TensorFlow, padding='SAME': 2 before and 3 after, 112 outputs, windows start at -2, 0, 2, ..." in said
    assert "PyTorch, padding=3: 3 before and 3 after, 112 outputs, windows start at -3, -1, 1, ..." in said
    assert "its windows start 1 earlier" in said
    assert diff_padding(225, 7, stride=2).agree
    assert "the numbers of outputs differ, 112 and 111" in str(diff_padding(224, 7, stride=2, padding=2))
    with pytest.raises(SpecError, match="stride=0 must be at least 1"):
        diff_padding(5, 3, 0)
