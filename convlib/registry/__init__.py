"""The one decision: which backend serves a call, by which algorithm, and why.

`policy` is the literal table, `plugins` knows the backends, `answers` asks them, `selection` decides and `explanation`
says what was decided.
"""

from .answers import Verdict, sums_directly, verdicts
from .explanation import Asked, Copy, Explanation, explain_choice, explained
from .plugins import ENTRY_POINTS, backends, get_backend, register_backend, takes, unregister_backend
from .policy import BUILTINS, POLICY, Rule
from .selection import Choice, Kind, Ranking, asked, listened, measured_by, select, state, use_backend

__all__ = [
    "BUILTINS", "ENTRY_POINTS", "POLICY", "Asked", "Choice", "Copy", "Explanation", "Kind", "Ranking", "Rule",
    "Verdict", "asked", "backends", "explain_choice", "explained", "get_backend", "listened", "measured_by",
    "register_backend", "select", "state", "sums_directly", "takes", "unregister_backend", "use_backend",
    "verdicts",
]  # fmt: skip
