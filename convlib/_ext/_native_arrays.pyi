# What the other modules share; Python sees the classes, but makes none.
from typing import Any

from typing_extensions import disjoint_base

@disjoint_base
class Array: ...

@disjoint_base
class Shaped:
    def __init__(self, x_shape: tuple[int, ...], y_shape: tuple[int, ...], dtype: Any) -> None: ...
