from array import array
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def gemm(a: Array, ta: bool, b: Array, tb: bool, c: Array, add: bool) -> None: ...
def columns(
    x: Array,
    cols: Array,
    taps: array[int],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    oh: int,
    ow: int,
    start: int,
    count: int,
    add: bool,
) -> None: ...
