"""ONNX's operators on convlib, one at a time: every operator set, sizes at the edge, and errors that name the node."""

import gc
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

import onnx_nodes
from onnx.reference import ReferenceEvaluator

import convlib
import convlib.onnx
from convlib.onnx import OPS, NodeError, Prepared, memory, operators, rules


def run(op, inputs, opset=22, outputs=1, **attributes):
    """Run a node by ONNX's evaluator with `OPS`, and by a prepared model, which must give the same."""
    inputs = [a if a is None else np.asarray(a) for a in inputs]
    model, feeds = onnx_nodes.model(op, inputs, opset, outputs, **attributes), onnx_nodes.feeds(inputs)
    found = ReferenceEvaluator(model, new_ops=OPS).run(None, feeds)
    for a, b in zip(found, Prepared(model).run(feeds), strict=True):
        np.testing.assert_array_equal(a, b)
    return found


def counted(*shape, dtype="float32"):
    return np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)


def test_one_class_per_operator():
    assert {cls.__name__ for cls in OPS} == operators.TABLE.keys() | {"Relu", "Add"}
    assert len(OPS) == len(operators.TABLE) + 2 == 16


#: All but the first of LpPool and GlobalLpPool, whose exponent has another type.
VERSIONS = [
    (schema.name, schema.since_version)
    for schema in onnx.defs.get_all_schemas_with_history()
    if schema.name in operators.TABLE and (schema.since_version > 1 or "Lp" not in schema.name)
]


@pytest.mark.parametrize(("op", "opset"), sorted(VERSIONS), ids=lambda value: str(value))
def test_every_version_of_every_operator(op, opset):
    """A node of each version runs, and gives what the newest gives: no version changed the numbers."""
    seed = next(seed for seed in range(1000) if draws(seed, op, opset)) if op in onnx_nodes.OPSETS else None
    if op == "CausalConvWithState":
        inputs, outputs, attributes = [counted(1, 2, 5), counted(2, 1, 3)], 2, {}
    else:
        _, inputs, _, outputs, attributes = onnx_nodes.Draw(seed).node()
    y = run(op, inputs, opset, outputs, **attributes)
    newest = max(since for name, since in VERSIONS if name == op)
    for a, b in zip(y, run(op, inputs, newest, outputs, **attributes), strict=True):
        np.testing.assert_array_equal(a, b)


def draws(seed, op, opset):
    """Return whether a seed gives a node of an operator with attributes that an operator set knows."""
    name, _, _, outputs, attributes = onnx_nodes.Draw(seed).node()
    if name != op:
        return False
    schema = onnx.defs.get_schema(op, opset, "")
    return attributes.keys() <= schema.attributes.keys() and outputs <= schema.max_output


def test_the_norm_was_a_float_once():
    x = counted(1, 1, 4)
    assert run("GlobalLpPool", [x], 1, p=1.0)[0].item() == 10
    assert run("LpPool", [x], 1, p=1.0, kernel_shape=[2])[0].tolist() == [[[3, 5, 7]]]


# ------------------------------------------------------------------------------- sizes


def test_pads_list_starts_before_ends():
    assert rules.pairs({"pads": [1, 2, 3, 4]}, 2) == ((1, 3), (2, 4))
    y = run("Conv", [counted(1, 1, 2, 2), np.ones((1, 1, 2, 2), np.float32)], pads=[1, 0, 0, 0])[0]
    assert y.tolist() == [[[[3], [10]]]]


@pytest.mark.parametrize(
    ("name", "first"), [("SAME_UPPER", 1 + 2), ("SAME_LOWER", 1), ("VALID", 1 + 2)], ids=lambda value: str(value)
)
def test_auto_pad(name, first):
    y = run("Conv", [counted(1, 1, 4), np.ones((1, 1, 2), np.float32)], auto_pad=name)[0]
    assert y[0, 0, 0] == first
    assert y.shape == (1, 1, 3 if name == "VALID" else 4)


def test_the_last_window_starts_inside():
    """The case of ONNX's own rule since operator set 22: size 2, windows of 2 with step 3 and a pad of 1."""
    y = run("MaxPool", [counted(1, 1, 2)], kernel_shape=[2], strides=[3], pads=[1, 1], ceil_mode=1)[0]
    assert y.tolist() == [[[1]]]
    nine = run("AveragePool", [counted(1, 1, 9, 9)], kernel_shape=[4, 4], strides=[4, 4], pads=[2] * 4, ceil_mode=1)[0]
    assert nine.shape == (1, 1, 3, 3)


