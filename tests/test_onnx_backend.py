"""Prepared models: the numbers of ONNX's own evaluator, with plans and what follows a convolution run with it."""

import threading

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx import helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

import convlib
import convlib.onnx
from convlib import SpecError
from convlib.functional.plan import ConvPlan
from convlib.onnx import Backend, NodeError, operators, steps

RNG = np.random.default_rng(0)


def small(*shape, dtype="float32"):
    """Return small integers as floats, whose sums are exact in any order."""
    return RNG.integers(-4, 5, shape).astype(dtype)


def model(text, **constants):
    """Return a model in ONNX's text form: nodes between an input x and an output y; constants become initializers."""
    found = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> net ({text}')
    found.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
    return found


IMAGE = "float[N, 2, H, W] x) => (float[N, 3, P, Q] y) "

#: Text of the nodes behind a convolution, and how many of these run with it.
CHAINS = {
    "relu": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Relu(a) }", 1),
    "bias": ("{ a = Conv <pads=[1,1,1,1]> (x, w) y = Add(a, column) }", 1),
    "bias of one image": ("{ a = Conv <pads=[1,1,1,1]> (x, w) y = Add(image, a) }", 1),
    "a constant that is no bias": ("{ a = Conv <pads=[1,1,1,1]> (x, w) y = Add(a, plane) }", 1),
    "second bias": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Add(a, column) }", 1),
    "clip": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Clip(a, low, high) }", 1),
    "clip from below": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Clip(a, low) }", 1),
    "clip from above": ('{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Clip(a, "", high) }', 1),
    "residual": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) r = Conv(x, one) s = Add(r, a) y = Relu(s) }", 2),
    "residual behind": ("{ a = Conv <pads=[1,1,1,1]> (x, w) s = Relu(a) r = Conv(x, one) y = Add(s, r) }", 2),
    "larger residual": ("{ a = Conv(x, whole) y = Add(a, plane) }", 1),
    "twice the same": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) y = Add(a, a) }", 0),
    "used twice": ("{ a = Conv <pads=[1,1,1,1]> (x, w, b) s = Relu(a) y = Add(s, a) }", 0),
    "transposed": ("{ a = ConvTranspose <pads=[1,1,1,1]> (x, turned) y = Relu(a) }", 1),
    "dynamic weights": ("{ v = Mul(w, two) a = Conv <pads=[1,1,1,1]> (x, v, b) y = Relu(a) }", 1),
    "folded weights": ("{ v = Transpose <perm=[1,0,2,3]> (turned) a = Conv <pads=[1,1,1,1]> (x, v) y = Relu(a) }", 1),
}  # fmt: skip
CONSTANTS = {
    "w": small(3, 2, 3, 3), "one": small(3, 2, 1, 1), "whole": small(3, 2, 6, 6), "turned": small(2, 3, 3, 3),
    "b": small(3),
    "column": small(3, 1, 1), "image": small(1, 3, 1, 1), "plane": small(1, 1, 6, 6), "low": np.float32(-9),
    "high": np.float32(11), "two": np.float32(2),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_what_follows_a_convolution_runs_with_it(name):
    text, fused = CHAINS[name]
    used = {
        key: np.asarray(a)
        for key, a in CONSTANTS.items()
        if key in text.replace("(", " ").replace(",", " ").replace(")", " ").split()
    }
    net = model(IMAGE + text, **used)
    prepared, stock = Backend.prepare(net), ReferenceEvaluator(net)
    for n in (2, 1, 2):
        x = small(n, 2, 6, 6)
        kept = x.copy()
        np.testing.assert_array_equal(prepared.run([x])[0], stock.run(None, {"x": x})[0])
        np.testing.assert_array_equal(x, kept)
    assert sum(entry.how.startswith("in Conv") for entry in prepared.served) == fused
    assert len(prepared.served) == len(net.graph.node)


def test_random_numbers_come_out_as_without_fusion():
    """What follows is bit for bit what it is alone: the same plan, and then NumPy's own functions."""
    w, b = (RNG.standard_normal(shape).astype(np.float32) for shape in ((3, 2, 3, 3), 3))
    net = model(IMAGE + "{ a = Conv <pads=[1,1,1,1]> (x, w, b) s = Add(a, r) z = Relu(s) y = Clip(z, low, high) }",
                w=w, b=b, r=RNG.standard_normal((1, 3, 6, 6)).astype(np.float32), low=np.float32(0.1),
                high=np.float32(2))  # fmt: skip
    x = RNG.standard_normal((1, 2, 6, 6)).astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    y = convlib.plan_conv2d(x.shape, w, b, padding=1)(x)
    y = np.clip(np.maximum(y + numpy_helper.to_array(net.graph.initializer[2]), 0), np.float32(0.1), np.float32(2))
    np.testing.assert_array_equal(Backend.prepare(net).run([x])[0], y)


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_other_types(dtype):
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes", reason="bfloat16 is a type of ml_dtypes").bfloat16
    w, b, r = small(3, 2, 3, 3, dtype=dtype), small(3, dtype=dtype), small(1, 3, 4, 4, dtype=dtype)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"]), helper.make_node("Add", ["a", "r"], ["s"]),
        helper.make_node("Relu", ["s"], ["y"]),
    ]  # fmt: skip
    values = [
        helper.make_tensor_value_info(name, kind, shape) for name, shape in (("x", [1, 2, 6, 6]), ("y", [1, 3, 4, 4]))
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        values[:1],
        values[1:],
        [numpy_helper.from_array(a, name) for a, name in ((w, "w"), (b, "b"), (r, "r"))],
    )
    net = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    x = small(1, 2, 6, 6, dtype=dtype)
    (y,) = Backend.prepare(net).run([x])
    expected = np.maximum(convlib.conv2d(*(a.astype("float64") for a in (x, w, b))) + r.astype("float64"), 0)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.astype("float64"), expected.astype(dtype).astype("float64"))


