"""Arguments that do not fit, and memory that does not suffice, in the words of the public function that was called."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, ParamSpec, TypeVar, cast

from .. import config
from ..errors import did_you_mean
from ..spec.arguments import OTHER_NAMES

P = ParamSpec("P")
R = TypeVar("R")


def bound(name: str, signature: inspect.Signature, args: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, without defaults; TypeError names `name` and what was probably meant."""
    try:
        return signature.bind(*args, **options).arguments
    except TypeError as reason:
        text = f"{name}(): {reason}"
        unknown = [option for option in options if option not in signature.parameters]
        hint = did_you_mean(unknown[0], signature.parameters, OTHER_NAMES) if unknown else ""
        if unknown:  # which may stand for what is missing
            text = f"{name}(): got an unexpected keyword argument {unknown[0]!r}"
        raise TypeError(f"{text}{hint or '; it is called as ' + name + _plain(signature)}") from None


def _plain(signature: inspect.Signature) -> str:
    """Return a signature without its types."""
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def check_call(
    name: str, signature: inspect.Signature, error: TypeError, where: tuple[CodeType, ...], args: Any,
    options: Mapping[str, Any],
) -> None:  # fmt: skip
    """Raise TypeError in the words of a public function if the arguments do not fit its signature.

    `error` was raised by a call from one of the functions `where`; what the function itself raised is left alone.
    """
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is not None and place.tb_frame.f_code in where:
        bound(name, signature, args, options)


def hinting(function: Callable[P, R]) -> Callable[P, R]:
    """Let a public function say what was probably meant by an argument that it does not have."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except TypeError as error:
            check_call(function.__name__, signature, error, (cast(Any, call).__code__,), args, options)
            raise
        except MemoryError as error:
            explain_shortage(function.__name__, error, signature, options)
            raise

    return call


def explain_shortage(
    name: str, error: MemoryError, signature: inspect.Signature, options: Mapping[str, Any]
) -> None:
    """Raise an error that says what a public function had no memory for, and what helps.

    What a function within it says is said again by its name: it is this one that was called.
    """
    said = getattr(error, "explained", None) or _shortage(error, signature, options)
    better = MemoryError(f"{name}: {said}")
    better.explained = said  # type: ignore[attr-defined]
    raise better from error


def _shortage(error: MemoryError, signature: inspect.Signature, options: Mapping[str, Any]) -> str:
    bound, shape, dtype = config.get_max_workspace(), getattr(error, "shape", None), getattr(error, "dtype", None)
    nbytes = 0 if shape is None or dtype is None else math.prod(shape) * dtype.itemsize
    what = f"{nbytes} bytes, an array of shape {shape} and type {dtype}" if nbytes else str(error) or "its scratch"
    if nbytes > bound:  # no scratch is as large
        room = "out" in signature.parameters and options.get("out") is None and not options.get("return_indices")
        advice = "give parts of the arrays" + ", or a numpy.memmap as out, which lies in a file" * room
    else:
        advice = f"free some, or lower convlib.max_workspace, by which scratch takes up to {bound} bytes"
    return f"no memory for {what}; {advice}"


def hinting_init(init: Callable[..., None]) -> Callable[..., None]:
    """Do what `hinting` does for the `__init__` of a class and its subclasses, which it names."""
    signature = inspect.signature(init)
    parameters = list(signature.parameters.values())[1:]

    @functools.wraps(init)
    def call(self: Any, /, *args: Any, **options: Any) -> None:
        try:
            init(self, *args, **options)
        except TypeError as error:
            own = signature.replace(parameters=parameters, return_annotation=signature.empty)
            check_call(type(self).__name__, own, error, (call.__code__,), args, options)  # type: ignore[attr-defined]
            raise

    return call
