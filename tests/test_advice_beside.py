"""What messages advise outside the spec, followed as written: types, images, layers, textbook, problems, settings."""

import re

import numpy as np
import pytest

import convlib
from convlib import config, layers, show, textbook, tuning
from convlib.problem import parse

X, W = np.ones((1, 2, 5, 5), "f4"), np.ones((3, 2, 3, 3), "f4")
XI, WI = X.astype("u1"), W.astype("i1")
MASKED = np.ma.masked_equal(X, 3)
PLANE = np.ones((6, 6))
SLOPE = np.arange(25, dtype="f4").reshape(5, 5)
IMAGES = np.ones((2, 6, 6, 6, 80), "f4")[..., ::2]


class Image:
    """An image of another library, with a mask."""

    data, mask = X, np.zeros(X.shape, bool)

    def __array__(self, dtype=None, copy=None):
        return self.data


def entered(setting):
    with setting:
        return convlib.conv2d(X, W)


def twice(outer, inner=None):
    with outer:
        return entered(inner or outer)


def in_little(x, times=1, backend="native:winograd"):
    """Convolve in so many times the scratch that arrays without gaps need, of which copies take a quarter."""
    w, options = np.ones((64, 40, 3, 3, 3), "f4"), {"layout": "NHWC"}
    with convlib.num_threads(1):
        needed = convlib.explain("conv3d", x.shape, w.shape, backend="native:winograd", **options).workspace_nbytes
        with config.scratch(times * needed):
            return convlib.conv3d(x, w, backend=backend, **options)


