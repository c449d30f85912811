from array import array
from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def gemm(a: _Array, ta: bool, b: _Array, tb: bool, c: _Array, add: bool) -> None: ...
def columns(
    x: _Array,
    cols: _Array,
    taps: array[int],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    oh: int,
    ow: int,
    start: int,
    count: int,
    add: bool,
) -> None: ...
