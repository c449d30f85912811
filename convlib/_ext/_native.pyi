from typing import Any

ALGORITHMS: tuple[str, ...]

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
    def __call__(self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None) -> Any: ...

def conv(
    problem: ConvProblem, x: Any, w: Any, bias: Any, y: Any, algorithm: str, threads: int, max_workspace: int
) -> None: ...
def grad_weight(
    problem: ConvProblem, x: Any, grad_y: Any, grad_w: Any, threads: int, max_workspace: int
) -> None: ...
def grad_weight_workspace(problem: ConvProblem, code: int, threads: int, max_workspace: int) -> int: ...
def workspace(
    problem: ConvProblem, algorithm: str, code: int, threads: int, max_workspace: int, packed: bool
) -> int: ...
