"""Names that work as written: modules after one import, a map on one screen, what was meant by what is unknown."""

import inspect
import pydoc
import re

import numpy as np
import pytest
from tools import python

import convlib
from convlib import layers
from convlib.comparison import problems
from convlib.errors import meant
from convlib.functional.described import public

X, W = np.ones((1, 2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
MODULES = ("costs", "dask", "layers", "networks", "problem", "testing", "textbook")


def test_modules_are_there_after_import_convlib_and_loaded_when_used():
    code = f"""
import sys, convlib
lazy = {[name for name in MODULES if name != "costs"]}
assert not [name for name in lazy if f"convlib.{{name}}" in sys.modules], "loaded on import"
assert "difflib" not in sys.modules and "inspect" in sys.modules
assert set(lazy) <= set(dir(convlib))
for name in lazy:
    assert getattr(convlib, name).__name__ == f"convlib.{{name}}"
    assert name in vars(convlib)
"""
    done = python("-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr


def test_help_is_one_screen_with_every_family_of_names():
    text = pydoc.render_doc(convlib, renderer=pydoc.plaintext)
    lines = text.splitlines()
    assert len(lines) <= 69  # 27 of them are the list of modules that pydoc makes
    assert max(map(len, lines[lines.index("DESCRIPTION") : lines.index("PACKAGE CONTENTS")])) <= 80
    words = set(re.findall(r"\w+", text))
    families = {re.sub(r"[13]d", "2d", name) for name in convlib.__all__} - {"ConvPlan", "Explanation"}
    gradients = {name for name in families if re.search("pool.*_grad|transpose.*_grad", name)}
    assert not families - words - gradients
    assert set(MODULES) <= words
    assert len(dir(convlib)) > len(convlib.__all__)


def test_help_of_a_function_is_its_docstring():
    assert "Cross-correlate" in pydoc.render_doc(convlib.conv2d, renderer=pydoc.plaintext)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(AttributeError, match="no attribute 'conv2D'; did you mean 'conv2d'"):
        _ = convlib.conv2D
    with pytest.raises(AttributeError, match="no attribute 'layer'; did you mean 'layers'"):
        _ = convlib.layer
    assert not hasattr(convlib, "__wrapped__")


MEANT = {
    "stride": (lambda: convlib.conv2d(X, W, strides=2), TypeError, r"^conv2d\(\): .*'strides'; did you mean 'stride'"),
    "padding": (lambda: convlib.max_pool2d(X, 2, pads=1), TypeError, "did you mean 'padding'"),
    "weights": (lambda: convlib.conv2d(X, weight=W), TypeError, r"unexpected .*'weight'; did you mean 'w'"),
    "window": (lambda: convlib.im2col(X, kernel=3), TypeError, r"^im2col\(\): .*'kernel'; did you mean 'kernel_size'"),
    "filter": (lambda: convlib.filter2d(X, W, bounday=3), TypeError, r"^filter2d\(\): .*did you mean 'boundary'"),
    "layer": (lambda: layers.Conv2d(3, 3, pad=1), TypeError, r"^Conv2d\(\): .*did you mean 'padding'"),
    "positional": (lambda: layers.Conv2d(3, 3, 1), TypeError, r"^Conv2d\(\): too many .*as Conv2d\(out_channels, kern"),
    "pool": (lambda: layers.MaxPool3d(pool_size=3), TypeError, r"^MaxPool3d\(\): .*did you mean 'kernel_size'"),
    "shape": (lambda: convlib.conv_output_shape(X.shape, W.shape, pad=1), TypeError, r"^conv_output_shape\(\)"),
    "pool_shape": (lambda: convlib.pool_output_shape(X.shape, 2, strides=1), TypeError, r"^pool_output_shape\(\): "),
    "spec": (lambda: convlib.ConvSpec.make(X.shape, W.shape, group=1), TypeError, r"^ConvSpec.make\(\): .*'groups'"),
    "pool_spec": (lambda: convlib.PoolSpec.make("max", X.shape, (2, 2), ceil=1), TypeError, r"^PoolSpec.make\(\): "),
    "explain": (lambda: convlib.explain("conv2d", X, W, dilations=1), TypeError, r"^conv2d\(\): .*'dilation'"),
    "cost": (lambda: convlib.cost("max_pool2d", X.shape, 2, dilations=1), TypeError, r"^max_pool2d\(\): .*'dilation'"),
    "op": (lambda: convlib.explain("max_pool", X, 2), convlib.SpecError, "did you mean 'max_pool2d'"),
    "same": (lambda: convlib.conv2d(X, W, padding="SAME"), convlib.SpecError, "did you mean 'same_upper'"),
    "valid": (lambda: convlib.conv2d(X, W, padding="VALID"), convlib.SpecError, "did you mean 'valid'"),
    "lower": (lambda: convlib.conv2d(X, W, padding="SAME_LOWER"), convlib.SpecError, "did you mean 'same_lower'"),
    "layout": (lambda: convlib.conv1d(X[0], W[0], layout="channels_last"), convlib.SpecError, "did you mean 'NWC'"),
    "mode": (lambda: convlib.conv2d(X, W, padding_mode="reflection"), convlib.SpecError, "did you mean 'reflect'"),
    "backend": (lambda: convlib.conv2d(X, W, backend="imcol"), convlib.BackendError, "did you mean 'im2col'"),
    "algorithm": (lambda: convlib.conv2d(X, W, backend="winograd"), convlib.BackendError, "mean 'native:winograd'"),
    "engine": (lambda: convlib.conv2d(X, W, backend="native:winogard"), convlib.BackendError, "mean 'winograd'\\?"),
    "suite": (lambda: problems.suite("resnet"), convlib.SpecError, "did you mean 'resnet50'"),
    "token": (lambda: convlib.problem.parse("n1 c3 ih9 oc3 kh3"), convlib.SpecError, "'c3' .*did you mean 'ic3'"),
    "operation": (lambda: convlib.problem.parse("max_pool2d ic3"), convlib.SpecError, "did you mean 'maxpool'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MEANT)
def test_what_was_meant(name):
    call, kind, words = MEANT[name]
    with pytest.raises(kind, match=words):
        call()


def test_nothing_is_suggested_for_what_is_far_from_everything():
    assert meant("zzz", ("stride", "padding")) is None
    assert meant(3, ("stride",)) is None
    with pytest.raises(convlib.BackendError) as caught:
        convlib.conv2d(X, W, backend="zzz")
    assert "did you mean" not in str(caught.value)


FUNCTIONS = [name for name in convlib.__all__ if inspect.isfunction(getattr(convlib, name))]
CLASSES = [name for name in layers.__all__ if name not in ("Layer", "Parameter")]


@pytest.mark.parametrize("call", [*(getattr(convlib, n) for n in FUNCTIONS), *(getattr(layers, n) for n in CLASSES)],
                         ids=lambda call: call.__name__)  # fmt: skip
def test_errors_name_what_was_called(call):
    """Whatever does not fit, the message speaks of the public name, never of a function behind it."""
    taken = len(inspect.signature(call).parameters)
    for args, options in (((), {"no_such_argument": 1}), ((1,) * (taken + 1), {})):
        if args and any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(call).parameters.values()):
            continue  # it takes any number
        if args and call.__name__.endswith("output_shape"):
            args = args[:2] * 2
        with pytest.raises((TypeError, convlib.ConvlibError)) as caught:
            call(*args, **options)
        said = str(caught.value)
        assert not re.search(r"(?<![\w.])_\w+\(|make_\w+\(|(?:conv|pool\w*)nd|__init__", said), said
        if isinstance(caught.value, TypeError) and "argument" in said:
            assert call.__name__ in said or "missing" in said, said


def test_what_can_be_described_is_what_computes():
    assert {"conv2d", "im2col", "filter2d", "lp_pool3d_grad_input", "max_unpool1d"} <= set(public())
    assert not {"explain", "ConvPlan", "plan_conv2d", "conv_output_shape"} & set(public())
