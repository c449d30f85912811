"""What is compared: suites, changes, sweeps, shapes, ONNX models, and the truth about them."""

from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import SpecError
from convlib.comparison.asked import tasks
from convlib.comparison.problems import Task, changed, of_shapes, operation, suite, suites, sweep, swept
from convlib.comparison.truth import inputs, truth
from convlib.problem import OPERATIONS, parse

CONV = "n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1"


def test_every_suite_parses_and_serves_every_layer():
    for name in suites():
        problems = [task.problem for task in suite(name)]
        assert problems
        for problem in problems:
            shapes, words = problem.call
            assert convlib.explain(problem.function, *shapes, **words).backend
            assert parse(str(problem)) == problem
    assert tasks(suite="lenet", batch=3)[0].problem.n == 3


def test_the_layers_of_other_networks_are_a_suite_of_two_hundred():
    found = [str(task.problem) for task in suite(str(Path(__file__).parents[1] / "benchmarks/networks.txt"))]
    assert len(found) == len(set(found)) > 200
    assert {len(parse(text).x_shape) for text in found} == {3, 4, 5}


def test_a_suite_may_be_a_file(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(f"# first\n{CONV}\n\nmaxpool ic3 ih8 kh2\n")
    assert [(task.name, str(task.problem)) for task in suite(str(path))] == [
        ("first", CONV), ("maxpool ic3 ih8 kh2", "maxpool n1 ic3 ih8 iw8 kh2 kw2")
    ]  # fmt: skip
    path.write_text(f"{CONV}\nn1 xx3\n")
    with pytest.raises(SpecError, match=r"line 2 of the suite .*unknown token 'xx3'"):
        suite(str(path))
    path.write_text("# nothing\n")
    with pytest.raises(SpecError, match="holds no problem"):
        suite(str(path))


@pytest.mark.parametrize("options", ["", " sh2 ph1 pw0:2", " dh2 ph2", " nhwc"])
@pytest.mark.parametrize("op", OPERATIONS)
def test_the_truth_is_what_naive_says(op, options):
    channels = "ic4" if op.endswith("pool") else "ic4 oc6 g2"
    if op.endswith("pool"):
        options = options.replace("ph2", "ph1").replace("pw0:2", "pw0:1")
    problem = parse(f"{op} n2 {channels} ih7 iw8 kh3 kw2{options}")
    arrays = inputs(problem, "float64")
    expected, size = truth(problem, arrays)
    shapes, words = problem.call
    count = 1 if problem.is_pool else 2
    got = getattr(convlib, problem.function)(*arrays, *shapes[count:], backend="naive", **words)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-13 * size)


@pytest.mark.parametrize("text", ["avgpool ic2 ih4 kh3 sh2", "avgpool ic2 ih4 kh3 nopad", "maxpool ic2 ih9 kh3 sh4"])
def test_the_truth_knows_ceil_mode(text):
    problem = parse(f"{text} ph1 ceil")
    (x,) = inputs(problem, "float64")
    got = getattr(convlib, problem.function)(x, problem.k, backend="naive", **problem.keywords)
    np.testing.assert_allclose(got, truth(problem, [x])[0])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"batch": 8}, "n8 ic64 ih56 iw56 oc64 kh3 kw3 ph1"),
        ({"layout": "NHWC"}, f"{CONV} nhwc"),
        ({"op": "conv2d_grad_input"}, f"gradx {CONV}"),
        ({"op": "grad_weight"}, f"gradw {CONV}"),
        ({"op": "max_pool2d"}, "maxpool n1 ic64 ih56 iw56 kh3 kw3 sh1 ph1"),
    ],
)
def test_problems_are_changed(words, expected):
    assert str(changed(Task("a", parse(CONV)), **words).problem) == expected


