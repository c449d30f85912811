"""Keras's NumPy backend with its convolutions and poolings by convlib, and without JAX.

``import served`` before ``import keras``: it chooses the NumPy backend, loads it, and puts functions of convlib in the
place of those that call JAX.  Where JAX is not installed, two functions stand in for what else that backend takes of
it.
"""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types

import numpy as np

import convlib

os.environ["KERAS_BACKEND"] = "numpy"
#: Weights of layers do not change between calls: their plans are kept, and packed once.
os.environ.setdefault("CONVLIB_PLAN_CACHE", "256")


def _transform(function):
    """Return a Fourier transform of (real, imaginary) pairs."""

    def transform(x):
        found = function(x[0] + 1j * x[1])
        return found.real, found.imag

    return transform


@contextlib.contextmanager
def _stand_ins():
    """Give a module of the NumPy backend the names that it imports of JAX: empty ones, but for two functions."""
    names = ["jax", "jax.lax", "keras.src.backend.jax", "keras.src.backend.jax.math"]
    jax, lax, _, math = modules = [types.ModuleType(name) for name in names]
    jax.lax, math.fft, math.fft2 = lax, _transform(np.fft.fft), _transform(np.fft.fft2)
    sys.modules.update(zip(names, modules, strict=True))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the two modules of the NumPy backend that import JAX, and runs them with its stand-ins."""

    def find_spec(self, name, path, target=None):
        """Return the module's own spec, whose loader knows the stand-ins."""
        if name not in ("keras.src.backend.numpy.nn", "keras.src.backend.numpy.math"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            with _stand_ins():
                run(module)

        spec.loader.exec_module = exec_module
        return spec


if importlib.util.find_spec("keras") is None:
    raise SystemExit("this example needs the package keras, 3.15 or newer; install it, and scipy")
if importlib.util.find_spec("jax") is None:
    sys.meta_path.insert(0, _Finder())
import keras  # noqa: E402
from keras.src.backend.common.backend_utils import (  # noqa: E402
    check_conv_input_channels,
    check_conv_transpose_input_channels,
    compute_conv_transpose_padding_args_for_jax,
)
from keras.src.backend.numpy import nn  # noqa: E402

if keras.backend.backend() != "numpy":
    raise SystemExit("import served before keras, which has chosen another backend already")


# ------------------------------------------------------------------------------- arguments


def _by_rank(family, x):
    return getattr(convlib, f"{family}{x.ndim - 2}d")


def _array(x):
    return x if isinstance(x, np.ndarray) else nn.convert_to_tensor(x)


def _weights(kernel):
    """Return weights as an array; those of a layer become read-only, as Keras replaces them and never writes them."""
    if isinstance(kernel, np.ndarray):
        return kernel
    array = nn.convert_to_tensor(kernel)
    if isinstance(kernel, keras.Variable):
        array.flags.writeable = False
    return array


def _layout(data_format):
    return {"channels_last": "NHWC", "channels_first": "NCHW"}[keras.src.backend.standardize_data_format(data_format)]


def _channels(x, layout):
    return x.shape[-1 if layout == "NHWC" else 1]


def _padding(name):
    if name.lower() not in ("same", "valid"):
        raise ValueError(f"Invalid padding '{name}', must be 'same' or 'valid'.")
    return "same_upper" if name.lower() == "same" else "valid"


def _typed(y, x):
    """Return a result in the type of the input, as Keras has it; convlib sums integers in int64."""
    return y.astype(x.dtype, copy=False)


# ------------------------------------------------------------------------------- operators


def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Stand in for `keras.ops.conv`; groups follow from the channels of the kernel, whose order is HWIO."""
    x, w, layout = _array(inputs), _weights(kernel), _layout(data_format)
    c = _channels(x, layout)
    if c % w.shape[-2]:
        raise ValueError(f"The number of input channels must be evenly divisible by kernel's in_channels. "
                         f"Received input channels {c} and kernel in_channels {w.shape[-2]}. ")  # fmt: skip
    return _convolved(x, w, strides, padding, dilation_rate, layout, "HWIO", c // w.shape[-2])


def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Stand in for `keras.ops.depthwise_conv`, whose kernel is (*kernel, C, multiplier)."""
    x, w, layout = _array(inputs), _weights(kernel), _layout(data_format)
    check_conv_input_channels(x, w, keras.src.backend.standardize_data_format(data_format))
    return _convolved(x, w, strides, padding, dilation_rate, layout, "HWCM", _channels(x, layout))


def _convolved(x, w, strides, padding, dilation_rate, layout, w_layout, groups):
    options = {"stride": strides, "padding": _padding(padding), "dilation": dilation_rate, "groups": groups}
    try:
        y = _by_rank("conv", x)(x, w, layout=layout, w_layout=w_layout, **options)
    except convlib.SpecError as error:
        raise ValueError(f"The convolution operation resulted in an empty output, or is none: {error}") from error
    return _typed(y, x)


def conv_transpose(
    inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1
):
    """Stand in for `keras.ops.conv_transpose`.

    Keras counts what is put around the spread input; what is cut off of the whole adjoint is the rest of a window.
    Where that is less than nothing, the result is longer at its end.
    """
    x, w = _array(inputs), _weights(kernel)
    check_conv_transpose_input_channels(x, w, keras.src.backend.standardize_data_format(data_format))
    nd = x.ndim - 2
    around = compute_conv_transpose_padding_args_for_jax(
        x.shape, w.shape, strides, padding, output_padding, dilation_rate
    )
    dilation = (dilation_rate,) * nd if isinstance(dilation_rate, int) else dilation_rate
    reach = [(k - 1) * d for k, d in zip(w.shape[:nd], dilation, strict=True)]
    cut = [(r - lo, r - hi) for r, (lo, hi) in zip(reach, around, strict=True)]
    y = _by_rank("conv_transpose", x)(
        x, w, stride=strides, padding=[(lo, max(hi, 0)) for lo, hi in cut],
        output_padding=[max(-hi, 0) for _, hi in cut], dilation=dilation, layout=_layout(data_format),
        w_layout="HWOI",
    )  # fmt: skip
    return _typed(y, x)


def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Stand in for `keras.ops.max_pool`."""
    return _pooled("max_pool", inputs, pool_size, strides, padding, data_format)


def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Stand in for `keras.ops.average_pool`, which leaves padding out of its averages."""
    return _pooled("avg_pool", inputs, pool_size, strides, padding, data_format, count_include_pad=False)


def _pooled(family, inputs, pool_size, strides, padding, data_format, **more):
    x = _array(inputs)
    return _by_rank(family, x)(
        x, pool_size, stride=strides, padding=_padding(padding), layout=_layout(data_format), **more
    )


def adaptive_average_pool(inputs, output_size, data_format=None):
    """Stand in for `keras.ops.adaptive_average_pool`."""
    return _by_rank("adaptive_avg_pool", inputs)(_array(inputs), output_size, layout=_layout(data_format))


def adaptive_max_pool(inputs, output_size, data_format=None):
    """Stand in for `keras.ops.adaptive_max_pool`."""
    return _by_rank("adaptive_max_pool", inputs)(_array(inputs), output_size, layout=_layout(data_format))


#: What is replaced; `separable_conv` calls the first two.
SERVED = (
    conv, depthwise_conv, conv_transpose, max_pool, average_pool, adaptive_average_pool, adaptive_max_pool,
)  # fmt: skip
for function in SERVED:
    if not hasattr(nn, function.__name__):
        raise SystemExit(f"this Keras's NumPy backend has no {function.__name__}; keras {keras.__version__} is another")
    setattr(nn, function.__name__, function)
