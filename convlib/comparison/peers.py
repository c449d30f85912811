"""The peers: what convlib is compared with, each called as its users call it.

A peer is a function that gets a problem, its arrays and a number of threads, and returns a call without arguments, or
raises `CannotError`.  What it needs, and whether it does the operations that are counted, stands beside it in `PEERS`.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..problem import Problem

Array = NDArray[Any]
Call = Callable[[], Any]


class CannotError(Exception):
    """The contender does not offer this problem; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A library to compare with.

    Attributes
    ----------
    prepare : callable
        Makes the call, as the module's docstring says.
    packages : tuple of (str, str)
        What it needs: the module to import and the package to install.
    effective : callable
        Whether it may compute a problem with fewer operations than are counted, by Winograd or Fourier transforms:
        its rate is no share of the machine's peak.
    """

    prepare: Callable[[Problem, list[Array], int], Call]
    packages: tuple[tuple[str, str], ...]
    effective: Callable[[Problem], bool] = lambda problem: False

    @property
    def missing(self) -> str | None:
        """How to install what it lacks, None if all is there."""
        lacking = [package for module, package in self.packages if importlib.util.find_spec(module) is None]
        return f"not installed; pip install {' '.join(lacking)}" if lacking else None

    @property
    def version(self) -> str:
        """Version of the package that does the work."""
        try:
            return version(self.packages[0][1])
        except PackageNotFoundError:  # installed by other means
            return str(getattr(importlib.import_module(self.packages[0][0]), "__version__", "unknown"))


def _torch(problem: Problem, arrays: list[Array], threads: int) -> Call:
    import torch
    import torch.nn.functional as functional

    torch.set_num_threads(threads)
    if "nhwc" in problem.options and problem.nd != 2:
        raise CannotError("channels last is compared in 2-d only")
    tensors = [torch.from_numpy(a) for a in arrays]
    if "nhwc" in problem.options:
        tensors[0] = tensors[0].permute(0, 3, 1, 2)
    if problem.lo != problem.hi:
        raise CannotError("padding that differs at both ends")
    options: dict[str, Any] = {"stride": problem.s, "padding": problem.lo, "dilation": problem.d}
    nd = problem.nd
    if problem.op == "conv":
        call = getattr(functional, f"conv{nd}d")
        return _quiet(torch, problem, lambda: call(*tensors, groups=problem.g, **options))
    if problem.op in ("gradx", "gradw"):
        mask = (problem.op == "gradx", problem.op == "gradw", False)
        empty = torch.empty(problem.x_shape if mask[0] else problem.w_shape)
        grad_y, other = tensors
        x, w = (empty, other) if mask[0] else (other, empty)
        which = 0 if mask[0] else 1
        return _quiet(torch, problem, lambda: torch.ops.aten.convolution_backward(
            grad_y, x, w, None, problem.s, problem.lo, problem.d, False, (0,) * nd, problem.g, mask
        )[which])  # fmt: skip
    if problem.op == "maxpool":
        pool = getattr(functional, f"max_pool{nd}d")
        ceil = "ceil" in problem.options
        return _quiet(torch, problem, lambda: pool(tensors[0], problem.k, ceil_mode=ceil, **options))
    if problem.op == "avgpool" and max(problem.d) == 1:
        del options["dilation"]
        pool = getattr(functional, f"avg_pool{nd}d")
        counts = "nopad" not in problem.options
        options |= {"ceil_mode": "ceil" in problem.options, "count_include_pad": counts}
        return _quiet(torch, problem, lambda: pool(tensors[0], problem.k, **options))
    raise CannotError(f"has no {problem.op}")


def _quiet(torch: Any, problem: Problem, call: Call) -> Call:
    last = "nhwc" in problem.options and problem.op != "gradw"

    def run() -> Any:
        with torch.inference_mode():
            y = call()
            return y.permute(0, 2, 3, 1) if last else y  # its axes stay N, C, H, W; the memory is the problem's

    return run


def _onnx_model(problem: Problem, arrays: list[Array]) -> bytes:
    """Return a model of one operator with the weights inside, as deployed models have them."""
    from onnx import TensorProto, helper, numpy_helper

    if "nhwc" in problem.options:
        raise CannotError("ONNX knows channels first only")
    kinds = {"conv": "Conv", "maxpool": "MaxPool", "avgpool": "AveragePool"}
    if problem.op not in kinds:
        raise CannotError(f"ONNX has no operator for {problem.op}")
    if arrays[0].dtype != np.float32:
        raise CannotError("compared in float32 only")
    options: dict[str, Any] = {
        "kernel_shape": problem.k, "strides": problem.s, "dilations": problem.d, "pads": (*problem.lo, *problem.hi)
    }  # fmt: skip
    if problem.op == "conv":
        options["group"] = problem.g
    else:
        options["ceil_mode"] = int("ceil" in problem.options)
    if problem.op == "avgpool":
        options["count_include_pad"] = int("nopad" not in problem.options)
    names = ["x", "w", "b"][: len(arrays)]
    node = helper.make_node(kinds[problem.op], names, ["y"], **options)
    weights = [numpy_helper.from_array(a, n) for a, n in zip(arrays[1:], names[1:], strict=True)]
    shapes = {"x": arrays[0].shape, "y": problem.y_shape}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    graph = helper.make_graph([node], "problem", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    return bytes(model.SerializeToString())


def _onnxruntime(problem: Problem, arrays: list[Array], threads: int) -> Call:
    model = _onnx_model(problem, arrays)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": arrays[0]})[0]


def _openvino(problem: Problem, arrays: list[Array], threads: int) -> Call:
    model = _onnx_model(problem, arrays)
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"
    }  # fmt: skip
    request = core.compile_model(core.read_model(model, b""), "CPU", settings).create_infer_request()
    x = arrays[0]  # the tensor does not keep the array alive: the closure does
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

    def run() -> Any:
        assert x is not None
        request.infer()
        return request.get_output_tensor().data

    return run


def _ncnn(problem: Problem, arrays: list[Array], threads: int) -> Call:
    if problem.op != "conv" or problem.nd != 2:
        raise CannotError("compared in 2-d convolution only")
    if "nhwc" in problem.options:
        raise CannotError("knows channels first only")
    if arrays[0].dtype != np.float32:
        raise CannotError("compared in float32 only")
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for lower in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
        setattr(net.opt, f"use_{lower}", False)  # float32 as the others; Winograd stays allowed
    x, w, *bias = arrays
    sizes = {
        0: problem.oc, 1: problem.k[1], 11: problem.k[0], 2: problem.d[1], 12: problem.d[0], 3: problem.s[1],
        13: problem.s[0], 4: problem.lo[1], 14: problem.lo[0], 15: problem.hi[1], 16: problem.hi[0], 5: len(bias),
        6: w.size, **({7: problem.g} if problem.g > 1 else {}),
    }  # fmt: skip
    kind = "ConvolutionDepthWise" if problem.g > 1 else "Convolution"
    words = " ".join(f"{key}={value}" for key, value in sizes.items())
    weights = bytes(4) + w.tobytes() + b"".join(b.tobytes() for b in bias)  # four zeros: float32 follows
    with tempfile.TemporaryDirectory() as folder:
        graph, stored = Path(folder, "net.param"), Path(folder, "net.bin")
        graph.write_text(f"7767517\n2 2\nInput x 0 1 x\n{kind} conv 1 1 x y {words}\n")
        stored.write_bytes(weights)
        if net.load_param(str(graph)) or net.load_model(str(stored)):
            raise CannotError("does not load the layer")

    def run() -> Any:
        results = []
        for image in x:  # a batch is one image after the other
            extractor = net.create_extractor()
            extractor.input("x", ncnn.Mat(image))
            status, y = extractor.extract("y")
            if status:
                raise RuntimeError(f"extract returned {status}")
            results.append(np.asarray(y))
        return results[0] if len(results) == 1 else results

    return run


def _opencv_dnn(problem: Problem, arrays: list[Array], threads: int) -> Call:
    model = _onnx_model(problem, arrays)
    if problem.op != "conv":
        raise CannotError("compared in convolution only")
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))

    def run() -> Any:
        net.setInput(arrays[0])
        return net.forward()

    return run


def _opencv(problem: Problem, arrays: list[Array], threads: int) -> Call:
    import cv2

    x, w = _image(problem, arrays)
    if arrays[0].dtype not in (np.float32, np.float64):
        raise CannotError("compared in float32 and float64 only")
    cv2.setNumThreads(threads)
    return lambda: cv2.filter2D(x, -1, w, borderType=cv2.BORDER_CONSTANT)


def _scipy(problem: Problem, arrays: list[Array], threads: int) -> Call:
    from scipy import signal

    x, w = _image(problem, arrays)
    return lambda: signal.correlate(x, w, mode="same")


def _image(problem: Problem, arrays: list[Array]) -> tuple[Array, Array]:
    same = all(2 * p == k - 1 for p, k in zip(problem.lo, problem.k, strict=True)) and problem.lo == problem.hi
    plain = problem.op == "conv" and problem.nd == 2 and (problem.n, problem.ic, problem.oc) == (1, 1, 1)
    if not (plain and same and max(problem.s) == max(problem.d) == 1 and len(arrays) == 2):
        raise CannotError("filters one grey image with one odd kernel, result of the same size")
    return arrays[0].reshape(problem.i), arrays[1][0, 0]


def _winograd(problem: Problem) -> bool:
    """Whether a library with Winograd takes it: 3×3 windows of stride 1, dense."""
    return problem.op == "conv" and problem.k == (3, 3) and max(problem.s + problem.d) == problem.g == 1


def _large(problem: Problem) -> bool:
    """Whether OpenCV's and SciPy's filters may go by Fourier transforms."""
    return problem.op == "conv" and min(problem.k) >= 11


_ONNX = ("onnx", "onnx")
_OPENCV = ("cv2", "opencv-python-headless")

#: Every peer by the name that ``--vs`` takes.
PEERS: dict[str, Peer] = {
    "torch": Peer(_torch, (("torch", "torch"),)),
    "onnxruntime": Peer(_onnxruntime, (("onnxruntime", "onnxruntime"), _ONNX)),
    "openvino": Peer(_openvino, (("openvino", "openvino"), _ONNX)),
    "ncnn": Peer(_ncnn, (("ncnn", "ncnn"),), _winograd),
    "cv2.dnn": Peer(_opencv_dnn, (_OPENCV, _ONNX), _winograd),
    "opencv": Peer(_opencv, (_OPENCV,), _large),
    "scipy": Peer(_scipy, (("scipy", "scipy"),), lambda problem: problem.op == "conv"),  # it chooses by itself
}
