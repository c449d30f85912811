"""The conformance suite: what makes a backend a convlib backend.

For authors of backends, ours included: ``check_backend("name")`` runs every case of one list through the backend
and compares with the formula in plain Python (`naive`), bit for bit on small integers.
"""

from .arrays import case_arrays, error_bound, integer_array
from .cases import Case, cases
from .causes import Cause
from .check import ConformanceError, Report, check_backend, served_cases

__all__ = [
    "Case", "Cause", "ConformanceError", "Report", "case_arrays", "cases", "check_backend", "error_bound",
    "integer_array", "served_cases",
]  # fmt: skip
