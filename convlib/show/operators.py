"""Pictures of the operators, windows step by step."""

from __future__ import annotations

from typing import Any

from ..errors import SpecError
from ..functional import (
    avg_pool2d as average,
    conv2d as correlate,
    max_pool2d as maximum,
)
from ..spec import check_bias, frozen, make_conv, make_pool, make_transpose
from ..spec.arguments import per_axis
from .geometry import Given, given
from .scene import Scene
from .windows import Correlation, Pooling, Spreading, describe, scene


def planes(x: Any) -> tuple[Given, bool]:
    """Return the input and its numbers as (channels, rows, columns), if it has any."""
    found = given("x", x, (2, 3))
    shape = found.shape if len(found.shape) == 3 else (1, *found.shape)
    return Given(shape, None if found.values is None else found.values.reshape(shape)), len(found.shape) == 2


def weights_of(w: Any, plain: bool, channels: int) -> Given:
    """Return weights with four axes: a kernel (kh, kw) is one for one channel, (c, kh, kw) one for each."""
    found = given("w", w, (2, 3, 4))
    size = found.shape
    if len(size) == 2 and not plain and channels > 1:
        raise SpecError(f"x has {channels} channels: w {size} needs as many windows, ({channels}, kh, kw)")
    shape = (1,) * (4 - len(size)) + tuple(size)
    return Given(shape, None if found.values is None else found.values.reshape(shape))


def conv2d(
    x: Any, w: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    padding_mode: str = "constant", pad_value: float = 0, flip: bool = False,
) -> Scene:  # fmt: skip
    """Show a convolution: one frame per output, with the window it sees and its formula.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape for a picture without numbers.
    w : array_like or tuple of int, shape (kh, kw), (c, kh, kw) or (oc, c / groups, kh, kw)
        Kernel, or its shape.
    bias : array_like, shape (oc,), optional
        One number per output channel.
    stride, padding, dilation, groups, padding_mode, pad_value, flip : optional
        As in `convlib.conv2d`.

    Returns
    -------
    scene : Scene
        Frames in the order of outputs, channels first.

    Raises
    ------
    SpecError
        If a rule of `convlib.conv2d` is broken, or there is too much to see.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import show
    >>> print(show.conv2d(np.arange(9).reshape(3, 3), [[0, 1], [2, 3]], padding=1, stride=2).text(1))
    conv2d: input 3 x 3, kernel 2 x 2, stride 2, padding 1, output 2 x 2
      input                  kernel         output
      0  0 [0][0] 0          0  1            0 [ 8]
      0  0 [1][2] 0          2  3           21  43
      0  3  4  5  0    *              =
      0  6  7  8  0
      0  0  0  0  0
    y[0,1] = 0·0 + 1·0 + 2·1 + 3·2 = 8
    """
    source, plain = planes(x)
    weights = weights_of(w, plain, source.shape[0])
    options = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "padding_mode": padding_mode,
        "pad_value": pad_value, "flip": flip,
    }  # fmt: skip
    spec = make_conv(2, source.shape, weights.shape, **{name: frozen(value) for name, value in options.items()})
    offset = _bias(bias, spec.oc)
    result = None
    if source.values is not None and weights.values is not None:
        result = correlate(source.values, weights.values, offset, **options)
    frames = Correlation(
        spec, source.values, weights.values, offset, result, plain=plain and spec.oc == 1
    )
    return scene(describe("conv2d", spec, spec.in_size, spec.out_size), frames)


def _bias(bias: Any, channels: int) -> Any:
    if bias is None:
        return None
    found = given("bias", bias, (1,))
    check_bias(found.shape, channels)
    return found.values