def test_what_lies_behind_the_padding_never_counts():
    x = counted(1, 1, 4, 4)
    options = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "ceil_mode": 1, "count_include_pad": 1}
    for opset in (10, 19, 22):  # PyTorch's values for the same pooling
        y = run("AveragePool", [x], opset, **options)[0][0, 0]
        np.testing.assert_allclose(y, [[14 / 9, 10 / 3, 2], [19 / 3, 11, 6], [4.5, 7.5, 4]], rtol=1e-6)
    plain = run("AveragePool", [x], **{**options, "count_include_pad": 0})[0][0, 0]
    np.testing.assert_allclose(plain, [[3.5, 5, 6], [9.5, 11, 12], [13.5, 15, 16]], rtol=1e-6)


LARGER = [
    ("Conv", [np.ones((2, 3, 2), np.float32), np.ones((4, 3, 3), np.float32)], {}, (2, 4, 0), "float32"),
    ("ConvInteger", [np.ones((2, 3, 2), np.uint8), np.ones((4, 3, 3), np.uint8)], {}, (2, 4, 0), "int32"),
    (
        "MaxPool",
        [np.ones((1, 1, 2, 4), np.float32)],
        {"kernel_shape": [3, 3], "strides": [2, 1]},
        (1, 1, 0, 2),
        "float32",
    ),
    ("AveragePool", [np.ones((1, 1, 2, 4), np.float32)], {"kernel_shape": [3, 3]}, (1, 1, 0, 2), "float32"),
    ("LpPool", [np.ones((1, 1, 2), np.float32)], {"kernel_shape": [3]}, (1, 1, 0), "float32"),
]


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "shape", "dtype"), LARGER, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_window_larger_than_the_input_gives_nothing(op, inputs, attributes, shape, dtype):
    """The size rounds down: 0 if the window is larger by no more than a stride, and below 0 there is no result."""
    y = run(op, inputs, **attributes)[0]
    assert (y.shape, y.dtype) == (shape, dtype)
    inputs = [a[..., :1] for a in inputs[:1]] + inputs[1:]
    inputs[0] = inputs[0][:, :, :0] if inputs[0].ndim == 3 else inputs[0][:, :, :1, :1]
    attributes = {**attributes, "strides": [1] * (inputs[0].ndim - 2)}
    with pytest.raises(NodeError, match="'the_node': the window is larger than the padded input"):
        run(op, inputs, **attributes)


def test_a_constant_weight_larger_than_the_input_gives_nothing():
    x, w = np.ones((2, 3, 2), np.float32), np.ones((4, 3, 3), np.float32)
    model = onnx_nodes.model("Conv", [x, w], 17, constants=1)
    assert Prepared(model).run([x])[0].shape == (2, 4, 0)


def test_a_window_beyond_the_input_holds_what_is_there():
    """With ceil_mode a window may be larger than the input."""
    y = run("MaxPool", [counted(1, 1, 2)], kernel_shape=[3], strides=[2], ceil_mode=1)[0]
    assert y.tolist() == [[[2]]]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"strides": [2]}, [1, 1, 3, 2, 2]),
        ({"strides": [2], "pads": [1, 0]}, [1, 3, 2, 2]),
        ({"strides": [2], "output_padding": [1]}, [1, 1, 3, 2, 2, 0]),
        ({"strides": [2], "auto_pad": "SAME_UPPER"}, [1, 1, 3, 2]),
        ({"strides": [2], "auto_pad": "SAME_LOWER"}, [1, 3, 2, 2]),
        ({"strides": [2], "auto_pad": "VALID"}, [1, 1, 3, 2, 2]),
        # What is to go is one element: from the start, but for SAME_UPPER from the end; pads do not matter.
        ({"strides": [2], "output_shape": [4]}, [1, 3, 2, 2]),
        ({"strides": [2], "output_shape": [4], "auto_pad": "SAME_UPPER"}, [1, 1, 3, 2]),
        ({"strides": [2], "output_shape": [4], "pads": [5, 5]}, [1, 3, 2, 2]),
        ({"strides": [3], "auto_pad": "SAME_UPPER"}, [1, 1, 1, 2, 2, 2]),
    ],
    ids=lambda value: str(value)[:60],
)
def test_sizes_of_transposed_convolution(attributes, expected):
    x, w = np.array([[[1, 2]]], np.float32), np.ones((1, 1, 3), np.float32)
    assert run("ConvTranspose", [x, w], **attributes)[0].tolist() == [[expected]]


