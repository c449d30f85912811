"""Race whole ONNX models: ``python benchmarks/onnx_models.py [resnet50 mobilenetv2 layers20] [--rounds N]``.

The models have the layers of ResNet-50 and MobileNetV2, and 20 convolutions of ResNet's kind at 56×56, with random
weights; batch 1, float32.  Each contender runs in a process of its own with two threads; rounds alternate, and the
medians are compared:

- `prepared`: ``convlib.onnx.prepare(model)``; `ops`: ONNX's evaluator with ``new_ops=convlib.onnx.OPS``;
- `onnxruntime`: ONNX Runtime with its default optimizations; `stock`: ONNX's evaluator as it is.

Behind each time stands, in brackets, what of it the convolutions took, with what is fused to them.  Needs the extra
``compare``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contenders import Contenders, median_seconds
from onnx import TensorProto, helper, numpy_helper

THREADS = 2
ROUND_SECONDS = 0.5
PROFILED = 50  # runs of which the medians are the times of the convolutions; the first ones are slow
CONTENDERS = {
    "resnet50": ("prepared", "onnxruntime"), "mobilenetv2": ("prepared", "onnxruntime"), "layers20": ("ops", "stock"),
}  # fmt: skip


class Net:
    """A model in the making: a chain of nodes with random weights."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape = name, shape
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.rng = np.random.default_rng(0)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its result."""
        output = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, *shape: int, scale: float = 1.0) -> str:
        """Add random weights, and return their name."""
        name = f"weights{len(self.weights)}"
        values = self.rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float) -> str:
        """Add one number, and return its name."""
        name = f"weights{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.float32(value), name))
        return name

    def conv(self, x: str, c: int, oc: int, k: int, stride: int = 1, groups: int = 1) -> str:
        """Add a convolution with bias whose results are about as large as its inputs."""
        w = self.constant(oc, c // groups, k, k, scale=(2 / (c // groups * k * k)) ** 0.5)
        options = {"kernel_shape": [k, k], "strides": [stride, stride], "pads": [k // 2] * 4, "group": groups}
        return self.add("Conv", x, w, self.constant(oc, scale=0.1), **options)

    def classified(self, x: str, c: int) -> str:
        """Add the end of a network: 1000 classes."""
        flat = self.add("Flatten", self.add("GlobalAveragePool", x))
        return self.add("Gemm", flat, self.constant(1000, c, scale=c**-0.5), self.constant(1000), transB=1)

    def model(self, output: str, shape: tuple[int, ...] = (1, 1000)) -> Any:
        """Return the model that gives `output`, of a shape."""
        x, y = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", self.shape), (output, shape))
        )
        graph = helper.make_graph(self.nodes, self.name, [x], [y], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet50() -> Any:
    """Return ResNet-50, its normalizations already part of the convolutions."""
    net = Net("resnet50", (1, 3, 224, 224))
    x = net.add("Relu", net.conv("x", 3, 64, 7, 2))
    x, c = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 64
    for width, blocks, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = first if block == 0 else 1
            y = net.add("Relu", net.conv(x, c, width, 1))
            y = net.add("Relu", net.conv(y, width, width, 3, stride))
            y = net.conv(y, width, 4 * width, 1)
            if block == 0:
                x = net.conv(x, c, 4 * width, 1, stride)
            x, c = net.add("Relu", net.add("Add", y, x)), 4 * width
    return net.model(net.classified(x, c))


def mobilenetv2() -> Any:
    """Return MobileNetV2 of width 1."""
    net = Net("mobilenetv2", (1, 3, 224, 224))
    low, high = net.number(0), net.number(6)

    def relu6(x: str) -> str:
        return net.add("Clip", x, low, high)

    x, c = relu6(net.conv("x", 3, 32, 3, 2)), 32
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, oc, blocks, first in table:
        for block in range(blocks):
            stride, wide = first if block == 0 else 1, c * expansion
            y = relu6(net.conv(x, c, wide, 1)) if expansion > 1 else x
            y = net.conv(relu6(net.conv(y, wide, wide, 3, stride, wide)), wide, oc, 1)
            x, c = net.add("Add", x, y) if stride == 1 and c == oc else y, oc
    x = relu6(net.conv(x, c, 1280, 1))
    return net.model(net.classified(x, 1280))


def layers20() -> Any:
    """Return 20 convolutions 3×3 of 64 channels at 56×56, two to a residual block."""
    net = Net("layers20", (1, 64, 56, 56))
    x = "x"
    for _ in range(10):
        y = net.conv(net.add("Relu", net.conv(x, 64, 64, 3)), 64, 64, 3)
        x = net.add("Relu", net.add("Add", y, x))
    return net.model(x, net.shape)


MODELS: dict[str, Callable[[], Any]] = {"resnet50": resnet50, "mobilenetv2": mobilenetv2, "layers20": layers20}


# ------------------------------------------------------------------------------- contenders


def prepared(model: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], float]]:
    """Return a run by convlib's backend, and what tells the seconds of its convolutions."""
    import convlib
    import convlib.onnx

    convlib.set_num_threads(THREADS)
    ready = convlib.onnx.prepare(model)

    def seconds_of_convolutions() -> float:
        return sum(seconds for entry, seconds in ready.profile([x], PROFILED) if entry.node.startswith("Conv"))

    return lambda: ready.run([x])[0], seconds_of_convolutions


