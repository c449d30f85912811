"""Arrays of other libraries: served in kind where a backend takes them, else refused with the call that converts them.

Nothing becomes a NumPy array in silence: what an array carries beside its numbers (a device, a graph, a gradient, a
unit, labels) would be lost.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .. import dtypes, registry
from ..errors import SpecError

#: Per library, or class of it: how its arrays become NumPy arrays, and how the result goes back.
CONVERSIONS: dict[str, tuple[str, str]] = {
    "astropy.Quantity": ("{name}.value", "y * {name}.unit"),
    "astropy.NDData": ("{name}.data", ""),
    "cupy": ("cupy.asnumpy({name})", "cupy.asarray(y)"),
    "dask": ("{name}.compute()", ""),
    "h5py": ("{name}[...]", "or dask.array.from_array({name}) to stay lazy"),
    "jax": ("numpy.asarray({name})", "jax.numpy.asarray(y)"),
    "jaxlib": ("numpy.asarray({name})", "jax.numpy.asarray(y)"),
    "pandas": ("{name}.to_numpy()", ""),
    "scipy": ("{name}.toarray()", ""),
    "tensorflow": ("{name}.numpy()", "tensorflow.convert_to_tensor(y)"),
    "torch": ("{name}.detach().cpu().numpy()", "torch.from_numpy(y)"),
    "xarray": ("{name}.to_numpy()", ""),
    "zarr": ("{name}[...]", "or dask.array.from_zarr({name}) to stay lazy"),
}

#: Arguments that may be NumPy arrays beside Dask arrays: every block takes them as a whole.
WEIGHTS = ("w", "bias", "kernel")


def is_dask(value: Any) -> bool:
    """Return whether a value is a collection of Dask: an array, or one of those that have every attribute."""
    return type(value).__module__.partition(".")[0] == "dask"


def is_foreign(value: Any) -> bool:
    """Return whether a value is an array of another library than NumPy."""
    kind, root = type(value), type(value).__module__.partition(".")[0]
    if root in ("numpy", "builtins"):
        return False
    named = any(key.partition(".")[0] == root for key in CONVERSIONS) and hasattr(kind, "shape")  # may lack protocols
    ways = "__array__", "__array_interface__", "__dlpack__"
    return named or is_dask(value) or any(hasattr(kind, way) for way in ways)


def take(name: str, value: Any) -> tuple[str, Any]:
    """Return (library, array) of a foreign array that a backend takes; refuse any other."""
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    if is_dask(value):
        return root, _lazy(name, value)
    if hasattr(value, "shape") and registry.takes(root):
        return root, value
    raise refusal(name, value)


def refusal(name: str, value: Any, where: str = "") -> TypeError:
    """Return the error of an array that is not taken, which says how to convert it; `where` follows "takes"."""
    kind = type(value)
    root = kind.__module__.partition(".")[0]
    known = (CONVERSIONS.get(f"{root}.{base.__name__}") for base in kind.__mro__)
    there, back = next(filter(None, known), None) or CONVERSIONS.get(root, ("numpy.asarray({name})", ""))
    advice = there.format(name=name)
    if back:
        advice += ", " + (back if back.startswith("or ") else f"and the result back: {back}").format(name=name)
    said = f"{name} is a {kind.__name__} of {root}, which no backend takes{where}"
    return TypeError(f"{said}; convert it to NumPy: {advice}")


def _lazy(name: str, value: Any) -> Any:
    """Return a Dask array whose blocks are NumPy arrays of known sizes, none of them empty."""
    array = getattr(sys.modules.get("dask.array"), "Array", ())
    if not isinstance(value, array):
        raise TypeError(
            f"{name} is a Dask {type(value).__name__}, not a Dask array; convert a DataFrame by "
            f"{name}.to_dask_array(lengths=True), a Delayed by dask.array.from_delayed({name}, shape, dtype)"
        )
    if "_array_expr" in type(value).__module__:
        raise TypeError(
            f"{name} is an array of Dask's experimental query planning, which hides its blocks; import dask.array "
            "under dask.config.set({'array.query-planning': False}), its default"
        )
    if any(size != size for size in value.shape):
        raise SpecError(
            f"{name} has chunks of unknown size, shape {value.shape}, and windows need known ones; call "
            f"{name}.compute_chunk_sizes() first, or say them where the array is made"
        )
    for axis, chunks in enumerate(value.chunks):
        if sum(chunks) and 0 in chunks:
            wanted = tuple(size for size in chunks if size)
            raise SpecError(
                f"{name} has blocks of size 0: its chunks on axis {axis} are {_short(chunks)}; drop them with "
                f"{name}.rechunk({{{axis}: {_short(wanted)}}})"
            )
    if type(value._meta) is not np.ndarray:
        kind = type(value._meta)
        raise TypeError(
            f"{name} is a Dask array of {kind.__module__}.{kind.__name__} blocks, but blocks are computed as NumPy "
            f"arrays; convert them, as in {name}.map_blocks(numpy.asarray), or numpy.ma.filled for masked ones"
        )
    return value


def _short(chunks: tuple[int, ...]) -> str:
    return str(chunks) if len(chunks) <= 6 else f"({', '.join(map(str, chunks[:3]))}, ..., {chunks[-1]})"


def common(kinds: dict[str, str], given: dict[str, Any]) -> str:
    """Return the library of arguments of different libraries: Dask for Dask arrays with weights of NumPy."""
    lazy = [name for name, kind in kinds.items() if kind == "dask"]
    plain = [name for name, kind in kinds.items() if kind == "numpy"]
    if not lazy or set(kinds.values()) != {"dask", "numpy"} or not set(plain) <= set(WEIGHTS):
        said = ", ".join(f"{name}: {kind}" for name, kind in kinds.items())
        odd = [name for name in plain if name not in WEIGHTS] or plain
        hint = f"; as in dask.array.from_array({odd[0]}), or {lazy[0]}.compute()" if lazy and plain else ""
        raise TypeError(f"arrays of different libraries cannot be mixed ({said}); convert them to one of these{hint}")
    data = given[lazy[0]]
    alone = dtypes.for_sums(**{lazy[0]: data.dtype})[0]
    for name in plain:
        both = dtypes.for_sums(**{lazy[0]: data.dtype, name: given[name].dtype})[0]
        if both != alone:
            raise TypeError(
                f"{lazy[0]} is a Dask array of {data.dtype} and {name} a NumPy array of {given[name].dtype}: every "
                f"block would become {both}; write {name}.astype({str(alone)!r}), or {lazy[0]}.astype({str(both)!r})"
            )
    return "dask"
