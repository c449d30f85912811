"""Who takes part in a comparison: convlib's backends, and peers as their users call them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import convlib

from ..errors import UnsupportedError
from ..problem import Problem

Array = NDArray[Any]
Call = Callable[[], Any]

#: Peer -> packages it needs, as they are imported and as they are installed.
PEERS = {
    "torch": (("torch", "torch"),),
    "onnxruntime": (("onnxruntime", "onnxruntime"), ("onnx", "onnx")),
    "openvino": (("openvino", "openvino"), ("onnx", "onnx")),
    "opencv": (("cv2", "opencv-python-headless"),),
    "scipy": (("scipy", "scipy"),),
}


#: The contender that calls a plan, made once, with the automatic choice of backend and algorithm.
PLAN = "plan"


class CannotError(Exception):
    """The contender does not offer this problem; the message says why."""


def missing(peer: str) -> str | None:
    """Return how to install what a peer lacks, None if it is there."""
    lacking = [package for module, package in PEERS[peer] if importlib.util.find_spec(module) is None]
    return f"not installed; pip install {' '.join(lacking)}" if lacking else None


def prepare(name: str, problem: Problem, arrays: list[Array], threads: int) -> tuple[Call, str, int | None]:
    """Return (a call that computes the problem, the algorithm it takes, its scratch memory in bytes if known).

    Parameters
    ----------
    name : str
        A backend of convlib, "backend:algorithm", "plan", or one of `PEERS`.
    problem : Problem
        What to compute.
    arrays : list of ndarray
        As `convlib.comparison.truth.inputs` makes them.
    threads : int
        For peers that take it as an argument.

    Raises
    ------
    CannotError
        If it does not offer the problem.
    """
    if name in PEERS:
        reason = missing(name)
        if reason is not None:
            raise CannotError(reason)
        return _PREPARE[name](problem, arrays, threads), "", None
    return _plan(problem, arrays) if name == PLAN else _backend(name, problem, arrays)


def _plan(problem: Problem, arrays: list[Array]) -> tuple[Call, str, int | None]:
    if problem.op != "conv":
        raise CannotError(f"plans are for convolutions, not {problem.op}")
    x, w, *bias = arrays
    make = getattr(convlib, f"plan_{problem.function}")
    plan = make(x.shape, w, *bias, dtype=x.dtype, **problem.call[1])
    said = plan.explain()
    algorithm = f"{said.backend}:{said.algorithm}" if said.algorithm else said.backend
    return lambda: plan(x), algorithm, plan.workspace_nbytes


def _backend(name: str, problem: Problem, arrays: list[Array]) -> tuple[Call, str, int | None]:
    shapes, words = problem.call
    function = getattr(convlib, problem.function)
    # A call's positional arguments: arrays first, then what is given by numbers.
    positional = [*arrays[: 1 if problem.is_pool else 2], *shapes[1 if problem.is_pool else 2 :], *arrays[2:]]
    try:
        said = convlib.explain(problem.function, *shapes, dtype=arrays[0].dtype, backend=name, **words)
    except UnsupportedError as error:
        raise CannotError(error.reason) from None
    algorithm = said.algorithm or ""
    return lambda: function(*positional, backend=name, **words), algorithm, said.workspace_nbytes


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
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", arrays[0].shape), ("y", None))]
    graph = helper.make_graph([node], "problem", ends[:1], ends[1:], weights)
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
    return arrays[0][0, 0], arrays[1][0, 0]


_PREPARE: dict[str, Callable[[Problem, list[Array], int], Call]] = {
    "torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino, "opencv": _opencv, "scipy": _scipy
}  # fmt: skip
