"""Scenes of windows that step over an input: convolution, transposed convolution, pooling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from ..spec import ConvSpec, PoolSpec, WindowSpec
from ..spec.arguments import Ints
from .geometry import Tap, check_seen, standing, steps, taps, wide_size
from .scene import Frame, Panel, Scene, grid, number

#: Longer sums are cut: nobody reads them.
MOST_TERMS = 9


def index(name: str, place: Sequence[int], channels: Sequence[int] | None) -> str:
    """Name an element, with its channels if there are several."""
    return f"{name}[{','.join(map(str, (*(channels or ()), *place)))}]"


def joined(terms: Sequence[str], between: str = " + ") -> str:
    """Return a sum, cut if it is long."""
    if len(terms) <= MOST_TERMS:
        return between.join(terms)
    return between.join(terms[: MOST_TERMS - 1]) + f"{between}... ({len(terms)} terms)"


class _Filter:
    """What scenes of a convolution and of a transposed convolution have in common.

    `narrow` and `wide` are numbers or None: arrays of (channels, rows, columns).
    """

    spec: ConvSpec
    narrow: Any
    wide: Any
    w: Any
    plain: bool

    def __init__(self, spec: ConvSpec, narrow: Any, wide: Any, w: Any, *, plain: bool) -> None:
        check_seen(spec, spec.c, spec.oc)
        self.spec, self.narrow, self.wide, self.w, self.plain = spec, narrow, wide, w, plain
        self.steps: list[tuple[int, Ints]] = list(product(range(spec.oc), steps(spec)))

    def names(self, *channels: int) -> tuple[int, ...] | None:
        """Return channels as names show them: not at all if there is only one."""
        return None if self.plain else channels

    def group(self, channel: int) -> range:
        """Return the wide channels that a narrow one is connected with."""
        first = channel // self.spec.ocg * self.spec.icg
        return range(first, first + self.spec.icg)

    def kernels(self, channel: int) -> tuple[Panel, ...]:
        """Draw the weights of one narrow channel."""
        spec = self.spec

        def text(c: int, row: int, column: int) -> str:
            return "" if self.w is None else number(self.w[channel, c, row, column])

        return tuple(
            Panel(
                title="kernel" if self.plain else f"kernel {channel}, channel {c}",
                text=grid(spec.kernel, lambda row, column, c=c: text(c, row, column)),  # type: ignore[misc]
                role=grid(spec.kernel, lambda *_: "kernel"),
            )
            for c in range(spec.icg)
        )

    def wide_panel(self, title: str, c: int, numbers: Any, inside: dict[Ints, str], rest: str) -> Panel:
        """Draw one wide channel; `inside` gives roles by place, counted from the first element."""
        spec = self.spec
        value = spec.pad_value

        def text(row: int, column: int) -> str:
            element = standing(spec, row, column)
            if numbers is None:
                return "" if element is not None else "."
            return number(value if element is None else numbers[(c, *element)])

        def role(row: int, column: int) -> str:
            place = row - spec.pad_lo[0], column - spec.pad_lo[1]
            within = all(0 <= p < size for p, size in zip(place, spec.in_size, strict=True))
            return inside.get(place, rest if within else "padding")

        size = wide_size(spec)
        return Panel(title=title, text=grid(size, text), role=grid(size, role))

    def narrow_panel(self, title: str, c: int, now: tuple[int, Ints], rest: tuple[str, str]) -> Panel:
        """Draw one narrow channel, whose elements before and after this step have the roles `rest`."""

        def role(row: int, column: int) -> str:
            here = c, (row, column)
            return "now" if here == now else rest[here > now]

        numbers = self.narrow
        size = self.spec.out_size
        text = grid(size, lambda row, column: "" if numbers is None else number(numbers[c, row, column]))
        return Panel(title=title, text=text, role=grid(size, role))


class Correlation(_Filter):
    """Frames of a convolution: each computes one output."""

    def __init__(self, spec: ConvSpec, x: Any, w: Any, bias: Any, y: Any, *, plain: bool) -> None:
        super().__init__(spec, y, x, w, plain=plain)
        self.bias = bias

    def frame(self, count: int) -> Frame:
        """Return the frame of a step, given its number."""
        channel, step = now = self.steps[count]
        window = taps(self.spec, step)
        places = dict.fromkeys((tap.place for tap in window), "window")
        inputs = tuple(
            self.wide_panel(
                "input" if self.plain else f"input, channel {c}", c, self.wide,
                places if c in self.group(channel) else {}, "input",
            )
            for c in range(self.spec.c)
        )  # fmt: skip
        outputs = tuple(
            self.narrow_panel("output" if self.plain else f"output, channel {c}", c, now, ("output", "later"))
            for c in range(self.spec.oc)
        )
        return Frame(
            columns=(inputs, self.kernels(channel), outputs), signs=("*", "="),
            caption=self.formula(channel, step, window),
        )  # fmt: skip

    def formula(self, channel: int, step: Ints, window: list[Tap]) -> str:
        """Return what a step computes, in numbers or, without them, in names."""
        name = index("y", step, self.names(channel))
        terms, values = [], []
        for within, c in enumerate(self.group(channel)):
            for tap in window:
                pad = number(self.spec.pad_value)
                x = pad if tap.element is None else index("x", tap.element, self.names(c))
                terms.append(f"{index('w', tap.weight, self.names(channel, within))}·{x}")
                if self.wide is not None and self.w is not None:
                    x = pad if tap.element is None else number(self.wide[(c, *tap.element)])
                    values.append(f"{number(self.w[(channel, within, *tap.weight)])}·{signed(x)}")
        if self.bias is not None:
            terms.append(f"bias[{channel}]")
            values.append(number(self.bias[channel]))
        if self.narrow is None:
            return f"{name} = {joined(terms)}"
        return f"{name} = {joined(values)} = {number(self.narrow[(channel, *step)])}"


class Spreading(_Filter):
    """Frames of a transposed convolution: each adds the multiple of the kernel by one input."""

    def __init__(self, spec: ConvSpec, x: Any, w: Any, bias: Any, *, plain: bool) -> None:
        super().__init__(spec, x, None, w, plain=plain)
        self.bias = bias

    def sums(self, count: int) -> tuple[Any, set[tuple[int, Ints]]]:
        """Return the result after so many steps, and the places that were reached."""
        spec = self.spec
        reached: set[tuple[int, Ints]] = set()
        total = None
        if self.narrow is not None and self.w is not None:
            kind = np.result_type(self.narrow, self.w, *([] if self.bias is None else [self.bias]))
            total = np.zeros((spec.c, *spec.in_size), kind)
            if self.bias is not None:
                total += self.bias[:, None, None]
        for channel, step in self.steps[:count]:
            for within, c in enumerate(self.group(channel)):
                for tap in taps(spec, step):
                    reached.add((c, tap.place))
                    if total is not None and tap.element is not None:
                        weight = self.w[(channel, within, *tap.weight)]
                        total[(c, *tap.element)] += self.narrow[(channel, *step)] * weight
        return total, reached

    def frame(self, count: int) -> Frame:
        """Return the frame of a step, given its number."""
        channel, step = now = self.steps[count]
        total, reached = self.sums(count + 1)
        window = taps(self.spec, step)
        outputs = []
        for c in range(self.spec.c):
            roles = {place: "output" for where, place in reached if where == c and self._inside(place)}
            if c in self.group(channel):
                roles.update(dict.fromkeys((tap.place for tap in window), "window"))
            outputs.append(
                self.wide_panel("output" if self.plain else f"output, channel {c}", c, total, roles, "later")
            )
        inputs = tuple(
            self.narrow_panel("input" if self.plain else f"input, channel {c}", c, now, ("input", "input"))
            for c in range(self.spec.oc)
        )
        return Frame(
            columns=(inputs, self.kernels(channel), tuple(outputs)), signs=("*", "add"),
            caption=self.formula(channel, step, window),
        )  # fmt: skip

    def _inside(self, place: Ints) -> bool:
        return all(0 <= p < size for p, size in zip(place, self.spec.in_size, strict=True))

    def formula(self, channel: int, step: Ints, window: list[Tap]) -> str:
        """Return what a step computes, in numbers or, without them, in names."""
        terms = []
        for within, c in enumerate(self.group(channel)):
            for tap in window:
                if tap.element is None:
                    continue  # cut off by the padding
                y = index("y", tap.element, self.names(c))
                if self.narrow is None or self.w is None:
                    w = index("w", tap.weight, self.names(channel, within))
                    terms.append(f"{y} += {w}·{index('x', step, self.names(channel))}")
                else:
                    w = number(self.w[(channel, within, *tap.weight)])
                    terms.append(f"{y} += {w}·{signed(number(self.narrow[(channel, *step)]))}")
        return joined(terms, "; ") or f"all of {index('x', step, self.names(channel))} is cut off"


class Pooling:
    """Frames of a pooling: each makes one number of one window."""

    spec: PoolSpec
    x: Any
    y: Any
    plain: bool

    def __init__(self, spec: PoolSpec, x: Any, y: Any, *, plain: bool) -> None:
        check_seen(spec, spec.c)
        self.spec, self.x, self.y, self.plain = spec, x, y, plain
        self.steps: list[tuple[int, Ints]] = list(product(range(spec.c), steps(spec)))

    def frame(self, count: int) -> Frame:
        """Return the frame of a step, given its number."""
        channel, step = now = self.steps[count]
        window = {tap.place for tap in taps(self.spec, step)}
        spec = self.spec

        def text(c: int, row: int, column: int) -> str:
            element = standing(spec, row, column)
            if element is None:
                return "" if self.x is None or spec.kind == "max" or not spec.count_include_pad else "0"
            return "" if self.x is None else number(self.x[(c, *element)])

        def role(c: int, row: int, column: int) -> str:
            place = row - spec.pad_lo[0], column - spec.pad_lo[1]
            if c == channel and place in window:
                return "window"
            return "padding" if standing(spec, row, column) is None else "input"

        inputs, outputs = [], []
        for c in range(spec.c):
            size, suffix = wide_size(spec), "" if self.plain else f", channel {c}"
            cells = list(product(*map(range, size)))
            texts = {cell: text(c, *cell) for cell in cells}
            roles = {cell: role(c, *cell) for cell in cells}
            inputs.append(_cells(f"input{suffix}", size, texts, roles))
            places = list(product(*map(range, spec.out_size)))
            texts = {cell: "" if self.y is None else number(self.y[(c, *cell)]) for cell in places}
            roles = {cell: "now" if (c, cell) == now else ("output", "later")[(c, cell) > now] for cell in places}
            outputs.append(_cells(f"output{suffix}", spec.out_size, texts, roles))
        return Frame(
            columns=(tuple(inputs), tuple(outputs)), signs=(spec.kind,), caption=self.formula(channel, step),
        )  # fmt: skip

    def formula(self, channel: int, step: Ints) -> str:
        """Return what a step computes, in numbers or, without them, in names."""
        spec, channels = self.spec, None if self.plain else (channel,)
        inside = [tap.element for tap in taps(spec, step) if tap.element is not None]
        if self.x is None:
            terms = [index("x", element, channels) for element in inside]
        else:
            terms = [number(self.x[(channel, *element)]) for element in inside]
        end = "" if self.y is None else f" = {number(self.y[(channel, *step)])}"
        name = index("y", step, channels)
        if spec.kind == "max":
            return f"{name} = max({joined(terms, ', ')}){end}"
        counted = spec.counted(0, step[0]) * spec.counted(1, step[1]) if spec.count_include_pad else len(inside)
        return f"{name} = ({joined(terms)}) / {counted}{end}"


def _cells(title: str, size: Ints, texts: dict[Any, str], roles: dict[Any, str]) -> Panel:
    return Panel(
        title=title, text=grid(size, lambda *cell: texts[cell]), role=grid(size, lambda *cell: roles[cell])
    )


def signed(text: str) -> str:
    """Put a negative number in brackets, as behind a multiplication sign."""
    return f"({text})" if text.startswith("-") else text


def describe(name: str, spec: WindowSpec, source: Ints, result: Ints, more: str = "") -> str:
    """Return a title: the operator, its sizes, every option that is not the usual, and `more` of them."""
    parts = [f"{name}: input {_by(source)}", f"kernel {_by(spec.kernel)}"]
    for word, value, usual in (("stride", spec.stride, 1), ("dilation", spec.dilation, 1)):
        if set(value) != {usual}:
            parts.append(f"{word} {_same(value)}")
    if spec.padded:
        pads = set(zip(spec.pad_lo, spec.pad_hi, strict=True))
        same = len(pads) == 1 and spec.pad_lo == spec.pad_hi
        parts.append(f"padding {spec.pad_lo[0]}" if same else f"padding lo {spec.pad_lo} hi {spec.pad_hi}")
        mode = getattr(spec, "padding_mode", "constant")
        parts += [] if mode == "constant" else [mode]
    if isinstance(spec, ConvSpec):
        parts += [f"groups {spec.groups}"] if spec.groups > 1 else []
        parts += ["flipped"] if spec.flip else []
    return ", ".join(parts) + f"{more}, output {_by(result)}"


def _by(size: Ints) -> str:
    return " x ".join(map(str, size))


def _same(value: Ints) -> str:
    return str(value[0]) if len(set(value)) == 1 else str(value)


def scene(title: str, frames: Correlation | Spreading | Pooling) -> Scene:
    """Return the scene of some frames."""
    return Scene(title, len(frames.steps), frames.frame)
