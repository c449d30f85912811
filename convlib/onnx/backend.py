"""The backend: prepares a model once, with a plan for each convolution, and runs it many times."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import onnx
import onnx.backend.base
import onnx.checker
import onnx.inliner
from onnx.reference import ReferenceEvaluator

from ..config import get_max_workspace
from ..errors import SpecError, quote
from ..spec.arguments import integer
from ..threads import get_num_threads
from . import rules
from .given import model_of, named, of_node, types_of
from .graph import Chain, Graph, names_in
from .memory import Array
from .operators import OPS, TABLE, Node, serve
from .steps import IntegerLayer, Layer, Stage, Step, ending


class Served(NamedTuple):
    """Who runs a node of a prepared model, and how."""

    node: str
    by: str
    how: str

    def __str__(self) -> str:
        return f"{self.node}: {self.by}, {self.how}"


class Prepared(onnx.backend.base.BackendRep):
    """A model, ready to run; made by `prepare`.

    Thread-safe.  Each convolution of constant weights makes a plan per shape of its input when it first meets it, and
    keeps the last few; a plan keeps the backend and the accuracy that held when it was made.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.

    Attributes
    ----------
    served : tuple of Served
        Who runs each node: convlib, or ONNX's own evaluator.
    """

    def __init__(self, model: Any) -> None:
        self._evaluator = ReferenceEvaluator(model, new_ops=OPS)
        constants = dict(self._evaluator.rt_inits_)
        self._types = types_of(self._evaluator)
        self._inputs = [name for name in self._evaluator.input_names if name not in constants]
        self._graph = Graph(self._evaluator.rt_nodes_, constants, self._evaluator.output_names)
        self._layers: dict[Any, Layer] = {}
        self.served: tuple[Served, ...] = ()
        self._steps = self._made()

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Run the model.

        Parameters
        ----------
        inputs : sequence or dict of ndarray
            In the order of the model's inputs, or by their names.
        **kwargs
            Ignored, as in ONNX's interface.

        Returns
        -------
        outputs : tuple of ndarray
            In the order of the model's outputs.
        """
        feeds = self._named(inputs)
        if not feeds.keys().isdisjoint(self._graph.constants):
            # What is prepared holds for the initializers as they are.
            return tuple(self._evaluator.run(None, feeds))
        values = {"": None, **self._graph.constants, **feeds}
        settings = get_num_threads(), get_max_workspace()
        for step in self._steps:
            step(values, *settings)
        return tuple(values[name] for name in self._evaluator.output_names)

    def profile(self, inputs: Any, repeats: int = 20) -> list[tuple[Served, float]]:
        """Run the model several times, and return the median seconds of each step.

        Parameters
        ----------
        inputs : sequence or dict of ndarray
            As in `run`.
        repeats : int, default 20
            How often.

        Returns
        -------
        steps : list of (Served, float)
            In the order in which they run; nodes that run with another are part of its time.
        """
        if not 1 <= integer("repeats", repeats) <= 1_000_000:
            raise SpecError(f"repeats={repeats} must lie between 1 and 1000000, such as 20")
        feeds, times = self._named(inputs), []
        self.run(feeds)  # which makes the plans
        settings = get_num_threads(), get_max_workspace()
        for _ in range(repeats):
            column = [0.0] * len(self._steps)
            times.append(column)
            values = {"": None, **self._graph.constants, **feeds}
            for place, step in enumerate(self._steps):
                start = time.perf_counter()
                step(values, *settings)
                column[place] = time.perf_counter() - start
        medians = map(statistics.median, zip(*times, strict=True))
        return list(zip(self._heads, medians, strict=True))

    def _named(self, inputs: Any) -> dict[str, Any]:
        """Return the inputs by name."""
        return named(inputs, self._types, self._inputs)

    def _made(self) -> list[Step]:
        """Return the steps, and note who serves each node."""
        graph, chains = self._graph, self._graph.chains()
        fused = {number for chain in chains.values() for number in chain.nodes}
        steps: list[Step] = []
        heads: list[int] = []
        served: dict[int, Served] = {}
        for number, node in enumerate(graph.nodes):
            if number in chains:
                steps.append(self._convolution(chains[number], served))
                heads.append(chains[number].nodes[0])
            elif number in graph.folded:
                served[number] = Served(_label(node), "ONNX's evaluator", "once, as it is constant")
            elif number not in fused:
                steps.append(self._single(number, served))
                heads.append(number)
        self.served = tuple(served[number] for number in sorted(served))
        self._heads = [served[number] for number in heads]
        last: dict[str, Step] = {}
        for step in steps:
            last |= dict.fromkeys((*step.reads, *step.writes), step)
        for name, step in last.items():
            if name and name not in graph.outputs and name not in graph.constants:
                step.done += (name,)
        return steps

    def _single(self, number: int, served: dict[int, Served]) -> Step:
        """Return the step of a node that runs alone."""
        node = self._graph.nodes[number]
        if node.op_type in TABLE and node.domain == "" and not node.has_linked_attribute:
            rest = [self._graph.constants.get(name) for name in node.input[1:]]
            known = all(value is not None or not name for name, value in zip(node.input[1:], rest, strict=True))
            if node.op_type in ("ConvInteger", "QLinearConv") and known:
                served[number] = Served(_label(node), "convlib", "by a plan")
                layer = IntegerLayer(_node(node), *rest)
                return Step(lambda x: (layer(x),), node.input[:1], node.output)
            served[number] = Served(_label(node), "convlib", "by a call")
            return Step(_call(node), node.input, node.output)
        if node.op_type == "Flatten" and node.domain == "" and not node.has_linked_attribute:
            served[number] = Served(_label(node), "convlib", "as another shape")
            return Step(_flattened(node.axis), node.input, node.output)
        served[number] = Served(_label(node), "ONNX's evaluator", "by itself")
        context = tuple(names_in(node.onnx_node)) if node.need_context() else None
        return Step(node.run, node.input, node.output, context=context)

    def _convolution(self, chain: Chain, served: dict[int, Served]) -> Step:
        """Return the step of a convolution and of what runs with it."""
        head, *others = (self._graph.nodes[number] for number in chain.nodes)
        how = "by a call" if chain.w is None else "by a plan"
        if others:
            how += f" with {', '.join(map(_label, others))}"
        for number in chain.nodes:
            place = how if number == chain.nodes[0] else f"in {_label(head)}"
            served[number] = Served(_label(self._graph.nodes[number]), "convlib", place)
        output = self._graph.nodes[chain.nodes[-1]].output
        if chain.w is None:
            return Step(_call(head), head.input, output, chain.stages)
        stages = ending(chain.stages)
        layer = self._layer(head, chain, chain.w, stages)
        inputs = (head.input[0], *(stage.other for stage in stages if stage.other))
        rest = chain.stages[len(stages) :]
        if head.op_type == "Gemm":
            return Step(_dense(layer), inputs, output, rest)
        return Step(lambda *given: (layer(*given),), inputs, output, rest, layer=layer)

    def _layer(self, node: Any, chain: Chain, w: Array, stages: tuple[Stage, ...]) -> Layer:
        """Return the layer of a convolution with constant weights, shared by all nodes that have the same."""
        own = Node("Conv", _label(node), {}) if node.op_type == "Gemm" else _node(node)
        bias = None if chain.bias is None else id(chain.bias)
        ends = [(stage.activation, bool(stage.other)) for stage in stages]
        key = (node.op_type, node.input[1], bias, repr(sorted(own.attributes.items())), repr(ends))
        return self._layers.setdefault(key, Layer(own, w, chain.bias, stages=stages))


