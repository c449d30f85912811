"""What the conformance suite found."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import ConvlibError


class ConformanceError(ConvlibError, AssertionError):
    """A backend broke the conformance suite.

    Parameters
    ----------
    report : Report
        The details; kept as an attribute.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        lines = [f"  {name}: {reason}" for name, reason in report.failed]
        super().__init__(f"backend {report.backend!r} fails {len(lines)} checks:\n" + "\n".join(lines))


@dataclass
class Report:
    """What the suite found.

    Attributes
    ----------
    backend : str
        Its name.
    passed : int
        Number of checks that held.
    refused, failed : list of (str, str)
        Check and reason; refused are calls that the backend says it does not support, which is no success.
    """

    backend: str
    passed: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.backend}: {self.passed} passed, {len(self.refused)} refused, {len(self.failed)} failed"
