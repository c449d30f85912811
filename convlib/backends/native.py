"""The native engine: SIMD kernels in C for the processor at hand, with the library's own threads.

Its algorithms are the implementations that the engine lists (``convlib explain`` prints them); which of them serves a
call is the engine's decision.  Here a spec becomes one of its problems: sizes in finished integers, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import config, dtypes
from .._ext import _finish, _native, _native_conv, _native_pool
from ..spec import ConvSpec, PoolSpec, WindowSpec, zero_padded
from ..threads import get_num_threads
from . import native_apart, native_int8, native_norms
from .base import Backend, Implementation
from .base.checks import Quantised
from .base.pieces import assign, finite, marks
from .cython import convolve_weights
from .native_calls import (
    MOST_PHASES,
    PLAIN_WEIGHTS,
    calls_of,
    conv_problem,
    filled,
    phase_calls,
    plain,
    pool_problem,
    settings,
    strided_weights,
    ways_of,
)
from .native_folding import folded, pieces_outside
from .native_padding import norms_scratch, pieces
from .native_prepared import Prepared
from .native_quick import quick_conv, quick_gradient, quick_pool
from .taps import FORWARD, INPUT, convolve, finite_at, padded_weights

Array = NDArray[Any]

#: The engine's lists that serve an operation.
LISTS: dict[str, tuple[str, ...]] = {
    "conv": ("conv",), "conv_grad_input": ("conv_grad_input", "conv"), "conv_grad_weight": ("conv_grad_weight",),
    "pool": ("pool",), "pool_grad_input": ("pool", "spread"), "unpool": ("spread",),
}  # fmt: skip

#: What integers become, where these hold all partial sums exactly.
FLOATS = (dtypes.FLOAT32, dtypes.FLOAT64)


@cache
def _names(op: str) -> tuple[str, ...]:
    """Return the implementations that an operation may name, and their families."""
    rows = [row for kept in LISTS[op] for row in _native.implementations(kept)]
    return tuple(dict.fromkeys([*(name for name, *_ in rows), *(family for _, family, *_ in rows)]))


def _rounding() -> set[str]:
    """Return the implementations, and their families, that round more than direct summation."""
    return {word for *words, _, more in _native.implementations("conv") if more for word in words}


class NativeBackend(Backend):
    """SIMD kernels in C, for float32, float64 and (through exact float products) integers."""

    name = "native"
    determinism = "the same for any number of threads"
    operations: ClassVar[tuple[str, ...]] = tuple(LISTS)
    channels_last = True
    whole_unpool = True

    @property
    def algorithms(self) -> dict[str, tuple[str, ...]]:  # type: ignore[override]
        """What may follow "native:", the engine's implementations and their families."""
        return {op: _names(op) for op in LISTS}

    def available(self) -> str | None:
        """See `Backend.available`."""
        try:
            _native.active_isa()
        except ValueError as error:
            return str(error)
        return None

    def supports(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.supports`."""
        if spec.nd > 3:
            return f"has kernels for 1 to 3 spatial axes, not {spec.nd}"
        if op == "unpool" and dtype.kind != "f":
            return f"spreads floats only, not {dtype}"
        if op in ("pool", "pool_grad_input"):
            assert isinstance(spec, PoolSpec)
            if op != "pool" and dtype.kind != "f" and dtype != dtypes.INT64:
                return f"spreads floats and sums of integers, not {dtype}"
            if spec.adaptive and op != "pool":
                return "adaptive windows differ in size, and its gradients take windows of one size"
            if spec.kind == "lp" and not native_norms.serves(op, spec, dtype):
                return "has no gradients of p-norms, and no kernel for p=inf or a p below 1 that its type rounds"
            if dtype.kind == "c":
                return f"has no pooling kernel for {dtype}"
        reason = super().supports(op, spec, dtype)
        return reason or self._refusal(op, spec, dtype, None)

    def strided_weights(self, spec: ConvSpec, algorithm: str | None = None) -> bool:
        """See `Backend.strided_weights`."""
        return algorithm not in PLAIN_WEIGHTS and strided_weights(spec)

    def integers_as_floats(self, op: str, spec: WindowSpec, algorithm: str | None) -> bool:
        """See `Backend.integers_as_floats`: not where no implementation fits beside the copies; loops always do."""
        bound = config.get_max_workspace()
        with config.scratch(bound - bound // 4):  # copies take a quarter at least
            return algorithm is not None or not any(self._refusal(op, spec, kind, None) for kind in FLOATS)

    def complex_as_floats(self, op: str, spec: WindowSpec, algorithm: str | None) -> bool:
        """See `Backend.complex_as_floats`."""
        return True

    def choose(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose`."""
        if op.startswith("conv") and dtype == dtypes.INT64:
            if not self.integers_as_floats(op, spec, None):
                return None, "integers in exact loops: no implementation for floats fits max_workspace"
            exact = [call.plan(None, True, True) for kind in FLOATS for call in calls_of(op, spec, kind)]
            names, why = self._said(exact)
            return names, f"integers as floats that hold them exactly, else in exact loops; {why}"
        return self._said([call.plan(None, True) for call in calls_of(op, spec, dtype)])

    def settled(self, algorithm: str | None, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> str | None:
        """See `Backend.settled`: the engine itself chooses for the arrays of the call."""
        return algorithm

    def choose_prepared(self, spec: ConvSpec, dtype: np.dtype[Any]) -> tuple[str | None, str]:
        """See `Backend.choose_prepared`."""
        fresh = not self._packs(spec, dtype, None)
        return self._said([call.plan(None, fresh) for call in calls_of("conv", spec, dtype)])

    def _said(self, plans: list[Any]) -> tuple[str | None, str]:
        """Return the names of the implementations, each once, as the problems come, and what they are good at."""
        found = {plan.name: plan.why for plan in plans if plan is not None}
        if not found:
            return None, "nothing to compute"
        return "+".join(found), "; ".join(found.values())

    def supports_algorithm(
        self, algorithm: str, op: str, spec: WindowSpec, dtype: np.dtype[Any]
    ) -> str | None:
        """See `Backend.supports_algorithm`."""
        if op.startswith("conv") and dtype == dtypes.INT64:
            if not self.exact_algorithm(algorithm):
                return f"{algorithm} rounds, and sums of integers are exact"
            return next((r for kind in FLOATS if (r := self._refusal(op, spec, kind, algorithm))), None)
        return self._refusal(op, spec, dtype, algorithm)

    def _refusal(self, op: str, spec: WindowSpec, dtype: np.dtype[Any], names: str | None) -> str | None:
        said: list[str] = []
        wanted = None if names is None else set(names.split("+"))
        for way in ways_of(op, spec, dtype):
            missing = [call for call in way if call.plan(names, True, None if names is None else False) is None]
            if not missing:
                return None
            said += [
                f"{row} {reason}" for row, family, reason, *_ in missing[0].verdicts()
                if reason and (wanted is None or wanted & {row, family})
            ]  # fmt: skip
        if op == "conv_grad_input" and getattr(spec, "phase_count", 0) > MOST_PHASES:
            said.append(f"its stride has more than {MOST_PHASES} phases, each a convolution")
        return "; ".join(said) or f"{names} serves another operation"

    def exact_algorithm(self, algorithm: str) -> bool:
        """See `Backend.exact_algorithm`."""
        return not _rounding() & set(algorithm.split("+"))

    def implementations(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], prepared: bool = False
    ) -> tuple[Implementation, ...]:
        """See `Backend.implementations`."""
        found: dict[str, Implementation] = {}
        rounding = _rounding() if settings()[0] else ()
        ways = (calls_of(op, spec, dtype),) if op.startswith("pool") else ways_of(op, spec, dtype)
        for call in chain(*ways):
            for name, _, refusal, nanoseconds, scratch in call.verdicts(not prepared):
                if refusal is None and name in rounding:
                    refusal = 'rounds more than direct summation, which accuracy="strict" forbids'
                before = found.get(name, Implementation(name, None, 0.0, 0))
                found[name] = Implementation(
                    name, before.refusal or refusal, before.seconds + nanoseconds * 1e-9, max(before.scratch, scratch)
                )
        return tuple(found.values())

    def predicted(self, op: str, spec: WindowSpec, dtype: np.dtype[Any]) -> float | None:
        """See `Backend.predicted`."""
        plans = [call.plan(None, True) for call in calls_of(op, spec, dtype)]
        return None if None in plans or not plans else 1e-9 * sum(plan.nanoseconds for plan in plans)

    def workspace(self, op: str, spec: Any, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace`."""
        pooling = spec if op == "pool" else spec.adjoint() if op == "pool_grad_input" and filled(spec) else None
        if pooling is not None:
            inner, itemsize, taken = zero_padded(pooling), dtype.itemsize, partial(self._taken, dtype, algorithm)
            if self._apart(inner, dtype, algorithm):
                return native_apart.scratch(inner, itemsize, taken)
            if inner.kind == "lp":
                own = native_norms.scratch(inner, itemsize, taken)
                return max(own, norms_scratch(pooling, dtype, algorithm))
        return max((call.scratch(algorithm, True) for call in calls_of(op, spec, dtype, algorithm)), default=0)

    def _taken(self, dtype: np.dtype[Any], algorithm: str | None, spec: PoolSpec) -> int:
        """Return the scratch of a pooling that another consists of."""
        return self.workspace("pool", spec, dtype, algorithm)

    def workspace_prepared(self, spec: ConvSpec, dtype: np.dtype[Any], algorithm: str | None = None) -> int:
        """See `Backend.workspace_prepared`."""
        fresh = not self._packs(spec, dtype, algorithm)
        return max((call.scratch(algorithm, fresh) for call in calls_of("conv", spec, dtype)), default=0)

    def padded_pieces(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None
    ) -> tuple[int, int, int] | None:
        """See `Backend.padded_pieces`."""
        return pieces(spec, dtype, algorithm) if op in ("conv", "pool") else pieces_outside(op, spec, dtype)

    def _packs(self, spec: ConvSpec, dtype: np.dtype[Any], names: str | None) -> bool:
        """Return whether a plan keeps packed weights, or else calls as anybody would."""
        ready = dtype.kind == "f" and plain(spec)
        return ready and all(call.plan(names, False) is not None for call in calls_of("conv", spec, dtype))

    # ------------------------------------------------------------------ short ways

    def prepare_conv(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None], Array]:
        """See `Backend.prepare_conv`."""
        compute = dtypes.for_sums(x=dtype, w=w.dtype)[1]
        if compute.kind != "f" or compute != dtype or not self._packs(spec, dtype, algorithm):
            return super().prepare_conv(spec, w, bias, dtype, algorithm)
        ready = _native_conv.Packed(
            conv_problem(spec), np.ascontiguousarray(self._weights(w, compute, spec)),
            None if bias is None else self._usable(bias, compute, False), algorithm, *settings(),
        )  # fmt: skip
        return Prepared(self, spec, ready, compute)

    def quantised_way(
        self, spec: ConvSpec, x: np.dtype[Any], w: np.dtype[Any], quantised: Quantised, algorithm: str | None,
        prepared: bool,
    ) -> Implementation | None:  # fmt: skip
        """See `Backend.quantised_way`."""
        way = native_int8.way_of(spec, x, w, quantised, algorithm, prepared)
        return None if way is None else native_int8.said(way)

    def prepare_quantised(
        self, spec: ConvSpec, w: Array, bias: Array | None, dtype: np.dtype[Any], quantised: Quantised,
        algorithm: str | None, prepared: bool,
    ) -> Callable[[Array, Array | None], Array]:  # fmt: skip
        """See `Backend.prepare_quantised`."""
        return native_int8.prepare(spec, w, bias, dtype, quantised, prepared)

    def quick_conv(
        self, spec: ConvSpec, x_dtype: np.dtype[Any], w_dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[..., Array | None] | None:
        """See `Backend.quick_conv`."""
        return quick_conv(spec, x_dtype, w_dtype, algorithm)

    def quick_pool(self, spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> Callable[..., Any] | None:
        """See `Backend.quick_pool`."""
        return quick_pool(spec, dtype, algorithm)

    def quick_gradient(
        self, op: str, spec: WindowSpec, dtype: np.dtype[Any], algorithm: str | None
    ) -> Callable[[Array, Array | None, Array | None], Array | None] | None:
        """See `Backend.quick_gradient`."""
        return quick_gradient(self, op, spec, dtype, algorithm)

    # ------------------------------------------------------------------ hooks

    def _conv(
        self, spec: ConvSpec, x: Array, w: Array, bias: Array | None, y: Array, algorithm: str | None
    ) -> None:
        if x.dtype.kind != "f" or not filled(spec):
            assign(y, 0 if bias is None else bias.reshape(-1, *(1,) * spec.nd))
            convolve(FORWARD, spec, x, w, y)
        else:
            w = w.reshape(spec.groups, spec.ocg, spec.icg, *spec.kernel)
            _native_conv.conv(conv_problem(spec), x, w, bias, y, algorithm, *settings())

    def _conv_grad_input(
        self, spec: ConvSpec, grad_y: Array, w: Array, grad_x: Array, algorithm: str | None
    ) -> None:
        """Compute all of it at once, or run a convolution of stride 1 per phase of the stride.

        The engine has a zero of its padding count.  What lies outside `grad_y` does not: weights that are not finite
        may not meet it: the input channels that have such weights go by loops.
        """
        if grad_x.dtype.kind != "f" or not filled(spec):
            assign(grad_x, 0)
            if grad_x.dtype.kind != "f":
                convolve(INPUT, spec, grad_x, w, grad_y)
            return
        by_group = w.reshape(spec.groups, spec.ocg, spec.icg, *spec.kernel)
        calls = calls_of("conv_grad_input", spec, grad_x.dtype, algorithm)  # none where no output meets the input
        if calls and calls[0].op == "conv_grad_input" and _native_conv.gradient(
            calls[0].op, calls[0].problem, grad_x, by_group, grad_y, algorithm, *settings()[1:]
        ):
            wild = not finite(w)
        else:
            wild = self._by_phases(spec, grad_y, by_group.swapaxes(1, 2), grad_x, algorithm)
        outputs_and_taps = (1, *range(3, by_group.ndim))
        for group, channel in np.argwhere(marks(by_group).any(axis=outputs_and_taps)) if wild else ():
            place, outs = group * spec.icg + channel, slice(group * spec.ocg, (group + 1) * spec.ocg)
            part = grad_x[:, place : place + 1]
            assign(part, 0)
            alone = replace(spec, c=1, oc=spec.ocg, groups=1, w_memory=())
            convolve(INPUT, alone, part, w[outs, channel : channel + 1], grad_y[:, outs])

    def _by_phases(
        self, spec: ConvSpec, grad_y: Array, by_group: Array, grad_x: Array, algorithm: str | None
    ) -> bool:
        """Run a convolution per phase, over `grad_y` with the taps that reach it; whether weights may not be finite."""
        phases, covers_all = spec.phases()
        wild = False
        if not covers_all:
            assign(grad_x, 0)
        for phase, call in zip(phases, phase_calls(spec, grad_x.dtype), strict=True):
            taps: tuple[Any, ...] = (..., *phase.taps)
            inputs: tuple[Any, ...] = (..., *phase.inputs)
            weights = by_group[taps]
            if call.copied:
                weights = np.ascontiguousarray(weights)
            part = grad_x[inputs]
            _native_conv.conv(call.problem, grad_y, weights, None, part, algorithm, *settings())
            wild = wild or (call.telling is not None and not finite_at(part[0], call.telling))
        return wild

    def _conv_grad_weight(
        self, spec: ConvSpec, x: Array, grad_y: Array, grad_w: Array, algorithm: str | None
    ) -> None:
        if x.dtype.kind != "f" or not filled(spec):
            convolve_weights(spec, x, grad_w, grad_y)
        else:
            _native_conv.gradient(
                "conv_grad_weight", conv_problem(spec), x, grad_w, grad_y, algorithm, *settings()[1:]
            )
            padded_weights(spec, grad_y, grad_w)

    def _finish(self, y: Array, residual: Array | None, activation: str | None) -> None:
        """Do both in one pass, by all threads."""
        code = _finish.ACTIVATIONS.get(activation)
        if code is None or not _finish.finish(y, residual, code, get_num_threads()):
            super()._finish(y, residual, activation)

    def _apart(self, spec: PoolSpec, dtype: np.dtype[Any], algorithm: str | None) -> bool:
        """Return whether a pooling is served along one axis after the other."""
        return len(calls_of("pool", spec, dtype, algorithm)) > 1

    def _pool(self, spec: PoolSpec, x: Array, y: Array, indices: Array | None, algorithm: str | None) -> None:
        if y.size and self._apart(spec.with_places(indices is not None), x.dtype, algorithm):
            hook = partial(self._pool, algorithm=algorithm)
            native_apart.pool(spec.with_places(indices is not None), x, y, indices, hook)
        elif y.size and spec.kind == "lp":
            native_norms.pool(spec, x, y, lambda part, x, y: self._pool(part, x, y, None, algorithm))
        elif y.size:
            _native_pool.pool(pool_problem(spec), x, y, indices, algorithm, *settings()[1:])

    def _pool_grad_input(
        self, spec: PoolSpec, grad_y: Array, x: Array | None, y: Array | None, grad_x: Array,
        algorithm: str | None = None,
    ) -> None:  # fmt: skip
        adjoint = spec.adjoint()
        if not filled(spec):
            assign(grad_x, 0)
        elif adjoint is None:
            _native_pool.spread(pool_problem(spec), grad_y, None, grad_x, True, algorithm, *settings()[1:])
        else:
            self._pool(adjoint, grad_y, grad_x, None, algorithm)

    def _put_folded(self, spec: WindowSpec, wide: Array, x: Array) -> None:
        if not (x.size and folded(spec, wide, x)):
            super()._put_folded(spec, wide, x)

    def _unpool(
        self, spec: PoolSpec, x: Array, indices: Array, y: Array, add: bool, algorithm: str | None = None
    ) -> None:
        if not filled(spec):
            assign(y, 0)
            self._check_places(spec, indices)
        elif not _native_pool.spread(pool_problem(spec), x, indices, y, add, algorithm, *settings()[1:]):
            self._check_places(spec, indices)