# ------------------------------------------------------------------------------- places


def test_indices_count_in_the_whole_tensor():
    x = counted(2, 2, 2, 4)
    y, places = run("MaxPool", [x], outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    assert places.tolist() == [[[[5, 7]], [[13, 15]]], [[[21, 23]], [[29, 31]]]]
    np.testing.assert_array_equal(x.ravel()[places], y)
    _, places = run("MaxPool", [x], outputs=2, kernel_shape=[2, 2], strides=[2, 2], storage_order=1)
    assert places.tolist() == [[[[3, 7]], [[11, 15]]], [[[19, 23]], [[27, 31]]]]


def test_the_place_of_a_window_without_elements():
    x = -counted(1, 1, 2)
    y, places = run("MaxPool", [x], outputs=2, kernel_shape=[2], dilations=[3], pads=[1, 1])
    assert (y.tolist(), places.tolist()) == ([[[-np.inf]]], [[[-1]]])


def test_unpooling_inverts_pooling():
    x = counted(2, 3, 4, 6)
    y, places = run("MaxPool", [x], outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    back = run("MaxUnpool", [y, places], kernel_shape=[2, 2], strides=[2, 2])[0]
    np.testing.assert_array_equal(back, np.where(np.isin(x, y), x, 0))


def test_unpooling_to_a_larger_shape():
    """ONNX's own case: indices count in the shape that the windows give; what is behind it is zeros."""
    y = run("MaxUnpool", [counted(1, 1, 2), np.array([[[1, 3]]]), np.array([1, 1, 5])], kernel_shape=[2], strides=[2])[
        0
    ]
    assert y.tolist() == [[[0, 1, 0, 2, 0]]]


# ------------------------------------------------------------------------------- integers


@pytest.mark.parametrize("kinds", [("uint8", "uint8"), ("uint8", "int8"), ("int8", "int8"), ("int8", "uint8")])
def test_integers_with_zero_points(kinds):
    rng = np.random.default_rng(0)
    x, w = (
        rng.integers(np.iinfo(k).min, np.iinfo(k).max, shape, k, True)
        for k, shape in zip(kinds, ((2, 4, 6, 6), (6, 2, 3, 3)), strict=True)
    )
    zeros = np.array(77, kinds[0]), rng.integers(0, 100, 6).astype(kinds[1])
    y = run("ConvInteger", [x, w, *zeros], group=2, pads=[1, 1, 1, 1])[0]
    wide = convlib.conv2d(
        x.astype(int) - 77, w.astype(int) - zeros[1].astype(int)[:, None, None, None], groups=2, padding=1
    )
    np.testing.assert_array_equal(y, wide)
    assert y.dtype == np.int32


def test_quantized_results_round_half_to_even_and_stay_in_range():
    x, w = np.array([[[1, 2, 3, 5, 255, 0]]], np.uint8), np.ones((1, 1, 1), np.uint8)
    zero = np.array(0, np.uint8)
    half, one = np.float32(0.5), np.float32(1)
    y = run("QLinearConv", [x, half, zero, w, one, zero, one, np.array(1, np.uint8)])[0]
    assert y.tolist() == [[[1, 2, 3, 3, 129, 1]]]
    y = run(
        "QLinearConv", [x, np.float32(4), zero, w, one, zero, one, np.array(-100, np.int8), np.array([-8], np.int32)]
    )[0]
    assert (y.tolist(), y.dtype) == ([[[-128, -124, -120, -112, 127, -128]]], np.int8)


# ------------------------------------------------------------------------------- causal and deformable


def test_causal_convolution_carries_its_state():
    x, w = counted(2, 3, 7), counted(3, 1, 4)
    whole, last = run("CausalConvWithState", [x, w], 27, 2)
    state, parts = None, []
    for part in np.split(x, [2, 3, 6], axis=2):
        y, state = run("CausalConvWithState", [part, w, None, state] if state is not None else [part, w], 27, 2)
        parts.append(y)
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), whole)
    np.testing.assert_array_equal(state, last)
    np.testing.assert_array_equal(last, x[:, :, -3:])