def test_changes_drop_what_the_new_operation_does_not_have():
    pool = changed(Task("a", parse("n1 ic8 ih9 iw9 oc4 g4 kh3 bias nhwc")), op="avgpool", layout="NCHW")
    assert str(pool.problem) == "avgpool n1 ic8 ih9 iw9 kh3 kw3 sh1"
    assert str(changed(pool, op="conv").problem) == "n1 ic8 ih9 iw9 oc8 kh3 kw3"
    with pytest.raises(SpecError, match="a: "):  # a window of padding alone
        changed(Task("a", parse("n1 ic8 ih9 iw9 oc4 kh1 ph1")), op="max_pool2d")


@pytest.mark.parametrize(
    ("text", "values"),
    [("kh=3", (3,)), ("kh=1..3", (1, 2, 3)), ("kh=1..8:3", (1, 4, 7)), ("ic=16..100*2,3", (16, 32, 64, 3))],
)
def test_sweeps_are_read(text, values):
    assert sweep(text).values == values


@pytest.mark.parametrize("text", ["", "3", "kh=", "kh=0..8*2", "kh=1..8*1", "kh=1..8:0", "kh=1..99999", "kh=a", "=3"])
def test_bad_sweeps_are_refused(text):
    with pytest.raises(SpecError, match="--sweep"):
        sweep(text)


def test_a_sweep_keeps_padding_that_keeps_the_size():
    found = [str(task.problem) for task in swept(Task("a", parse(CONV)), sweep("kh=kw=1..4"))]
    assert [text.removeprefix("n1 ic64 ih56 iw56 oc64 ") for text in found] == [
        "kh1 kw1", "kh2 kw2 ph0:1", "kh3 kw3 ph1", "kh4 kw4 ph1:2"
    ]  # fmt: skip
    assert {parse(text).spec.out_size for text in found} == {(56, 56)}
    strided = swept(Task("a", parse("n1 ic4 ih16 oc4 kh3 sh2 ph1")), sweep("kh=5"))
    assert strided[0].problem.lo == (1, 1)  # with a stride there is no size to keep
    assert swept(Task("a", parse(CONV)), sweep("ph=0,2"))[1].problem.hi == (2, 1)


def test_a_sweep_names_the_value_that_breaks_a_rule():
    with pytest.raises(SpecError, match="--sweep g=3: g3 does not divide ic64"):
        swept(Task("a", parse(CONV)), sweep("g=1..4"))
    with pytest.raises(SpecError, match="a pooling has only ic"):
        swept(Task("a", parse("maxpool ic3 ih8 kh2")), sweep("oc=3"))
    with pytest.raises(SpecError, match="has the axes h, w only"):
        swept(Task("a", parse(CONV)), sweep("kd=3"))


def test_operations_have_the_names_of_the_functions():
    for word, (stem, ending) in OPERATIONS.items():
        for nd in (1, 2, 3):
            assert operation(f"{stem}{nd}d{ending}") == (word, nd)
            assert hasattr(convlib, f"{stem}{nd}d{ending}")
        assert operation(word) == (word, None)


def test_problems_of_arrays():
    found = of_shapes("conv2d", [(2, 8, 9, 9), (4, 4, 3, 3), (4,)], {"groups": 2, "padding": "same"})
    assert str(found) == "n2 ic8 ih9 iw9 oc4 g2 kh3 kw3 ph1 bias"
    found = of_shapes("avg_pool1d", [(2, 8, 9)], {"kernel_size": 3, "stride": 2, "count_include_pad": False})
    assert str(found) == "avgpool n2 ic8 iw9 kw3 sw2 nopad"
    found = of_shapes("conv2d_grad_weight", [(1, 9, 9, 8), (4, 8, 3, 3)], {"layout": "NHWC"})
    assert str(found) == "gradw n1 ic8 ih9 iw9 oc4 kh3 kw3 nhwc"


