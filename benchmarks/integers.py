"""Race convolutions of bytes: ``python benchmarks/integers.py [WORD ...] [--rounds N]``.

ConvInteger of uint8 and int8 with zero points: convlib's plan and call, ONNX Runtime's operator, and convlib's own
float32 plan of the same sizes.  Each contender runs in a process of its own with two threads; rounds alternate, and the
medians are compared.  Results of bytes are compared first: they are exact.  Words select the cases whose label holds
one of them.  Needs the extra ``compare`` (onnx, onnxruntime).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from contenders import Contenders, median_seconds

THREADS = 2
ZEROS = 121, 0  # weights are quantised symmetrically, as most are

#: Label, x shape, w shape, stride, padding, groups.
CASES: tuple[tuple[str, tuple[int, ...], tuple[int, ...], int, int, int], ...] = (
    ("3x3 64@56", (1, 64, 56, 56), (64, 64, 3, 3), 1, 1, 1),
    ("1x1 256@14", (1, 256, 14, 14), (256, 256, 1, 1), 1, 0, 1),
    ("3x3 256@14", (1, 256, 14, 14), (256, 256, 3, 3), 1, 1, 1),
    ("1x1 64-256@56", (1, 64, 56, 56), (256, 64, 1, 1), 1, 0, 1),
    ("3x3 128@56 s2", (1, 128, 56, 56), (128, 128, 3, 3), 2, 1, 1),
    ("7x7 3-64@224 s2", (1, 3, 224, 224), (64, 3, 7, 7), 2, 3, 1),
    ("depthwise 144@56", (1, 144, 56, 56), (144, 1, 3, 3), 1, 1, 144),
)


def data(case: Any) -> tuple[Any, Any]:
    """Return the same bytes in every process."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, case[1], np.uint8), rng.integers(-128, 128, case[2], np.int8)


def ours(case: Any, kind: str) -> Callable[[], Any]:
    """Return convlib's call."""
    import convlib

    convlib.set_num_threads(THREADS)
    x, w = data(case)
    options: dict[str, Any] = {"stride": case[3], "padding": case[4], "groups": case[5]}
    if kind == "float32":
        plan = convlib.plan_conv2d(x.shape, w.astype(np.float32), **options)
        x = x.astype(np.float32)
        return lambda: plan(x)
    options |= {"x_zero_point": ZEROS[0], "w_zero_point": ZEROS[1], "out_dtype": np.int32}
    if kind == "call":
        return lambda: convlib.conv2d(x, w, **options)
    plan = convlib.plan_conv2d(x.shape, w, dtype=np.uint8, **options)
    return lambda: plan(x)


def onnxruntimes(case: Any, _: str) -> Callable[[], Any]:
    """Return ONNX Runtime's run of a model of one node with constant weights."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    x, w = data(case)
    _, x_shape, w_shape, stride, padding, groups = case
    constants = {"w": w, "x_zero": np.uint8(ZEROS[0]), "w_zero": np.int8(ZEROS[1])}
    node = helper.make_node(
        "ConvInteger", ["x", *constants], ["y"], kernel_shape=w_shape[2:], strides=[stride] * 2, pads=[padding] * 4,
        group=groups,
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.UINT8, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})[0]


CONTENDERS: dict[str, Callable[[Any, str], Callable[[], Any]]] = {
    "plan": ours, "call": ours, "float32": ours, "onnxruntime": onnxruntimes,
}  # fmt: skip


def worker(contender: str) -> None:
    """Answer case labels on standard input with a checksum of the result and the median time of one round each."""
    label, call, checksum = "", None, 0
    for line in sys.stdin:
        if line.strip() != label or call is None:
            label = line.strip()
            call = CONTENDERS[contender](next(case for case in CASES if case[0] == label), contender)
            checksum = zlib.crc32(np.ascontiguousarray(call()).tobytes())
            call()
        print(checksum, median_seconds(call), flush=True)


def race(words: list[str], rounds: int) -> None:
    """Time every selected case and print the table."""
    contenders = Contenders(__file__, CONTENDERS)
    print("milliseconds (medians of rounds), and how often faster the plan is than two of them (with quartiles)")
    print(f"{'case':<18}" + "".join(f"{name:>13}" for name in CONTENDERS) + f"{'/ onnxruntime':>20}{'/ float32':>20}")
    for label in (case[0] for case in CASES):
        if words and not any(word in label for word in words):
            continue
        said = contenders.rounds(label, rounds)
        times = {name: [float(seconds) for _, seconds in answers] for name, answers in said.items()}
        sums = {name: answers[-1][0] for name, answers in said.items()}
        if len({sums[name] for name in ("plan", "call", "onnxruntime")}) > 1:
            raise SystemExit(f"{label}: the results differ")
        line = f"{label:<18}" + "".join(f"{1e3 * statistics.median(times[name]):13.3f}" for name in CONTENDERS)
        for other in ("onnxruntime", "float32"):
            ratios = [theirs / mine for theirs, mine in zip(times[other], times["plan"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            line += f"{middle:8.2f} ({low:.2f}-{high:.2f})"
        print(line, flush=True)
    contenders.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", choices=CONTENDERS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments.worker)
    else:
        race(arguments.words, arguments.rounds)
