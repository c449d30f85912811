"""The problem string of a call, where the language of problems has words for it."""

from __future__ import annotations

from dataclasses import replace

from ..errors import SpecError
from ..problem import OPERATIONS, OPTIONS, Problem, parse
from ..spec import ConvSpec, PoolSpec, WindowSpec


def problem_of(operation: str, spec: WindowSpec, *, bias: bool = False) -> Problem | None:
    """Return the problem that is the work of a call, or None if no problem string can say it.

    Parameters
    ----------
    operation : str
        What a backend is asked for: "conv", "conv_grad_input" (which transposed convolution is), "conv_grad_weight" or
        "pool".
    spec : WindowSpec
        Sizes and options of the call.
    bias : bool, default False
        Whether there is a bias.

    Examples
    --------
    >>> from convlib import ConvSpec
    >>> from convlib.functional._problem import problem_of
    >>> str(problem_of("conv", ConvSpec.make((1, 3, 8, 8), (4, 3, 3, 3), padding=1)))
    'n1 ic3 ih8 iw8 oc4 kh3 kw3 ph1'
    """
    stems = {"".join(parts): op for op, parts in OPERATIONS.items()}
    op = stems.get(f"{spec.kind}_pool" if isinstance(spec, PoolSpec) and operation == "pool" else operation)
    if op is None or spec.nd > 3:
        return None
    options = ["nhwc"] * spec.channels_last + ["bias"] * (bias and op == "conv")
    oc, groups = (spec.oc, spec.groups) if isinstance(spec, ConvSpec) else (spec.c, 1)
    plain = replace(spec, batched=True)
    if isinstance(plain, PoolSpec):
        options += ["nopad"] * (not plain.count_include_pad and op == "avgpool")
        plain = plain.with_places(False)
    for more in ([], ["ceil"]) if op.endswith("pool") else ([],):  # which a spec does not keep
        problem = Problem(
            op, spec.n, spec.c, oc, groups, spec.in_size, spec.kernel, spec.stride, spec.dilation, spec.pad_lo,
            spec.pad_hi, tuple(o for o in OPTIONS if o in (*options, *more)),
        )  # fmt: skip
        try:
            # The language knows neither flipped kernels nor other padding, divisors or windows of several sizes.
            if parse(str(problem)).spec == plain:
                return problem
        except SpecError:
            continue
    return None
