"""What was measured on this machine, and the automatic choice that goes by it.

``tune`` races all that can serve a kind of call and stores the times in the user's cache directory, in one file per
processor, instruction set, number of threads and version of convlib.  The automatic choice takes the fastest that may
serve, before it asks its policy; ``accuracy="strict"`` and `max_workspace` bind it as ever.  Another algorithm may give
other bits: what was tuned may differ in the last bits from what was not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .store import cache_directory, forget, path, ranking as ranking

if TYPE_CHECKING:
    from .racing import Tuned, recorded, tune

__all__ = ["Tuned", "cache_directory", "forget", "path", "recorded", "tune"]


def __getattr__(name: str) -> Any:
    if name in ("Tuned", "recorded", "tune"):  # only who measures needs what measures
        from . import racing as module

        globals().update(Tuned=module.Tuned, recorded=module.recorded, tune=module.tune)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