@pytest.mark.parametrize(
    ("op", "shapes", "options", "message"),
    [
        ("conv2d", [(1, 8, 9, 9)], {}, "takes x and w, not 1 arrays"),
        ("max_pool2d", [(1, 8, 9, 9)], {}, "needs kernel_size"),
        ("max_pool2d", [(1, 8, 9, 9), (1,)], {"kernel_size": 2}, "takes x, not 2"),
        ("conv1d", [(1, 8, 9, 9), (4, 8, 3, 3)], {}, "x of 3 axes"),
        ("conv2d", [(8, 9, 9), (4, 8, 3, 3)], {}, "x of 4 axes"),
        ("conv2d", [(1, 8, 9, 9), (4, 8, 3, 3)], {"flip": True}, "leave them out"),
        ("conv2d", [(1, 8, 9, 9), (4, 8, 3, 3)], {"padding": 1, "padding_mode": "edge"}, "leave them out"),
        ("conv2d", [(1, 8, 9, 9), (4, 7, 3, 3)], {}, "channels"),
    ],
)
def test_arrays_that_no_problem_names(op, shapes, options, message):
    with pytest.raises(SpecError, match=message):
        of_shapes(op, shapes, options)


# ------------------------------------------------------------------------------- ONNX models


def model(tmp_path, shape=(1, 3, 32, 32)):
    """Write a small network: convolutions, one of them twice, poolings, and what is neither."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    weights = {"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 2, 3, 3), "w3": (8, 4, 2, 2)}
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "stem", strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "grouped", group=4, auto_pad="SAME_UPPER"),
        helper.make_node("Conv", ["c2", "w2"], ["c3"], "again", group=4, pads=[1, 1, 1, 1]),
        helper.make_node("AveragePool", ["c3"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        helper.make_node("ConvTranspose", ["p1", "w3"], ["t1"], "up", strides=[2, 2]),
        helper.make_node("GlobalMaxPool", ["t1"], ["y"], "last"),
    ]
    tensors = [onnx.numpy_helper.from_array(np.zeros(size, "f4"), name) for name, size in weights.items()]
    ends = [helper.make_tensor_value_info(name, float32, size) for name, size in (("x", shape), ("y", None))]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], tensors)
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return str(path)


def test_the_layers_of_a_model(tmp_path):
    found = [(task.name, str(task.problem), task.count) for task in tasks(onnx=model(tmp_path))]
    assert found == [
        ("stem", "n1 ic3 ih32 iw32 oc8 kh3 kw3 sh2 ph0:1 bias", 1),
        ("grouped", "n1 ic8 ih16 iw16 oc8 g4 kh3 kw3 ph1", 2),
        ("p1", "avgpool n1 ic8 ih16 iw16 kh3 kw3 sh2 ceil nopad", 1),
        ("up", "gradx n1 ic4 ih16 iw16 oc8 kh2 kw2 sh2", 1),
        ("last", "maxpool n1 ic4 ih16 iw16 kh16 kw16", 1),
    ]


def test_open_sizes_of_a_model(tmp_path):
    path = model(tmp_path, ("batch", 3, 32, 32))
    assert tasks(onnx=path)[0].problem.n == 1
    assert tasks(onnx=path, batch=4)[0].problem.n == 4
    path = model(tmp_path, ("batch", 3, "height", "width"))
    with pytest.raises(SpecError, match="give --input-shape"):
        tasks(onnx=path)
    assert tasks(onnx=path, input_shape=[2, 3, 64, 32])[0].problem.x_shape == (2, 3, 64, 32)
    with pytest.raises(SpecError, match="has 3 axes; the input 'x' has 4"):
        tasks(onnx=path, input_shape=[3, 64, 32])


def test_files_that_are_no_models(tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no model at all")
    with pytest.raises(SpecError, match="is no ONNX model"):
        tasks(onnx=str(path))
    with pytest.raises(SpecError, match="there is no such file"):
        tasks(onnx=str(tmp_path / "none.onnx"))