#: A call, what its refusal advises, and the calls that follow it; words of the pattern are what is followed.
ADVICE = {
    "plane": (lambda: convlib.max_pool2d(PLANE, 2), r"is x\[None\]", lambda: convlib.max_pool2d(PLANE[None], 2)),
    "plane last": (
        lambda: convlib.max_pool2d(PLANE, 2, layout="NHWC"), r"is x\[\.\.\., None\]",
        lambda: convlib.max_pool2d(PLANE[..., None], 2, layout="NHWC"),
    ),
    "columns": (lambda: convlib.im2col(PLANE, 2), r"x\[None, None\]", lambda: convlib.im2col(PLANE[None, None], 2)),
    "columns of pairs": (
        lambda: convlib.im2col(PLANE, 2), r"or x\[None\] with kernel_size=\((\d), (\d)\)",
        lambda a, b: convlib.im2col(PLANE[None], (int(a), int(b))),
    ),
    "mask": (
        lambda: convlib.conv2d(MASKED, W), r"x\.filled\((\d)\)", lambda n: convlib.conv2d(MASKED.filled(int(n)), W)
    ),
    "mask of others": (
        lambda: convlib.conv2d(Image(), W), r"give numpy\.where\(x\.mask, 0, x\.data\)",
        lambda: convlib.conv2d(np.where(Image.mask, 0, Image.data), W),
    ),
    "masked out": (
        lambda: convlib.conv2d(X, W, out=np.ma.zeros((1, 3, 3, 3), "f4")), r"give out=out\.data",
        lambda: convlib.conv2d(X, W, out=np.ma.zeros((1, 3, 3, 3), "f4").data),
    ),
    "complex order": (
        lambda: convlib.max_pool2d(X * 1j, 2), "pool the absolute value", lambda: convlib.max_pool2d(abs(X * 1j), 2)
    ),
    "complex norm": (
        lambda: convlib.lp_pool2d(X * 1j, 2, 2), "pool the absolute value",
        lambda: convlib.lp_pool2d(abs(X * 1j), 2, 2),
    ),
    "pad_value of integers": (
        lambda: convlib.conv2d(XI, WI, padding=1, pad_value=0.5), "use an integer or float arrays",
        lambda: (convlib.conv2d(XI, WI, padding=1, pad_value=1), convlib.conv2d(X, W, padding=1, pad_value=0.5)),
    ),
    "large pad_value": (
        lambda: convlib.conv2d(XI, WI, padding=1, pad_value=2**63), r"use (-\d+) to (\d+), or arrays of another type",
        lambda a, b: [convlib.conv2d(XI, WI, padding=1, pad_value=int(n)) for n in (a, b)],
    ),
    "pad_value of a mode": (
        lambda: convlib.conv2d(X, W, padding=1, padding_mode="edge", pad_value=2), "leave it out, or use padding_mode=",
        lambda: (convlib.conv2d(X, W, padding=1, padding_mode="edge"),
                 convlib.conv2d(X, W, padding=1, padding_mode="constant", pad_value=2)),
    ),
    "zero point of floats": (
        lambda: convlib.conv2d(X, W, x_zero_point=1), "subtract it yourself, or give integer arrays",
        lambda: (convlib.conv2d(X - 1, W), convlib.conv2d(XI, WI, x_zero_point=1)),
    ),
    "zero point out of range": (
        lambda: convlib.conv2d(XI, WI, x_zero_point=256), r"uint8 holds (\d+) to (\d+)",
        lambda a, b: [convlib.conv2d(XI, WI, x_zero_point=int(n)) for n in (a, b)],
    ),
    "out_dtype of floats": (
        lambda: convlib.conv2d(X, W, out_dtype="f8"), r"valid: (\w+), or write y\.astype",
        lambda name: convlib.conv2d(X, W, out_dtype=name).astype("f8"),
    ),
    "out_dtype of integers": (
        lambda: convlib.conv2d(XI, WI, out_dtype="i2"), r"valid: (\w+), (\w+)",
        lambda *names: [convlib.conv2d(XI, WI, out_dtype=name) for name in names],
    ),
    "list too wide": (
        lambda: convlib.conv1d(np.ones((1, 1, 3), "f4"), [[[1e300]]]), "give it as an array of a wider type",
        lambda: convlib.conv1d(np.ones((1, 1, 3), "f4"), np.array([[[1e300]]])),
    ),
    "depthwise order": (
        lambda: convlib.conv2d(X, np.ones((3, 3, 2, 4), "f4"), w_layout="HWCM"), r"use groups=(\d)",
        lambda n: convlib.conv2d(X, np.ones((3, 3, 2, 4), "f4"), w_layout="HWCM", groups=int(n)),
    ),
    "transposed order": (
        lambda: convlib.conv_transpose2d(X, np.ones((3, 3, 2, 4), "f4"), w_layout="HWIO"), r"are '(\w+)'$",
        lambda name: convlib.conv_transpose2d(X, np.ones((3, 3, 4, 2), "f4"), w_layout=name),
    ),
    "name of an argument": (
        lambda: convlib.conv2d(X, W, strides=2), r"did you mean '(\w+)'", lambda name: convlib.conv2d(X, W, **{name: 2})
    ),
    "name of an operator": (
        lambda: convlib.explain("convolve", X, W), r"did you mean '(\w+)'", lambda name: convlib.explain(name, X, W)
    ),
    "name of a backend": (
        lambda: convlib.conv2d(X, W, backend="natve"), r"did you mean '(\w+)'",
        lambda name: convlib.conv2d(X, W, backend=name),
    ),
    "name of an algorithm": (
        lambda: convlib.conv2d(X, W, backend="winograd"), r"did you mean '([\w:]+)'",
        lambda name: convlib.conv2d(X, W, backend=name),
    ),
    "name of a function": (
        lambda: convlib.maxpool2d, r"did you mean '(\w+)'", lambda name: getattr(convlib, name)(X, 2)
    ),
    "activation": (
        lambda: convlib.conv2d(X, W, activation="relu7"), r"did you mean '(\w+)'",
        lambda name: convlib.conv2d(X, W, activation=name),
    ),
    "workspace": (
        lambda: convlib.max_workspace(1), r"at least (\d+) bytes", lambda n: entered(convlib.max_workspace(int(n)))
    ),
    "workspace of a float": (
        lambda: convlib.max_workspace(1e9), r"such as (\d+) bytes", lambda n: entered(convlib.max_workspace(int(n)))
    ),
    "a layer's generator": (
        lambda: layers.Conv2d(2, 3, rng=3), r"give numpy\.random\.default_rng\(seed\)",
        lambda: layers.Conv2d(2, 3, rng=np.random.default_rng(3)),
    ),
    "a layer's type": (
        lambda: layers.Conv2d(2, 3, dtype="int"), "use a floating or complex type",
        lambda: (layers.Conv2d(2, 3, dtype="f8"), layers.Conv2d(2, 3, dtype="c8")),
    ),
    "a network's layer": (
        lambda: convlib.cost([{"op": "conv2d", "kernel_size": 3}], X.shape), r"such as (\w+)=(\d)",
        lambda name, n: convlib.cost([{"op": "conv2d", "kernel_size": 3, name: int(n)}], X.shape),
    ),
    "cost of a bias": (
        lambda: convlib.cost("max_pool2d", X.shape, 2, bias=True), "leave it out",
        lambda: convlib.cost("max_pool2d", X.shape, 2),
    ),
    "a field's place": (
        lambda: convlib.receptive_field([{"kernel_size": 3}]).of(1), r"give (\d), one per spatial axis",
        lambda n: convlib.receptive_field([{"kernel_size": 3}]).of(*[1] * int(n)),
    ),
    "too many solutions": (
        lambda: convlib.solve_shape(100, 1, max_kernel=10**5), "give kernel_size=, stride= or padding=",
        lambda: (convlib.solve_shape(100, 1, kernel_size=100), convlib.solve_shape(100, 1, padding=0)),
    ),
    "problem's word": (lambda: parse("ic3 ih9 oc4 hk3"), r"did you mean '(\w+)'", lambda w: parse(f"ic3 ih9 oc4 {w}")),
    "problem without channels": (
        lambda: parse("ih9 oc4 kh3"), r"add for example (\w+), as", lambda word: parse(f"ih9 oc4 kh3 {word}")
    ),
    "problem's groups": (
        lambda: parse("ic4 ih9 oc4 kh3 g3"), "valid: g1 or any divisor",
        lambda: (parse("ic4 ih9 oc4 kh3 g1"), parse("ic4 ih9 oc4 kh3 g2")),
    ),
    "problem's output": (
        lambda: parse("ic4 ih9 oh9 oc4 kh3"), r"they give (\w+)", lambda word: parse(f"ic4 ih9 {word} oc4 kh3")
    ),
    "problem's option": (
        lambda: parse("ic4 ih9 oc4 kh3 ceil"), r"valid: (\w+), (\w+)",
        lambda *names: [parse(f"ic4 ih9 oc4 kh3 {name}") for name in names],
    ),
    "textbook's window": (
        lambda: textbook.corr2d(np.ones((2, 5)), np.ones((3, 3))), r"at most \((\d), (\d)\)",
        lambda a, b: textbook.corr2d(np.ones((2, 5)), np.ones((int(a), int(b)))),
    ),
    "textbook's image": (
        lambda: textbook.corr2d(np.ones((2, 5)), np.ones((3, 3))), r"extend X, as np\.pad\(X, 1\) does",
        lambda: textbook.corr2d(np.pad(np.ones((2, 5)), 1), np.ones((3, 3))),
    ),
    "textbook's step": (
        lambda: textbook.equivariance_error(lambda X: X, PLANE, (1, 1), 2), r"such as by=\((\d), (\d)\)",
        lambda a, b: textbook.equivariance_error(lambda X: X, PLANE, (int(a), int(b)), 2),
    ),
    "picture's channels": (
        lambda: show.conv2d((0, 3, 3), (1, 0, 2, 2)), "use at least 1", lambda: show.conv2d((1, 3, 3), (1, 1, 2, 2))
    ),
    "picture of complex numbers": (
        lambda: show.feature_maps(X[0] * 1j), "give their absolute values",
        lambda: show.feature_maps(abs(X[0] * 1j)),
    ),
    "a stream over two axes": (
        lambda: convlib.plan_conv2d(X.shape, W).stream(), r"make it with (\w+)",
        lambda name: getattr(convlib, name)((1, 2, 9), W[:, :, 0]).stream(),
    ),
    "a stream's end": (
        lambda: convlib.plan_conv1d((1, 2, 9), W[:, :, 0], padding=1).stream(), r"use '(\w+)' or '(\w+)'",
        lambda *names: [convlib.plan_conv1d((1, 2, 9), W[:, :, 0], padding=name).stream() for name in names],
    ),
    "a stream's beginning": (
        lambda: convlib.plan_conv1d((1, 2, 9), W[:, :, 0], padding="causal", padding_mode="edge").stream(),
        r"use '(\w+)'",
        lambda name: convlib.plan_conv1d((1, 2, 9), W[:, :, 0], padding="causal", padding_mode=name).stream(),
    ),
    "a stream's stride": (
        lambda: convlib.plan_conv1d((1, 2, 9), W[:, :, 0], stride=4).stream(), r"at most (\d)",
        lambda n: convlib.plan_conv1d((1, 2, 9), W[:, :, 0], stride=int(n)).stream(),
    ),
    "a stream's implementation": (
        lambda: convlib.plan_conv1d((1, 2, 99), W[:, :, 0], backend="fft").stream(), r"name one of ([\w:]+),",
        lambda name: (convlib.plan_conv1d((1, 2, 99), W[:, :, 0], backend=name).stream(),
                      convlib.plan_conv1d((1, 2, 99), W[:, :, 0]).stream()),
    ),
    "arrays with gaps": (
        lambda: in_little(IMAGES),
        r"^conv3d: native:winograd cannot .*winograd needs .*give C-contiguous ones, raise convlib.max_workspace, or "
        "leave the backend to be chosen",
        lambda: (in_little(IMAGES.copy()), in_little(IMAGES, times=2), in_little(IMAGES, backend=None)),
    ),
    "axes of a spec": (
        lambda: convlib.PoolSpec.make("max", X.shape, 2), r"with nd=(\d), (\d) or (\d)",
        lambda _, n, __: convlib.PoolSpec.make("max", X.shape, 2, nd=int(n)),
    ),
    "a divisor": (
        lambda: convlib.avg_pool2d(X, 2, divisor_override=0), "use None or another integer",
        lambda: [convlib.avg_pool2d(X, 2, divisor_override=n) for n in (None, -1)],
    ),
    "a norm": (
        lambda: convlib.lp_pool2d(X, 0, 2), r"such as (\d); math\.inf gives",
        lambda n: [convlib.lp_pool2d(X, p, 2) for p in (int(n), np.inf)],
    ),
    "padding that is left out": (
        lambda: convlib.avg_pool2d(X, 3, padding=1, padding_mode="edge", count_include_pad=False),
        "leave one of them out",
        lambda: (convlib.avg_pool2d(X, 3, padding=1, count_include_pad=False),
                 convlib.avg_pool2d(X, 3, padding=1, padding_mode="edge")),
    ),
    "an empty axis": (
        lambda: convlib.conv2d(X[:, :, :0], W, padding=2, padding_mode="edge"), r"use '(\w+)'",
        lambda name: convlib.conv2d(X[:, :, :0], W, padding=2, padding_mode=name),
    ),
    "an empty image": (
        lambda: convlib.filter2d(PLANE[:0], np.ones((1, 1))), r"use '(\w+)'",
        lambda name: convlib.filter2d(PLANE[:0], np.ones((2, 1)), boundary=name, mode="full"),
    ),
    "no axis": (
        lambda: convlib.im2col(X, ()), r"such as \((\d), (\d)\)", lambda a, b: convlib.im2col(X, (int(a), int(b)))
    ),
    "no size": (
        lambda: convlib.col2im(np.ones((1, 8, 9)), (), 2), r"such as \((\d), (\d)\)",
        lambda a, b: convlib.col2im(np.ones((1, 8, 9)), (int(a), int(b)), 2),
    ),
    "a setting that holds": (
        lambda: twice(convlib.max_workspace(1 << 20)), "make another one",
        lambda: twice(convlib.max_workspace(1 << 20), convlib.max_workspace(1 << 21)),
    ),
    "a large pad_value": (
        lambda: convlib.conv2d(X, W, padding=1, pad_value=2**53 + 1), r"use at most 2\*\*(\d+)",
        lambda n: convlib.conv2d(X, W, padding=1, pad_value=2 ** int(n)),
    ),
    "a field's windows": (
        lambda: convlib.receptive_field([{"stride": 2}]), r"as in \{'(\w+)': (\d)\}",
        lambda name, n: convlib.receptive_field([{"stride": 2, name: int(n)}]),
    ),
    "a field's size": (
        lambda: convlib.receptive_field([{"kernel_size": 3, "stride": 2, "padding": "same_upper"}]), "give size=",
        lambda: convlib.receptive_field([{"kernel_size": 3, "stride": 2, "padding": "same_upper"}], size=9),
    ),
    "a field's picture": (
        lambda: convlib.receptive_field([{"kernel_size": 3}], nd=1).plot("a.png"), r"use (\w+)\(\)",
        lambda name: getattr(convlib.receptive_field([{"kernel_size": 3}], nd=1), name)(),
    ),
    "a guessed size": (
        lambda: convlib.max_unpool2d(*convlib.max_pool2d(X + SLOPE, 2, stride=3, return_indices=True), 2, stride=2),
        "give that of the array that was pooled as (output_size)",
        lambda name: convlib.max_unpool2d(
            *convlib.max_pool2d(X + SLOPE, 2, return_indices=True), 2, **{name: X.shape[2:]}
        ),
    ),
    "tuning of a string": (lambda: tuning.tune("n1 ic1"), r"such as \['n1 ic1'\]", lambda: tuning.tune([])),
}  # fmt: skip


@pytest.mark.parametrize("name", ADVICE)
def test_advice_holds_when_it_is_followed(name):
    refused, pattern, follow = ADVICE[name]
    with pytest.raises((convlib.ConvlibError, TypeError, AttributeError, MemoryError)) as caught:
        refused()
    found = re.search(pattern, str(caught.value))
    assert found, str(caught.value)
    assert follow(*found.groups()) is not None
