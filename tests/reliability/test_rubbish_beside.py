"""Rubbish for what stands beside the operators: layers, textbook, pictures, networks, padding, tuning, ONNX."""

import inspect
import random
import traceback
from importlib.util import find_spec

import numpy as np
import pytest

import convlib
from convlib import layers, networks, show, testing, textbook, tuning
from convlib.problem import parse
from convlib.spec import ConvSpec, PoolSpec
from reliability.test_rubbish import ALLOWED, RUBBISH

X, W = np.ones((1, 2, 7, 7), "f4"), np.ones((3, 2, 3, 3), "f4")
IMAGE, KERNEL = np.arange(25.0).reshape(5, 5), np.ones((2, 2))


def mean(image):
    return textbook.corr2d(image, KERNEL)


def one_layer(**layer):
    return convlib.cost([layer], (1, 2, 7, 7))


def one_field(**layer):
    return convlib.receptive_field([layer])


#: Arguments that are served.  What starts processes, writes files or keeps what it is given for good is left out.
CALLS = {
    "textbook.corr2d": (textbook.corr2d, (IMAGE, KERNEL)),
    "textbook.corr2d_multi_in": (textbook.corr2d_multi_in, (IMAGE[None], KERNEL[None])),
    "textbook.corr2d_multi_in_out": (textbook.corr2d_multi_in_out, (IMAGE[None], KERNEL[None, None])),
    "textbook.corr2d_multi_in_out_1x1": (textbook.corr2d_multi_in_out_1x1, (IMAGE[None], np.ones((2, 1, 1, 1)))),
    "textbook.dense": (textbook.dense, (KERNEL, np.ones((2, 2, 2, 2)), 0.0)),
    "textbook.dense_by_offset": (textbook.dense_by_offset, (KERNEL, np.ones((2, 2, 3, 3)), 0.0)),
    "textbook.equivariance_error": (textbook.equivariance_error, (mean, IMAGE, (1, 1), 1)),
    "textbook.influence": (textbook.influence, (mean, IMAGE, (2, 2))),
    "textbook.kernel_weights": (textbook.kernel_weights, (KERNEL, (4, 4))),
    "textbook.offset_weights": (textbook.offset_weights, (np.ones((2, 2, 2, 2)),)),
    "textbook.pool2d": (textbook.pool2d, (IMAGE, (2, 2), "max")),
    "textbook.shift": (textbook.shift, (IMAGE, (1, 1))),
    "textbook.comp_conv2d": (textbook.comp_conv2d, (layers.Conv2d(1, 3), IMAGE)),
    "textbook.Conv2D": (textbook.Conv2D, ((2, 2),)),
    "show.conv2d": (show.conv2d, (X, W)),
    "show.conv_transpose2d": (show.conv_transpose2d, (X, W.swapaxes(0, 1))),
    "show.max_pool2d": (show.max_pool2d, (X, 3)),
    "show.avg_pool2d": (show.avg_pool2d, (X, 3)),
    "show.im2col": (show.im2col, (X, 3)),
    "show.toeplitz": (show.toeplitz, (IMAGE[:3, :3], KERNEL)),
    "show.toeplitz_matrix": (show.toeplitz_matrix, ((1, 2, 7, 7), W)),
    "show.kernels": (show.kernels, (W,)),
    "show.feature_maps": (show.feature_maps, (X,)),
    "show.receptive_field": (show.receptive_field, ([{"kernel_size": 3}], (9, 9))),
    "networks.Residual": (networks.Residual, ([layers.Conv2d(2, 3, padding=1)], ())),
    "tuning.path": (tuning.path, (1,)),
    "tuning.tune": (tuning.tune, ([],)),
    "testing.case_arrays": (testing.case_arrays, ("conv2d-plain",)),
    "testing.error_bound": (testing.error_bound, (9, "f4")),
    "testing.integer_array": (testing.integer_array, ((2, 3), "f4", 0)),
    "testing.served_cases": (testing.served_cases, ("nobody",)),
    "testing.check_backend": (testing.check_backend, ("nobody",)),
    "problem.parse": (parse, ("n1 ic2 ih7 iw7 oc3 kh3 kw3",)),
    "ConvSpec.make": (ConvSpec.make, ((1, 2, 7, 7), (3, 2, 3, 3))),
    "PoolSpec.make": (PoolSpec.make, ("max", (1, 2, 7, 7), 3)),
    "compare": (convlib.compare, ("n1 ic1 ih3 iw3 oc1 kh9 kw9",)),
    "cost of one layer": (one_layer, (), {"op": "conv2d", "kernel_size": 3, "out_channels": 4, "groups": 1, "stride": 1,
                                          "padding": 0, "layout": "NCHW", "in_channels": None, "bias": False}),
    "field of one layer": (one_field, (), {"kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1}),
    "cost of a network": (convlib.cost, ([layers.Conv2d(2, 3), "relu"], (1, 2, 7, 7))),
    "diff_padding": (convlib.diff_padding, (9, 3, 2, 1)),
    "num_threads": (convlib.num_threads, (1,)),
    "use_tuning": (convlib.use_tuning, (False,)),
    "register_backend": (convlib.register_backend, (None,)),
    "unregister_backend": (convlib.unregister_backend, ("nobody",)),
    "show_config": (convlib.show_config, ("dict",)),
}
#: What these raise beside, as their docstrings say.
DOCUMENTED = {"testing.check_backend": (testing.ConformanceError,)}
if find_spec("onnx"):
    from onnx.checker import ValidationError

    from convlib import onnx

    MODELS = {
        "networks.onnx_cost": (networks.onnx_cost, ("nowhere.onnx",)),
        "networks.onnx_field": (networks.onnx_field, ("nowhere.onnx",)),
        "onnx.prepare": (onnx.prepare, (b"",)),
        "onnx.run_model": (onnx.run_model, (b"", [X])),
        "onnx.run_node": (onnx.run_node, (b"", [X])),
        "onnx.supports_device": (onnx.supports_device, ("CPU",)),
    }
    CALLS |= MODELS
    DOCUMENTED |= dict.fromkeys(MODELS, (ValidationError, OSError))
#: What a layer of each kind takes first.
FIRST = {"Conv": (3, 3), "ConvTranspose": (3, 3), "LpPool": (2, 3), "AdaptiveAvgPool": (2,), "AdaptiveMaxPool": (2,)}
LAYERS = [name for name in layers.__all__ if name[-1] == "d"]


def options_of(function):
    """Return the keywords of a function that have defaults, with these."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


def arguments(name):
    function, args, *options = CALLS[name]
    return function, args, options[0] if options else options_of(function)


def with_rubbish(name, args, options, seed):
    """Yield arguments of which one or two are rubbish."""
    rng = random.Random(f"{name} {seed}")
    places = [*range(len(args)), *options]
    for _ in range(40):
        changed, named = list(args), dict(options)
        for place in rng.sample(places, rng.choice((1, 1, 2)) if len(places) > 1 else 1):
            (changed if isinstance(place, int) else named)[place] = rng.choice(RUBBISH)
        yield changed, named


def faults(name, call, args, options, seed, documented=()):
    for changed, named in with_rubbish(name, args, options, seed):
        try:
            call(*changed, **named)
        except (*ALLOWED, *documented) as error:
            if len(str(error)) > 2000:
                yield f"{name}: {str(error)[:300]}"
        except Exception:
            yield f"{name}: {traceback.format_exc()[-1500:]}"


def used(name):
    """Return a function that makes a layer and goes through it and back."""
    nd = int(name[-2])

    def call(*args, x, grad, **options):
        layer = getattr(layers, name)(*args, **options)
        y = layer(x)
        layer.backward(np.ones_like(y) if grad is None else grad)
        return layer.parameters()

    kind = name[:-2]
    args = FIRST.get(kind, () if kind.startswith("Global") else (3,))
    return call, args, {**options_of(getattr(layers, name)), "x": np.ones((1, 2, *(7,) * nd), "f4")}


@pytest.mark.parametrize("name", CALLS)
def test_rubbish_is_refused(name):
    assert not list(faults(name, *arguments(name), 0, DOCUMENTED.get(name, ())))


@pytest.mark.parametrize("name", LAYERS)
def test_rubbish_is_refused_by_layers(name):
    call, args, options = used(name)
    call(*args, **options, grad=None)
    assert not list(faults(name, call, args, {**options, "grad": None}, 0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 20))
def test_much_rubbish_is_refused(seed):
    found = [fault for name in CALLS
             for fault in faults(name, *arguments(name), seed, DOCUMENTED.get(name, ()))]  # fmt: skip
    for name in LAYERS:
        call, args, options = used(name)
        found += faults(name, call, args, {**options, "grad": None}, seed)
    assert not found