def conv_transpose2d(
    x: Any, w: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    output_size: Any = None, dilation: Any = 1, groups: int = 1, flip: bool = False,
) -> Scene:  # fmt: skip
    """Show a transposed convolution: one frame per input, which adds its multiple of the kernel to the output.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape for a picture without numbers.
    w : array_like or tuple of int, shape (kh, kw), (oc, kh, kw) or (c, oc / groups, kh, kw)
        Kernel, or its shape.
    bias : array_like, shape (oc,), optional
        One number per output channel.
    stride, padding, output_padding, output_size, dilation, groups, flip : optional
        As in `convlib.conv_transpose2d`.

    Returns
    -------
    scene : Scene
        Frames in the order of inputs, each with the sum so far.  What `padding` cuts off is drawn as padding.

    Raises
    ------
    SpecError
        If a rule of `convlib.conv_transpose2d` is broken, or there is too much to see.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.conv_transpose2d([[1, 2]], [[1, 1], [1, 1]]).text(1))
    conv_transpose2d: input 1 x 2, kernel 2 x 2, output 2 x 3
      input         kernel           output
      1 [2]   *     1  1     add     1 [3][2]
                    1  1             1 [3][2]
    y[0,1] += 1·2; y[0,2] += 1·2; y[1,1] += 1·2; y[1,2] += 1·2
    """
    source, plain = planes(x)
    weights = weights_of(w, plain, source.shape[0])
    options = {
        "stride": stride, "padding": padding, "output_padding": output_padding, "output_size": output_size,
        "dilation": dilation, "groups": groups, "flip": flip,
    }  # fmt: skip
    spec = make_transpose(2, source.shape, weights.shape, **{name: frozen(value) for name, value in options.items()})
    frames = Spreading(spec, source.values, weights.values, _bias(bias, spec.c), plain=plain and spec.c == 1)
    extra = per_axis("output_padding", frozen(output_padding), 2, 0)
    more = f", output_padding {extra[0] if len(set(extra)) == 1 else extra}" if any(extra) else ""
    return scene(describe("conv_transpose2d", spec, spec.out_size, spec.in_size, more), frames)


def _pool(
    kind: str, operator: Any, x: Any, kernel_size: Any, options: dict[str, Any], **more: Any
) -> Scene:
    source, plain = planes(x)
    named = {name: frozen(value) for name, value in {**options, **more}.items()}
    spec = make_pool(2, kind, source.shape, frozen(kernel_size), **named)
    result = None if source.values is None else operator(source.values, kernel_size, **options, **more)
    return scene(
        describe(f"{kind}_pool2d", spec, spec.in_size, spec.out_size),
        Pooling(spec, source.values, result, plain=plain),
    )


def max_pool2d(
    x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Scene:
    """Show max pooling: one frame per output, with its window.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape for a picture without numbers.
    kernel_size : int or two int
        Window.
    stride, padding, dilation, ceil_mode : optional
        As in `convlib.max_pool2d`; the stride is the window by default.

    Returns
    -------
    scene : Scene
        Frames in the order of outputs.

    Raises
    ------
    SpecError
        If a rule of `convlib.max_pool2d` is broken, or there is too much to see.

    Examples
    --------
    >>> import numpy as np
    >>> from convlib import show
    >>> print(show.max_pool2d(np.arange(16).reshape(4, 4), 2).text(3))
    max_pool2d: input 4 x 4, kernel 2 x 2, stride 2, output 2 x 2
      input                     output
       0   1   2   3             5   7
       4   5   6   7    max     13 [15]
       8   9 [10][11]
      12  13 [14][15]
    y[1,1] = max(10, 11, 14, 15) = 15
    """
    options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
    return _pool("max", maximum, x, kernel_size, options)


def avg_pool2d(
    x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Scene:  # fmt: skip
    """Show average pooling: one frame per output, with its window.

    Parameters
    ----------
    x : array_like or tuple of int, shape (h, w) or (c, h, w)
        Input, or its shape for a picture without numbers.
    kernel_size : int or two int
        Window.
    stride, padding, ceil_mode, count_include_pad : optional
        As in `convlib.avg_pool2d`; the stride is the window by default.

    Returns
    -------
    scene : Scene
        Frames in the order of outputs.

    Raises
    ------
    SpecError
        If a rule of `convlib.avg_pool2d` is broken, or there is too much to see.

    Examples
    --------
    >>> from convlib import show
    >>> print(show.avg_pool2d([[1, 3], [5, 7]], 2).frame(0).caption)
    y[0,0] = (1 + 3 + 5 + 7) / 4 = 4
    """
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    return _pool("avg", average, x, kernel_size, options, count_include_pad=count_include_pad)
