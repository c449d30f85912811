"""Convolution and pooling for NumPy arrays: every algorithm under one tested spec."""

from __future__ import annotations

from .backends.base import Backend
from .comparison import compare
from .config import accuracy, max_workspace
from .costs import cost
from .errors import BackendError, ConvlibError, SpecError, UnsupportedError
from .functional import *  # noqa: F403
from .functional import __all__ as _functions
from .geometry import receptive_field, solve_shape
from .info import show_config
from .registry import Explanation, backends, register_backend, unregister_backend, use_backend
from .spec import ConvSpec, PoolSpec
from .threads import get_num_threads, num_threads, set_num_threads

__version__ = "0.1.0"

__all__ = [
    "Backend", "BackendError", "ConvSpec", "ConvlibError", "Explanation", "PoolSpec", "SpecError", "UnsupportedError",
    "accuracy", "backends", "compare", "cost", "get_num_threads", "max_workspace", "num_threads", "receptive_field",
    "register_backend", "set_num_threads", "show_config", "solve_shape", "unregister_backend", "use_backend",
    *_functions,
]  # fmt: skip