def _dense(layer: Layer) -> Callable[..., tuple[Array]]:
    """Return what runs a Gemm, which is a convolution over one element."""
    return lambda *given: (layer(*(a[..., None] for a in given))[..., 0],)


def _flattened(axis: int) -> Callable[[Array], tuple[Array]]:
    """Return what makes a matrix of an array: the axes before one, and the others."""
    return lambda x: (x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:])),)


def _label(node: Any) -> str:
    return rules.named(node.op_type, node.onnx_node.name, node.output)


def _node(node: Any) -> Any:
    """Return one of our nodes as the operators see it."""
    return node.node({name: getattr(node, name) for name in sorted(node.attributes_names_)})


def _call(node: Any) -> Any:
    """Return what runs one of our nodes by a call."""
    own = _node(node)
    return lambda *inputs: serve(own, inputs)


class Backend(onnx.backend.base.Backend):
    """ONNX's backend interface: convolutions and poolings by convlib, all else by ONNX's own evaluator.

    Examples
    --------
    >>> import numpy as np
    >>> from onnx import parser
    >>> from convlib.onnx import Backend
    >>> model = parser.parse_model('''<ir_version: 8, opset_import: ["" : 17]>
    ... net (float[1, 1, 3, 3] x) => (float[1, 1, 2, 2] y) <float[1, 1, 2, 2] w = {1, 1, 1, 1}>
    ... { sums = Conv(x, w)  y = Relu(sums) }''')
    >>> prepared = Backend.prepare(model)
    >>> prepared.run([np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)])[0]
    array([[[[ 8., 12.],
             [20., 24.]]]], dtype=float32)
    >>> print(prepared.served[0])
    Conv node that gives 'sums': convlib, by a plan with Relu node that gives 'y'
    """

    @classmethod
    def prepare(cls, model: Any, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Prepare a model.

        Parameters
        ----------
        model : onnx.ModelProto, path or bytes
            The model.
        device : str, default "CPU"
            Where it is to run: on the processor.
        **kwargs
            Ignored, as in ONNX's interface.

        Returns
        -------
        prepared : Prepared
            ``prepared.run(inputs)`` runs it; ``prepared.served`` tells who runs each node.

        Raises
        ------
        SpecError
            If `device` is another, or bytes are no model.
        onnx.checker.ValidationError
            If it is no valid model.
        TypeError
            If it is none of what a model may be given as.
        OSError
            If there is no such file.
        """
        if not cls.supports_device(device):
            raise SpecError(f"device={quote(device)} is not served; use 'CPU'")
        model = model_of(model)
        onnx.checker.check_model(model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
        return Prepared(model)

    @classmethod
    def run_model(cls, model: Any, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Array, ...]:
        """Prepare a model and run it once.

        Parameters
        ----------
        model : onnx.ModelProto, path or bytes
            The model.
        inputs : sequence or dict of ndarray
            As in `Prepared.run`.
        device : str, default "CPU"
            As in `prepare`.
        **kwargs
            Ignored, as in ONNX's interface.

        Returns
        -------
        outputs : tuple of ndarray
            In the order of the model's outputs.
        """
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(
        cls, node: Any, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[Array, ...]:
        """Run one node.

        Parameters
        ----------
        node : onnx.NodeProto
            The node.
        inputs : sequence of ndarray
            Its inputs.
        device : str, default "CPU"
            As in `prepare`.
        outputs_info : object, optional
            Ignored, as the inputs tell.
        **kwargs
            ``opset_version``: the operator set, by default the newest that onnx knows.

        Returns
        -------
        outputs : tuple of ndarray
            Its outputs.
        """
        super().run_node(node, inputs, device, outputs_info, **kwargs)  # checks the node
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in node.input if name]
        graph = onnx.helper.make_graph(
            [node], "node",
            [onnx.helper.make_empty_tensor_value_info(name) for name in dict.fromkeys(names)],
            [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        return Prepared(model).run(of_node(inputs, names))

    @classmethod
    def supports_device(cls, device: Any) -> bool:
        """Return whether models run on a device.

        Parameters
        ----------
        device : str
            Its name in ONNX's form, such as "CPU" or "CUDA:1".

        Returns
        -------
        supported : bool
            True for the processor only.
        """
        return isinstance(device, str) and device.partition(":")[0] == "CPU"
