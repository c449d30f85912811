"""What the public functions share: taking arrays in, one function per rank, the texts of common parameters."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import config, dtypes
from ..errors import SpecError, quote
from . import _foreign
from ._words import check_call, explain_shortage

Array: TypeAlias = NDArray[Any]
ArrayLike: TypeAlias = Any  # what numpy.asarray takes, or an array of another library that a backend takes
P = ParamSpec("P")
R = TypeVar("R")

_TEXTS = {
    "x": "x : array_like, shape (N, C, {axes}) or (C, {axes})\n"
    "    Input; with ``layout=\"{last}\"`` the channels come last.",
    "w": "w : array_like, shape (OC, C / groups, {kernel})\n"
    "    Weights, in this order for every layout of the input, or in that of `w_layout`.",
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
    "pool_padding_mode": "padding_mode : str, default \"constant\"\n"
    "    What padding holds, as in `conv{nd}d`; other than \"constant\", it takes part like elements of the input.\n"
    "pad_value : float, optional\n"
    "    Value of constant padding, which then takes part; by default it takes none, and counts as zero in sums.",
    "flip": "flip : bool, default False\n"
    "    Flip the kernel along its spatial axes: true convolution instead of cross-correlation.",
    "layout": "layout : str, default \"NCHW\"\n"
    "    Axis order of input and result: {orders}.",
    "w_layout": "w_layout : str, default \"OIHW\"\n"
    "    Axis order of `w`: \"{spatial}IO\" is ({kernel}, C / groups, OC), \"O{spatial}I\" (OC, {kernel}, C / groups)\n"
    "    and \"{spatial}CM\" ({kernel}, C, M), M outputs of each channel with ``groups=C``; \"HW\" serves every rank.",
    "w_layout_transposed": "w_layout : str, default \"IOHW\"\n"
    "    Axis order of `w`, where C is I and OC is O: \"{spatial}OI\" is ({kernel}, OC / groups, C), \"I{spatial}O\"\n"
    "    (C, {kernel}, OC / groups); \"HW\" serves every rank.",
    "ending": "activation : {{\"relu\", \"relu6\", \"hardsigmoid\", \"hardswish\"}}, optional\n"
    "    Applied to the result, after `residual` was added.\n"
    "residual : array_like, shape of the result, optional\n"
    "    Added to the result, in its type.",
    "activation": "activation : {{\"relu\", \"relu6\", \"hardsigmoid\", \"hardswish\"}}, optional\n"
    "    Applied to the results, after a residual was added.",
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
    "zero_points": "x_zero_point, w_zero_point : int or array_like, optional\n"
    "    Of integers: what is subtracted from each element of `x` and of `w`, exactly: numbers of their types, of `w`\n"
    "    one, or (OC,) of them.  Constant padding holds ``x_zero_point + pad_value``: by default it adds nothing.\n"
    "out_dtype : dtype, optional\n"
    "    Of integers: int64, the default, or int32, which is refused where sums of these numbers could leave it.",
    "layer_activation": "activation : {{\"relu\", \"relu6\", \"hardsigmoid\", \"hardswish\"}}, optional\n"
    "    Applied to the result.",
    "layer_backend": "backend : str, optional\n    Name from `backends`; by default the automatic choice.",
}  # fmt: skip
#: The options that say where the windows of a pooling lie, and what its padding holds.
_TEXTS["windows"] = "\n".join(
    _TEXTS[name] for name in ("kernel_size", "pool_stride", "padding", "dilation", "ceil_mode", "pool_padding_mode")
)

_RANKS: dict[int, dict[str, str]] = {
    1: {
        "axes": "W", "spatial": "W", "kernel": "KW", "out_axes": "OW", "first": "NCW", "last": "NWC",
        "four": "4", "three": "3", "two": "2", "over": "1 spatial axis",
        "orders": '"NCW" or "NCHW", "NWC" or "NHWC"',
    },
    2: {
        "axes": "H, W", "spatial": "HW", "kernel": "KH, KW", "out_axes": "OH, OW", "first": "NCHW", "last": "NHWC",
        "four": "4, 4", "three": "3, 3", "two": "2, 2", "over": "2 spatial axes", "orders": '"NCHW" or "NHWC"',
    },
    3: {
        "axes": "D, H, W", "spatial": "DHW", "kernel": "KD, KH, KW", "out_axes": "OD, OH, OW", "first": "NCDHW",
        "last": "NDHWC", "four": "4, 4, 4", "three": "3, 3, 3", "two": "2, 2, 2", "over": "3 spatial axes",
        "orders": '"NCDHW" or "NCHW", "NDHWC" or "NHWC"',
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
            try:
                if "out" in kwargs or "accuracy" in kwargs:
                    result: R = _with_options(function, nd, args, kwargs)
                    return result
                return function(nd, *args, **kwargs)
            except TypeError as error:
                check_call(call.__name__, signature, error, (call.__code__, _with_options.__code__), args, kwargs)
                raise
            except MemoryError as error:
                explain_shortage(call.__name__, error, signature, kwargs)
                raise

        functools.update_wrapper(call, function)
        del call.__wrapped__  # type: ignore[attr-defined]  # its signature has one parameter more
        call.__name__ = call.__qualname__ = function.__name__.strip("_").replace("nd", f"{nd}d")
        call.__doc__ = fill_texts(inspect.cleandoc(function.__doc__ or ""), nd)
        call.__module__ = "convlib"
        call.__signature__ = signature  # type: ignore[attr-defined]
        return call

    return bind(1), bind(2), bind(3)


def _with_options(function: Callable[..., Any], nd: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call `function` under the accuracy asked for, with a result array of any kind."""
    level, out = kwargs.get("accuracy"), kwargs.get("out")
    if type(out) is np.ndarray:
        out = None  # written as it is
    if out is not None:
        kwargs = {**kwargs, "out": plain(out)}
    with nullcontext() if level is None else config.accuracy(level):  # which refuses what is no level
        result = function(nd, *args, **kwargs)
    if out is None or result is kwargs["out"]:
        return result if out is None else out
    return (out, *result[1:]) if isinstance(result, tuple) else result