POOL = {"kernel_shape": [2, 2], "strides": [2, 2]}


@pytest.mark.parametrize(
    ("op", "attributes"),
    [("Conv", {}), ("ConvTranspose", {}), ("MaxPool", POOL), ("AveragePool", POOL), ("LpPool", POOL),
     ("GlobalMaxPool", {}), ("GlobalAveragePool", {}), ("GlobalLpPool", {}), ("CausalConvWithState", {})],
)  # fmt: skip
def test_bfloat16_is_rounded_once(op, attributes):
    kind = pytest.importorskip("ml_dtypes", reason="bfloat16 is a type of ml_dtypes").bfloat16
    rng = np.random.default_rng(0)
    shapes = {"Conv": [(1, 4, 6, 6), (4, 4, 3, 3)], "CausalConvWithState": [(1, 4, 6), (4, 1, 3)]}
    shapes["ConvTranspose"] = shapes["Conv"]
    inputs = [rng.standard_normal(shape).astype(kind) for shape in shapes.get(op, [(1, 4, 6, 6)])]
    node = operators.Node(op, op, attributes)
    y, exact = (operators.serve(node, tuple(a.astype(t) for a in inputs))[0] for t in (kind, np.float32))
    assert y.dtype == kind
    np.testing.assert_array_equal(y.astype(np.float32), exact.astype(kind).astype(np.float32))


def test_a_result_that_limits_another():
    """The result of a Gemm is one number, the upper limit of a Clip: nothing is behind it that could overwrite it."""
    text = "float[1, 2] x) => (float[1, 3] y) { a = Gemm <transB=1> (x, w) y = Clip(data, \"\", a) }"
    net = model(text, w=np.full((1, 2), 2, np.float32), data=np.array([[1, 9, 99]], np.float32))
    prepared = Backend.prepare(net)
    np.testing.assert_array_equal(prepared.run([np.ones((1, 2), np.float32)])[0], [[1, 4, 4]])
    assert prepared.served[1].by == "ONNX's evaluator"


def test_gemm_is_a_convolution_over_one_element():
    w, b = small(5, 7), small(5)
    net = model("float[N, 7] x) => (float[N, 5] y) { a = Gemm <transB=1> (x, w, b) y = Relu(a) }", w=w, b=b)
    prepared = Backend.prepare(net)
    for n in (1, 3):
        x = small(n, 7)
        np.testing.assert_array_equal(prepared.run([x])[0], np.maximum(x @ w.T + b, 0))
    assert [entry.by for entry in prepared.served] == ["convlib", "convlib"]


@pytest.mark.parametrize(
    "text",
    ["Gemm <transB=1, alpha=2.0> (x, w, b)", "Gemm <transB=1, beta=2.0> (x, w, b)", "Gemm <transB=1> (x, w, each)"],
)
def test_gemm_that_is_more_goes_to_the_evaluator(text):
    w, b, each, x = small(5, 7), small(5), small(3, 5), small(3, 7)
    used = {name: a for name, a in (("w", w), ("b", b), ("each", each)) if f"{name})" in text or f"{name}," in text}
    net = model(f"float[3, 7] x) => (float[3, 5] y) {{ y = {text} }}", **used)
    np.testing.assert_array_equal(Backend.prepare(net).run([x])[0], ReferenceEvaluator(net).run(None, {"x": x})[0])
    assert Backend.prepare(net).served[0].by == "ONNX's evaluator"


