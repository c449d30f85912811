"""What every layer is: options, parameters, a step forward and one back."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from .. import functional
from ..errors import SpecError, quote
from ..functional._common import Array, ArrayLike, fill_texts, take
from ..functional._words import hinting_init
from ..spec import frozen
from ..spec.arguments import file_name


@dataclass
class Parameter:
    """One array that a layer learns.

    Attributes
    ----------
    name : str
        "weight" or "bias".
    value : ndarray
        The layer's own array: change it in place, as in ``p.value -= rate * p.grad``.
    grad : ndarray or None
        Its gradient from the layer's last `backward`; None before the first.
    """

    name: str
    value: NDArray[Any]
    grad: NDArray[Any] | None


class Layer:
    """Base class of all layers; a subclass with ``nd=2`` in its bases works over two spatial axes.

    Parameters
    ----------
    given : mapping
        The arguments that the subclass was made with, by name.

    Attributes
    ----------
    options : mapping
        The arguments the layer was made with.
    grads : dict of str to ndarray
        Gradients of the parameters by name, from the last `backward`.
    """

    nd: ClassVar[int] = 0
    #: Names of the arrays that are learned.
    names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, nd: int = 0) -> None:
        if "__init__" in vars(cls):
            cls.__init__ = hinting_init(cls.__init__)  # type: ignore[method-assign]
        if nd:
            cls.nd = nd
            shared = inspect.cleandoc(cls.__base__.__doc__ or "").partition("\n")[2] if cls.__base__ else ""
            cls.__doc__ = (cls.__doc__ or "") + "\n" + fill_texts(shared, nd)

    def __init__(self, given: Mapping[str, Any]) -> None:
        known = inspect.signature(type(self)).parameters
        self._given = {name: frozen(given[name]) for name in known if name in given and name not in ("rng", "dtype")}
        self._kept: Any = None
        self.grads: dict[str, NDArray[Any]] = {}

    @property
    def options(self) -> Mapping[str, Any]:
        """The arguments the layer was made with."""
        return MappingProxyType(self._given)

    def __call__(self, x: ArrayLike) -> Array:
        """Do what `forward` does."""
        return self.forward(x)

    def forward(self, x: ArrayLike) -> Array:
        """Apply the layer and keep what `backward` needs.

        Parameters
        ----------
        x : array_like
            Input; it is kept by reference, so do not change it before `backward`.

        Returns
        -------
        y : ndarray
            The operator's result.

        Raises
        ------
        SpecError
            If the input does not fit the layer.
        """
        raise NotImplementedError

    def backward(self, grad_y: ArrayLike) -> Array:
        """Return the gradient with respect to the input of the last `forward`, and set `grads`.

        Parameters
        ----------
        grad_y : array_like, shape of the result
            Gradient with respect to the result.

        Returns
        -------
        grad_x : ndarray, shape of the input
            Gradient with respect to the input.

        Raises
        ------
        SpecError
            If `grad_y` does not have the shape of the result.
        RuntimeError
            If there was no `forward` before.
        """
        raise NotImplementedError

    def parameters(self) -> list[Parameter]:
        """Return what the layer learns, with the gradients of the last `backward`."""
        return [
            Parameter(name, getattr(self, name), self.grads.get(name))
            for name in self.names
            if getattr(self, name) is not None
        ]

    # ------------------------------------------------------------------ keeping and restoring

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of the learned arrays by name; empty before a lazy layer has seen its input."""
        return {p.name: p.value.copy() for p in self.parameters()}

    def load_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Take over learned arrays, as `state` returned them.

        Parameters
        ----------
        state : mapping of str to array_like
            One array per parameter.

        Raises
        ------
        SpecError
            If names or shapes are not those of this layer; it is unchanged then.
        """
        if state:
            raise SpecError(f"{type(self).__name__} has no parameters; the state holds {sorted(state)}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `state` to a NumPy archive.

        Parameters
        ----------
        path : str or path
            File to write; ``.npz`` is appended if it does not end so.

        Raises
        ------
        SpecError
            If no file can have this name.
        OSError
            If it cannot be written.
        """
        np.savez(file_name("path", path), **self.state())  # type: ignore[arg-type]  # the stubs take allow_pickle for a name

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path
            File to read.

        Raises
        ------
        SpecError
            If the file is none that `save` wrote, or holds other names or shapes than this layer has.
        OSError
            If it cannot be read.
        """
        name = file_name("path", path)
        try:
            with np.load(name, allow_pickle=False) as archive:
                state = dict(archive)
        except (ValueError, TypeError, EOFError, BadZipFile) as error:  # NumPy's, of files of other kinds
            raise SpecError(f"path={quote(path)} is no file that save wrote: {error}") from error
        self.load_state(state)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}  # activations are large and of no use elsewhere

    def __repr__(self) -> str:
        shown = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name in self._given:
                value = self._given[name]
                if parameter.kind is not parameter.KEYWORD_ONLY:
                    shown.append(repr(value))
                elif value != parameter.default:
                    shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    # ------------------------------------------------------------------ for subclasses

    def _function(self, name: str) -> Any:
        return getattr(functional, name.replace("nd", f"{self.nd}d"))

    def _array(self, **given: ArrayLike) -> Any:
        return take(**given)[1][0]

    def _last(self) -> Any:
        if self._kept is None:
            raise RuntimeError(f"{self!r}: backward needs a forward before it, whose input it refers to")
        return self._kept

    def _picked(self, *names: str) -> dict[str, Any]:
        return {name: self._given[name] for name in names}
