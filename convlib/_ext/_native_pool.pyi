from typing import Any

KINDS: tuple[str, ...]

class PoolProblem:
    def __init__(
        self, n: int, c: int, in_size: tuple[int, ...], kernel: tuple[int, ...], out_size: tuple[int, ...],
        stride: tuple[int, ...], dilation: tuple[int, ...], lo: tuple[int, ...], hi: tuple[int, ...], kind: str,
        count_include_pad: bool = True, divisor: float = 0, adaptive: bool = False,
    ) -> None: ...  # fmt: skip

def pool_grad(problem: PoolProblem, y: Any, indices: Any, x: Any, add: bool, threads: int) -> bool: ...
def pool(problem: PoolProblem, x: Any, y: Any, indices: Any, threads: int) -> None: ...

class PoolRunner:
    def __init__(
        self, problem: PoolProblem, x_shape: tuple[int, ...], y_shape: tuple[int, ...], dtype: Any, last: bool
    ) -> None: ...
    def __call__(self, x: Any, threads: int, indices: bool) -> Any: ...
