"""The compiled parts, or in a pure-Python build none.

A build without them is asked for (``CONVLIB_PURE=1 pip install .``) and says so by a module `_pure`, which only such a
build has.  Where compiled parts are merely missing, importing convlib fails: nothing falls back in silence.
"""

from importlib.util import find_spec as _find_spec
from typing import Any as _Any

#: Whether this is the pure-Python build.
PURE = _find_spec(f"{__name__}._pure") is not None

if not PURE and _find_spec(f"{__name__}._native") is None:
    raise ImportError(
        f"convlib's compiled parts for this Python are not in {__path__[0]}: install a wheel, build them (`pip install "
        ".` with a C compiler, or `python setup.py build_ext --inplace` in a checkout), or ask for the pure-Python "
        "build, which is slower: CONVLIB_PURE=1 pip install ."
    )


def __getattr__(name: str) -> _Any:
    if PURE and name.startswith("_") and not name.startswith("__"):
        raise ImportError("this is the pure-Python build of convlib (CONVLIB_PURE=1), which has no compiled parts")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
