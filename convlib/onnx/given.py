"""What callers give: models, and arrays for their inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference import ReferenceEvaluator

from ..errors import SpecError
from ..spec.arguments import file_name

#: The type of each input's elements, by name; None where an input is no tensor.
Types = Mapping[str, np.dtype[Any] | None]


def model_of(given: Any) -> onnx.ModelProto:
    """Return the model in a file, in bytes, or as it is."""
    if isinstance(given, onnx.ModelProto):
        return given
    if isinstance(given, (str, os.PathLike)):
        return onnx.load(file_name("model", given))
    if not isinstance(given, bytes):
        raise TypeError(f"a model must be an onnx.ModelProto, bytes or the path of a file, not {type(given).__name__}")
    try:
        return onnx.load_from_string(given)
    except Exception as error:  # of protobuf, which onnx does not wrap
        raise SpecError(f"the bytes given are no ONNX model: {error}; read them from a file of one") from None


def types_of(evaluator: ReferenceEvaluator) -> Types:
    """Return what a model says of its inputs, in their order."""
    found: dict[str, np.dtype[Any] | None] = {}
    for name, kind in zip(evaluator.input_names, evaluator.input_types, strict=True):
        element = kind.tensor_type.elem_type if kind.HasField("tensor_type") else 0
        found[name] = np.dtype(tensor_dtype_to_np_dtype(element)) if element else None
    return found


def named(inputs: Any, types: Types, needed: Sequence[str]) -> dict[str, Any]:
    """Return inputs, given in their order or by name, by name; `needed` are those without an initializer.

    Raises
    ------
    SpecError
        If there are too many, one is missing, or the model has none of a name.
    TypeError
        If one is no array, or one of another type than the model says.
    """
    if isinstance(inputs, Mapping):
        feeds = dict(inputs)
    else:
        if not isinstance(inputs, (np.ndarray, Iterable)):
            raise TypeError(f"inputs must be a sequence or a dict of arrays, not {type(inputs).__name__}")
        given = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(given) > len(types):
            raise SpecError(f"{len(given)} inputs are given; the model has {len(types)}: {', '.join(types)}")
        # Old models list initializers among the inputs.
        feeds = dict(zip(needed if len(given) <= len(needed) else types, given, strict=False))
    missing = [name for name in needed if name not in feeds]
    unknown = [name for name in feeds if name not in types]
    if missing or unknown:
        wrong = f"input {unknown[0]!r} is unknown" if unknown else f"input {missing[0]!r} is missing"
        raise SpecError(f"{wrong}; the model takes {', '.join(needed)}")
    for name, value in feeds.items():
        _check(name, value, types[name])
    return feeds


def of_node(inputs: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the inputs of one node by name, as arrays; None stands for one that is left out, which has no name."""
    if not isinstance(inputs, Iterable):
        raise TypeError(f"inputs must be a sequence of arrays, not {type(inputs).__name__}")
    given = [a for a in inputs if a is not None]
    if len(given) != len(names):
        raise SpecError(f"{len(given)} inputs are given; the node has {len(names)}: {', '.join(names)}")
    return {name: _array(name, a) for name, a in zip(names, given, strict=True)}


def _array(name: str, value: Any) -> Any:
    try:
        return np.asarray(value)
    except Exception as error:  # what is no array may fail in any way
        raise TypeError(f"input {name!r} cannot become an array: {error}") from error


def _check(name: str, value: Any, wanted: np.dtype[Any] | None) -> None:
    """Raise TypeError unless the input of a tensor is an array of that type, in any order of bytes."""
    if wanted is None:
        return
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"input {name!r} must be an array of {wanted}, not {type(value).__name__}")
    if wanted.kind in "fiubc" and value.dtype.newbyteorder("=") != wanted:
        raise TypeError(f"input {name!r} has dtype {value.dtype}; the model takes {wanted}: convert it first")
