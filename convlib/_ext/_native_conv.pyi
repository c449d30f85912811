from collections.abc import Sequence
from typing import Any

from typing_extensions import disjoint_base

from ._native import Plan, Problem, _Verdict

@disjoint_base
class ConvProblem(Problem):
    def __init__(
        self, n: int, groups: int, icg: int, ocg: int, in_size: Sequence[int], kernel: Sequence[int],
        out_size: Sequence[int], stride: Sequence[int], dilation: Sequence[int], lo: Sequence[int],
        channels_last: bool = False,
    ) -> None: ...  # fmt: skip
    def scatter(self, full_size: Sequence[int], stride: Sequence[int]) -> None: ...
    def weigh(self, group: int, output: int, channel: int, kernel: Sequence[int]) -> None: ...
    def chosen(
        self, op: str, code: int, names: str | None, exact: bool, fresh: bool, threads: int, max_workspace: int,
        shifted: bool = False, wide_y: bool = False,
    ) -> Plan | None: ...  # fmt: skip
    def verdicts(
        self, op: str, code: int, fresh: bool, threads: int, max_workspace: int, shifted: bool = False,
        wide_y: bool = False,
    ) -> list[_Verdict]: ...  # fmt: skip

def conv(
    problem: ConvProblem, x: Any, w: Any, bias: Any, y: Any, names: str | None, exact: bool, threads: int,
    max_workspace: int,
) -> None: ...  # fmt: skip
def gradient(
    op: str, problem: ConvProblem, x: Any, w: Any, grad_y: Any, names: str | None, threads: int, max_workspace: int
) -> bool: ...

@disjoint_base
class Packed:
    def __init__(
        self, problem: ConvProblem, w: Any, bias: Any, names: str | None, exact: bool, threads: int, max_workspace: int
    ) -> None: ...
    @property
    def name(self) -> str: ...

@disjoint_base
class Runner:
    def __init__(
        self, problem: ConvProblem, packed: Packed | None, names: str | None, exact: bool, x_shape: tuple[int, ...],
        y_shape: tuple[int, ...], dtype: Any, strided_weights: bool = False,
    ) -> None: ...  # fmt: skip
    def __call__(
        self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None, out: Any = None,
        residual: Any = None, activation: int = 0,
    ) -> Any: ...  # fmt: skip
