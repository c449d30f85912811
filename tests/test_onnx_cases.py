"""ONNX's own cases, by its own runner: those of the operators that convlib has, and each must reach convlib."""

import re
import warnings
from collections import Counter, defaultdict

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")

from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner
from onnx.reference import ReferenceEvaluator

import convlib
import convlib.onnx
from convlib.functional.plan import ConvPlan
from convlib.onnx import deform, operators

#: Cases of onnx 1.23, one of which may use several operators: 108 of single nodes, 46 of models from PyTorch.
AT_LEAST = 154
KINDS = {"node": "Node", "pytorch-converted": "PyTorchConverted", "pytorch-operator": "PyTorchOperator"}


class Evaluator(onnx.backend.base.Backend):
    """ONNX's evaluator with `OPS`, as a backend."""

    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        """Return what runs a model by ONNX's evaluator."""

        class Run(onnx.backend.base.BackendRep):
            def run(self, inputs, **kwargs):
                evaluator = ReferenceEvaluator(model, new_ops=convlib.onnx.OPS)
                return tuple(evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=False))))

        return Run()

    @classmethod
    def supports_device(cls, device):
        """Return whether it is the processor."""
        return device == "CPU"


@pytest.fixture(scope="module")
def cases():
    """Return {operator: {(category, name)}} of ONNX's cases, without what would be downloaded."""
    found = defaultdict(set)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX computes with infinities where it makes its cases
        for kind, category in KINDS.items():
            for case in load_model_tests(kind=kind):
                model = case.model or onnx.load(f"{case.model_dir}/model.onnx")
                for op in {node.op_type for node in model.graph.node} & operators.TABLE.keys():
                    found[op].add((f"OnnxBackend{category}ModelTest", case.name))
    return found


@pytest.fixture(scope="module", params=[convlib.onnx.Backend, Evaluator], ids=["Backend", "OPS"])
def suite(request):
    """Return ONNX's own runner of a backend, as test classes by category."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Runner(request.param, __name__).test_cases


@pytest.fixture
def reached(monkeypatch):
    """Count the calls of convlib's functions by the operators."""
    counted = Counter()

    def counting(name, function):
        def call(*arguments, **options):
            counted[name] += 1
            return function(*arguments, **options)

        return call

    for name in convlib.functional.__all__:
        if re.fullmatch(r"(plan_)?(conv|pool|max|avg|lp|global|col2im)\w*", name):
            monkeypatch.setattr(convlib, name, counting(name, getattr(convlib, name)))
    monkeypatch.setattr(ConvPlan, "__call__", counting("plan", ConvPlan.__call__))
    sampled = counting("_sampled", deform._sampled)
    monkeypatch.setattr(deform, "_sampled", sampled)
    return counted


def test_the_number_of_cases(cases):
    assert len(set().union(*cases.values())) >= AT_LEAST
    assert cases.keys() == operators.TABLE.keys() - {"GlobalLpPool"}  # which ONNX has no case for


@pytest.mark.parametrize("op", sorted(operators.TABLE.keys() - {"GlobalLpPool"}))
def test_cases_of_onnx(op, cases, suite, reached):
    assert cases[op]
    for category, name in sorted(cases[op]):
        reached.clear()
        case = suite[category](f"{name}_cpu")
        getattr(case, f"{name}_cpu")()
        assert reached, f"{name} passed without convlib"


def test_cases_that_are_wrong_fail(suite, monkeypatch):
    """The runner looks at the numbers: a wrong convolution fails."""
    monkeypatch.setitem(operators.TABLE, "Conv", lambda node, x, w, *bias: np.zeros((1, 1, 5, 5), np.float32))
    category, name = "OnnxBackendNodeModelTest", "test_basic_conv_with_padding_cpu"
    with pytest.raises(AssertionError):
        getattr(suite[category](name), name)()