# ------------------------------------------------------------------------------- plans


def test_nodes_of_the_same_weights_share_their_plans(monkeypatch):
    made = []
    monkeypatch.setattr(
        convlib, "plan_conv2d", lambda *a, plan=convlib.plan_conv2d, **k: made.append(a) or plan(*a, **k)
    )
    square = small(2, 2, 3, 3)
    net = model("float[N, 2, H, W] x) => (float[N, 2, P, Q] y) "
                "{ a = Conv <pads=[1,1,1,1]> (x, w) b = Conv <pads=[1,1,1,1]> (a, w) y = Conv <pads=[2,2,2,2], "
                "dilations=[2,2]> (b, w) }", w=square)  # fmt: skip
    prepared = Backend.prepare(net)
    x = small(1, 2, 5, 5)
    for _ in range(3):
        np.testing.assert_array_equal(prepared.run([x])[0], ReferenceEvaluator(net).run(None, {"x": x})[0])
    assert len(made) == 2


def test_an_evaluator_packs_constant_weights_once():
    net = model(IMAGE + "{ y = Conv(x, w, b) }", w=CONSTANTS["w"], b=CONSTANTS["b"])
    evaluator, stock = ReferenceEvaluator(net, new_ops=convlib.onnx.OPS), ReferenceEvaluator(net)
    plans = evaluator.rt_nodes_[0].plans
    for size, kept in ((5, 1), (5, 1), (6, 2), (5, 2)):
        x = small(1, 2, size, size)
        np.testing.assert_array_equal(evaluator.run(None, {"x": x})[0], stock.run(None, {"x": x})[0])
        assert len(plans) == kept
    w, x = CONSTANTS["w"].copy(), small(1, 2, 5, 5)  # weights that change are packed anew
    node = evaluator.rt_nodes_[0]
    first = node.run(x, w, CONSTANTS["b"])[0].copy()
    w += 1
    assert not np.array_equal(node.run(x, w, CONSTANTS["b"])[0], first)
    assert len(plans) == 2


@pytest.mark.parametrize("low", [0, 1])
@pytest.mark.parametrize("high", [6, 7])
def test_what_a_plan_ends_with(low, high, monkeypatch):
    """Clip to 0 and 6 is the plan's own, any other is done to its result."""
    ends = []
    monkeypatch.setattr(
        convlib, "plan_conv2d",
        lambda *a, plan=convlib.plan_conv2d, **k: ends.append(k["activation"]) or plan(*a, **k),
    )  # fmt: skip
    net = model(IMAGE + "{ a = Conv(x, w) y = Clip(a, low, high) }", w=CONSTANTS["w"], low=np.float32(low),
                high=np.float32(high))  # fmt: skip
    x = small(1, 2, 5, 5)
    np.testing.assert_array_equal(Backend.prepare(net).run([x])[0], ReferenceEvaluator(net).run(None, {"x": x})[0])
    assert ends == ["relu6" if (low, high) == (0, 6) else None]


def test_repeated_layers_go_the_short_way(monkeypatch):
    """Arrays of the same shape reach the engine without the checks of a plan; all others go through these."""
    net = model("float[N, 16, H, W] x) => (float[N, 16, P, Q] y) "
                "{ a = Conv(x, w) b = Relu(a) c = Conv(b, w) y = Add(c, x) }",
                w=RNG.standard_normal((16, 16, 1, 1)).astype(np.float32))  # fmt: skip
    prepared = Backend.prepare(net)
    x = RNG.standard_normal((2, 16, 20, 20)).astype(np.float32)
    (expected,) = prepared.run([x])
    monkeypatch.setattr(ConvPlan, "__call__", lambda self, x, out=None, residual=None: pytest.fail("the long way"))
    np.testing.assert_array_equal(prepared.run([x])[0], expected)
    monkeypatch.undo()
    strided = np.repeat(x, 2, axis=3)[..., ::2]
    for other in (x[:1], x, strided, np.ascontiguousarray(x[:, :, :7])):
        (got,) = prepared.run([other])
        np.testing.assert_array_equal(got, Backend.prepare(net).run([np.ascontiguousarray(other)])[0])


def test_a_residual_of_another_shape_goes_no_short_way():
    net = model("float[N, 16, H, W] x, float[K, 16, P, Q] r) => (float[N, 16, P, Q] y) "
                "{ a = Conv(x, w) y = Add(a, r) }",
                w=small(16, 16, 1, 1))  # fmt: skip
    prepared, x, r = Backend.prepare(net), small(2, 16, 20, 20), small(2, 16, 20, 20)
    (expected,) = prepared.run([x, r])
    for other in (r[:1], r[:, :, :1], r[..., ::-1], r):
        (got,) = prepared.run([x, other])
        np.testing.assert_array_equal(got, expected - r + other)


