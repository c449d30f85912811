from collections.abc import Sequence
from typing import Any

from typing_extensions import disjoint_base

from ._native import Plan, Problem, _Verdict
from ._native_pad import Border

KINDS: tuple[str, ...]

@disjoint_base
class PoolProblem(Problem):
    def __init__(
        self, n: int, c: int, in_size: Sequence[int], kernel: Sequence[int], out_size: Sequence[int],
        stride: Sequence[int], dilation: Sequence[int], lo: Sequence[int], hi: Sequence[int], kind: str,
        count_include_pad: bool = True, divisor: float = 0, adaptive: bool = False, channels_last: bool = False,
    ) -> None: ...
    def chosen(
        self, op: str, code: int, itemsize: int, names: str | None, indices: bool, add: bool, threads: int,
        max_workspace: int,
    ) -> Plan | None: ...  # fmt: skip
    def verdicts(
        self, op: str, code: int, itemsize: int, indices: bool, threads: int, max_workspace: int
    ) -> list[_Verdict]: ...

def pool(
    problem: PoolProblem, x: Any, y: Any, indices: Any, names: str | None, threads: int, max_workspace: int
) -> None: ...

@disjoint_base
class PoolRunner:
    def __init__(
        self, problem: PoolProblem, name: str | None, x_shape: tuple[int, ...], y_shape: tuple[int, ...], dtype: Any,
        border: Border | None = None,
    ) -> None: ...
    def __call__(self, x: Any, threads: int, indices: bool, max_workspace: int, out: Any = None) -> Any: ...

def spread(
    problem: PoolProblem, y: Any, indices: Any, x: Any, add: bool, names: str | None, threads: int, max_workspace: int
) -> bool: ...