def plain(out: Any) -> Any:
    """Return the array that is written for `out`: that of a subclass of ndarray is the plain array behind it."""
    if isinstance(out, np.ma.MaskedArray):
        raise TypeError("out is a masked array, whose mask would not follow the result; give out=out.data")
    return out.view(np.ndarray) if isinstance(out, np.ndarray) else out


def take(**given: ArrayLike) -> tuple[str, list[Any]]:
    """Return the common array type of the arguments, and the arguments as arrays of it.

    Numbers, lists and arrays of NumPy become plain NumPy arrays.  An array of another library is taken as it is if a
    backend takes its type, else refused; weights beside Dask arrays may be NumPy arrays.
    """
    if all(type(value) is np.ndarray for value in given.values()):
        return "numpy", list(given.values())
    kinds: dict[str, str] = {}
    arrays: dict[str, Any] = {}
    for name, value in given.items():
        if value is None and name in ("bias", "residual"):
            arrays[name] = None
        else:
            kinds[name], arrays[name] = _take_one(name, value)
    weak = [name for name in kinds if name != "indices" and isinstance(given[name], (list, tuple, *_SCALARS))]
    strong = [a.dtype for name, a in arrays.items() if name in kinds and name not in weak and name != "indices"]
    for name in weak:
        arrays[name] = adapted(name, given[name], arrays[name], *strong)
    common = next(iter(kinds.values())) if len(set(kinds.values())) == 1 else _foreign.common(kinds, arrays)
    return common, list(arrays.values())


_SCALARS = (bool, int, float, complex)


def element_type(name: str, dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as a dtype of numbers."""
    try:
        element: np.dtype[Any] = np.dtype(dtype)
    except Exception:  # NumPy raises what it likes
        raise TypeError(f"{name}={quote(dtype)} is no element type; valid: names such as 'float32'") from None
    _check_element(name, element)
    return element


@functools.lru_cache(maxsize=256)
def _check_element(name: str, element: np.dtype[Any]) -> None:
    dtypes.check(f"an array of {name}={quote(str(element))}", element)


def adapted(name: str, value: Any, array: Array, *strong: np.dtype[Any]) -> Array:
    """Return the array of a list of Python numbers in the type that it takes beside arrays of the types `strong`.

    Python numbers are weak, as in NumPy: they take the type of the arrays unless they are of a higher kind.
    """
    numbers = array.dtype.kind in "biufc" and all(map(dtypes.is_number, strong))
    if not strong or not numbers or not _of_numbers(value):
        return array
    kind = {"b": False, "i": 0, "u": 0, "f": 0.0, "c": 0j}[array.dtype.kind]
    weak = array.dtype.kind != "c" and all(map(dtypes.is_bfloat16, strong))  # NumPy would make it float64
    dtype = strong[0] if weak else np.result_type(*strong, kind)
    if dtype.kind in "biu" or dtype == array.dtype:
        return array  # integers are summed in int64, whatever their type
    with np.errstate(over="ignore"):
        fitting = array.astype(dtype)
    if not np.array_equal(np.isfinite(fitting), np.isfinite(array)):
        raise SpecError(f"{name} holds numbers that {dtype} cannot; give it as an array of a wider type")
    return fitting


def _of_numbers(value: Any) -> bool:
    """Return whether nested lists hold Python numbers only, no scalars or arrays of NumPy."""
    if isinstance(value, (list, tuple)):
        return all(map(_of_numbers, value))
    return type(value) in _SCALARS


def _take_one(name: str, value: Any) -> tuple[str, Any]:
    if value is None:
        raise TypeError(f"{name} must be an array, not None")
    if type(value) is np.ndarray:
        return "numpy", value
    if _foreign.is_dask(value):  # which may have every attribute
        return _foreign.take(name, value)
    _refuse_what_is_lost(name, value)
    if _foreign.is_foreign(value):
        return _foreign.take(name, value)
    return "numpy", dtypes.as_array(name, value)


def _refuse_what_is_lost(name: str, value: Any, depth: int = 0) -> None:
    """Raise TypeError if `value` has a mask or a unit, which a plain array has not, or an entry of it is no such."""
    if isinstance(value, (list, tuple)):
        for at, entry in enumerate(value if depth < 64 else ()):  # deeper than any array: a list may hold itself
            if type(entry) not in _SCALARS:
                _refuse_what_is_lost(f"{name}[{at}]", entry, depth + 1)
        return
    if type(value) in _SCALARS or type(value) is np.ndarray or isinstance(value, np.generic):
        return
    if depth and _foreign.is_dask(value):  # which may have every attribute
        raise _foreign.refusal(name, value, " within a list")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost; fill it first, as in {name}.filled(0)")
    mask = getattr(value, "mask", None)
    if mask is not None and not callable(mask):
        raise TypeError(
            f"{name} is a {type(value).__name__} with a mask, which would be lost; give numpy.where({name}.mask, 0, "
            f"{name}.data), or {name}.data to keep what is masked"
        )
    unit, numbers = ("unit", "value") if hasattr(value, "unit") else ("units", "magnitude")
    if getattr(value, unit, None) is not None and hasattr(value, numbers):
        raise TypeError(f"{name} is a {type(value).__name__} with a unit, which would be lost; give {name}.{numbers}")
    if depth and _foreign.is_foreign(value):
        raise _foreign.refusal(name, value, " within a list")
