from collections.abc import Callable, Sequence
from typing import Any

from typing_extensions import disjoint_base

from ._native_pad import Border

@disjoint_base
class PiecesRunner(Border):
    def __init__(
        self, plans: Callable[[int, int, int], Any], y_shape: tuple[int, ...], placed: bool, shared: bool,
        images: int, groups: int, each: int, weights: int, outs: int, *args: Any,
    ) -> None: ...  # fmt: skip
    def __call__(
        self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None, out: Any = None
    ) -> Any: ...

@disjoint_base
class StripsRunner:
    nbytes: int
    def __init__(
        self, run: Callable[..., Any] | None, plans: Callable[..., Any] | None, x_shape: tuple[int, ...],
        y_shape: tuple[int, ...], dtype: Any, placed: bool, shared: bool, planes: int, inner: int,
        out: Sequence[int], borders: list[Any],
    ) -> None: ...  # fmt: skip
    def __call__(
        self, x: Any, threads: int, max_workspace: int, w: Any = None, bias: Any = None, out: Any = None
    ) -> Any: ...
