"""The conformance suite: what makes a backend a convlib backend.

For authors of backends, ours included: ``check_backend("name")`` runs every case of one list through the backend
and compares with the formula in plain Python (`naive`), bit for bit on small integers.
"""

from .arrays import error_bound, integer_array
from .cases import Case, cases
from .check import check_backend, served_cases
from .report import ConformanceError, Report

__all__ = ["Case", "ConformanceError", "Report", "cases", "check_backend", "error_bound", "integer_array", "served_cases"]
