"""The copies that `explain` tells of are those that happen: hooks see the caller's memory, or they do not.

Every conformance case, in several memory layouts, through backends that take different ones.
"""

from types import SimpleNamespace

import numpy as np
import pytest

import convlib
from convlib import testing
from convlib.backends.cython import CythonBackend
from convlib.functional.described import described
from convlib.testing.arrays import VARIANTS

#: What hooks are given, in their order, by place in the spec; the last array of all is the result.
HOOKS = {
    "_conv": "xw-y", "_conv_grad_input": "ywx", "_conv_grad_weight": "xyw", "_pool": "xy", "_pool_grad_input": "yxyx",
    "_unpool": "y-x", "_im2col": "xy", "_col2im": "yx",
}  # fmt: skip


def recorder(seen, **attributes):
    """Make a backend that notes the arrays of its hooks as (place, array), the result last."""

    def recording(hook, places):
        plain = getattr(CythonBackend, hook)

        def call(self, spec, *args):
            arrays = [a for a in args[: len(places)]]
            seen.append([(p, a) for p, a in zip(places, arrays, strict=True) if p != "-" and a is not None])
            plain(self, spec, *args)

        return call

    hooks = {hook: recording(hook, places) for hook, places in HOOKS.items()}
    return type("Recorder", (CythonBackend,), {"name": "recorder", **hooks, **attributes})


def copied(case, arrays, result, seen):
    """Return the arguments, and "result", of which hooks saw something else."""
    call = described(case.call, (*arrays, *case.args), case.options)
    found = set()
    for hook in seen:
        *given, (_, target) = hook
        if not np.may_share_memory(target, result):
            found.add("result")
        for name, array in zip([n for n in call.shapes if n in call.places], arrays, strict=False):
            mine = [a for place, a in given if place == call.places[name]]
            if name != "indices" and not any(np.may_share_memory(a, array) for a in mine):
                found.add(name)
    return found


#: What a backend takes: plain arrays, channels last, too, or any; every layout meets the first.
TAKEN = (
    {"strided": False, "channels_last": False, "any_columns": False}, {"strided": False, "channels_last": True},
    {"strided": True},
)  # fmt: skip
LAYOUTS = ("", "gaps", "fortran", "negative-strides", "misaligned", "byte-swapped")


@pytest.mark.parametrize(
    ("variant", "attributes"),
    [(layout, kind) for layout in LAYOUTS for kind in TAKEN if kind is TAKEN[0] or layout in ("", "gaps")],
    ids=str,
)
def test_copies(register, variant, attributes):
    seen, count, some = [], 0, 0
    register(recorder(seen, **attributes))
    for case in testing.cases():
        arrays = [VARIANTS[variant](a) if variant else a for a in testing.case_arrays(case.name)]
        del seen[:]
        result = getattr(convlib, case.call)(*arrays, *case.args, **case.options, backend="recorder")
        result = result[0] if isinstance(result, tuple) else result
        if not seen or not result.size or not all(a.size for a in arrays):
            continue
        if variant == "negative-strides" and case.options.get("flip"):
            continue  # a kernel that is stored backwards lies straight when flipped, and need not be copied
        if case.name == "global_avg_pool3d_grad_input-ndhwc":
            continue  # where all axes but the channels have one element, both orders are the same memory
        said = convlib.explain(case.call, *arrays, *case.args, **case.options, backend="recorder")
        names = {name for copy in said.copies for name in copy.array.split(" and ")} - {"indices"}
        assert names == copied(case, arrays, result, seen), f"{case.name}: said {said.copies}"
        assert all(copy.reason and copy.nbytes > 0 and copy.parts >= 1 for copy in said.copies), said.copies
        count, some = count + 1, some + bool(names)
    assert count > 300
    assert some > 10


def test_copies_of_shapes_are_those_of_contiguous_arrays(register):
    """What is given by shape is described as arrays of that type would be."""
    register(recorder([], strided=False, channels_last=False))
    for case in testing.cases():
        if len(set(case.dtypes)) > 1 or np.dtype(case.dtypes[0]).kind == "c":
            continue
        if case.call == "filter2d":  # whose kernel stands for one of each channel
            continue
        arrays = testing.case_arrays(case.name)
        by_arrays = convlib.explain(case.call, *arrays, *case.args, **case.options, backend="recorder")
        by_shapes = convlib.explain(
            case.call, *case.arrays, *case.args, dtype=case.dtypes[0], **case.options, backend="recorder"
        )
        assert by_shapes.copies == by_arrays.copies, case.name
        assert by_shapes.workspace_nbytes == by_arrays.workspace_nbytes, case.name


