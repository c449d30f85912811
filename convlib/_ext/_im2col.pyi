from typing import Any

from numpy.typing import NDArray

def gemm(a: NDArray[Any], ta: bool, b: NDArray[Any], tb: bool, c: NDArray[Any], add: bool) -> None: ...
def columns(
    x: NDArray[Any], cols: NDArray[Any], taps: Any, kernel: tuple[int, ...], stride: tuple[int, ...],
    oh: int, ow: int, start: int, count: int, add: bool,
) -> None: ...  # fmt: skip