@pytest.mark.parametrize("nd", [1, 2, 3])
def test_whole_offsets_shift_what_is_read(nd):
    """Without offsets it is a convolution; offsets of one element are a convolution of the input shifted by one."""
    rng = np.random.default_rng(0)
    x, w, b = (
        rng.integers(-4, 5, shape).astype(np.float32) for shape in ((2, 4, *(5,) * nd), (6, 2, *(3,) * nd), (6,))
    )
    offset = np.zeros((2, 2 * 3**nd * nd, *(5,) * nd), np.float32)
    mask = np.full((2, 2 * 3**nd, *(5,) * nd), 2, np.float32)
    options = {"group": 2, "offset_group": 2, "pads": [1] * 2 * nd}
    conv = getattr(convlib, f"conv{nd}d")
    y = run("DeformConv", [x, w, offset, b, mask], **options)[0]
    np.testing.assert_array_equal(y, 2 * conv(x, w, groups=2, padding=1) + b.reshape(-1, *(1,) * nd))
    offset.reshape(2, 2, 3**nd, nd, -1)[:, :, :, -1] = 1  # along the last axis
    shifted = np.concatenate((x[..., 1:], np.zeros_like(x[..., :1])), axis=-1)
    y = run("DeformConv", [x, w, offset], **options)[0]
    padding = [(1, 1)] * (nd - 1) + [(0, 2)]
    np.testing.assert_array_equal(y, conv(x, w, groups=2, padding=padding))
    assert y.shape == conv(shifted, w, groups=2, padding=1).shape


# ------------------------------------------------------------------------------- refusals

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((2, 2, 3, 3), np.float32)
XU, WI, LONG = X.astype("uint8"), W.astype("int8"), np.full((1, 1, 40000), 255, np.uint8)
QUANTIZED = [np.ones((1, 2, 5), np.uint8), np.float32(1), np.uint8(1), np.ones((3, 2, 1), np.uint8), np.float32(1),
             np.uint8(1), np.float32(1), np.uint8(1)]  # fmt: skip
