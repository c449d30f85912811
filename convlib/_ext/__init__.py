"""The compiled parts, or in a pure-Python build none.

A build without them is asked for (``CONVLIB_PURE=1 pip install .``) and says so by a module `_pure`, which only such a
build has.  Where compiled parts are merely missing, importing convlib fails: nothing falls back in silence.
"""

from importlib.util import find_spec as _find_spec
from pathlib import Path as _Path
from typing import Any as _Any

#: Whether this is the pure-Python build.
PURE = _find_spec(f"{__name__}._pure") is not None

if not PURE and _find_spec(f"{__name__}._native") is None:
    if (_Path(__path__[0]).parents[1] / "setup.py").exists():  # where who has just installed convlib may still stand
        raise ImportError(
            f"this is the checkout, {_Path(__path__[0]).parents[1]}, and not a convlib that is installed: start Python "
            "in another folder, or as `python -P`, to use what `pip install .` has made; or compile here: "
            "`python setup.py build_ext --inplace`"
        )
    raise ImportError(
        f"convlib's compiled parts for this Python are not in {__path__[0]}: install a wheel, build them (`pip install "
        ".` with a C compiler), or ask for the pure-Python build, which is slower: CONVLIB_PURE=1 pip install ."
    )


def __getattr__(name: str) -> _Any:
    if PURE and name.startswith("_") and not name.startswith("__"):
        raise ImportError("this is the pure-Python build of convlib (CONVLIB_PURE=1), which has no compiled parts")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
