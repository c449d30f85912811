"""Record what PyTorch and ONNX's own test cases answer, as JSON beside this file.

    python tests/golden/generate.py torch    # needs PyTorch
    python tests/golden/generate.py onnx     # needs the package onnx

The tests read the JSON only.  Inputs are small integers, so that results are exact; ONNX's random inputs are kept as
their bytes, one channel of them where the operator treats channels alike.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def encode(a):
    """Return an array as plain data."""
    a = np.ascontiguousarray(a)
    data = {"dtype": str(a.dtype), "shape": list(a.shape)}
    if a.size > 4 and np.array_equal(a.ravel(), np.arange(a.size)):
        data["arange"] = True
    elif a.dtype.kind == "f" and not np.array_equal(a, np.rint(a), equal_nan=True) and a.size > 12:
        data["base64"] = base64.b64encode(a.astype(a.dtype.newbyteorder("<")).tobytes()).decode()
    else:
        plain = (a.astype(int) if a.dtype.kind == "f" and np.isfinite(a).all() and (a == np.rint(a)).all() else a)
        data["data"] = [v if not isinstance(v, float) or np.isfinite(v) else str(v) for v in plain.ravel().tolist()]
    return data


def case(name, call, arrays, args, options, expected, exact=True):
    """Return one recorded call."""
    return {
        "name": name, "call": call, "arrays": [encode(a) for a in arrays], "args": args, "options": options,
        "expected": [encode(a) for a in expected], "exact": exact,
    }  # fmt: skip


# ------------------------------------------------------------------------------- PyTorch


class Recorder:
    """Calls torch.nn.functional and keeps what came out."""

    def __init__(self):
        import torch

        self.torch, self.functional = torch, torch.nn.functional
        self.cases = []
        self.rng = np.random.default_rng(2024)

    def integers(self, shape, dtype=np.float32):
        return self.rng.integers(-4, 5, shape).astype(dtype)

    def add(
        self, name, call, shapes, args=(), options=None, *, function=None, exact=True, arrays=None, torch_options=None
    ):
        """Record one call; `torch_options` are given to PyTorch where its options differ from convlib's."""
        options = dict(options or {})
        arrays = arrays or [self.integers(shape) for shape in shapes]
        function = function or getattr(self.functional, call)
        given = [self.torch.from_numpy(a) for a in arrays]
        out = function(*given, *args, **(options if torch_options is None else torch_options))
        out = out if isinstance(out, tuple) else (out,)
        self.cases.append(case(f"{call}-{name}", call, arrays, list(args), options, [o.numpy() for o in out], exact))

    def gradient(self, name, call, forward, shapes, options, kind, args=()):
        """Record the gradient of `forward` for integers as the gradient of the result."""
        first, second = (self.integers(shape, np.float64) for shape in shapes)
        x, w = (self.torch.from_numpy(a).requires_grad_() for a in (first, second))
        y = getattr(self.functional, forward)(x, w, **options)
        grad_y = self.integers(tuple(y.shape), np.float64)
        y.backward(self.torch.from_numpy(grad_y))
        arrays, wanted = ([grad_y, second], x) if kind == "input" else ([grad_y, first], w)
        self.cases.append(case(f"{call}-{name}", call, arrays, [list(wanted.shape)], options, [wanted.grad.numpy()]))


