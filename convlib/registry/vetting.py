"""What is wrong with a backend before it is ever called: its names, its hooks, what they take.

Each fault is a sentence that says how to mend it.  What only a call can show is said there: `Backend` refuses a hook
that returns something instead of filling its last array.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ..backends.base import OPERATIONS, Backend
from ..errors import did_you_mean, quote

#: Operations that callers reach and that `Backend` carries out around the hooks.
_PUBLIC = (*OPERATIONS, "conv_transpose", "conv_transpose_grad_input", "conv_transpose_grad_weight")
#: Methods by which a backend says what it is.
_SAYS = (
    "available", "supports", "choose", "settled", "supports_algorithm", "exact_algorithm", "choose_prepared",
    "workspace", "workspace_prepared", "padded_pieces", "implementations", "takes_halves", "integers_as_floats",
    "complex_as_floats", "from_numpy", "to_numpy", "prepare_conv", "quick_conv", "quick_pool",
)  # fmt: skip
_FLAGS = ("strided", "channels_last", "exact", "whole_unpool", "lazy")
#: Hooks that get the name of an algorithm only if there are any.
_BRIEF = ("unpool", "pool_grad_input")
#: What hooks are called elsewhere.
_OTHERS = {
    "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "convolve": "conv", "correlate": "conv", "forward": "conv",
    "max_pool2d": "pool", "avg_pool2d": "pool", "max_pool": "pool", "avg_pool": "pool", "pool2d": "pool",
    "conv2d_grad_input": "conv_grad_input", "conv2d_grad_weight": "conv_grad_weight", "unfold": "im2col",
    "fold": "col2im", "max_unpool": "unpool", "conv_transpose": "conv_grad_input",
    "conv_transpose2d": "conv_grad_input",
}  # fmt: skip


def faults(backend: Backend) -> list[str]:
    """Return what is wrong with a backend, a sentence each; nothing if it can be called."""
    found: list[str] = []
    for check in (_name, _flags, _operations, _hooks, _stray_hooks, _algorithms, _methods):
        try:
            found += check(backend)
        except Exception as error:  # attributes may be properties that fail in any way
            found.append(f"what it says of itself cannot be read: {type(error).__name__}: {error}")
    return list(dict.fromkeys(found))


def _name(backend: Backend) -> Iterator[str]:
    name: Any = backend.name
    if not isinstance(name, str) or not name or any(c in name for c in ":+, \t\n"):
        yield (
            f"the name {quote(name)} is none that callers can write: it must not be empty or hold a colon, plus, comma "
            "or blank; such as name = 'shifts'"
        )


def _flags(backend: Backend) -> Iterator[str]:
    for flag in _FLAGS:
        value: Any = getattr(backend, flag)
        if not isinstance(value, bool):
            yield f"{flag} = {quote(value)} must be True or False"
    kind: Any = backend.array_type
    if not isinstance(kind, str) or not kind:
        yield f"array_type = {quote(kind)} must be the top-level module of the arrays it takes, such as 'numpy'"


def _operations(backend: Backend) -> Iterator[str]:
    operations: Any = backend.operations
    if isinstance(operations, str):
        yield f"operations = {operations!r} is one string; write operations = ({operations!r},)"
    elif not isinstance(operations, (tuple, list)) or not operations:
        yield f"operations = {quote(operations)} must be a tuple of what its hooks serve, such as ('conv',)"
    else:
        for op in operations:
            if op not in OPERATIONS:
                yield (
                    f"operations names {quote(op)}, which is no operation; valid: {', '.join(OPERATIONS)}"
                    f"{did_you_mean(op, OPERATIONS, _OTHERS)}"
                )


def _own(backend: Backend) -> dict[str, Any]:
    """Return what its classes define that are not convlib's."""
    found: dict[str, Any] = {}
    for kind in reversed(type(backend).__mro__):
        if kind.__module__.partition(".")[0] != "convlib" and kind is not object:
            found.update(vars(kind))
    return found


