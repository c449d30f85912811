from collections.abc import Sequence
from typing import Any

from typing_extensions import disjoint_base

from ._native_pad import Border

@disjoint_base
class Outside(Border):
    def __init__(
        self, out: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], images: int,
        groups: int, icg: int, ocg: int, divisor: float, *args: Any,
    ) -> None: ...  # fmt: skip
    def scratch(self, threads: int, weights: bool) -> int: ...
    def add(self, grad_y: Any, w: Any, x: Any, threads: int) -> None: ...
    def add_weights(self, grad_y: Any, x: Any, w: Any, threads: int) -> None: ...
