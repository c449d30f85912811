"""What the public functions share: taking arrays in, one function per rank, the texts of common parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import config
from ..errors import SpecError
from . import _foreign

Array: TypeAlias = NDArray[Any]
ArrayLike: TypeAlias = Any  # what numpy.asarray takes, or an array of another library that a backend takes
P = ParamSpec("P")
R = TypeVar("R")

_TEXTS = {
    "x": "x : array_like, shape (N, C, {axes}) or (C, {axes})\n"
    "    Input; with ``layout=\"{last}\"`` the channels come last.",
    "w": "w : array_like, shape (OC, C / groups, {kernel})\n    Weights, in this order for every layout.",
    "bias": "bias : array_like, shape (OC,), optional\n    Added to each output channel.",
    "stride": "stride : int or sequence of {nd} int, default 1\n    Step between windows, in input elements.",
    "padding": "padding : int, sequence or str, default 0\n"
    "    Elements added around the input: one amount, one per axis, {nd} ``(lo, hi)`` pairs, or \"valid\", \"same\"\n"
    "    (stride 1), \"same_upper\", \"same_lower\", \"full\", \"causal\".",
    "dilation": "dilation : int or sequence of {nd} int, default 1\n"
    "    Distance between the elements of a window; 1 means adjacent.",
    "groups": "groups : int, default 1\n"
    "    Channels are split into this many groups that do not mix; ``groups=C`` is depthwise.",
    "padding_mode": "padding_mode : str, default \"constant\"\n"
    "    What padding holds, by `numpy.pad`'s names: \"constant\", \"reflect\", \"symmetric\", \"edge\", \"wrap\";\n"
    "    \"zeros\", \"replicate\" and \"circular\" are other names for the first and the last two.\n"
    "pad_value : float, default 0\n    Value of constant padding.",
    "flip": "flip : bool, default False\n"
    "    Flip the kernel along its spatial axes: true convolution instead of cross-correlation.",
    "layout": "layout : str, default \"NCHW\"\n"
    "    Axis order of input and result: \"{first}\" or \"NCHW\", \"{last}\" or \"NHWC\".",
    "out": "out : ndarray, optional\n    Where the result goes: its shape and dtype, writable, apart from the inputs.",
    "backend": "backend : str, optional\n"
    "    Name from `backends`, or \"name:algorithm\"; by default the automatic choice.",
    "accuracy": "accuracy : {{\"fast\", \"strict\"}}, optional\n"
    "    What the automatic choice may use; by default what `convlib.accuracy` says, else \"fast\".",
    "kernel_size": "kernel_size : int or sequence of {nd} int\n    Size of the window.",
    "pool_stride": "stride : int or sequence of {nd} int, optional\n"
    "    Step between windows; by default the window size.",
    "ceil_mode": "ceil_mode : bool, default False\n"
    "    Round the output size up; a window that would start behind the input and its low padding is dropped.",
    "errors": "SpecError\n    If sizes or options break a rule; the message names the argument and a valid value.\n"
    "TypeError\n    If an argument has a wrong type.\n"
    "BackendError\n    If the backend asked for is unknown or cannot serve the call.",
    "layer_backend": "backend : str, optional\n    Name from `backends`; by default the automatic choice.",
}  # fmt: skip
#: The five options that say where the windows of a pooling lie.
_TEXTS["windows"] = "\n".join(
    _TEXTS[name] for name in ("kernel_size", "pool_stride", "padding", "dilation", "ceil_mode")
)

_RANKS: dict[int, dict[str, str]] = {
    1: {
        "axes": "W", "kernel": "KW", "out_axes": "OW", "first": "NCW", "last": "NWC",
        "four": "4", "three": "3", "two": "2",
    },
    2: {
        "axes": "H, W", "kernel": "KH, KW", "out_axes": "OH, OW", "first": "NCHW", "last": "NHWC",
        "four": "4, 4", "three": "3, 3", "two": "2, 2",
    },
    3: {
        "axes": "D, H, W", "kernel": "KD, KH, KW", "out_axes": "OD, OH, OW", "first": "NCDHW", "last": "NDHWC",
        "four": "4, 4, 4", "three": "3, 3, 3", "two": "2, 2, 2",
    },
}  # fmt: skip


def fill_texts(doc: str, nd: int) -> str:
    """Replace ``<name>`` by the shared text of that parameter and ``<field>`` by what differs with the rank."""
    words = {"nd": str(nd), "taps": str(2**nd), **_RANKS[nd]}
    for name, text in _TEXTS.items():
        doc = doc.replace(f"<{name}>", text.format(**words))
    for name, word in words.items():
        doc = doc.replace(f"<{name}>", word)
    return doc


def per_rank(
    function: Callable[Concatenate[int, P], R],
) -> tuple[Callable[P, R], Callable[P, R], Callable[P, R]]:
    """Make the 1-d, 2-d and 3-d public functions of one function that takes the rank first.

    Parameters
    ----------
    function : callable
        Its name carries ``nd`` where the rank goes, as in ``_max_poolnd``.

    Returns
    -------
    functions : tuple of three callables
        With names, signatures and docstrings of their own.
    """
    signature = inspect.signature(function)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])

    def bind(nd: int) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            level = kwargs.get("accuracy")
            if level is None:
                return function(nd, *args, **kwargs)
            with config.accuracy(level):  # type: ignore[arg-type]  # refuses what is no level
                return function(nd, *args, **kwargs)

        functools.update_wrapper(call, function)
        del call.__wrapped__  # type: ignore[attr-defined]  # its signature has one parameter more
        call.__name__ = call.__qualname__ = function.__name__.strip("_").replace("nd", f"{nd}d")
        call.__doc__ = fill_texts(inspect.cleandoc(function.__doc__ or ""), nd)
        call.__module__ = "convlib"
        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return bind(1), bind(2), bind(3)


def take(**given: ArrayLike) -> tuple[str, list[Any]]:
    """Return the common array type of the arguments, and the arguments as arrays of it.

    Numbers, lists and arrays of NumPy become plain NumPy arrays.  An array of another library is taken as it is if a
    backend takes its type, else refused; weights beside Dask arrays may be NumPy arrays.
    """
    kinds: dict[str, str] = {}
    arrays: list[Any] = []
    for name, value in given.items():
        if type(value) is np.ndarray:
            kinds[name] = "numpy"
            arrays.append(value)
            continue
        if value is None and name == "bias":
            arrays.append(value)
            continue
        kind, array = _take_one(name, value)
        kinds[name] = kind
        arrays.append(array)
    if len(set(kinds.values())) > 1:
        return _foreign.common(kinds, dict(zip(given, arrays, strict=True))), arrays
    return next(iter(kinds.values())), arrays


def _take_one(name: str, value: Any) -> tuple[str, Any]:
    if value is None:
        raise TypeError(f"{name} must be an array, not None")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; fill it first, as in {name}.filled(0)")
    if _foreign.is_foreign(value):
        return _foreign.take(name, value)
    try:
        return "numpy", np.asarray(value)
    except ValueError as error:
        raise SpecError(f"{name} is no array: {error}") from None