def record_convolutions(r):
    """Record conv and conv_transpose, forward and backward."""
    for name, x, w, bias, options in (
        ("plain", (2, 3, 6, 5), (4, 3, 3, 2), True, {}),
        ("all_options", (1, 4, 9, 8), (6, 2, 3, 2), True, {"stride": [2, 1], "padding": [1, 2], "dilation": [2, 3], "groups": 2}),
        ("same_even", (1, 2, 5, 6), (2, 2, 4, 2), False, {"padding": "same"}),
        ("same_dilated", (1, 1, 6, 6), (1, 1, 3, 3), False, {"padding": "same", "dilation": 2}),
        ("depthwise", (2, 3, 6, 6), (6, 1, 3, 3), False, {"groups": 3, "padding": 1}),
        ("unbatched", (3, 5, 5), (2, 3, 3, 3), True, {}),
        ("stride_gt_kernel", (1, 1, 9, 9), (1, 1, 2, 2), False, {"stride": 4}),
    ):  # fmt: skip
        shapes = (x, w, (w[0],)) if bias else (x, w)
        r.add(name, "conv2d", shapes, options=options)
    r.add("plain", "conv1d", ((2, 3, 10), (4, 3, 3), (4,)), options={"stride": 2, "padding": 2, "dilation": 2})
    r.add("plain", "conv3d", ((1, 2, 4, 5, 4), (2, 1, 2, 3, 2)), options={"stride": [1, 2, 1], "padding": [1, 0, 1], "groups": 2})
    for torch_mode, mode in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")):
        def padded(x, w, torch_mode=torch_mode):
            return r.functional.conv2d(r.functional.pad(x, (1, 2, 2, 1), mode=torch_mode), w)

        options = {"padding": [[2, 1], [1, 2]], "padding_mode": mode}
        r.add(mode, "conv2d", ((1, 2, 5, 4), (2, 2, 3, 3)), options=options, function=padded, torch_options={})
    for name, x, w, options in (
        ("plain", (1, 2, 3, 4), (2, 3, 3, 3), {}),
        ("all_options", (1, 4, 3, 4), (4, 3, 3, 2), {"stride": [3, 2], "padding": [1, 2], "output_padding": [2, 1], "groups": 2, "dilation": [1, 3]}),
        ("output_padding_by_dilation", (1, 1, 3, 3), (1, 1, 2, 2), {"dilation": 3, "output_padding": 2}),
    ):  # fmt: skip
        r.add(name, "conv_transpose2d", (x, w), options=options)
    r.add("plain", "conv_transpose1d", ((1, 2, 4), (2, 2, 3), (2,)), options={"stride": 2, "output_padding": 1})
    r.add("plain", "conv_transpose3d", ((1, 1, 2, 3, 2), (1, 2, 2, 2, 3)), options={"stride": [1, 2, 2], "padding": [0, 1, 1]})
    options = {"stride": [2, 1], "padding": [1, 2], "dilation": [2, 1], "groups": 2}
    for kind in ("input", "weight"):
        r.gradient("all_options", f"conv2d_grad_{kind}", "conv2d", ((2, 4, 8, 6), (4, 2, 3, 2)), options, kind)
        r.gradient("plain", f"conv1d_grad_{kind}", "conv1d", ((2, 3, 9), (2, 3, 4)), {"stride": 2, "padding": 1}, kind)
        r.gradient("plain", f"conv3d_grad_{kind}", "conv3d", ((1, 2, 3, 4, 4), (2, 2, 2, 2, 3)), {"padding": 1}, kind)


