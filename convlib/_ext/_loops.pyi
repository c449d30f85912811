from array import array
from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def conv(
    direction: int, x: _Array, w: _Array, y: _Array, taps: array[int], groups: int, sd: int, sh: int, sw: int
) -> None: ...
def grad_weight(
    x: _Array, w: _Array, y: _Array, sums: _Array, taps: array[int], groups: int, sd: int, sh: int, sw: int
) -> None: ...
def pool(
    kind: int,
    x: _Array,
    y: _Array,
    indices: _Array,
    with_indices: bool,
    geometry: _Array,
    empty: float,
    include_pad: bool,
    divisor: float,
) -> None: ...
def scatter(x: _Array, indices: _Array, y: _Array, add: bool) -> None: ...