def evaluator(model: Any, x: Any, **options: Any) -> tuple[Callable[[], Any], Callable[[], float]]:
    """Return a run by ONNX's evaluator."""
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(model, **options)
    return lambda: session.run(None, {"x": x})[0], lambda: float("nan")


def ops(model: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], float]]:
    """Return a run by ONNX's evaluator with convlib's operators."""
    import convlib
    import convlib.onnx

    convlib.set_num_threads(THREADS)
    return evaluator(model, x, new_ops=convlib.onnx.OPS)


def onnxruntime(model: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], float]]:
    """Return a run by ONNX Runtime, and what tells the seconds of its convolutions."""
    import onnxruntime

    def session(folder: str | None) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = THREADS, 1, 3
        if folder:
            options.enable_profiling, options.profile_file_prefix = True, f"{folder}/profile"
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def seconds_of_convolutions() -> float:
        with tempfile.TemporaryDirectory() as folder:
            profiled = session(folder)
            for _ in range(PROFILED):
                profiled.run(None, {"x": x})
            events = json.loads(Path(profiled.end_profiling()).read_text())
        times: dict[str, list[float]] = {}
        for event in events:
            of_a_node = event.get("cat") == "Node" and event["name"].endswith("kernel_time")
            if of_a_node and event["args"]["op_name"] in ("Conv", "FusedConv"):
                times.setdefault(event["name"], []).append(event["dur"] / 1e6)
        return sum(statistics.median(values) for values in times.values())

    ready = session(None)
    return lambda: ready.run(None, {"x": x})[0], seconds_of_convolutions


def stock(model: Any, x: Any) -> tuple[Callable[[], Any], Callable[[], float]]:
    """Return a run by ONNX's evaluator as it is."""
    return evaluator(model, x)


def worker(contender: str, name: str) -> None:
    """Answer each line: the sum of the outputs, the seconds of the convolutions, or the median seconds of a round."""
    model = MODELS[name]()
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    call, seconds_of_convolutions = globals()[contender](model, x)
    y = call()
    answers = {
        "sum": lambda: float(np.abs(y).sum()), "convolutions": seconds_of_convolutions,
        "round": lambda: median_seconds(call, ROUND_SECONDS),
    }  # fmt: skip
    for line in sys.stdin:
        print(answers[line.strip()](), flush=True)


def race(name: str, rounds: int) -> None:
    """Time both contenders of a model and print a line."""
    ours, theirs = CONTENDERS[name]
    contenders = Contenders(__file__, (ours, theirs), name)
    sums = contenders.numbers("sum")
    if not np.isclose(sums[ours], sums[theirs], rtol=1e-3):
        raise SystemExit(f"{name}: the contenders disagree: {sums}")
    times = contenders.numbers("round", rounds)
    convolutions = contenders.numbers("convolutions", rounds)
    contenders.end()
    said = []
    for seconds in (times, convolutions):
        ratios = sorted(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True))
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        said.append(f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")
    parts = [
        f"{c} {statistics.median(times[c]) * 1e3:.2f} ms [{statistics.median(convolutions[c]) * 1e3:.2f}]"
        for c in CONTENDERS[name]
    ]
    print(f"{name}: {', '.join(parts)}; {theirs} / {ours} {said[0]}, convolutions {said[1]}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", nargs=2)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    else:
        for chosen in arguments.models:
            race(chosen, arguments.rounds)
