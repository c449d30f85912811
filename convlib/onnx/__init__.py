"""ONNX models on convlib: operators for ONNX's evaluator, and a backend that prepares whole models; see docs/onnx.md.

``ReferenceEvaluator(model, new_ops=convlib.onnx.OPS)`` keeps ONNX's evaluator and replaces its convolutions and
poolings; `prepare` runs a model node by node itself, with plans for constant weights and with what follows them fused.
"""

from __future__ import annotations

try:
    import onnx as _onnx  # noqa: F401  # the package of that name: what is imported here is absolute
except ImportError as error:
    raise ImportError(
        "convlib.onnx needs the package onnx, 1.17 or newer; install it, or convlib with its extra `onnx`"
    ) from error

from .backend import Backend, Prepared
from .errors import NodeError
from .operators import OPS

prepare, run_model, run_node = Backend.prepare, Backend.run_model, Backend.run_node
supports_device = Backend.supports_device

__all__ = ["OPS", "Backend", "NodeError", "Prepared", "prepare", "run_model", "run_node", "supports_device"]
