"""What a call asks of the native engine: one problem, or one for each phase of a stride."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import config, dtypes
from .._ext import _native, _native_conv, _native_pool
from ..spec import ConvSpec, Phase, PoolSpec, WindowSpec, zero_padded
from ..threads import get_num_threads
from . import native_apart
from .taps import places_of, seeing

#: More weights than that are packed from where they lie, in whatever order.
ORDERED_WEIGHTS = 1 << 13

#: Weights of a phase up to so many elements are copied; more, if channels are few.
COPIED_WEIGHTS, COPIED_WEIGHTS_OF_FEW = 1 << 10, 1 << 16

#: More phases of a stride than that are not made: each has a plan of its own, of a third of a millisecond.
MOST_PHASES = 1024


def settings() -> tuple[bool, int, int]:
    """Return whether sums must be direct, the threads, and the bytes of scratch that a call may take."""
    return config.get_accuracy() == "strict", get_num_threads(), config.get_max_workspace()


def plain(spec: ConvSpec) -> bool:
    """Return whether nothing but zeros pads the input, and no array is empty."""
    return spec.padding_mode == "constant" and not spec.pad_value and filled(spec)


def filled(spec: WindowSpec) -> bool:
    """Return whether none of the arrays of a call is empty."""
    sizes = (spec.n, spec.c, getattr(spec, "oc", 1), *spec.kernel, *spec.in_size, *spec.out_size)
    return min(sizes) > 0


class Call(NamedTuple):
    """One problem of the engine, and how it is asked."""

    problem: Any
    op: str  # of the engine's lists
    dtype: np.dtype[Any]
    indices: bool = False
    copied: int = 0  # bytes of weights that are copied for it
    telling: Any = None  # of an image of its padded result: places that are finite only if all weights are
    share: int = 1  # of max_workspace: it leaves the others to what is between it and the next call

    def _arguments(self, fresh: bool) -> tuple[Any, ...]:
        code = ord(self.dtype.char)
        if self.op.startswith("conv"):
            return code, fresh
        return code, self.dtype.itemsize, self.indices

    def plan(
        self, names: str | None, fresh: bool, exact: bool | None = None, within: tuple[int, int] | None = None
    ) -> Any:
        """Return the plan by one of the named implementations, None for any; None if none of them fits.

        `within` gives threads and bytes of scratch that are not those of the settings.
        """
        strict, threads, bound = settings()
        threads, bound = within or (threads, bound // self.share)
        exact = strict if exact is None else exact
        if self.op.startswith("conv"):
            code, fresh = self._arguments(fresh)
            return self.problem.chosen(self.op, code, names, exact, fresh, threads, bound)
        code, itemsize, indices = self._arguments(fresh)
        return self.problem.chosen(self.op, code, itemsize, names, indices, False, threads, bound)

    def verdicts(self, fresh: bool = True) -> list[tuple[str, str, str | None, float, int]]:
        """Return (name, family, refusal or None, predicted nanoseconds, bytes of scratch) of each implementation."""
        _, threads, bound = settings()
        said: list[Any] = self.problem.verdicts(self.op, *self._arguments(fresh), threads, bound // self.share)
        return said

    def scratch(self, names: str | None, fresh: bool) -> int:
        """Return the bytes of scratch that a call takes."""
        plan = self.plan(names, fresh)
        return self.copied + (0 if plan is None else int(plan.scratch))


def calls_of(op: str, spec: Any, dtype: np.dtype[Any], names: str | None = None) -> tuple[Call, ...]:
    """Return the problems that a call becomes; none where nothing is computed, or integers by exact loops.

    Where several ways lead to the result, it is the one of least predicted time by the named implementations.
    """
    if op in ("conv_grad_input", "pool", "pool_grad_input"):
        return best_way(op, spec, dtype, names, settings(), _native.active_isa())
    (way,) = ways_of(op, spec, dtype)
    return way


def ways_of(op: str, spec: Any, dtype: np.dtype[Any]) -> tuple[tuple[Call, ...], ...]:
    """Return the ways to the result, each as the problems that make it up."""
    if op.startswith(("conv", "pool")):
        spec = zero_padded(spec)  # as hooks see it
    if op.startswith("conv") and dtype.kind == "c":
        spec, dtype = spec.paired(), dtypes.real_type(dtype)
    if op == "pool" and min(spec.n, spec.c, *spec.out_size) > 0:
        whole = (Call(pool_problem(spec), "pool", dtype, spec.places),)
        pays = native_apart.pays(spec, dtype.itemsize)
        if not native_apart.serves(spec) or not (pays or whole[0].plan(None, True) is None):
            return (whole,)
        passes = (Call(pool_problem(one), "pool", dtype, one.places, share=2) for one in native_apart.passes(spec))
        # Of norms, what takes most is not seen in a cost: the powers of each window.
        return (tuple(passes),) if spec.kind == "lp" else (whole, tuple(passes))
    if not filled(spec) or (op.startswith("conv") and dtype.kind != "f"):
        return ((),)
    if op == "conv_grad_input":
        whole = (Call(conv_problem(spec), op, dtype),)
        return (whole, phase_calls(spec, dtype)) if spec.phase_count <= MOST_PHASES else (whole,)
    if op.startswith("conv"):
        return ((Call(conv_problem(spec), op, dtype),),)
    adjoint = spec.adjoint() if op == "pool_grad_input" else None
    if adjoint is not None:
        return ways_of("pool", adjoint, dtype)
    return ((Call(pool_problem(spec), "spread", dtype, op == "unpool"),),)


@lru_cache(maxsize=1024)
def best_way(
    op: str, spec: Any, dtype: np.dtype[Any], names: str | None, settled: tuple[bool, int, int], isa: str
) -> tuple[Call, ...]:
    """Return the way of least predicted time, under these settings and this instruction set; if none fits, the last."""
    best: tuple[Call, ...] = ()
    least = math.inf
    for way in ways_of(op, spec, dtype):
        plans = [call.plan(names, True) for call in way]
        time = math.inf if None in plans else sum(plan.nanoseconds for plan in plans)
        if time < least or least == math.inf:
            best, least = way, time
    return best


@lru_cache(maxsize=1024)
def phase_calls(spec: ConvSpec, dtype: np.dtype[Any]) -> tuple[Call, ...]:
    """Return the forward convolutions over grad_y that give the phases of the input's gradient, in their order."""
    return tuple(_phase_call(spec, phase, dtype) for phase in spec.phases().phases)


