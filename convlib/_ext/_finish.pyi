from typing import Any

ACTIVATIONS: dict[str | None, int]

def finish(y: Any, residual: Any, activation: int, threads: int, x: Any = None) -> bool: ...
