"""The one decision: which backend serves a call, by which algorithm, and why.

Order of precedence: the ``backend=`` argument, `use_backend`, the environment variable ``CONVLIB_BACKEND``, the type of
the arrays, the automatic policy.  A backend that was asked for by name and cannot serve raises; only the automatic
choice falls through to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import config
from .backends.base import Backend
from .errors import BackendError, UnsupportedError
from .spec import ConvSpec, WindowSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "convlib.backends"

#: Every built-in backend, in the order in which they are listed and tried: name, where it lives, what it is.
BUILTINS: tuple[tuple[str, str, str], ...] = (
    ("native", "convlib.backends.native:NativeBackend", "SIMD kernels in C with a thread pool of their own"),
    ("im2col", "convlib.backends.im2col:Im2colBackend", "blocked im2col packing and BLAS"),
    ("fft", "convlib.backends.fft:FftBackend", "overlap-save over scipy.fft: large kernels"),
    ("cython", "convlib.backends.cython:CythonBackend", "typed Cython loops: every operator, every real dtype"),
    ("cupy", "convlib.backends.cupy:CupyBackend", "CuPy arrays on a GPU: cuDNN, cuBLAS and own kernels"),
    ("dask", "convlib.dask:backend", "Dask arrays, lazily: exact blocks, out of core or over a cluster"),
    ("naive", "convlib.backends.naive:NaiveBackend", "plain Python loops from the formula: the oracle"),
)


class Rule(NamedTuple):
    """One line of the automatic policy."""

    backend: str
    op: str
    applies: Callable[[Any, np.dtype[Any]], bool]
    reason: str


def _always(spec: WindowSpec, dtype: np.dtype[Any]) -> bool:
    return True


def _wide(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fc" and spec.ocg >= 4 and spec.macs >= 16_000


def _wide_strided(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    return max(spec.stride) > 1 and spec.icg < 8 and _wide(spec, dtype)


def _large_window(spec: ConvSpec, dtype: np.dtype[Any]) -> bool:
    few_channels = spec.icg * spec.ocg <= 16
    per_transform = spec.taps_count * spec.icg * spec.ocg / max(1, spec.icg + spec.ocg)
    return dtype.kind in "fc" and few_channels and per_transform >= 960 and spec.macs >= 200_000_000 * max(spec.stride)


#: The automatic policy: the first rule that applies and whose backend supports the call wins.  A number is where
#: the two contenders took the same time when measured on one machine with two cores.
POLICY: tuple[Rule, ...] = (
    Rule("fft", "conv", _large_window, "960 or more products per transformed element: transforms beat sums"),
    Rule("native", "conv", _always, "SIMD kernels that pack while they multiply"),
    Rule("im2col", "conv_grad_input", _wide_strided, "few input channels: one GEMM for all phases, then col2im"),
    Rule("native", "conv_grad_input", _always, "the forward kernels over grad_y, no zero is inserted"),
    Rule("native", "conv_grad_weight", _always, "one GEMM along the pixels, which reads the image in place"),
    Rule("native", "pool", _always, "SIMD kernels, a few operations per output whatever the window"),
    Rule("native", "pool_grad_input", _always, "each plane is filled by one thread, row by row"),
    Rule("native", "unpool", _always, "each plane is filled by one thread"),
    Rule("im2col", "conv", _wide, "4 or more output channels share each packed column: BLAS pays"),
    Rule("im2col", "conv_grad_input", _wide, "the same GEMM, transposed"),
    Rule("im2col", "conv_grad_weight", _wide, "the same GEMM, transposed"),
    Rule("cython", "*", _always, "compiled loops without packing"),
    Rule("naive", "*", _always, "serves everything that no faster backend does"),
)


STRICT = "accuracy='strict' forbids algorithms that round more than direct summation"


@dataclass(frozen=True)
class Choice:
    """What serves a call."""

    backend: Backend
    algorithm: str | None
    source: str
    reason: str


@dataclass(frozen=True)
class Verdict:
    """What one backend says to a call."""

    backend: str
    serves: bool
    reason: str


@dataclass(frozen=True)
class Explanation:
    """Which backend serves a call, by which algorithm, and why not the others; ``str()`` gives readable text.

    Attributes
    ----------
    op, dtype : str
        The operation and the type it computes in.
    spec : WindowSpec
        Sizes and options, normalised.
    backend, algorithm : str or None
        What was chosen.
    source : str
        What decided: "argument", "use_backend", "CONVLIB_BACKEND", "array type" or "automatic".
    reason : str
        Why, in words.
    workspace_nbytes : int
        Scratch memory of the call, in bytes.
    others : tuple of Verdict
        What every other backend says.
    """

    op: str
    dtype: str
    spec: WindowSpec
    backend: str
    algorithm: str | None
    source: str
    reason: str
    workspace_nbytes: int
    others: tuple[Verdict, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        name = self.backend if self.algorithm is None else f"{self.backend}:{self.algorithm}"
        lines = [
            f"{self.op} {self.spec.x_shape} {self.dtype}: {name} (decided by: {self.source})",
            f"  because: {self.reason}",
            f"  scratch: {self.workspace_nbytes} bytes",
        ]
        lines += [f"  {'could' if v.serves else 'not'} {v.backend}: {v.reason}" for v in self.others]
        return "\n".join(lines)


_added: dict[str, Backend] = {}  # by register_backend
_version = 0  # of `_added`: counts its changes
_loaded: dict[str, Backend] = {}  # built-ins and plug-ins, once imported
_failed: dict[str, str] = {}
_context: ContextVar[str | None] = ContextVar("convlib_backend", default=None)


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
        If the name is empty, holds a colon, or is taken.
    """
    instance = backend() if isinstance(backend, type) else backend
    if not isinstance(instance, Backend):
        raise TypeError(f"a backend must be a convlib.Backend or a subclass of it, not {type(instance).__name__}")
    origin = f"{type(instance).__module__}:{type(instance).__qualname__}"
    if not instance.name or ":" in instance.name:
        raise BackendError(f"{origin} has the name {instance.name!r}; it must not be empty or hold a colon")
    if instance.name in backends():
        raise BackendError(f"{origin} wants the name {instance.name!r}, which belongs to {_origin(instance.name)}")
    _added[instance.name] = instance
    _forget()