def test_empty_arrays_are_not_copied():
    said = convlib.explain("max_unpool2d", (0, 1, 8, 2), (0, 1, 8, 2), 3, stride=2, dtype="float16", backend="cython")
    assert said.copies == ()
    far = convlib.explain("max_unpool2d", (1, 1, 8, 0), (1, 1, 8, 0), (2**30, 3), stride=(2**30, 2), dtype="float16")
    assert all(copy.nbytes > 0 for copy in far.copies)


def test_large_copies_are_made_in_parts():
    x, w = (4, 8, 256, 256), (8, 8, 3, 3)
    with convlib.max_workspace(1 << 20):
        said = convlib.explain("conv2d", x, w, dtype="float16", backend="im2col")
    copy = said.copies[0]
    assert copy.array == "x"
    assert copy.parts > 4
    assert copy.nbytes <= 1 << 20
    assert "float16 becomes float32" in str(said)


@pytest.mark.parametrize("attributes", [
    {"strided": False, "channels_last": False}, {"strided": False, "channels_last": True}, {"strided": True},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("padding_mode", ["constant", "reflect"])
def test_copies_of_parts(register, padding_mode, layout, attributes):
    """Of what is too large for one piece, what hooks see in parts, and how often they are called."""
    seen, several = [], 0
    register(recorder(seen, **attributes))
    rng = np.random.default_rng(0)
    plain = rng.integers(-3, 4, (2, 180, 180, 8) if layout == "NHWC" else (2, 8, 180, 180)).astype(np.float32)
    w = rng.integers(-3, 4, (8, 8, 3, 3)).astype(np.float32)
    options = {"padding": 1, "padding_mode": padding_mode, "layout": layout}
    for x in (plain, plain[..., ::-1], plain.astype(np.float16)):
        calls = {"conv2d": ((x, w), ()), "conv2d_grad_input": ((x, w), (x.shape,)),
                 "conv2d_grad_weight": ((x, x), (w.shape,))}  # fmt: skip
        for name, (arrays, rest) in calls.items():
            for bound in (1 << 20, 1 << 26):
                del seen[:]
                with convlib.max_workspace(bound):
                    result = getattr(convlib, name)(*arrays, *rest, **options, backend="recorder")
                    said = convlib.explain(name, *arrays, *rest, **options, backend="recorder").copies
                case = SimpleNamespace(call=name, args=rest, options=options)
                names = {array for copy in said for array in copy.array.split(" and ")}
                assert names == copied(case, arrays, result, seen), (name, bound, said)
                around = padding_mode == "reflect" and not any("becomes" in copy.reason for copy in said)
                parts = max((copy.parts for copy in said), default=1)
                assert parts in (len(seen), len(seen) - around), (name, bound, said)
                several += parts > 1
    assert several > 2


def test_copies_of_huge_calls_are_counted_not_enumerated():
    huge, w = (1, 1, 10**6, 10**6), (1, 1, 3, 3)
    reflected = convlib.explain("conv2d", huge, w, padding=1, padding_mode="reflect")
    assert {copy.array: copy.parts for copy in reflected.copies} == {"x": 4, "result": 4}  # the borders
    halves = convlib.explain("conv2d", huge, w, padding=1, dtype="float16", backend="im2col")
    parts = {copy.array: copy.parts for copy in halves.copies}
    assert parts["x"] == parts["result"] > 10**4
    assert parts["w"] == 1


def test_columns_are_copied_in_parts(register):
    seen = []
    register(recorder(seen))
    cols = np.ones((2, 8 * 9, 100 * 100), np.float16)
    with convlib.max_workspace(1 << 20):
        convlib.col2im(cols, (102, 102), 3, backend="recorder")
        said = convlib.explain("col2im", cols, (102, 102), 3, backend="recorder").copies
        whole = convlib.explain("col2im", cols.astype(np.float32), (102, 102), 3, backend="recorder").copies
    assert {copy.array: copy.parts for copy in said} == {"cols": len(seen), "result": len(seen)}
    assert len(seen) == 8
    assert max(sum(a.nbytes for place, a in hook if place == "y") for hook in seen) == said[0].nbytes
    assert whole == ()
