"""The file of what was measured: where it lies, how it is read and written.

Anything in it that this version does not understand is ignored with a warning, never an error.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any

from .. import config
from ..errors import ConvlibError, SpecError, quote
from ..registry import Kind, Ranking
from ..registry.plugins import changed
from ..threads import checked, get_num_threads

FORMAT = 1


def cache_directory() -> str:
    """Return the folder of convlib's caches.

    Returns
    -------
    folder : str
        ``CONVLIB_CACHE_DIR`` if it is set, else ``convlib`` in the user's cache directory: ``XDG_CACHE_HOME`` or
        ``~/.cache``; on macOS ``~/Library/Caches``; on Windows ``LOCALAPPDATA``.

    Examples
    --------
    >>> from convlib.tuning import cache_directory
    >>> bool(cache_directory())
    True
    """
    given = config.environment("CONVLIB_CACHE_DIR")
    if given:
        return os.path.abspath(given)
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the specification of XDG: relative ones are invalid
            base = os.path.join(home, ".cache")
    return os.path.join(base, "convlib")


@lru_cache(maxsize=64)
def machine(isa: str, threads: int) -> Mapping[str, Any]:
    """Return what a measurement holds for: processor, instruction set, threads and version."""
    from .. import __version__
    from ..info import processor

    return {"processor": processor(), "isa": isa, "threads": threads, "version": __version__}


def _isa() -> str:
    from .._ext import PURE

    if PURE:
        return "none"
    from .._ext import _native

    try:
        return _native.active_isa()
    except ValueError:
        return "none"


def path(threads: int | None = None) -> str:
    """Return the file for this machine, this version and a number of threads.

    Parameters
    ----------
    threads : int, optional
        By default that of the next call.

    Returns
    -------
    file : str
        It need not exist.

    Raises
    ------
    SpecError
        If there cannot be so many threads.
    TypeError
        If `threads` is no integer.
    """
    from hashlib import sha256

    about = machine(_isa(), get_num_threads() if threads is None else checked("threads", threads))
    digest = sha256(repr(sorted(about.items())).encode()).hexdigest()[:16]
    return os.path.join(cache_directory(), "tuning", f"{about['isa']}-{about['threads']}-{digest}.json")


def key(kind: Kind) -> str:
    """Return the text that a kind of call has in the file; the batch axis of a single image makes no difference."""
    op, spec, dtype, _, prepared = kind
    return f"{'plan ' if prepared else ''}{op} {dtype} {replace(spec, batched=True)!r}"


def ranking(kind: Kind) -> Ranking:
    """Return what was measured of a kind of call, the fastest first; nothing if it was not."""
    return _table(path(kind[3]), _isa(), kind[3]).get(key(kind), ())


@lru_cache(maxsize=64)
def _table(file: str, isa: str, threads: int) -> dict[str, Ranking]:
    """Return the rankings of a file, read once in a process; none, with a warning, if it is not what it should be."""
    try:
        return read(file, machine(isa, threads))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, ConvlibError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        where = ", which lies where CONVLIB_CACHE_DIR says" if config.environment("CONVLIB_CACHE_DIR") else ""
        warnings.warn(f"what was tuned is ignored: {quote(file)}{where}: {said}", RuntimeWarning, stacklevel=2)
        return {}


def read(file: str, about: Mapping[str, Any]) -> dict[str, Ranking]:
    """Return the rankings of a file.

    Raises
    ------
    SpecError
        If it is of another format or another machine, or holds something else than rankings.
    OSError, ValueError
        If it cannot be read.
    """
    import json

    with open(file, encoding="utf-8") as stream:
        data = json.load(stream)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise SpecError(f"it is of no format that this version reads (format {FORMAT})")
    if data.get("machine") != dict(about):
        raise SpecError("it was measured on another machine, with other settings or by another version")
    found = {}
    try:
        for name, rows in data["choices"].items():
            found[name] = tuple((str(contender), float(seconds)) for contender, seconds in rows)
    except (KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"its choices are damaged ({type(error).__name__}: {error})") from None
    return found


def write(rankings: Mapping[str, Ranking], threads: int) -> str:
    """Add rankings to the file; those of other processes that write at the same time stay.

    Returns
    -------
    file : str
        Where they are.
    """
    import json
    import tempfile

    file, about = path(threads), machine(_isa(), threads)
    folder = os.path.dirname(file)
    os.makedirs(folder, exist_ok=True)
    with _locked(f"{file}.lock"):
        try:
            known = read(file, about)
        except (OSError, ValueError, ConvlibError):
            known = {}  # what cannot be read is written anew
        choices = {**known, **rankings}
        data = {"format": FORMAT, "machine": dict(about), "choices": dict(sorted(choices.items()))}
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".tuning-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(data, stream, indent=1)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, file)  # at once: a reader sees the old file or the new one
        except BaseException:
            os.unlink(temporary)
            raise
    _table.cache_clear()
    changed()
    return file


def forget() -> None:
    """Remove what was tuned for this machine, this version and the number of threads of the next call."""
    file = path()
    if os.path.exists(file):
        with _locked(f"{file}.lock"):
            os.unlink(file)
    _table.cache_clear()
    changed()


@contextmanager
def _locked(file: str) -> Iterator[None]:
    """Hold a lock among processes; the system lets it go if the process ends."""
    import fcntl

    with open(file, "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(stream, fcntl.LOCK_UN)