def _hooks(backend: Backend) -> Iterator[str]:
    own = _own(backend)
    if not backend.lazy:  # one whose arrays hold no numbers takes the place of the operations themselves
        for op in _PUBLIC:
            if op in own and callable(own[op]):
                hook = f"_{op}" if op in OPERATIONS else "_conv_grad_input"
                wanted = ", ".join(("self", *_parameters(backend, hook[1:])))
                yield (
                    f"{op} is no hook but what callers get, and does the work around the hook; rename the method to "
                    f"{hook}({wanted})"
                )
        for op in (op for op in backend.operations if op in OPERATIONS):
            yield from _hook(backend, op, own)


def _hook(backend: Backend, op: str, own: dict[str, Any]) -> Iterator[str]:
    hook = f"_{op}"
    wanted = ", ".join(("self", *_parameters(backend, op)))
    if getattr(type(backend), hook, None) is getattr(Backend, hook) and hook not in vars(backend):
        names = [name for name, value in own.items() if callable(value) and not name.startswith("__")]
        strays = [name for name in names if name not in dir(Backend)]
        others = {name: other for name in strays if (other := _OTHERS.get(name.strip("_"), "")) == op}
        near = next(iter(others), None) or next((n for n in strays if did_you_mean(n.strip("_"), (op,))), None)
        hint = f"; is {near} meant to be it?" if near else ""
        yield f"operations names {op!r}, but the hook {hook}({wanted}) is missing{hint}"
        return
    method: Any = getattr(backend, hook)
    if not callable(method):
        yield f"{hook} must be a method {hook}({wanted}), not {quote(method)}"
    elif not _accepts(method, len(_parameters(backend, op))):
        yield f"{hook} takes {_signature(method)}; it is called as {hook}({wanted})"


def _parameters(backend: Backend, op: str) -> tuple[str, ...]:
    """Return what a hook is given."""
    names = tuple(inspect.signature(getattr(Backend, f"_{op}")).parameters)[1:]
    named = op in backend.algorithms
    return (*names, "algorithm") if op in _BRIEF and named else names


def _accepts(method: Any, count: int) -> bool:
    try:
        inspect.signature(method).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # compiled, without a signature
        return True
    return True


def _signature(method: Any) -> str:
    return str(inspect.signature(method)).partition(" ->")[0]


def _stray_hooks(backend: Backend) -> Iterator[str]:
    own = _own(backend)
    for op in OPERATIONS:
        if f"_{op}" in own and op not in backend.operations and isinstance(backend.operations, (tuple, list)):
            yield f"it defines the hook _{op}, but operations = {backend.operations!r} does not name {op!r}"


def _algorithms(backend: Backend) -> Iterator[str]:
    algorithms: Any = backend.algorithms
    if not isinstance(algorithms, dict):
        yield f"algorithms = {quote(algorithms)} must be a dictionary such as {{'conv': ('plain', 'fast')}}"
        return
    for op, names in algorithms.items():
        if op not in OPERATIONS:
            yield f"algorithms has the key {quote(op)}, which is no operation{did_you_mean(op, OPERATIONS, _OTHERS)}"
        if isinstance(names, str):
            yield f"algorithms[{op!r}] = {names!r} is one string; write ({names!r},)"
        elif not all(isinstance(name, str) and name and not set("+, ") & set(name) for name in names):
            yield f"algorithms[{op!r}] = {quote(names)} must be names without plus, comma and blank"


def _methods(backend: Backend) -> Iterator[str]:
    own = _own(backend)
    for name in _SAYS:
        if name in own:
            method: Any = getattr(backend, name)
            wanted = tuple(inspect.signature(getattr(Backend, name)).parameters)
            if not callable(method):
                yield f"{name} must be a method {name}({', '.join(wanted)}), not {quote(method)}"
            elif not _accepts(method, len(wanted) - 1):
                yield f"{name} takes {_signature(method)}; it is called as {name}({', '.join(wanted)})"
