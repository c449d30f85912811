"""The tables of docs/engine.md: the engine's own list of implementations, as text.

``PYTHONPATH=. python tests/tables.py`` writes them into the page; `test_docs.py` compares them with the list.
"""

from __future__ import annotations

import re
from pathlib import Path

from convlib._ext import _native

ROOT = Path(__file__).parents[1]
PAGE, LIST = ROOT / "docs/engine.md", ROOT / "convlib/_ext/c/impls.def"
COMMAND = "PYTHONPATH=. python tests/tables.py"

TYPES = {
    "F32": "float32", "FLOATS": "float32, float64", "SUMS": "float32, float64, int64", "NUMBERS": "floats, integers",
    "INT8": "int8, uint8",
}  # fmt: skip
NEEDS = {"ANY": "", "FAST": "SIMD", "MASKS": "cheap masks", "MATRIX": "matrix unit", "DOTS": "byte dots"}

ROW = re.compile(r"CV_IMPL\(\w+, (?P<name>\w+), \w+, (?P<types>\w+), (?P<needs>\w+), \w+,")
TABLE = re.compile(r"(?<=<!-- implementations of )(\w+)(, by tests/tables.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table(op: str) -> str:
    """Return the table of an operation of the engine."""
    said = {row["name"]: row for row in ROW.finditer(LIST.read_text())}
    lines = ["| name | family | types | needs | good at |", "|---|---|---|---|---|"]
    for name, family, why, more in _native.implementations(op):
        kinds, needs = TYPES[said[name]["types"]], NEEDS[said[name]["needs"]]
        lines.append(f"| `{name}` | `{family}` | {kinds} | {needs} | {why}{'; rounds more' if more else ''} |")
    return "\n".join(lines) + "\n"


def up_to_date(page: str) -> str:
    """Return a page with its tables as they should be."""
    return TABLE.sub(lambda found: found[1] + found[2] + table(found[1]), page)


if __name__ == "__main__":
    PAGE.write_text(up_to_date(PAGE.read_text()))
