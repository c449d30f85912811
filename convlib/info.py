"""What is installed, what can run, and with what settings: for bug reports and measurements."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import config, registry, threads
from .errors import BackendError, SpecError, quote


def show_config(mode: str = "text") -> dict[str, Any] | None:
    """Show versions, backends, threads and settings.

    Parameters
    ----------
    mode : {"text", "dict"}, default "text"
        Print them, or return them as plain data.

    Returns
    -------
    config : dict or None
        With ``mode="dict"``: versions, machine, threads, settings, and per backend None or why it cannot run.

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
    if mode not in ("text", "dict"):
        raise SpecError(f"mode={quote(mode)} is unknown; valid: 'text', 'dict'")
    data = _collect()
    if mode == "dict":
        return data
    print(as_text(data))
    return None


def _collect() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for package in ("convlib", "numpy", "scipy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    return {
        "versions": versions,
        "machine": {"system": platform.platform(), "processor": processor(), "cpus": os.cpu_count()},
        "threads": {"used": threads.get_num_threads(), "available": threads.machine_threads()},
        "engine": {"instruction_set": _instruction_set()},
        "settings": {
            "max_workspace": config.get_max_workspace(), "accuracy": config.get_accuracy(),
            "tuning": config.get_tuning(),
        },
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "backends": {name: _reason(name) for name in registry.backends()},
    }


def _reason(name: str) -> str | None:
    try:
        registry.get_backend(name)
    except BackendError as error:
        return str(error)
    return None


def _instruction_set() -> str:
    from ._ext import _native  # only when asked

    try:
        return _native.active_isa()
    except ValueError as error:
        return str(error)


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
