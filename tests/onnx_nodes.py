"""Random nodes of ONNX's operators, models of one node, and where ONNX Runtime differs from the specification."""

import numpy as np
from onnx import helper, numpy_helper

#: Operator sets that a node is drawn for: one of each version of the operator that ONNX Runtime runs.
OPSETS = {
    "Conv": (7, 11, 21, 22), "ConvTranspose": (7, 11, 21, 22), "ConvInteger": (10, 21), "QLinearConv": (10, 21),
    "MaxPool": (7, 8, 10, 11, 12, 21, 22), "AveragePool": (7, 10, 11, 19, 22), "LpPool": (7, 11, 18, 22),
    "GlobalMaxPool": (7, 22), "GlobalAveragePool": (7, 22), "GlobalLpPool": (7, 21), "MaxUnpool": (9, 11, 21),
    "Col2Im": (18,), "DeformConv": (19, 22),
}  # fmt: skip


def model(op, inputs, opset, outputs=1, constants=0, **attributes):
    """Return a model of one node whose inputs have the types and shapes of arrays; None leaves one out.

    The last `constants` of them are part of the model.
    """
    names = ["" if a is None else f"x{i}" for i, a in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, name="the_node", **attributes)
    taken = [(name, a) for name, a in zip(names, inputs, strict=True) if name]
    cut = len(taken) - constants
    known = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in taken[:cut]
    ]
    unknown = [helper.make_empty_tensor_value_info(name) for name in results]
    weights = [numpy_helper.from_array(a, name) for name, a in taken[cut:]]
    graph = helper.make_graph([node], "one", known, unknown, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def feeds(inputs, constants=0):
    """Return the inputs of such a model by name."""
    taken = [(f"x{i}", a) for i, a in enumerate(inputs) if a is not None]
    return dict(taken[: len(taken) - constants])


class Draw:
    """Draws nodes: each call of `node` gives (operator, inputs, operator set, number of outputs, attributes)."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def ints(self, nd, low, high):
        return [self.int(low, high) for _ in range(nd)]

    def chance(self, share):
        return self.rng.random() < share

    def floats(self, *shape):
        return self.rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32) / 8 - 3

    def bytes(self, kind, *shape):
        low, high = (0, 255) if kind == "uint8" else (-128, 127)
        return self.rng.integers(low, high + 1, shape).astype(kind)

    def node(self):
        op = str(self.rng.choice(list(OPSETS)))
        opset = int(self.rng.choice(OPSETS[op]))
        nd = 2 if op == "DeformConv" or self.chance(0.5) else int(self.rng.choice([1, 3]))
        return (op, *getattr(self, f"_{op}", self._pool)(op, opset, nd))

    def _windows(self, nd, size, *, dilations=True, auto=True):
        kernel = self.ints(nd, 1, 3)
        options = {}
        if self.chance(0.6):
            options["strides"] = self.ints(nd, 1, 3)
        if dilations and self.chance(0.4):
            options["dilations"] = self.ints(nd, 1, 2)
        if auto and self.chance(0.3):
            options["auto_pad"] = str(self.rng.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        elif self.chance(0.7):
            options["pads"] = [self.int(0, k - 1) for k in kernel * 2]
        return kernel, options

    def _Conv(self, op, opset, nd):
        return self._conv(op, opset, nd, self.floats, self.floats)

    def _conv(self, op, opset, nd, make_x, make_w):
        size = self.ints(nd, 1 if self.chance(0.1) else 3, 7)
        kernel, options = self._windows(nd, size)
        group = self.int(1, 3) if self.chance(0.4) else 1
        x = make_x(self.int(1, 2), group * self.int(1, 2), *size)
        w = make_w(group * self.int(1, 3), x.shape[1] // group, *kernel)
        if group > 1 or self.chance(0.3):
            options["group"] = group
        if self.chance(0.5):
            options["kernel_shape"] = kernel
        bias = [make_x(w.shape[0])] if op == "Conv" and self.chance(0.5) else []
        return [x, w, *bias], opset, 1, options

    def _ConvInteger(self, op, opset, nd):
        kinds = "uint8", str(self.rng.choice(["uint8", "int8"]))
        (x, w), _, _, options = self._conv(op, opset, nd, *(lambda *s, k=k: self.bytes(k, *s) for k in kinds))
        zeros = [self.bytes(kinds[0]), self.bytes(kinds[1])] if self.chance(0.7) else []
        return [x, w, *zeros], opset, 1, options

    def _QLinearConv(self, op, opset, nd):
        kinds = "uint8", str(self.rng.choice(["uint8", "int8"]))
        (x, w), _, _, options = self._conv(op, opset, nd, *(lambda *s, k=k: self.bytes(k, *s) for k in kinds))
        per_channel = kinds[1] == "int8" and self.chance(0.5)
        shape = (w.shape[0],) if per_channel else ()
        scales = [np.float32(value) for value in self.rng.uniform(0.01, 0.1, 2)]
        w_scale = self.rng.uniform(0.01, 0.1, shape).astype(np.float32)
        # Signed weights of seven bits: without VNNI, ONNX Runtime adds pairs of products in 16 bits, which saturate.
        w = w >> 1 if kinds[1] == "int8" else w
        w_zero = np.zeros(shape, kinds[1]) if per_channel else self.bytes(kinds[1])
        bias = [self.rng.integers(-999, 999, w.shape[0]).astype(np.int32)] if self.chance(0.5) else []
        inputs = [x, scales[0], self.bytes("uint8"), w, w_scale, w_zero, scales[1] * 20, self.bytes("uint8"), *bias]
        return [np.asarray(a) for a in inputs], opset, 1, options

    def _ConvTranspose(self, op, opset, nd):
        size = self.ints(nd, 1, 5)
        kernel, options = self._windows(nd, size)
        strides, dilations = (options.get(name, [1] * nd) for name in ("strides", "dilations"))
        if self.chance(0.3):
            options["output_padding"] = [self.int(0, max(s, 1) - 1) for s in strides]
        natural = [(i - 1) * s + (k - 1) * d + 1 for i, s, k, d in zip(size, strides, kernel, dilations, strict=True)]
        if self.chance(0.3) and options.get("auto_pad") != "VALID":
            options["output_shape"] = [self.int(max(1, n - 2), n) for n in natural]
            options.pop("pads", None)
        group = self.int(1, 2)
        x = self.floats(self.int(1, 2), group * self.int(1, 2), *size)
        w = self.floats(x.shape[1], self.int(1, 2), *kernel)
        bias = [self.floats(w.shape[1] * group)] if self.chance(0.5) else []
        return [x, w, *bias], opset, 1, {**options, "group": group}

    def _pool(self, op, opset, nd):
        size = self.ints(nd, 1 if self.chance(0.2) else 3, 7)
        x = self.floats(self.int(1, 2), self.int(1, 3), *size)
        if op.startswith("Global"):
            return [x], opset, 1, {"p": self.int(1, 3)} if op == "GlobalLpPool" else {}
        since = {"MaxPool": (10, 10), "AveragePool": (19, 10), "LpPool": (18, 18)}[op]
        kernel, options = self._windows(nd, size, dilations=opset >= since[0])
        if opset >= since[1] and self.chance(0.5):
            options["ceil_mode"] = 1
        if op == "AveragePool" and self.chance(0.5):
            options["count_include_pad"] = 1
        if op == "LpPool":
            options["p"] = self.int(1, 3)
        outputs = 1
        if op == "MaxPool" and opset >= 8 and self.chance(0.5):
            outputs = 2
            if self.chance(0.5):
                options["storage_order"] = 1
        if op == "MaxPool" and opset >= 12 and self.chance(0.2):
            x = self.bytes(str(self.rng.choice(["int8", "uint8"])), *x.shape)
        return [x], opset, outputs, {"kernel_shape": kernel, **options}

    def _MaxUnpool(self, op, opset, nd):
        kernel = self.ints(nd, 2, 3)
        x = self.floats(self.int(1, 2), self.int(1, 2), *self.ints(nd, 1, 3))
        options = {"kernel_shape": kernel, "strides": kernel}
        shape = (*x.shape[:2], *(i * k for i, k in zip(x.shape[2:], kernel, strict=True)))
        places = self.rng.permutation(int(np.prod(shape)))[: x.size].reshape(x.shape)
        given = [np.array(shape)] if self.chance(0.3) else []
        return [x, places, *given], opset, 1, options

    def _Col2Im(self, op, opset, nd):
        nd = max(nd, 2)
        image, block = self.ints(nd, 4, 6), self.ints(nd, 1, 2)
        options = {name: self.ints(nd, 1, 2) for name in ("strides", "dilations") if self.chance(0.5)}
        if self.chance(0.5):
            options["pads"] = self.ints(2 * nd, 0, 1)
        count = 1
        for axis, (i, k) in enumerate(zip(image, block, strict=True)):
            s, d = (options.get(name, [1] * nd)[axis] for name in ("strides", "dilations"))
            pads = options.get("pads", [0] * 2 * nd)
            count *= (i + pads[axis] + pads[axis + nd] - (k - 1) * d - 1) // s + 1
        cols = self.floats(self.int(1, 2), self.int(1, 2) * int(np.prod(block)), count)
        return [cols, np.array(image), np.array(block)], opset, 1, options

    def _DeformConv(self, op, opset, nd):
        size = self.ints(nd, 3, 6)
        kernel, options = self._windows(nd, size, auto=False)
        group, offset_group = self.int(1, 2), self.int(1, 2)
        x = self.floats(self.int(1, 2), group * offset_group * self.int(1, 2), *size)
        w = self.floats(group * self.int(1, 2), x.shape[1] // group, *kernel)
        strides, dilations = (options.get(name, [1] * nd) for name in ("strides", "dilations"))
        pads = options.get("pads", [0] * 2 * nd)
        out = [
            max(0, (size[a] + pads[a] + pads[a + nd] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1)
            for a in range(nd)
        ]
        taps = offset_group * int(np.prod(kernel))
        offset = self.rng.uniform(-3, 3, (x.shape[0], taps * nd, *out)).astype(np.float32)
        more = [self.floats(w.shape[0]), self.rng.random((x.shape[0], taps, *out)).astype(np.float32)]
        return [x, w, offset, *more[: self.int(0, 2)]], opset, 1, {
            **options, "group": group, "offset_group": offset_group
        }  # fmt: skip
