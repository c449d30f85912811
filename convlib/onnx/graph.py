"""What of a model's graph may run at once: which values are constant, who uses a value, what follows a convolution."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .memory import Array
from .steps import Stage

#: Nodes that give a constant from constants, and that weights stand behind in models as they are found.
FOLDED = frozenset({"Cast", "Constant", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})



class Chain(NamedTuple):
    """A convolution and the nodes that run with it."""

    nodes: list[int]  # by their place in the graph, the convolution first
    w: Array | None  # if it is constant
    bias: Array | None  # the same; that of an Add which follows, too
    stages: list[Stage]


class Graph:
    """The nodes of a model as ONNX's evaluator made them, and what holds of their values.

    Parameters
    ----------
    nodes : sequence of OpRun
        In an order in which they can run.
    constants : dict of ndarray
        Initializers by name; what nodes make of them alone is added.
    outputs : sequence of str
        What the model gives.
    """

    nodes: Sequence[Any]
    constants: dict[str, Array]
    outputs: frozenset[str]
    folded: set[int]
    uses: Counter[str]

    def __init__(self, nodes: Sequence[Any], constants: dict[str, Array], outputs: Sequence[str]) -> None:
        self.nodes, self.constants, self.outputs = nodes, constants, frozenset(outputs)
        self.folded = {number for number, node in enumerate(nodes) if self._fold(node)}
        self.uses = Counter(outputs)
        self.users: defaultdict[str, list[int]] = defaultdict(list)
        for number, node in enumerate(nodes):
            for name in names_in(node.onnx_node):
                self.uses[name] += 1
                self.users[name].append(number)

    def _fold(self, node: Any) -> bool:
        """Run a node on constants now."""
        known = node.op_type in FOLDED and node.domain == "" and not node.has_linked_attribute
        if not known or any(name and name not in self.constants for name in node.input):
            return False
        found = node.run(*(self.constants[name] if name else None for name in node.input))
        self.constants.update(zip(node.output, found, strict=False))
        return True

    def chains(self) -> dict[int, Chain]:
        """Return the nodes that run at once, by the number of the last.

        Where two convolutions are added, the later one takes the Add with it: the other's result is there by then.
        """
        taken: set[int] = set()
        found = {}
        for number in range(len(self.nodes) - 1, -1, -1):
            chain = self._head(number)
            if chain is not None:
                chain = self._followed(chain, taken)
                taken.update(chain.nodes)
                found[chain.nodes[-1]] = chain
        return found

    def _head(self, number: int) -> Chain | None:
        """Return a chain of one convolution; Gemm with constant weights is one, over a single element."""
        node = self.nodes[number]
        if node.domain != "" or node.has_linked_attribute or node.op_type not in ("Conv", "ConvTranspose", "Gemm"):
            return None
        w, *rest = (self.constants.get(name) for name in node.input[1:])
        bias = rest[0] if rest else None
        if node.op_type == "Gemm":
            w = self._dense(node, w)
            if bias is not None and w is not None:
                bias = np.broadcast_to(bias, w.shape[0]).copy() if bias.size in (1, w.shape[0]) else None
        unknown = any(name and name not in self.constants for name in node.input[1:])
        if unknown or node.op_type == "ConvTranspose" or (len(node.input) > 2 and node.input[2] and bias is None):
            w = bias = None  # it runs by a call
        return None if node.op_type == "Gemm" and w is None else Chain([number], w, bias, [])

    def _dense(self, node: Any, w: Array | None) -> Array | None:
        """Return the weights of a Gemm as those of a convolution, or None if it does more than that."""
        plain = not node.transA and node.alpha == 1 and node.beta == 1
        if w is None or not plain or w.ndim != 2 or w.dtype.kind != "f":
            return None
        return (w if node.transB else w.T)[:, :, None]

    def _followed(self, chain: Chain, taken: set[int]) -> Chain:
        """Return a chain with what follows the convolution."""
        while True:
            value = self.nodes[chain.nodes[-1]].output[0]
            if self.uses[value] != 1 or value in self.outputs:
                return chain
            (user,) = self.users[value]
            follower = self.nodes[user]
            if user in taken or follower.domain != "" or follower.has_linked_attribute:
                return chain
            other = next((name for name in follower.input if name != value), None)
            bias = self._bias(chain, self.constants.get(other or "")) if follower.op_type == "Add" else None
            if bias is not None:
                chain = chain._replace(bias=bias)
            else:
                stage = self._stage(follower, other)
                if stage is None:
                    return chain
                chain.stages.append(stage)
            chain.nodes.append(user)

    def _bias(self, chain: Chain, constant: Array | None) -> Array | None:
        """Return a constant that is added as the bias of a convolution, if it is one number per channel."""
        w, dense = chain.w, self.nodes[chain.nodes[0]].op_type == "Gemm"
        if constant is None or w is None or chain.bias is not None or chain.stages or constant.dtype != w.dtype:
            return None
        shape = (w.shape[0],) if dense else (w.shape[0], *(1,) * (w.ndim - 2))
        return constant.reshape(-1) if constant.shape in (shape, (1, *shape)) else None

    def _stage(self, node: Any, other: str | None) -> Stage | None:
        """Return an elementwise node as a stage, or None if it is none."""
        if node.op_type == "Relu":
            return Stage(node.run, (0.0, math.inf))
        if node.op_type == "Add" and other:
            return Stage(node.run, other=other)
        if node.op_type == "Clip":
            bounds = [getattr(node, "min", None), getattr(node, "max", None)]  # attributes up to operator set 10
            for place, name in enumerate(node.input[1:3]):
                if name and name not in self.constants:
                    return None
                bounds[place] = self.constants[name] if name else None
            low, high = (default if bound is None else float(np.asarray(bound).item())
                         for bound, default in zip(bounds, (-math.inf, math.inf), strict=True))  # fmt: skip
            return Stage(_clipping(node, bounds), (low, high))
        return None


def _clipping(node: Any, bounds: list[Any]) -> Any:
    """Return what runs a Clip whose bounds are constants on the array alone."""
    inputs = [None if bound is None else np.asarray(bound) for bound in bounds] if len(node.input) > 1 else []
    return lambda y: node.run(y, *(None if bound is None else bound.astype(y.dtype) for bound in inputs))


def names_in(proto: Any) -> Iterator[str]:
    """Yield the names of the values that a node reads, those that graphs inside it take from outside included."""
    yield from filter(None, proto.input)
    for attribute in proto.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            for node in graph.node:
                yield from names_in(node)
            yield from (output.name for output in graph.output)
