from typing import Any

from typing_extensions import disjoint_base

from ._native_conv import ConvProblem

def conv_int8(
    problem: ConvProblem, x: Any, zero: int, padding: int, w: Any, w_zeros: Any, bias: Any, y: Any, names: str | None,
    threads: int, max_workspace: int, packed: PackedInt8 | None = None,
) -> None: ...  # fmt: skip

@disjoint_base
class PackedInt8:
    def __init__(
        self, problem: ConvProblem, code: int, w: Any, shifted: bool, wide_y: bool, names: str | None, threads: int,
        max_workspace: int,
    ) -> None: ...  # fmt: skip
    @property
    def name(self) -> str: ...
