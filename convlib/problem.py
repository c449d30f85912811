"""Problem strings: one line of text that names a call, such as ``n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1``.

The same text names a case in tests, benchmarks and reports.  A problem is an operation (``conv`` unless another is
named) and tokens of a word and a number:

========================  ===============================================================================
``n ic oc g``             batch, input and output channels, groups (default 1)
``id ih iw``              input size per axis; with ``id`` the problem is 3-d, with ``iw`` alone 1-d
``kd kh kw``              window size
``sd sh sw``              stride; default 1 for convolution and the window size for pooling
``dd dh dw``              dilation, 1 = none
``pd ph pw``              padding: ``ph1`` on both ends, ``ph0:1`` for low 0 and high 1
``od oh ow``              output size: never needed, checked if given
``nhwc bias ceil``        options: channels last, with bias, ceil_mode
``nopad``                 padding does not count in an average
========================  ===============================================================================

An axis that is left out takes the value of the axis before it: ``kh3`` alone is a 3×3 window.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .errors import SpecError, meant
from .spec import ConvSpec, PoolSpec, WindowSpec, make_conv, make_pool

Ints = tuple[int, ...]

#: Operation word -> stem of the public function and its ending.
OPERATIONS = {
    "conv": ("conv", ""),
    "gradx": ("conv", "_grad_input"),
    "gradw": ("conv", "_grad_weight"),
    "maxpool": ("max_pool", ""),
    "minpool": ("min_pool", ""),
    "avgpool": ("avg_pool", ""),
    "sumpool": ("sum_pool", ""),
}
OPTIONS = ("nhwc", "bias", "ceil", "nopad")
_AXES = {1: "w", 2: "hw", 3: "dhw"}
_WORDS = ("n", "ic", "oc", "g", *(role + axis for role in "iksdpo" for axis in "dhw"))
#: What others say, and what is said here.
_OTHER_WORDS = {
    "b": "n", "c": "ic", "cin": "ic", "in": "ic", "k": "kh", "cout": "oc", "out": "oc", "h": "ih", "w": "iw", "s": "sh",
    "p": "ph", "d": "dh", "groups": "g", "conv1d": "conv", "conv2d": "conv", "conv3d": "conv", "max_pool2d": "maxpool",
    "avg_pool2d": "avgpool", "conv2d_grad_input": "gradx", "conv2d_grad_weight": "gradw", "channels_last": "nhwc",
}  # fmt: skip
_TOKEN = re.compile(r"([a-z]+?)(\d+)(?::(\d+))?")
_EXAMPLE = "n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1"


@dataclass(frozen=True)
class Problem:
    """One call, named by its sizes; tuples have one entry per spatial axis.

    Make one with `parse`; ``str()`` gives the text back in its shortest regular form.
    """

    op: str
    n: int
    ic: int
    oc: int
    g: int
    i: Ints
    k: Ints
    s: Ints
    d: Ints
    lo: Ints
    hi: Ints
    options: tuple[str, ...] = ()

    @property
    def nd(self) -> int:
        """Number of spatial axes."""
        return len(self.i)

    @property
    def is_pool(self) -> bool:
        """Whether it pools."""
        return self.op.endswith("pool")

    @property
    def function(self) -> str:
        """Name of the public function."""
        stem, ending = OPERATIONS[self.op]
        return f"{stem}{self.nd}d{ending}"

    @property
    def x_shape(self) -> Ints:
        """Shape of the input."""
        return (self.n, *self.i, self.ic) if "nhwc" in self.options else (self.n, self.ic, *self.i)

    @property
    def w_shape(self) -> Ints:
        """Shape of the weights."""
        return (self.oc, self.ic // self.g, *self.k)

    @property
    def keywords(self) -> dict[str, Any]:
        """Keywords of the public function that differ from its defaults."""
        words: dict[str, Any] = {}
        if self.s != (self.k if self.is_pool else (1,) * self.nd):
            words["stride"] = self.s
        if any(self.lo) or any(self.hi):
            words["padding"] = self.lo if self.lo == self.hi else tuple(zip(self.lo, self.hi, strict=True))
        if max(self.d) > 1:
            words["dilation"] = self.d
        if self.g > 1:
            words["groups"] = self.g
        if "nhwc" in self.options:
            words["layout"] = "NHWC"
        if "ceil" in self.options:
            words["ceil_mode"] = True
        if "nopad" in self.options:
            words["count_include_pad"] = False
        return words

    @property
    def spec(self) -> WindowSpec:
        """The sizes of the call, checked."""
        if self.is_pool:
            return make_pool(self.nd, self.op[:3], self.x_shape, self.k, **self.keywords)
        return make_conv(self.nd, self.x_shape, self.w_shape, **self.keywords)

    @property
    def call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional arguments, with shapes in place of arrays, and keywords of the public function."""
        if self.is_pool:
            return (self.x_shape, self.k), self.keywords
        y_shape = self.conv_spec.y_shape
        positional = {
            "conv": (self.x_shape, self.w_shape),
            "gradx": (y_shape, self.w_shape, self.x_shape),
            "gradw": (y_shape, self.x_shape, self.w_shape),
        }
        return positional[self.op], self.keywords

    @property
    def conv_spec(self) -> ConvSpec:
        """The spec of a convolution or of one of its gradients."""
        spec = self.spec
        assert isinstance(spec, ConvSpec)
        return spec

    @property
    def y_shape(self) -> Ints:
        """Shape of the result of the convolution or pooling, which a gradient starts from."""
        spec = self.spec
        assert isinstance(spec, (ConvSpec, PoolSpec))
        return spec.y_shape

    @property
    def elements(self) -> int:
        """Array elements that the call must touch at least: each input and the result, once."""
        weights = 0 if self.is_pool else math.prod(self.w_shape)
        return math.prod(self.x_shape) + weights + math.prod(self.y_shape)

    @property
    def work(self) -> int:
        """Multiply-adds of a convolution or its gradients; window elements read by a pooling."""
        spec = self.spec
        if isinstance(spec, ConvSpec):
            return spec.macs
        assert isinstance(spec, PoolSpec)
        return spec.n * spec.c * spec.out_count * spec.taps_count

    @property
    def flops(self) -> int:
        """Floating-point operations: two per multiply-add, one per window element of a pooling."""
        return self.work * (1 if self.is_pool else 2)

    def crop(self, most: int) -> Problem:
        """Return a part of this problem, of the same kind, with at most about `most` units of `work`."""
        part = replace(self, n=1) if self.work > most else self
        while part.work > most:
            smaller = [(size, p) for size, p in part._halves() if p.work < part.work]
            if not smaller:
                break
            part = max(smaller, key=lambda pair: pair[0])[1]  # the largest size first: the part keeps its proportions
        return part

    def _halves(self) -> list[tuple[int, Problem]]:
        """Return each size that can be halved with the problem that then remains, two windows at least per axis."""
        found = []
        for axis, size in enumerate(self.i):
            reach = (self.k[axis] - 1) * self.d[axis] + 1
            least = max(1, reach + self.s[axis] - self.lo[axis] - self.hi[axis])  # two windows
            if size > least:
                i = (*self.i[:axis], max(least, size // 2), *self.i[axis + 1 :])
                found.append((size, replace(self, i=i)))
        if self.g > 1:
            g = next(f for f in range(2, self.g + 1) if self.g % f == 0)
            found.append((self.g, replace(self, g=self.g // g, ic=self.ic // g, oc=self.oc // g)))
        elif self.is_pool:
            if self.ic > 1:
                found.append((self.ic, replace(self, ic=self.ic // 2, oc=self.oc // 2)))
        else:
            found += [(self.ic, replace(self, ic=self.ic // 2))] if self.ic > 1 else []
            found += [(self.oc, replace(self, oc=self.oc // 2))] if self.oc > 1 else []
        return found

    def __str__(self) -> str:
        axes = _AXES[self.nd]
        words = [] if self.op == "conv" else [self.op]
        words += [f"n{self.n}", f"ic{self.ic}", *(f"i{a}{v}" for a, v in zip(axes, self.i, strict=True))]
        if not self.is_pool:
            words += [f"oc{self.oc}"] + ([f"g{self.g}"] if self.g > 1 else [])
        words += [f"k{a}{v}" for a, v in zip(axes, self.k, strict=True)]
        one = (1,) * self.nd
        words += _brief("s", axes, self.s, self.k if self.is_pool else one) + _brief("d", axes, self.d, one)
        padding = [f"{p}" if p == q else f"{p}:{q}" for p, q in zip(self.lo, self.hi, strict=True)]
        words += _brief("p", axes, padding, ["0"] * self.nd)
        return " ".join((*words, *self.options))


def _brief(role: str, axes: str, values: Iterable[Any], default: Iterable[Any]) -> list[str]:
    """Return the tokens of one role: none if all are the default, and none for an axis that repeats the one before."""
    values = list(values)
    if values == list(default):
        return []
    pairs = enumerate(zip(axes, values, strict=True))
    return [f"{role}{a}{v}" for at, (a, v) in pairs if not at or v != values[at - 1]]


def parse(text: str) -> Problem:
    """Read a problem string.

    Parameters
    ----------
    text : str
        As the module's docstring describes it; upper case and commas are accepted.

    Returns
    -------
    problem : Problem
        Checked: its `Problem.spec` exists.

    Raises
    ------
    SpecError
        If a token is unknown, missing or repeated, or the sizes break a rule; the message names the token and a valid
        one.

    Examples
    --------
    >>> from convlib.problem import parse
    >>> problem = parse("n1 ic64 ih56 iw56 oc64 kh3 kw3 ph1")
    >>> problem.function, problem.x_shape, problem.w_shape, problem.keywords
    ('conv2d', (1, 64, 56, 56), (64, 64, 3, 3), {'padding': (1, 1)})
    >>> str(parse("maxpool ic64 ih112 kh3 sh2 ph1"))
    'maxpool n1 ic64 ih112 iw112 kh3 kw3 sh2 ph1'
    """
    if not isinstance(text, str):
        raise TypeError(f"a problem must be a string such as 'n1 ic8 ih28 kh3', not {type(text).__name__}")
    tokens = text.lower().replace(",", " ").split()
    op = tokens.pop(0) if tokens and tokens[0] in OPERATIONS else "conv"
    options: list[str] = []
    values: dict[str, tuple[int, int]] = {}
    for token in tokens:
        if token in OPTIONS:
            options.append(token)
        else:
            word, pair = _token(token, text)
            if word in values:
                raise SpecError(f"{token!r} repeats the word {word!r} in the problem {text!r}; give it once")
            values[word] = pair
    _check_options(op, options, text)
    return _build(op, values, tuple(o for o in OPTIONS if o in options), text)


def _token(token: str, text: str) -> tuple[str, tuple[int, int]]:
    match = _TOKEN.fullmatch(token)
    word = match[1] if match else re.split(r"\d", token, maxsplit=1)[0]
    if match is None or word not in _WORDS or (match[3] and word[0] != "p"):
        near = meant(token, [*OPERATIONS, *OPTIONS], _OTHER_WORDS)
        if near is None:
            near = (meant(word, _WORDS, _OTHER_WORDS) or "kh") + (re.sub(r"^\D*", "", token) or "3")
        raise SpecError(
            f"unknown token {token!r} in the problem {text!r}; did you mean {near!r}?  Words: {' '.join(_WORDS)} "
            f"with a number, {' '.join(OPTIONS)}; in front of them: {' '.join(OPERATIONS)}"
        )
    low = _number(match[2], token)
    return word, (low, _number(match[3], token) if match[3] else low)


def _number(digits: str, token: str) -> int:
    if len(digits) > 18:
        raise SpecError(f"the number in {token[:24]!r}... is out of range: it must stay below 10**18")
    return int(digits)


def _check_options(op: str, options: list[str], text: str) -> None:
    valid = {"nhwc", "ceil"} if op.endswith("pool") else {"nhwc", "bias"} if op == "conv" else {"nhwc"}
    valid |= {"nopad"} if op == "avgpool" else set()
    for option in options:
        if option not in valid:
            raise SpecError(
                f"{option!r} is no option of {op} in the problem {text!r}; valid: {', '.join(sorted(valid))}"
            )


def _build(op: str, values: dict[str, tuple[int, int]], options: tuple[str, ...], text: str) -> Problem:
    pool = op.endswith("pool")
    nd = 3 if {w for w in values if w[-1] == "d"} else 2 if {w for w in values if w[-1] == "h"} else 1
    one, zero = (1,) * nd, (0,) * nd
    i, k = (tuple(low for low, _ in _axis_values(role, values, nd, None, text)) for role in "ik")
    s = tuple(low for low, _ in _axis_values("s", values, nd, k if pool else one, text))
    d = tuple(low for low, _ in _axis_values("d", values, nd, one, text))
    pads = _axis_values("p", values, nd, zero, text)
    for word in ("oc", "g"):
        if pool and word in values:
            raise SpecError(
                f"{word}{values[word][0]} makes no sense for {op} in the problem {text!r}: a pooling has only ic"
            )
    ic = _one("ic", values, None, text)
    problem = Problem(
        op, _one("n", values, 1, text), ic, ic if pool else _one("oc", values, None, text), _one("g", values, 1, text),
        i, k, s, d, tuple(low for low, _ in pads), tuple(high for _, high in pads), options,
    )  # fmt: skip
    if not pool and (problem.g < 1 or problem.ic % problem.g):
        raise SpecError(
            f"g{problem.g} does not divide ic{problem.ic} in the problem {text!r}; valid: g1 or any divisor of it"
        )
    out = problem.spec.out_size
    for axis, o in zip(_AXES[nd], out, strict=True):
        if f"o{axis}" in values and values[f"o{axis}"][0] != o:
            raise SpecError(
                f"o{axis}{values[f'o{axis}'][0]} contradicts the other sizes of {text!r}; they give o{axis}{o}"
            )
    return problem


def _one(word: str, values: dict[str, tuple[int, int]], default: int | None, text: str) -> int:
    if word in values:
        return values[word][0]
    if default is None:
        raise SpecError(f"the problem {text!r} lacks {word}; add for example {word}64, as in {_EXAMPLE!r}")
    return default


def _axis_values(
    role: str, values: dict[str, tuple[int, int]], nd: int, default: Ints | None, text: str
) -> list[tuple[int, int]]:
    """Return (low, high) of one role per axis; an axis that is left out repeats the one before it."""
    found: list[tuple[int, int]] = []
    axes = _AXES[nd]
    if default is not None and not any(role + axis in values for axis in axes):
        return [(value, value) for value in default]
    for at, axis in enumerate(axes):
        word = role + axis
        if word in values:
            found.append(values[word])
        elif found:
            found.append(found[-1])
        elif default is not None:
            found.append((default[at], default[at]))
        else:
            raise SpecError(f"the problem {text!r} lacks {word}; add for example {word}{3 if role == 'k' else 56}")
    return found

