from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import disjoint_base

ZERO: Any

def fold(
    wide: Any, x: Any, size: Sequence[int], padded: Sequence[int], lo: Sequence[int], source: Sequence[Any],
    threads: int,
) -> bool: ...  # fmt: skip

@disjoint_base
class PaddedRunner:
    def __init__(
        self, run: Callable[..., Any], x_shape: tuple[int, ...], padded_shape: tuple[int, ...], dtype: Any,
        planes: int, inner: int, size: Sequence[int], padded: Sequence[int], lo: Sequence[int], source: Sequence[Any],
        value: float,
    ) -> None: ...  # fmt: skip
    def __call__(
        self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None, out: Any = None
    ) -> Any: ...