def unregister_backend(name: str) -> None:
    """Remove a backend that `register_backend` added.

    Parameters
    ----------
    name : str
        Its name.
    """
    if name not in _added:
        raise BackendError(f"{name!r} was not added by register_backend; added: {', '.join(_added) or 'none'}")
    del _added[name]
    _forget()


def _forget() -> None:
    """Drop what was chosen among other backends than those of now."""
    global _version
    _version += 1
    _choose.cache_clear()


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
    return tuple(dict.fromkeys([*(name for name, _, _ in BUILTINS), *_added, *_plugins()]))


def get_backend(name: str) -> Backend:
    """Return the backend called `name`, imported and ready to run.

    Raises
    ------
    BackendError
        If the name is unknown, or the backend cannot be imported or cannot run on this machine.
    """
    backend = _load(name)
    reason = backend.available()
    if reason is not None:
        raise BackendError(f"backend {name!r} is not available: {reason}")
    return backend


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Use the backend `name`, or "name:algorithm", for all calls in this block (this thread or task only).

    Parameters
    ----------
    name : str
        One of `backends`, or "name:algorithm".

    Raises
    ------
    BackendError
        If it is unknown or not available.

    Examples
    --------
    >>> import convlib, numpy as np
    >>> with convlib.use_backend("naive"):
    ...     convlib.max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2).item()
    3.0
    """
    _parse(name)
    token = _context.set(name)
    try:
        yield
    finally:
        _context.reset(token)


def select(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], requested: Any, array_type: str, *, prepared: bool = False
) -> Choice:
    """Decide who serves a call.

    Parameters
    ----------
    op : str
        One of `convlib.backends.base.OPERATIONS`.
    spec : WindowSpec
        The call's sizes and options.
    dtype : dtype
        The type that the call computes in.
    requested : str or None
        The ``backend=`` argument.
    array_type : str
        Top-level module of the arrays' type.
    prepared : bool, default False
        Whether the weights of a convolution will be prepared once, for many calls.

    Returns
    -------
    choice : Choice
        Backend, algorithm and reason.

    Raises
    ------
    BackendError
        If the backend asked for is unknown or cannot serve.
    """
    source = "argument"
    if requested is None:
        requested, source = _context.get(), "use_backend"
        if requested is None:
            requested, source = config.environment("CONVLIB_BACKEND"), "CONVLIB_BACKEND"
    elif not isinstance(requested, str):
        _parse(requested)  # refuses it; the cache below could not even hash some
    # Accuracy and memory bound are part of the cache key: `supports` and `choose` may depend on them.
    settings = config.get_accuracy(), config.get_max_workspace()
    return _choose(op, spec, dtype, requested, source, array_type, settings, prepared)


def state() -> tuple[Any, ...]:
    """Return all that `select` depends on beside its arguments, as a key for caches of what it chose."""
    return _context.get(), config.settings(), _version


@lru_cache(maxsize=8192)
def _choose(
    op: str, spec: WindowSpec, dtype: np.dtype[Any], requested: str | None, source: str, array_type: str,
    settings: tuple[str, int], prepared: bool,
) -> Choice:  # fmt: skip
    def algorithm_of(backend: Backend) -> tuple[str | None, str]:
        return backend.choose_prepared(spec, dtype) if prepared else backend.choose(op, spec, dtype)  # type: ignore[arg-type]

    if requested is not None:
        try:
            backend, algorithm = _parse(requested)
        except BackendError as error:
            raise BackendError(f"{error} (named by: {source})") from error.__cause__
        reason = _refusal(backend, op, spec, dtype, array_type)
        if algorithm is not None and reason is None:
            reason = _algorithm_refusal(backend, algorithm, op, spec, dtype)
        if reason is not None:
            raise UnsupportedError(
                f"backend {requested!r} (named by: {source}) cannot serve this {op}: {reason}. "
                f"{_advice(op, spec, dtype, array_type)}",
                reason,
            )
        chosen, why = (algorithm, "named") if algorithm is not None else algorithm_of(backend)
        return Choice(backend, chosen, source, f"named by: {source}; {why}")
    if array_type != "numpy":
        return _by_array_type(op, spec, dtype, array_type)
    refusals = []
    for rule in POLICY:
        if rule.op not in ("*", op) or not rule.applies(spec, dtype):
            continue
        try:
            backend = get_backend(rule.backend)
        except BackendError as error:
            refusals.append(str(error))
            continue
        reason = _refusal(backend, op, spec, dtype, array_type)
        if reason is None:
            algorithm, why = algorithm_of(backend)
            if settings[0] == "strict" and not _sums_directly(backend, algorithm):
                reason = STRICT
        if reason is None:
            return Choice(backend, algorithm, "automatic", f"{rule.reason}; {why}" if algorithm else rule.reason)
        refusals.append(f"{backend.name}: {reason}")
    raise BackendError(f"no backend can serve this {op} in {dtype}: {'; '.join(refusals)}")


def _by_array_type(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> Choice:
    reasons = []
    for name in backends():
        try:
            backend = _load(name)
        except BackendError as error:
            reasons.append(str(error))
            continue
        if backend.array_type != array_type:
            continue
        reason = backend.available() or backend.supports(op, spec, dtype)
        if reason is None:
            algorithm, why = backend.choose(op, spec, dtype)
            return Choice(backend, algorithm, "array type", f"it takes {array_type} arrays; {why}")
        reasons.append(f"{name}: {reason}")
    raise BackendError(
        f"no backend takes {array_type} arrays for {op} ({'; '.join(reasons) or 'none is known'}); "
        "convert them to NumPy arrays"
    )


def takes(array_type: str) -> bool:
    """Return whether any backend that can be imported takes arrays of this type."""
    for name in backends():
        try:
            if _load(name).array_type == array_type:
                return True
        except BackendError:
            continue
    return False


def verdicts(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str, skip: str = "") -> tuple[Verdict, ...]:
    """Return what each backend but `skip` says to a call."""
    said = []
    for name in backends():
        if name == skip:
            continue
        try:
            backend = _load(name)
            if backend.array_type == array_type:  # else it need not be asked, which may import a large library
                backend = get_backend(name)
        except BackendError as error:
            said.append(Verdict(name, False, str(error)))
            continue
        reason = _refusal(backend, op, spec, dtype, array_type)
        if reason is None:
            algorithm, why = backend.choose(op, spec, dtype)
            said.append(Verdict(name, True, f"would use {algorithm}: {why}" if algorithm else "supports it"))
        else:
            said.append(Verdict(name, False, reason))
    return tuple(said)


def explain_choice(
    op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], requested: str | None
) -> Explanation:
    """Return the decision for a call on arrays of type `storage` that computes in `dtype`, as data.

    They are NumPy arrays, or what the backend named takes.
    """
    array_type = "numpy" if requested is None else _parse(requested)[0].array_type
    return explained(op, spec, storage, dtype, select(op, spec, dtype, requested, array_type))


def explained(
    op: str, spec: WindowSpec, storage: np.dtype[Any], dtype: np.dtype[Any], choice: Choice
) -> Explanation:
    """Return a decision already taken, as data."""
    return Explanation(
        op, str(dtype), spec, choice.backend.name, choice.algorithm, choice.source, choice.reason,
        choice.backend.scratch(op, spec, storage, dtype, choice.algorithm),
        verdicts(op, spec, dtype, choice.backend.array_type, choice.backend.name),
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------


def _refusal(backend: Backend, op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> str | None:
    if backend.array_type != array_type:
        return f"takes {backend.array_type} arrays, not {array_type} arrays; convert them first"
    return backend.supports(op, spec, dtype)


def _algorithm_refusal(
    backend: Backend, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
) -> str | None:
    if config.get_accuracy() == "strict" and not _sums_directly(backend, algorithm):
        return STRICT
    known = backend.algorithms.get(op, ())
    if algorithm not in known:
        return f"it has no algorithm {algorithm!r} for {op}; valid: {', '.join(known) or 'none'}"
    return backend.supports_algorithm(algorithm, op, spec, dtype)


def _sums_directly(backend: Backend, algorithm: str | None) -> bool:
    return backend.exact if algorithm is None else backend.exact_algorithm(algorithm)


def _advice(op: str, spec: WindowSpec, dtype: np.dtype[Any], array_type: str) -> str:
    able = [v.backend for v in verdicts(op, spec, dtype, array_type) if v.serves]
    return f"These can: {', '.join(able)}" if able else "No backend can"


def _parse(name: Any) -> tuple[Backend, str | None]:
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name such as 'im2col', not {type(name).__name__} ({name!r})")
    base, colon, algorithm = name.partition(":")
    return get_backend(base), algorithm if colon else None


@lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and needed at first use only

    builtin = {name for name, _, _ in BUILTINS}
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in builtin or point.name in found:
            owner = "convlib itself" if point.name in builtin else found[point.name].value
            _failed[f"{point.name} ({point.value})"] = f"the name {point.name!r} belongs to {owner}"
        else:
            found[point.name] = point
    return found


def _load(name: str) -> Backend:
    backend = _added.get(name) or _loaded.get(name)
    if backend is not None:
        return backend
    if name in _failed:
        raise BackendError(_failed[name])
    target = next((target for known, target, _ in BUILTINS if known == name), None)
    try:
        if target is not None:
            module, _, attribute = target.partition(":")
            made = getattr(import_module(module), attribute)
        elif name in _plugins():
            target = _plugins()[name].value
            made = _plugins()[name].load()
        else:
            raise BackendError(f"unknown backend {name!r}; known: {', '.join(backends())}")
        backend = made() if isinstance(made, type) else made
        if not isinstance(backend, Backend):
            raise TypeError(f"{target} is no convlib.Backend but a {type(backend).__name__}")
        if backend.name != name:
            raise BackendError(f"the entry point {name!r} leads to a backend that calls itself {backend.name!r}")
    except BackendError:
        raise
    except Exception as error:  # a plug-in may fail in any way; it must not break the others
        _failed[name] = f"backend {name!r} could not be loaded from {target}: {type(error).__name__}: {error}"
        raise BackendError(_failed[name]) from error
    _loaded[name] = backend
    return backend


def _origin(name: str) -> str:
    if name in _added:
        kind = type(_added[name])
        return f"{kind.__module__}:{kind.__qualname__}"
    return next((target for known, target, _ in BUILTINS if known == name), None) or _plugins()[name].value
