from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import disjoint_base

ZERO: Any

def fold(
    wide: Any, x: Any, size: Sequence[int], padded: Sequence[int], lo: Sequence[int], source: Sequence[Any],
    threads: int,
) -> bool: ...  # fmt: skip

@disjoint_base
class Block: ...

@disjoint_base
class Border:
    nbytes: int
    def __init__(
        self, x_shape: tuple[int, ...], padded_shape: tuple[int, ...], dtype: Any, planes: int, inner: int,
        size: Sequence[int], padded: Sequence[int], lo: Sequence[int], source: Sequence[Any], value: float,
    ) -> None: ...  # fmt: skip
    def room(self) -> Any: ...
    def wide(self, x: Any, threads: int) -> Any: ...
    def fold(self, wide: Any, x: Any, threads: int) -> None: ...

@disjoint_base
class PaddedRunner(Border):
    def __init__(self, run: Callable[..., Any], *args: Any) -> None: ...
    def __call__(
        self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None, out: Any = None
    ) -> Any: ...
