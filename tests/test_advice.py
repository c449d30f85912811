"""What a refusal advises is followed here, until the call is served: advice that fails when followed is a fault."""

import re

import pytest
from hypothesis import given, settings, strategies as st

from convlib import SpecError
from convlib.spec import make_columns, make_conv, make_filter, make_pool, make_transpose, make_unpool


class Call:
    """A call by its options, each of which can be changed alone; all that has an axis is a list."""

    def __init__(self, op, **options):
        self.op, self.options = op, options
        self.nd = len(options["size"])

    def with_(self, name, value, axis=None):
        old = self.options.get(name)
        if axis is not None:
            value = [value if at == axis else other for at, other in enumerate(old)]
        return Call(self.op, **{**self.options, name: value})

    def run(self):
        o = {name: tuple(v) if isinstance(v, list) else v for name, v in self.options.items()}
        windows = {name: o[name] for name in ("stride", "padding", "dilation") if name in o}
        x = (1, o.get("c", 1), *o["size"])
        if self.op == "conv":
            w = (o["oc"], o["second"], *o["kernel"])
            return make_conv(self.nd, x, w, **windows, groups=o["groups"])
        if self.op == "transpose":
            more = {"output_padding": o["output_padding"], "output_size": o["output_size"]}
            return make_transpose(self.nd, x, (o["c"], 1, *o["kernel"]), **windows, **more)
        if self.op == "pool":
            return make_pool(self.nd, "max", x, o["kernel"], **windows, ceil_mode=o["ceil_mode"])
        if self.op == "unpool":
            del windows["dilation"]
            return make_unpool(self.nd, x, o["kernel"], **windows, output_size=o["output_size"])
        if self.op == "im2col":
            return make_columns(x, o["kernel"], **windows)
        return make_filter(o["size"], o["kernel"], o["mode"], "reflect", False)

    def refusal(self):
        try:
            self.run()
        except SpecError as error:
            return str(error)
        return None

    def pairs(self):
        return Call(self.op, **{**self.options, "padding": [(0, 0)] * self.nd}) if self.named() else self

    def named(self):
        return isinstance(self.options["padding"], str)

    def __repr__(self):
        return f"{self.op} {self.options}"


def halves(total):
    return total // 2, total - total // 2


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


#: How a sentence of advice is followed: a pattern, and the call that it leads to.
ADVICE = [
    (r"a kernel of at most (\d+) on axis (\d)", lambda c, n, a: c.with_("kernel", int(n), int(a))),
    (
        r"a padding of lo \+ hi = (\d+) on axis (\d)",
        lambda c, n, a: c.pairs().with_("padding", halves(int(n)), int(a)),
    ),
    (
        r"^padding lo .* nothing but padding; use at most (\d+) on axis (\d)",
        lambda c, n, a: c.pairs().with_("padding", (int(n), int(n)), int(a)),
    ),
    (
        r"lo \+ hi of at most (\d+) on axis (\d)",
        lambda c, n, a: c.pairs().with_("padding", halves(int(n)), int(a)),
    ),
    (r"^groups=.* valid: (?:any divisor of )?(\d+)", lambda c, n: c.with_("groups", int(n))),
    (r"must have (\d+) on its second axis", lambda c, n: c.with_("second", int(n))),
    (
        r"^output_padding=.* use at most (\d+) on axis (\d)",
        lambda c, n, a: c.with_("output_padding", int(n), int(a)),
    ),
    (r"valid sizes run from (\(.*?\)) to", lambda c, n: c.with_("output_size", numbers(n))),
    (r"valid sizes run from .* to (\(.*?\))$", lambda c, n: c.with_("output_size", numbers(n))),
    (r"^output_size=.* use (\(.*?\)) to", lambda c, n: c.with_("output_size", numbers(n))),
    (r"^output_size=.* to (\(.*?\))$", lambda c, n: c.with_("output_size", numbers(n))),
    (r"use less padding than", lambda c: c.with_("padding", [(0, 0)] * c.nd).with_("output_size", None)),
    (r"use '(same_upper)' or", lambda c, n: c.with_("padding", n)),
    (r"or '(same_lower)'", lambda c, n: c.with_("padding", n)),
    (r"use mode='(same)'", lambda c, n: c.with_("mode", n)),
    (r"a kernel of at most (\(.*?\))", lambda c, n: c.with_("kernel", numbers(n))),
    (r"use a stride of at least (\d+) on axis (\d)", lambda c, n, a: c.with_("stride", int(n), int(a))),
    (r"^stride .* use at most (\d+) on axis (\d)", lambda c, n, a: c.with_("stride", int(n), int(a))),
    (r"^dilation .* use at most (\d+) on axis (\d)", lambda c, n, a: c.with_("dilation", int(n), int(a))),
    (r"^kernel_size .* use at most (\d+) on axis (\d)", lambda c, n, a: c.with_("kernel", int(n), int(a))),
]


