"""What is installed, what can run, and with what settings: for bug reports and measurements."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
from typing import Any

from . import config, registry, threads
from .errors import BackendError
from .registry.selection import parse
from .spec.arguments import choice

#: Packages that change what convlib does, if they are installed.
OPTIONAL = ("cupy-cuda12x", "cupy-cuda13x", "dask", "distributed", "matplotlib", "ml_dtypes", "onnx", "rich")

#: Beginnings of the environment variables that change what convlib does, or how fast.
MATTERS = ("CONVLIB_", "OMP_", "OPENBLAS_", "MKL_", "DASK_", "CUPY_", "PYTHON_GIL")


def show_config(mode: str = "text") -> dict[str, Any] | None:
    """Show versions, backends, threads and settings.

    Parameters
    ----------
    mode : {"text", "dict"}, default "text"
        Print them, or return them as plain data.

    Returns
    -------
    config : dict or None
        With ``mode="dict"``: versions (of optional packages, too, if they are installed), how convlib was built and
        where it lies, machine, threads, engine, settings, the file of `convlib.tuning` that applies, environment
        variables that matter, per backend None or why it cannot run, and the packages of plug-ins.

    Raises
    ------
    SpecError
        If `mode` is unknown.

    Examples
    --------
    >>> import convlib
    >>> convlib.show_config("dict")["backends"]["naive"] is None
    True
    """
    choice("mode", mode, ("text", "dict"))
    data = _collect()
    if mode == "dict":
        return data
    print(as_text(data))
    return None


def _collect() -> dict[str, Any]:
    return {
        "versions": _versions(),
        "build": _build(),
        "machine": _machine(),
        "threads": {"used": threads.get_num_threads(), "available": threads.machine_threads()},
        "engine": _engine(),
        "settings": {**settings(), "backend": _asked(), "measured": _measured()},
        "environment": {name: text for name, text in sorted(os.environ.items()) if name.startswith(MATTERS)},
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "backends": {name: _reason(name) for name in registry.backends()},
        "plug-ins": _plugins(),
    }


def settings() -> dict[str, Any]:
    """Return what blocks and the environment ask of every call; raises what calls would of a variable's rubbish."""
    from .functional import kept

    threads.get_num_threads()
    cache = kept.active()
    return {
        "max_workspace": config.get_max_workspace(), "accuracy": config.get_accuracy(),
        "tuning": config.get_tuning(), "plan_cache": cache.maxsize if cache else 0,
    }  # fmt: skip


def _reason(name: str) -> str | None:
    try:
        registry.get_backend(name)
    except BackendError as error:
        return str(error)
    return None


def _versions() -> dict[str, str]:
    from . import __version__  # which is not there yet when this module is imported

    versions = {"python": f"{platform.python_implementation()} {sys.version}"}
    for package in ("convlib", "numpy", "scipy", *OPTIONAL):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            if package not in OPTIONAL:
                versions[package] = "not installed as a package"
    if "not" in versions["convlib"]:
        versions["convlib"] = f"{__version__}, {versions['convlib']}"
    return versions


def _machine() -> dict[str, Any]:
    machine: dict[str, Any] = {"system": platform.platform(), "processor": processor(), "cpus": os.cpu_count()}
    with contextlib.suppress(AttributeError, ValueError):  # Windows has no such question
        machine["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return machine


def _asked() -> str:
    name, source = registry.asked()
    if name is None:
        return "automatic"
    try:
        parse(name)
    except BackendError as error:
        return f"{name}, by {source}, which calls refuse: {error}"
    return f"{name}, by {source}"


def _measured() -> str:
    """Return the file of measurements that the choice looks into, if there is one."""
    from . import tuning

    file = tuning.path()
    return file if os.path.exists(file) else f"nothing: there is no {file}"


def _plugins() -> dict[str, str]:
    found = {}
    for point in entry_points(group=registry.ENTRY_POINTS):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
        found[point.name] = f"{point.value} of {package}"
    return found


def _build() -> dict[str, str]:
    from ._ext import PURE, __path__ as places

    kind = "pure Python (CONVLIB_PURE=1): no compiled parts, all by NumPy"
    if not PURE:
        from ._ext import _probe  # only when asked

        kind = f"compiled by {_probe.compiler()}"
    blas = {f"{package}'s BLAS": _blas(package) for package in ("numpy", "scipy")}
    return {"kind": kind, "place": os.path.dirname(places[0]), "wheel": _wheel(), **blas}


def _wheel() -> str:
    """Return the tags of the wheel that was installed, and whether it only points to a checkout."""
    try:
        about = distribution("convlib")
    except PackageNotFoundError:
        return "none"
    tags = [line.partition(": ")[2] for line in (about.read_text("WHEEL") or "").splitlines() if line.startswith("Tag")]
    origin = json.loads(about.read_text("direct_url.json") or "{}")
    editable = ", editable" if origin.get("dir_info", {}).get("editable") else ""
    return (", ".join(tags) or "unknown") + editable


def _blas(package: str) -> str:
    """Return the BLAS that NumPy or SciPy was built with, as it says."""
    with contextlib.suppress(KeyError, TypeError):  # another build system tells it otherwise, or not
        found = import_module(package).show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}"
    return "unknown"


def _engine() -> dict[str, str]:
    from ._ext import PURE

    if PURE:
        return {"instruction_set": "none"}
    from ._ext import _native

    built, detected = ", ".join(_native.built_isas()), ", ".join(_native.detected_isas())
    try:
        active = _native.active_isa()
    except ValueError as error:
        active = str(error)
    return {"instruction_set": active, "instruction_sets_built": built, "instruction_sets_of_the_processor": detected}


def processor() -> str:
    """Return the name of the processor, as the system has it."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # another system: the platform module knows something
    return platform.processor() or platform.machine()


def as_text(data: dict[str, Any]) -> str:
    """Return the configuration as readable text."""
    lines = []
    for title, content in data.items():
        if not isinstance(content, dict):
            lines.append(f"{title}: {json.dumps(content)}")
            continue
        lines.append(f"{title}:")
        for key, value in content.items():
            shown = ("available" if value is None else f"not available: {value}") if title == "backends" else value
            lines.append(f"  {key}: {shown}")
    return "\n".join(lines)