def test_a_layer_keeps_few_plans():
    net = model(IMAGE + "{ y = Conv(x, w) }", w=CONSTANTS["w"])
    prepared = Backend.prepare(net)
    for size in range(3, 3 + 2 * steps.SHAPES):
        x = small(1, 2, size, size)
        np.testing.assert_array_equal(prepared.run([x])[0], convlib.conv2d(x, CONSTANTS["w"]))
    (layer,) = prepared._layers.values()
    assert len(layer._plans) == steps.SHAPES


def test_threads_share_a_prepared_model():
    net = model(IMAGE + "{ a = Conv <pads=[1,1,1,1]> (x, w) s = Add(a, column) y = Relu(s) }",
                w=CONSTANTS["w"], column=CONSTANTS["column"])  # fmt: skip
    prepared, inputs = Backend.prepare(net), [small(1, 2, 4 + i % 6, 5) for i in range(24)]
    found = [None] * len(inputs)

    def run(start):
        for place in range(start, len(inputs), 4):
            found[place] = prepared.run([inputs[place]])[0]

    threads = [threading.Thread(target=run, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for x, y in zip(inputs, found, strict=True):
        np.testing.assert_array_equal(y, ReferenceEvaluator(net).run(None, {"x": x})[0])


@pytest.mark.parametrize(("axis", "rows"), [(1, 2), (0, 1), (2, 4), (4, 36), (-1, 12)])
def test_flatten_is_another_shape(axis, rows):
    net = model(f"float[N, 2, H, 3] x) => (float[P, Q] y) {{ y = Flatten <axis={axis}> (x) }}")
    prepared, x = Backend.prepare(net), small(2, 2, 3, 3)
    (got,) = prepared.run([x])
    np.testing.assert_array_equal(got, x.reshape(rows, -1), strict=True)
    assert [entry.by for entry in prepared.served] == ["convlib"]
    assert prepared.run([x[:, :, :0]])[0].size == 0  # which the evaluator refuses


def test_profile_tells_each_step():
    net = model(IMAGE + "{ a = Conv(x, w) s = Relu(a) y = Sqrt(s) }", w=CONSTANTS["w"])
    found = Backend.prepare(net).profile([small(1, 2, 6, 6)], repeats=3)
    assert [entry.by for entry, _ in found] == ["convlib", "ONNX's evaluator"]
    assert all(seconds > 0 for _, seconds in found)


def test_integers_with_constants_go_by_plans():
    """Whatever the shape of the input; where a zero point comes from outside, by calls."""
    rng = np.random.default_rng(0)
    w = rng.integers(-128, 128, (4, 3, 3, 3), np.int8)
    constants = {
        "w": w, "wz": np.arange(4, dtype=np.int8), "xz": np.uint8(121), "xs": np.float32(0.5), "yz": np.int8(-3),
        "ws": np.full(4, 2**-9, np.float32), "b": np.arange(4, dtype=np.int32) * 1000, "ys": np.float32(2),
    }  # fmt: skip
    constants = {name: np.asarray(value) for name, value in constants.items()}
    nodes = "s = ConvInteger(x, w, xz, wz) y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b) t = ConvInteger(x, w, z)"
    results = "int32[n, 4, a, 5] s, int8[n, 4, a, 5] y, int32[n, 4, a, 5] t"
    net = model(f"uint8[n, 3, h, 7] x, uint8 z) => ({results}) {{ {nodes} }}", **constants)
    prepared = Backend.prepare(net)
    assert [entry.how for entry in prepared.served] == ["by a plan", "by a plan", "by a call"]
    for size in (6, 9, 2):  # which no window fits
        x = rng.integers(0, 256, (2, 3, size, 7), np.uint8)
        sums, y, others = prepared.run([x, np.asarray(np.uint8(7))])
        assert (sums.dtype, y.dtype, others.dtype) == (np.int32, np.int8, np.int32)
        assert sums.shape == y.shape == (2, 4, size - 2, 5)
        if size > 2:
            expected = convlib.conv2d(x, w, x_zero_point=121, w_zero_point=constants["wz"])
            np.testing.assert_array_equal(sums, expected)
            wanted = (expected + constants["b"].reshape(-1, 1, 1)) / 2**11
            np.testing.assert_array_equal(y, np.clip(np.rint(wanted) - 3, -128, 127))
            np.testing.assert_array_equal(others, convlib.conv2d(x, w, x_zero_point=7))


# ------------------------------------------------------------------------------- inputs and models


def test_inputs_by_order_or_name():
    net = model(IMAGE + "{ y = Conv(x, w) }", w=CONSTANTS["w"])
    x, prepared = small(1, 2, 5, 5), Backend.prepare(net)
    expected = convlib.conv2d(x, CONSTANTS["w"])
    for given in ([x], (x,), x, {"x": x}):
        np.testing.assert_array_equal(prepared.run(given)[0], expected)
    np.testing.assert_array_equal(Backend.run_model(net, [x])[0], expected)
    with pytest.raises(SpecError, match="input 'x' is missing; the model takes x"):
        prepared.run([])
    with pytest.raises(SpecError, match="input 'z' is unknown"):
        prepared.run({"x": x, "z": x})
    with pytest.raises(SpecError, match="2 inputs are given; the model has 1: x"):
        prepared.run([x, x])


def test_an_initializer_that_is_given_anew_is_used():
    """Up to version 3 of ONNX's format, initializers are inputs with a default."""
    net = model(
        "float[1, 2, 5, 5] x, float[3, 2, 3, 3] w) => (float[1, 3, 3, 3] y) { y = Conv(x, w) }", w=CONSTANTS["w"]
    )
    x, other, prepared = small(1, 2, 5, 5), small(3, 2, 3, 3), Backend.prepare(net)
    for _ in range(2):
        np.testing.assert_array_equal(prepared.run([x])[0], convlib.conv2d(x, CONSTANTS["w"]))
        np.testing.assert_array_equal(prepared.run([x, other])[0], convlib.conv2d(x, other))


def test_functions_and_branches():
    """Functions of a model are written out; a graph inside a node goes by calls."""
    text = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    net (float[1, 2, 4, 4] x, bool c) => (float[1, 3, 2, 2] y) {
        a = own.block(x, w)
        y = If (c) <then_branch = yes () => (float[1, 3, 2, 2] p) { p = Neg(a) },
                    else_branch = no () => (float[1, 3, 2, 2] q) { q = Conv(x, w) }>
    }
    <domain: "own", opset_import: ["" : 17]> block (u, v) => (t) { s = Conv(u, v)  t = Relu(s) }"""
    net = parser.parse_model(text)
    net.graph.initializer.append(numpy_helper.from_array(CONSTANTS["w"], "w"))
    x, prepared = small(1, 2, 4, 4), Backend.prepare(net)
    expected = convlib.conv2d(x, CONSTANTS["w"])
    np.testing.assert_array_equal(prepared.run([x, np.array(True)])[0], -np.maximum(expected, 0))
    np.testing.assert_array_equal(prepared.run([x, np.array(False)])[0], expected)
    assert [entry.by for entry in prepared.served] == ["convlib", "convlib", "ONNX's evaluator"]


def test_one_node():
    x, w = small(1, 2, 5, 5), CONSTANTS["w"]
    node = helper.make_node("Conv", ["x", "w", ""], ["y"], strides=[2, 2])
    np.testing.assert_array_equal(Backend.run_node(node, [x, w, None])[0], convlib.conv2d(x, w, stride=2))
    assert (
        Backend.run_node(helper.make_node("Neg", ["x"], ["y"]), [x], opset_version=13)[0][0, 0, 0, 0] == -x[0, 0, 0, 0]
    )


def test_devices_and_broken_models(tmp_path):
    net = model(IMAGE + "{ y = Conv(x, w) }", w=CONSTANTS["w"])
    assert Backend.supports_device("CPU")
    assert not Backend.supports_device("CUDA:1")
    with pytest.raises(SpecError, match="device='CUDA' is not served; use 'CPU'"):
        Backend.prepare(net, "CUDA")
    onnx.save(net, tmp_path / "net.onnx")
    x = small(1, 2, 5, 5)
    for given in (tmp_path / "net.onnx", str(tmp_path / "net.onnx"), net.SerializeToString()):
        np.testing.assert_array_equal(Backend.prepare(given).run([x])[0], convlib.conv2d(x, CONSTANTS["w"]))
    net.graph.node[0].op_type = "Konv"
    with pytest.raises(onnx.checker.ValidationError, match="Konv"):
        Backend.prepare(net)


def test_errors_of_a_run_name_the_node():
    net = model(IMAGE + "{ y = Conv(x, w) }", w=CONSTANTS["w"])
    with pytest.raises(NodeError, match=r"Conv node that gives 'y': channel mismatch"):
        Backend.prepare(net).run([small(1, 4, 5, 5)])