def follow(call, depth=0, seen=None):
    """Follow every piece of advice, each on its own, until the call is served."""
    assert depth < 12, f"advice leads nowhere: {call}"
    seen = {} if seen is None else seen
    if seen.setdefault(repr(call), depth) < depth:
        return  # followed from here already
    said = call.refusal()
    if said is None:
        return
    told = [(act, found.groups()) for text, act in ADVICE if (found := re.search(text, said))]
    assert told, f"no advice in {said}"
    for act, groups in told:
        after = act(call, *groups)
        assert after.options != call.options, f"advice that changes nothing: {said}"
        follow(after, depth + 1, seen)


def per_axis(nd, smallest, largest):
    return st.lists(st.integers(smallest, largest), min_size=nd, max_size=nd)


def calls(nd):
    amount = st.integers(0, 5)
    padding = st.one_of(
        st.sampled_from(["valid", "same", "same_lower", "full", "causal"]),
        st.lists(st.tuples(amount, amount), min_size=nd, max_size=nd),
    )
    common = {
        "size": per_axis(nd, 1, 6), "kernel": per_axis(nd, 1, 5), "stride": per_axis(nd, 1, 4),
        "dilation": per_axis(nd, 1, 3), "padding": padding, "c": st.integers(1, 6),
    }  # fmt: skip
    maybe = st.none() | per_axis(nd, 1, 20)
    channels = {"oc": st.integers(1, 6), "second": st.integers(1, 6), "groups": st.integers(0, 6)}
    return st.one_of(
        st.builds(Call, st.just("conv"), **common, **channels),
        st.builds(Call, st.just("transpose"), **common, output_padding=per_axis(nd, 0, 4), output_size=maybe),
        st.builds(Call, st.just("pool"), **common, ceil_mode=st.booleans()),
        st.builds(Call, st.just("unpool"), **common, output_size=maybe),
        st.builds(Call, st.just("im2col"), **common),
    )


@settings(max_examples=300)
@given(st.integers(1, 3).flatmap(calls))
def test_advice_holds_when_it_is_followed(call):
    follow(call)


@given(st.builds(Call, st.just("filter2d"), size=per_axis(2, 1, 6), kernel=per_axis(2, 1, 8),
                 mode=st.sampled_from(["same", "valid", "full"])))  # fmt: skip
def test_advice_of_filter2d_holds(call):
    follow(call)


PLAIN = {"size": [8, 8], "kernel": [2, 2], "stride": [1, 1], "dilation": [1, 1], "padding": [(0, 0), (0, 0)], "c": 2}
FAR = [
    Call("pool", **{**PLAIN, "ceil_mode": False, "stride": [2**40, 2**40]}),
    Call("pool", **{**PLAIN, "ceil_mode": False, "kernel": [2**40, 2], "padding": [(2**39, 2**39), (1, 1)]}),
    Call("pool", **{**PLAIN, "ceil_mode": False, "dilation": [2**50, 2**50], "padding": [(2**49, 2**49)] * 2}),
    Call("im2col", **{**PLAIN, "padding": [(2**50, 2**50), (2**40, 0)], "stride": [2**50, 2**50]}),
    Call("pool", **{**PLAIN, "ceil_mode": False, "kernel": [2**20, 2**20], "padding": [(2**19, 2**19)] * 2}),
    Call("im2col", **{**PLAIN, "padding": [(2**30, 2**10), (2**10, 0)]}),
    Call("pool", size=[6], kernel=[4], stride=[4], dilation=[3], padding=[(0, 0)], c=1, ceil_mode=False),
]


@pytest.mark.parametrize("call", FAR, ids=repr)
def test_advice_about_products_holds(call):
    follow(call)
