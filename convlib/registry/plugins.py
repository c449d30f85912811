"""Which backends there are: built-in ones, those of `register_backend`, and installed plug-ins, each loaded when used.

What fails in one of them is that one's failure: it is named where the backend is asked for, and listed elsewhere.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

from ..backends.base import Backend
from ..errors import BackendError, did_you_mean, quote
from . import policy
from .vetting import faults

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "convlib.backends"

#: What fails again however often it is tried, unless its text speaks of a shortage.
_LASTING = (ImportError, AttributeError, NameError, SyntaxError, TypeError, SystemExit)
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)

_added: dict[str, Backend] = {}  # by register_backend; never changed but replaced: other threads look into it
_loaded: dict[str, Backend] = {}  # built-ins and plug-ins, once imported
_failed: dict[str, str] = {}  # those that will not load in this process
_version = 0  # counts the changes of what is known
_changing = RLock()


class PassingError(BackendError):
    """A backend could not be loaded this time; the next call tries again."""


def register_backend(backend: Backend | type[Backend]) -> None:
    """Add a backend for this process.

    Parameters
    ----------
    backend : Backend or subclass of Backend
        What to add; its ``name`` must be new.

    Raises
    ------
    TypeError
        If it is no `Backend`.
    BackendError
        If the name is taken, or the class cannot be called as a backend: an unknown operation, a hook that is missing,
        misnamed or takes other arguments, a method that stands in the way of an operation.  The message lists all
        faults, each with what mends it.
    """
    if isinstance(backend, type) and not issubclass(backend, Backend):
        raise TypeError(f"a backend must be a convlib.Backend or a subclass of it, not the class {backend.__name__}")
    try:
        instance = backend() if isinstance(backend, type) else backend
    except (Exception, SystemExit) as error:
        if from_handler(error):
            raise
        raise BackendError(f"{backend} could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(instance, Backend):
        raise TypeError(f"a backend must be a convlib.Backend or a subclass of it, not {type(instance).__name__}")
    origin = _class(instance)
    found = faults(instance)
    if found:
        raise BackendError("\n  - ".join((f"{origin} is no backend yet:", *found)))
    global _added
    with _changing:
        if instance.name in backends():
            raise BackendError(f"{origin} wants the name {instance.name!r}, which belongs to {_origin(instance.name)}")
        _added = {**_added, instance.name: instance}
        changed()


def unregister_backend(name: str) -> None:
    """Remove a backend that `register_backend` added.

    Parameters
    ----------
    name : str
        Its name.

    Raises
    ------
    BackendError
        If nothing of that name was added.
    """
    global _added
    with _changing:
        if name not in _added:
            raise BackendError(f"{name!r} was not added by register_backend; added: {', '.join(_added) or 'none'}")
        _added = {other: backend for other, backend in _added.items() if other != name}
        changed()


def backends() -> tuple[str, ...]:
    """Return the names of all known backends; being known does not mean being available.

    Returns
    -------
    names : tuple of str
        Built-in ones first, then those of `register_backend` and of installed plug-ins.

    Examples
    --------
    >>> import convlib
    >>> "naive" in convlib.backends()
    True
    """
    return tuple(dict.fromkeys([*(name for name, _, _ in policy.BUILTINS), *_added, *_plugins()]))


def version() -> int:
    """Return a number that grows whenever other backends are known than before."""
    return _version


def changed() -> None:
    """Make what was chosen among the backends of before count no more."""
    global _version
    with _changing:
        _version += 1


def get_backend(name: str) -> Backend:
    """Return the backend called `name`, imported and ready to run.

    Raises
    ------
    BackendError
        If the name is unknown, or the backend cannot be imported or cannot run on this machine.
    """
    backend = load(name)
    reason = said(backend, "available", str)
    if reason is not None:
        raise BackendError(f"backend {name!r} is not available: {reason}")
    return backend


def of_arrays(array_type: str) -> Iterator[str]:
    """Yield the names of the backends that take arrays of a type, of those that can be imported."""
    for name in backends():
        try:
            if load(name).array_type == array_type:
                yield name
        except BackendError:
            continue


def takes(array_type: str) -> bool:
    """Return whether any backend that can be imported takes arrays of this type."""
    return any(of_arrays(array_type))


def said(backend: Backend, method: str, kind: type, *args: Any) -> Any:
    """Return what a method of a backend answers; see `answer`."""
    return answer(backend, method, kind, lambda: getattr(backend, method)(*args))


def answer(backend: Backend, method: str, kind: type, ask: Callable[[], Any]) -> Any:
    """Return what a backend answers: None or a `kind`, for anything else is its fault.

    Raises
    ------
    BackendError
        If its `method` raises, or answers something else.  What raises in a built-in backend goes through as it is.
    """
    try:
        found = ask()
    except (BackendError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        if type(backend).__module__.startswith("convlib.") or from_handler(error):
            raise  # no plug-in that is broken: a setting that cannot be read, or what a handler of signals raised
        raise _broken(backend, method, f"raised {type(error).__name__}: {error}") from error
    if found is not None and not isinstance(found, kind):
        raise _broken(backend, method, f"answered {found!r}, which is no {kind.__name__}")
    return found


def from_handler(error: BaseException) -> bool:
    """Return whether a handler of signals raised an error, and not what it interrupted."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    code = {getattr(handler, "__code__", None) or getattr(type(handler).__call__, "__code__", None)
            for handler in handlers if callable(handler)}  # fmt: skip
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in code:
            return True
        place = place.tb_next
    return False


