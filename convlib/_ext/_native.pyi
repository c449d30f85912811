from typing import Any

ALGORITHMS: tuple[str, ...]
KINDS: tuple[str, ...]

def built_isas() -> tuple[str, ...]: ...
def detected_isas() -> tuple[str, ...]: ...
def active_isa() -> str: ...
def set_isa(name: str) -> None: ...

class ConvProblem:
    def __init__(
        self, n: int, groups: int, icg: int, ocg: int, in_size: tuple[int, ...], kernel: tuple[int, ...],
        out_size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], lo: tuple[int, ...],
    ) -> None: ...  # fmt: skip

class Weights:
    def __init__(self, problem: ConvProblem, w: Any, algorithm: str, threads: int) -> None: ...

class Runner:
    def __init__(
        self, problem: ConvProblem, w: Any, bias: Any, algorithm: str, x_shape: tuple[int, ...],
        y_shape: tuple[int, ...], dtype: Any,
    ) -> None: ...  # fmt: skip
    def __call__(self, x: Any, threads: int, max_workspace: int) -> Any: ...

class PoolProblem:
    def __init__(
        self, n: int, c: int, in_size: tuple[int, ...], kernel: tuple[int, ...], out_size: tuple[int, ...],
        stride: tuple[int, ...], dilation: tuple[int, ...], lo: tuple[int, ...], hi: tuple[int, ...], kind: str,
        count_include_pad: bool = True, divisor: float = 0,
    ) -> None: ...  # fmt: skip

def conv(
    problem: ConvProblem, x: Any, w: Any, bias: Any, y: Any, algorithm: str, threads: int, max_workspace: int
) -> None: ...
def workspace(
    problem: ConvProblem, algorithm: str, code: int, threads: int, max_workspace: int, packed: bool
) -> int: ...
def pool(problem: PoolProblem, x: Any, y: Any, indices: Any, threads: int) -> None: ...