def record_pools(r):
    """Record pooling, its indices, unpooling, columns."""
    nan = np.array([[[[1, np.nan, 5, 6], [3, 4, np.nan, 8], [np.nan, 2, np.nan, 1], [0, -np.inf, np.inf, 2]]]], np.float32)
    for name, x, args, options in (
        ("plain", (1, 2, 5, 6), (2,), {}),
        ("all_options", (1, 2, 9, 8), ([3, 2],), {"stride": [2, 3], "padding": 1, "dilation": [2, 1], "ceil_mode": True}),
        ("ceil_dropped", (1, 1, 5, 5), (3,), {"stride": 3, "padding": 1, "ceil_mode": True}),
        ("ceil_kept", (1, 1, 9, 9), (4,), {"stride": 4, "padding": 2, "ceil_mode": True}),
        ("unbatched", (2, 5, 5), (3,), {"stride": 1}),
    ):
        r.add(name, "max_pool2d", (x,), args, {**options, "return_indices": True})
        if "dilation" not in options:
            r.add(name, "avg_pool2d", (x,), args, options, exact=False)
            r.add(f"{name}_no_pad_count", "avg_pool2d", (x,), args, {**options, "count_include_pad": False}, exact=False)
            r.add(f"{name}_divisor", "avg_pool2d", (x,), args, {**options, "divisor_override": 4})
    r.add("nan", "max_pool2d", None, (2,), {"stride": 1, "return_indices": True}, arrays=[nan])
    r.add("nan", "avg_pool2d", None, (2,), {"stride": 1}, arrays=[nan])
    sixteen = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    r.add("sixteen", "avg_pool2d", None, (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, arrays=[sixteen], exact=False)
    r.add("plain", "max_pool1d", ((2, 2, 9),), (3,), {"stride": 2, "padding": 1, "return_indices": True})
    r.add("ceil", "avg_pool1d", ((1, 1, 9),), (7,), {"stride": 3, "padding": 3, "ceil_mode": True}, exact=False)
    r.add("plain", "max_pool3d", ((1, 1, 4, 5, 4),), (2,), {"stride": [1, 2, 2], "padding": 1, "return_indices": True})
    r.add("plain", "avg_pool3d", ((1, 1, 4, 5, 4),), (2,), {"stride": [1, 2, 2], "padding": 1, "ceil_mode": True})
    for size in (3, [2, None], [7, 4]):
        name = str(size).replace(" ", "")
        r.add(name, "adaptive_avg_pool2d", ((1, 2, 5, 7),), (size,), exact=False)
        r.add(name, "adaptive_max_pool2d", ((1, 2, 5, 7),), (size,), {"return_indices": True})
    positive = np.abs(r.integers((1, 2, 5, 6))) + 1
    for p in (1, 2, 3):
        lp = r.functional.lp_pool2d
        r.add(f"p{p}", "lp_pool2d", None, (p, 2), {"stride": 2}, arrays=[positive], exact=False, function=lp)
    pooled, indices = r.functional.max_pool2d(r.torch.from_numpy(r.integers((1, 2, 5, 5))), 2, return_indices=True)
    r.add("plain", "max_unpool2d", None, (2,), {"output_size": [5, 5]}, arrays=[pooled.numpy(), indices.numpy()])
    options = {"stride": [2, 1], "padding": [1, 0], "dilation": [1, 2]}
    r.add("2d", "im2col", ((1, 2, 5, 6),), ([3, 2],), options, function=r.functional.unfold)
    columns = r.functional.unfold(r.torch.from_numpy(r.integers((1, 2, 5, 6))), (3, 2), **options).numpy()
    r.add("2d", "col2im", None, ([5, 6], [3, 2]), options, arrays=[columns], function=r.functional.fold)


def from_torch():
    """Record PyTorch."""
    recorder = Recorder()
    record_convolutions(recorder)
    record_pools(recorder)
    return recorder.torch.__version__, recorder.cases


# ------------------------------------------------------------------------------- ONNX

#: Cases that mean something else than convlib does, with the reason.
OTHER_MEANING = {
    "maxunpool_export_with_output_shape": "its indices count in the plane before output_shape enlarged it",
}
POOLS = {"MaxPool": "max_pool", "AveragePool": "avg_pool", "LpPool": "lp_pool"}
GLOBAL = {"GlobalAveragePool": "global_avg_pool", "GlobalMaxPool": "global_max_pool"}
OPERATORS = {*POOLS, *GLOBAL, "Conv", "ConvInteger", "ConvTranspose", "MaxUnpool", "Col2Im"}


def onnx_options(attributes):
    """Translate ONNX's names of options into convlib's."""
    names = {"strides": "stride", "dilations": "dilation", "group": "groups", "output_padding": "output_padding"}
    options = {names[key]: value for key, value in attributes.items() if key in names}
    if "pads" in attributes:
        half = len(attributes["pads"]) // 2
        options["padding"] = [list(pair) for pair in zip(attributes["pads"][:half], attributes["pads"][half:], strict=True)]
    auto = attributes.get("auto_pad", b"NOTSET").decode().lower()
    if auto.startswith("same"):
        options["padding"] = auto
    return options


def translate(op, attributes, arrays, outputs):
    """Return (call, arrays, args, options, expected) of an ONNX node."""
    options, nd = onnx_options(attributes), np.ndim(arrays[0]) - 2
    kernel = attributes.get("kernel_shape")
    if op in POOLS:
        options.setdefault("stride", 1)
        options["ceil_mode"] = bool(attributes.get("ceil_mode", 0))
        args = [kernel]
        if op == "LpPool":
            args.insert(0, attributes.get("p", 2))
        if op == "AveragePool":
            options["count_include_pad"] = bool(attributes.get("count_include_pad", 0))
        if op == "MaxPool" and len(outputs) == 2:
            if attributes.get("storage_order"):
                outputs = outputs[:1]  # places in column-major order
            else:
                options["return_indices"] = True
        return f"{POOLS[op]}{nd}d", arrays, args, options, outputs
    if op in GLOBAL:
        return f"{GLOBAL[op]}{nd}d", arrays, [], {}, outputs
    if op == "Conv":
        return f"conv{nd}d", arrays, [], options, outputs
    if op == "ConvInteger":
        zeros = zip(("x_zero_point", "w_zero_point"), (a.tolist() for a in arrays[2:]), strict=False)
        return f"conv{nd}d", arrays[:2], [], {**options, **dict(zeros), "out_dtype": "int32"}, outputs
    if op == "ConvTranspose":
        if "output_shape" in attributes:
            options["output_size"] = attributes["output_shape"]
            options.pop("output_padding", None)
        return f"conv_transpose{nd}d", arrays, [], options, outputs
    if op == "MaxUnpool":
        return f"max_unpool{nd}d", arrays, [kernel], options, outputs
    return "col2im", arrays[:1], [arrays[1].tolist(), arrays[2].tolist()], options, outputs


def cropped(call, arrays, outputs):
    """Keep one channel of a large pooling."""
    if "pool" in call and arrays[0].size > 600 and arrays[0].shape[1] > 1:
        return [a[:, :1] for a in arrays], [a[:, :1] for a in outputs]
    return arrays, outputs


def from_onnx():
    """Record ONNX's node tests of convolution and pooling."""
    import onnx
    from onnx.backend.test.case.node import collect_testcases

    cases = []
    for test in collect_testcases():
        name = test.name.removeprefix("test_")
        if test.model is None or len(test.model.graph.node) != 1 or name in OTHER_MEANING:
            continue
        (node,) = test.model.graph.node
        if node.op_type not in OPERATORS:
            continue
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        arrays, outputs = ([np.asarray(a) for a in side] for side in test.data_sets[0])
        call, arrays, args, options, outputs = translate(node.op_type, attributes, arrays, outputs)
        arrays, outputs = cropped(call, arrays, outputs)
        recorded = case(name, call, arrays, args, options, outputs, all(o.dtype.kind in "iu" for o in outputs))
        if any(np.array_equal(o, np.round(o, 4)) and not np.array_equal(o, np.rint(o)) for o in outputs):
            recorded["rtol"] = 1e-3  # as ONNX itself compares; these were typed in with four decimals
        if len(json.dumps(recorded)) < 20_000:  # the 32x32x32 volumes of random numbers are left out
            cases.append(recorded)
    return onnx.__version__, cases


def main(tool):
    """Write the file of one tool."""
    version, cases = {"torch": from_torch, "onnx": from_onnx}[tool]()
    head = {"tool": tool, "version": version, "numpy": np.__version__, "command": f"python tests/golden/generate.py {tool}"}
    lines = ",\n".join(json.dumps(recorded, separators=(",", ":"), allow_nan=False) for recorded in cases)
    text = json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n"
    (HERE / f"{tool}.json").write_text(text)
    print(f"{tool} {version}: {len(cases)} cases, {len(text) // 1000} KB")


if __name__ == "__main__":
    main(*sys.argv[1:])
