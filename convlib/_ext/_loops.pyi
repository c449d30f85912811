from typing import Any

from numpy.typing import NDArray

def conv(
    direction: int, x: NDArray[Any], w: NDArray[Any], y: NDArray[Any], taps: Any, groups: int, sd: int, sh: int,
    sw: int,
) -> None: ...  # fmt: skip
def extreme(
    x: NDArray[Any], y: NDArray[Any], indices: NDArray[Any], with_indices: bool, minimum: bool,
    geometry: NDArray[Any], empty: float,
) -> None: ...  # fmt: skip
def total(
    x: NDArray[Any], y: NDArray[Any], geometry: NDArray[Any], average: bool, include_pad: bool, divisor: float
) -> None: ...
def norm(x: NDArray[Any], y: NDArray[Any], geometry: NDArray[Any], p: float) -> None: ...
def scatter(x: NDArray[Any], indices: NDArray[Any], y: NDArray[Any], add: bool) -> None: ...