def _phase_call(spec: ConvSpec, phase: Phase, dtype: np.dtype[Any]) -> Call:
    weights = spec.groups * spec.ocg * spec.icg * math.prod(phase.kernel)
    copied = weights <= (COPIED_WEIGHTS_OF_FEW if few_channels(spec) else COPIED_WEIGHTS)
    live = _along(spec)
    problem = _native_conv.ConvProblem(
        spec.n, spec.groups, spec.ocg, spec.icg, live(spec.out_size), live(phase.kernel), live(phase.size),
        live((1,) * spec.nd), live(phase.dilation), live(phase.lo), spec.channels_last,
    )  # fmt: skip
    problem.scatter(live(spec.in_size), live(spec.stride))
    axes = list(zip(spec.out_size, phase.kernel, phase.size, phase.dilation, phase.lo, strict=True))
    padded = any(lo > 0 or out - 1 + (k - 1) * d - lo >= size for size, k, out, d, lo in axes)
    telling = places_of([seeing(*axis) for axis in axes]) if padded else None
    if not copied:
        output, channel, *steps = weight_steps(spec)
        steps = [step * (tap.step or 1) for step, tap in zip(steps, phase.taps, strict=True)]
        problem.weigh(spec.ocg * output, channel, output, live(steps))
    return Call(problem, "conv", dtype, copied=weights * dtype.itemsize if copied else 0, telling=telling)


def few_channels(spec: ConvSpec) -> bool:
    """Return whether channels are so few that kernels serve them best that take weights only without gaps."""
    return min(spec.icg, spec.ocg) < 8


#: Implementations that take weights only without gaps, even many; the others of that kind serve few channels.
PLAIN_WEIGHTS = ("direct", "gemm_columns")


def strided_weights(spec: ConvSpec) -> bool:
    """Return whether weights are taken as they lie."""
    return not few_channels(spec) and math.prod(spec.w_shape) > ORDERED_WEIGHTS


def weight_steps(spec: ConvSpec) -> tuple[int, ...]:
    """Return the strides over (OC, C / groups, *kernel) of weights without gaps as they are taken, in elements."""
    steps, step = [0] * (spec.nd + 2), 1
    turned = spec.w_memory and not spec.flip and strided_weights(spec)  # else they are copied
    for axis in reversed(spec.w_memory if turned else range(spec.nd + 2)):
        steps[axis] = step
        step *= spec.w_shape[axis]
    return tuple(steps)


@lru_cache(maxsize=4096)
def conv_problem(spec: ConvSpec) -> Any:
    """Return the problem of a convolution."""
    live = _along(spec)
    problem = _native_conv.ConvProblem(
        spec.n, spec.groups, spec.icg, spec.ocg, live(spec.in_size), live(spec.kernel), live(spec.out_size),
        live(spec.stride), live(spec.dilation), live(spec.pad_lo), spec.channels_last,
    )  # fmt: skip
    output, channel, *steps = weight_steps(spec)
    problem.weigh(spec.ocg * output, output, channel, live(steps))
    return problem


@lru_cache(maxsize=4096)
def pool_problem(spec: PoolSpec) -> Any:
    """Return the problem of a pooling."""
    live, kind = _along(spec), "sum" if spec.kind == "lp" else spec.kind  # norms are roots of sums
    return _native_pool.PoolProblem(
        spec.n, spec.c, live(spec.in_size), live(spec.longest), live(spec.out_size), live(spec.stride),
        live(spec.dilation), live(spec.pad_lo), live(spec.pad_hi), kind, spec.count_include_pad, spec.divisor or 0,
        spec.adaptive, spec.channels_last,
    )  # fmt: skip


def _along(spec: WindowSpec) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Return what keeps the values of the axes that matter, so that rows are long."""
    axes = spec.live_axes
    return lambda values: tuple(values[axis] for axis in axes)
