"""Why the same padding is not the same: what two conventions do to one axis."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import SpecError
from .spec import make_columns
from .spec.arguments import integer


@dataclass(frozen=True)
class PaddingDifference:
    """What TensorFlow's "SAME" and PyTorch's symmetric padding make of one axis; ``str()`` explains it.

    Attributes
    ----------
    size, kernel_size, stride, dilation : int
        The axis.
    tensorflow, torch : tuple of int
        Elements added before and after.
    outputs : tuple of int
        Outputs by TensorFlow's and by PyTorch's rule.
    """

    size: int
    kernel_size: int
    stride: int
    dilation: int
    tensorflow: tuple[int, int]
    torch: tuple[int, int]
    outputs: tuple[int, int]

    @property
    def shift(self) -> int:
        """How many elements earlier PyTorch's windows start."""
        return self.torch[0] - self.tensorflow[0]

    @property
    def agree(self) -> bool:
        """Whether both give the same result."""
        return self.shift == 0 and self.outputs[0] == self.outputs[1]

    def __str__(self) -> str:
        spread = f", dilation {self.dilation}" if self.dilation > 1 else ""
        (t_lo, t_hi), (p_lo, p_hi) = self.tensorflow, self.torch
        lines = [f"size {self.size}, kernel {self.kernel_size}, stride {self.stride}{spread}:"]
        rules = (
            ("TensorFlow, padding='SAME'", t_lo, t_hi, self.outputs[0]),
            (f"PyTorch, padding={p_lo}", p_lo, p_hi, self.outputs[1]),
        )
        for name, lo, hi, outputs in rules:
            starts = ", ".join(str(o * self.stride - lo) for o in range(min(3, outputs)))
            lines.append(f"  {name}: {lo} before and {hi} after, {outputs} outputs, windows start at {starts}, ...")
        if self.agree:
            lines.append("  They agree.")
            return "\n".join(lines)
        lines.append(f"  They differ: {'; '.join(self._reasons())}.")
        lines.append(f"  Here TensorFlow's is padding='same_upper', PyTorch's padding={p_lo}.")
        return "\n".join(lines)

    def _reasons(self) -> list[str]:
        found = []
        if self.shift:
            word = "earlier" if self.shift > 0 else "later"
            found.append(
                "TensorFlow adds as little as gives ceil(size / stride) outputs, and the odd element after; PyTorch "
                f"adds the same on both sides, so that its windows start {abs(self.shift)} {word}, and weights trained "
                "with one see a shifted input in the other"
            )
        if self.outputs[0] != self.outputs[1]:
            found.append(f"the numbers of outputs differ, {self.outputs[0]} and {self.outputs[1]}")
        return found


def diff_padding(
    size: int, kernel_size: int, stride: int = 1, dilation: int = 1, *, padding: int | None = None
) -> PaddingDifference:
    """Explain how TensorFlow's "SAME" and PyTorch's symmetric padding differ on one axis.

    Parameters
    ----------
    size : int
        Spatial size of the input.
    kernel_size, stride, dilation : int
        As in `conv1d`.
    padding : int, optional
        PyTorch's padding; by default half of the kernel's reach, as models are written.

    Returns
    -------
    difference : PaddingDifference
        Amounts, outputs and shift; ``print`` explains them.

    Raises
    ------
    SpecError
        If a number is out of range.

    Notes
    -----
    TensorFlow: ``total = max((ceil(size / stride) - 1) * stride + ke - size, 0)``, ``total // 2`` of it before, which
    is ONNX's SAME_UPPER.  PyTorch pads both sides alike.  They agree where the total is even and twice the padding;
    with a stride of 2 and an even size they do not.

    Examples
    --------
    >>> import convlib
    >>> found = convlib.diff_padding(224, 3, stride=2)
    >>> found.tensorflow, found.torch, found.shift, found.agree
    ((0, 1), (1, 1), 1, False)
    >>> convlib.diff_padding(224, 3).agree
    True
    """
    for name, value in (("size", size), ("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)):
        if integer(name, value) < 1:
            raise SpecError(f"{name}={value} must be at least 1")
    amount = (kernel_size - 1) * dilation // 2 if padding is None else integer("padding", padding)
    same = make_columns((1, size), (kernel_size,), stride, "same_upper", dilation)
    torch = make_columns((1, size), (kernel_size,), stride, amount, dilation)
    return PaddingDifference(
        size, kernel_size, stride, dilation, (same.pad_lo[0], same.pad_hi[0]), (amount, amount),
        (same.out_size[0], torch.out_size[0]),
    )  # fmt: skip