def _broken(backend: Backend, method: str, what: str) -> BackendError:
    return BackendError(f"backend {backend.name!r} is broken: {_class(backend)}.{method} {what}")


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and needed at first use only

    builtin = {name for name, _, _ in policy.BUILTINS}
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in builtin or point.name in found:
            owner = "convlib itself" if point.name in builtin else found[point.name].value
            _failed[f"{point.name} ({point.value})"] = f"the name {point.name!r} belongs to {owner}"
        else:
            found[point.name] = point
    return found


def load(name: str) -> Backend:
    """Return the backend called `name`, imported; whether it can run here is another question.

    Raises
    ------
    PassingError
        If it could not be imported for want of memory, files or time; the next call tries again.
    BackendError
        If the name is unknown, or the backend cannot be imported.

    What a handler of signals raises meanwhile goes through, and the next call tries again.
    """
    backend = _added.get(name) or _loaded.get(name)
    if backend is not None:
        return backend
    if name in _failed:
        raise BackendError(_failed[name])
    target = _target(name)
    try:
        backend = _made(name, target)
    except (Exception, SystemExit) as error:  # a plug-in may fail in any way; it must not break the others
        if from_handler(error):
            raise
        text = f"backend {name!r} could not be loaded from {target}: {type(error).__name__}: {error}"
        if not isinstance(error, _LASTING) or any(os.strerror(code) in str(error) for code in _SHORTAGES):
            raise PassingError(f"{text} (the next call tries again)") from error
        _failed[name] = text
        raise BackendError(text) from error
    return _loaded.setdefault(name, backend)  # another thread may have been quicker


def _target(name: str) -> str:
    target = next((target for known, target, _ in policy.BUILTINS if known == name), None)
    if target is None and name in _plugins():
        target = _plugins()[name].value
    if target is None:
        raise BackendError(f"unknown backend {quote(name)}; known: {', '.join(backends())}{_meant(name)}")
    return target


def _meant(name: str) -> str:
    """Return the end of a message about an unknown backend: the name, or the "name:algorithm", that was meant."""
    algorithms: dict[str, str] = {}
    for known in (*policy.names(), *_added):
        try:
            for found in load(known).algorithms.values():
                algorithms.update({word: f"{known}:{word}" for word in found if word not in algorithms})
        except Exception:  # one that cannot tell breaks no message about another
            continue
    return did_you_mean(name, (*backends(), *algorithms.values()), algorithms)


def _made(name: str, target: str) -> Backend:
    """Import what `target` names, and check that it is a backend of that name."""
    module, _, attribute = target.partition(":")
    made = _plugins()[name].load() if name in _plugins() else getattr(import_module(module), attribute)
    backend = made() if isinstance(made, type) else made
    if not isinstance(backend, Backend):
        raise TypeError(f"{target} is no convlib.Backend but a {type(backend).__name__}")
    found = faults(backend) if name in _plugins() else None
    if found:
        raise TypeError("\n  - ".join((f"{_class(backend)} is no backend yet:", *found)))
    if backend.name != name:
        raise TypeError(f"the entry point {name!r} leads to a backend that calls itself {backend.name!r}")
    return backend


def _class(backend: Backend) -> str:
    return f"{type(backend).__module__}:{type(backend).__qualname__}"


def _origin(name: str) -> str:
    return _class(_added[name]) if name in _added else _target(name)
