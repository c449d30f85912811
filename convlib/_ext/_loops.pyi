from array import array
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

def conv(
    direction: int, x: Array, w: Array, y: Array, taps: array[int], groups: int, sd: int, sh: int, sw: int
) -> None: ...
def grad_weight(
    x: Array, w: Array, y: Array, sums: Array, taps: array[int], groups: int, sd: int, sh: int, sw: int
) -> None: ...
def pool(
    kind: int,
    x: Array,
    y: Array,
    indices: Array,
    with_indices: bool,
    geometry: Array,
    empty: float,
    include_pad: bool,
    divisor: float,
) -> None: ...
def scatter(x: Array, indices: Array, y: Array, add: bool) -> None: ...
