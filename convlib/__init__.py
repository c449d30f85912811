"""Convolution and pooling for NumPy arrays: every algorithm under one tested spec.

Arrays are (N, C, *spatial), weights (OC, C / groups, *kernel); what follows
the arrays is a keyword.  2d stands for 1d and 3d, too.

Convolution  conv2d  conv_transpose2d  filter2d (images)  plan_conv2d
Gradients    conv2d_grad_input  conv2d_grad_weight  and of pools
Pooling      max_pool2d  avg_pool2d  min_pool2d  sum_pool2d  lp_pool2d
             adaptive_avg_pool2d  adaptive_max_pool2d  global_avg_pool2d
             global_max_pool2d  max_unpool2d
Columns      im2col  col2im (any number of axes)
Integers     requantize (sums of a quantised layer back to 8 bits)
Sizes        conv_output_shape  pool_output_shape  solve_shape
             diff_padding
Questions    explain (who serves a call, and why)  compare  cost
             receptive_field
Backends     backends  use_backend  register_backend  unregister_backend
Settings     set_num_threads  num_threads  get_num_threads  accuracy
             max_workspace  plan_cache  use_tuning  show_config
Classes      Backend  ConvSpec  PoolSpec  ConvStream; errors:
             ConvlibError  SpecError  BackendError  UnsupportedError

Modules: convlib.layers (parameters, forward, backward), .textbook (as a
learner writes it), .costs, .networks (whole nets), .tuning (measure, choose
by it), .problem (problem strings), .dask (arrays beyond memory), .onnx
(models), .show (pictures), .testing (is a backend right?)

In a shell: convlib compare, explain, tune, info, check.
"""

from __future__ import annotations

import typing as _typing

from . import _interpreter as _interpreter  # refuses to go on where nothing below can

# isort: split
from . import _ext as _ext, registry as _registry, tuning  # _ext: an import without its parts fails here
from .backends.base import Backend
from .comparison import compare
from .config import accuracy, max_workspace, use_tuning
from .costs import cost
from .errors import BackendError, ConvlibError, SpecError, UnsupportedError
from .functional import *  # noqa: F403
from .functional import __all__ as _functions
from .geometry import receptive_field, solve_shape
from .info import show_config
from .padding import diff_padding
from .registry import Explanation, backends, register_backend, unregister_backend, use_backend
from .spec import ConvSpec, PoolSpec
from .threads import get_num_threads, num_threads, set_num_threads

if _typing.TYPE_CHECKING:
    from . import (
        costs as costs,
        dask as dask,
        layers as layers,
        networks as networks,
        onnx as onnx,
        problem as problem,
        show as show,
        testing as testing,
        textbook as textbook,
    )

__version__ = "0.1.0"

__all__ = [
    "Backend", "BackendError", "ConvSpec", "ConvlibError", "Explanation", "PoolSpec", "SpecError", "UnsupportedError",
    "accuracy", "backends", "compare", "cost", "diff_padding", "get_num_threads", "max_workspace", "num_threads",
    "receptive_field", "register_backend", "set_num_threads", "show_config", "solve_shape", "unregister_backend",
    "use_backend", "use_tuning", *_functions,
]  # fmt: skip

_registry.measured_by(tuning.ranking)

#: Modules that are imported when they are first used.
_MODULES = ("costs", "networks", "dask", "layers", "onnx", "problem", "show", "testing", "textbook")


def __getattr__(name: str) -> _typing.Any:
    if name in _MODULES:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    if name.startswith("__"):
        raise AttributeError(f"module 'convlib' has no attribute {name!r}")
    from .errors import did_you_mean

    raise AttributeError(f"module 'convlib' has no attribute {name!r}{did_you_mean(name, (*__all__, *_MODULES))}")


def __dir__() -> list[str]:
    """Return all names, but to `pydoc` none whose whole text it would print: ``help(convlib)`` is the map above."""
    import sys

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") == "inspect":
        frame = frame.f_back
    if frame.f_globals.get("__name__") == "pydoc":
        return []
    return sorted({*globals(), *_MODULES})