REFUSED = [
    ("Conv", [X, W], {"auto_pad": "SAME"}, "auto_pad='SAME' is unknown; valid: NOTSET, VALID, SAME_UPPER, SAME_LOWER"),
    ("Conv", [X, W], {"auto_pad": "VALID", "pads": [1] * 4}, "exclude each other"),
    ("Conv", [X, W], {"pads": [1, 1]}, "pads=[1, 1] must hold the starts and then the ends of 2 axes: 4 entries"),
    ("Conv", [X, W], {"pads": [0, -1, 0, 0]}, "pads=[0, -1, 0, 0] must be at least 0"),
    ("Conv", [X, W], {"strides": [1]}, "strides=[1] must have one entry per spatial axis: 2"),
    ("Conv", [X, W], {"kernel_shape": [3, 2]}, "kernel_shape=[3, 2] is not that of W (2, 2, 3, 3)"),
    ("Conv", [X, W], {"group": 3}, "groups=3 must"),
    ("Conv", [X[0, 0], W], {}, "(N, C) and 0 spatial axes; convlib serves 1 to 3"),
    ("Conv", [X, W[0]], {}, "W has the shape (2, 3, 3); with X (1, 2, 5, 5) it needs 4 axes"),
    ("Conv", [np.ones((1, 1, 2, 2, 2, 2), np.float32), np.ones((1, 1, 1, 1, 1, 1), np.float32)], {}, "4 spatial axes"),
    ("ConvTranspose", [X, W], {"output_shape": [9, 9, 9]}, "output_shape=[9, 9, 9] must have one entry per"),
    ("ConvTranspose", [X, W], {"output_padding": [1, 1]}, "output_padding=(1, 1) must be smaller than the stride"),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "pads": [2] * 4}, "must be smaller than the effective kernel"),
    ("MaxUnpool", [X, np.zeros(X.shape, int), np.array([1, 2, 3, 3])], {"kernel_shape": [1, 1]}, "output_shape="),
    ("MaxUnpool", [X, np.full(X.shape, 50)], {"kernel_shape": [1, 1]}, "50"),
    ("ConvInteger", [XU, WI, np.int8(1)], {}, "x_zero_point has dtype int8; it must be that of x"),
    ("ConvInteger", [XU, WI, np.ones(2, "uint8")], {}, "x_zero_point has the shape (2,); it must be"),
    ("ConvInteger", [XU, WI, np.uint8(1), np.ones(3, "int8")], {}, "(2,), one per output channel"),
    ("ConvInteger", [LONG, LONG], {}, "more than int32 holds"),
    ("QLinearConv", [*QUANTIZED[:7], np.ones(2, np.uint8)], {}, "y_zero_point has the shape (2,); it must be one"),
    ("QLinearConv", [*QUANTIZED[:6], np.float32(0), np.uint8(1)], {}, "scale holds inf; it must be finite"),
    ("QLinearConv", [*QUANTIZED[:4], np.ones(2, np.float32), *QUANTIZED[5:]], {}, "w_scale has the shape (2,)"),
    ("DeformConv", [X, W, np.zeros((1, 18, 4, 4), np.float32)], {}, "offset has the shape (1, 18, 4, 4)"),
    ("DeformConv", [X, W, np.zeros((1, 18, 3, 3), np.float32)], {"offset_group": 3}, "offset_group=3 must divide"),
    ("Col2Im", [np.ones((1, 5, 4), np.float32), np.array([3, 3]), np.array([2, 2])], {}, "must be a multiple of 4"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_refused_names_the_node(op, inputs, attributes, message):
    with pytest.raises(NodeError) as error:
        run(op, inputs, **attributes)
    assert str(error.value).startswith(f"{op} node 'the_node': ")
    assert message in str(error.value)
    assert isinstance(error.value, convlib.ConvlibError)


def test_states_that_do_not_fit():
    with pytest.raises(NodeError, match=r"past_state has the shape \(1, 2, 1\); expected \(1, 2, 2\)"):
        run("CausalConvWithState", [counted(1, 2, 5), counted(2, 1, 3), None, counted(1, 2, 1)], 27, 2)
    with pytest.raises(NodeError, match="activation='relu' is unknown; valid: none, silu, swish"):
        run("CausalConvWithState", [counted(1, 2, 5), counted(2, 1, 3)], 27, 2, activation="relu")


def test_attributes_that_the_operator_set_does_not_know():
    with pytest.raises(
        NodeError, match="AveragePool node 'the_node' has the attribute 'dilations', which operator set 11"
    ):
        run("AveragePool", [X], 11, kernel_shape=[2, 2], dilations=[2, 2])


def test_operators_that_convlib_has_not_run_in_the_evaluator():
    model = onnx_nodes.model("MaxRoiPool", [X, np.ones((1, 5), np.float32)], 22, pooled_shape=[1, 1])
    with pytest.raises((NotImplementedError, RuntimeError), match="MaxRoiPool"):
        ReferenceEvaluator(model, new_ops=OPS)  # which has none, and says so
    np.testing.assert_array_equal(run("Neg", [X], 13)[0], -X)


def test_relu_and_add_are_those_of_the_evaluator():
    floats = np.array([[-1.5, np.nan], [np.inf, -np.inf]], np.float32)
    cases = [
        ("Relu", [floats]), ("Relu", [np.arange(-3, 3)]), ("Relu", [np.array(-1.0)]), ("Relu", [X.T]),
        ("Add", [floats, floats[::-1]]), ("Add", [floats, floats[0]]), ("Add", [np.array(1), np.array(2)]),
        ("Add", [X, X]),
    ]  # fmt: skip
    for op, inputs in cases:
        model, feeds = onnx_nodes.model(op, inputs, 14), onnx_nodes.feeds(inputs)
        (found,), (expected,) = (ReferenceEvaluator(model, new_ops=ops).run(None, feeds) for ops in (OPS, None))
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_memory_is_used_again_when_nobody_looks_at_it():
    size, kind = (64, 1024), np.dtype("float32")
    first = memory.new(size, kind)
    place, part = first.ctypes.data, first[3:5].T
    memory._free.clear()
    first[:] = 7
    looked = memoryview(part)
    del first, part
    gc.collect()
    assert memory.new(size, kind).ctypes.data != place
    assert looked[0, 0] == 7
    del looked
    gc.collect()
    again = [memory.new(size, kind) for _ in range(3)]
    assert place in {a.ctypes.data for a in again}
    with convlib.max_workspace(1 << 20):  # room for four
        again += [memory.new(size, kind) for _ in range(9)]
        del again
        gc.collect()
    assert sum(nbytes * len(blocks) for nbytes, blocks in memory._free.items()) <= 1 << 20


def test_results_of_two_runs_are_apart():
    x, w = np.ones((1, 8, 64, 64), np.float32), np.ones((8, 8, 1, 1), np.float32)
    evaluator = ReferenceEvaluator(onnx_nodes.model("Conv", [x, w], 17), new_ops=OPS)
    first = evaluator.run(None, {"x0": x, "x1": w})[0]
    kept = first.copy()
    second = evaluator.run(None, {"x0": 2 * x, "x1": w})[0]
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, 2 * kept)


def test_without_onnx(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "onnx" or name.startswith("convlib.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"convlib\.onnx needs the package onnx, 1\.17 or newer"):
        __import__("convlib.onnx")
