"""Gradients under a padding mode: those of zeros, and what the rows and columns outside add to them."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
from expected import under_isa
from tools import small

import convlib
from convlib._ext import _native as native
from convlib.backends import native_folding
from convlib.spec import make_conv, make_pool, zero_padded

MODES = ("reflect", "symmetric", "edge", "wrap")
DTYPES = "float32", "float64"

#: Kernel and options of convolutions and, of stride and dilation 1, of poolings.
OPTIONS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (3, {"padding": 1}),
    (3, {"padding": 2, "stride": 2}),
    (3, {"padding": ((0, 2), (1, 0)), "stride": (2, 3)}),
    (3, {"padding": 2, "dilation": 2}),
    ((4, 3), {"padding": ((2, 1), (0, 1)), "stride": 3}),
    ((1, 3), {"padding": ((0, 0), (2, 1))}),
    ((3, 1), {"padding": ((1, 1), (0, 0))}),
    (5, {"padding": 2}),
    ((6, 2), {"padding": ((3, 2), (1, 0))}),
)


def outside(spec: Any, dtype: str, plain: Any, grad_y: Any, w: Any, threads: int) -> Any:
    """Return the gradient of zeros and what is added to it."""
    x = plain.copy()
    native_folding._outside(spec, np.dtype(dtype)).add(grad_y, w, x, threads)
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "options"), OPTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_convolutions(mode: str, kernel: Any, options: dict[str, Any], dtype: str) -> None:
    kernel = tuple(np.broadcast_to(kernel, 2).tolist())
    for size, (groups, icg, ocg) in product(((7, 9), (5, 30), (33, 6), (4, 4)), ((3, 1, 1), (2, 2, 3), (1, 1, 2))):
        x_shape, w = (2, groups * icg, *size), small(groups * ocg, icg, *kernel, seed=1).astype(dtype)
        spec = make_conv(2, x_shape, w.shape, groups=groups, padding_mode=mode, **options)
        grad_y, given = small(*spec.y_shape, seed=2).astype(dtype), {"groups": groups, "backend": "cython", **options}
        expected = convlib.conv2d_grad_input(grad_y, w, x_shape, padding_mode=mode, **given)
        plain = convlib.conv2d_grad_input(grad_y, w, x_shape, **given)
        for threads in (1, 3):
            np.testing.assert_array_equal(outside(spec, dtype, plain, grad_y, w, threads), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "options"), OPTIONS)
@pytest.mark.parametrize("mode", [*MODES, "constant"])
def test_weights(mode: str, kernel: Any, options: dict[str, Any], dtype: str) -> None:
    kernel, value = tuple(np.broadcast_to(kernel, 2).tolist()), 2.0 * (mode == "constant")
    for size, (groups, icg, ocg) in product(((7, 9), (5, 30), (33, 6), (4, 4)), ((3, 1, 1), (2, 2, 3), (1, 1, 2))):
        x, w_shape = small(2, groups * icg, *size, seed=1).astype(dtype), (groups * ocg, icg, *kernel)
        spec = make_conv(2, x.shape, w_shape, groups=groups, padding_mode=mode, pad_value=value, **options)
        grad_y, given = small(*spec.y_shape, seed=2).astype(dtype), {"groups": groups, "backend": "cython", **options}
        padding = {"padding_mode": mode, "pad_value": value}
        expected = convlib.conv2d_grad_weight(grad_y, x, w_shape, **padding, **given)
        plain = convlib.conv2d_grad_weight(grad_y, x, w_shape, **given)
        for threads in (1, 3):
            found = plain.copy()
            native_folding._outside(spec, np.dtype(dtype)).add_weights(grad_y, x, found, threads)
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [3, 8, 37])
@pytest.mark.parametrize("mode", MODES)
def test_one_axis(mode: str, size: int, dtype: str) -> None:
    x_shape, w = (2, 4, size), small(6, 2, 3, seed=1).astype(dtype)
    spec = make_conv(1, x_shape, w.shape, padding_mode=mode, groups=2, padding=((2, 1),))
    grad_y = small(*spec.y_shape, seed=2).astype(dtype)
    options: dict[str, Any] = {"groups": 2, "padding": ((2, 1),), "backend": "cython"}
    expected = convlib.conv1d_grad_input(grad_y, w, x_shape, padding_mode=mode, **options)
    plain = convlib.conv1d_grad_input(grad_y, w, x_shape, **options)
    np.testing.assert_array_equal(outside(spec, dtype, plain, grad_y, w, 1), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["sum", "avg"])
@pytest.mark.parametrize("mode", MODES)
def test_poolings(mode: str, kind: str, dtype: str) -> None:
    """Sums are whole numbers; of averages each line is divided, and then added, in the order of the fold."""
    for (kernel, options), size in product(OPTIONS, ((7, 9), (5, 30), (6, 6))):
        if {"stride", "dilation"} & set(options):
            continue
        x_shape, given = (2, 3, *size), {"stride": 1, "padding": options["padding"]}
        for divisor in (None, 3) if kind == "avg" else (None,):
            own = {} if divisor is None else {"divisor_override": divisor}
            spec = make_pool(2, kind, x_shape, kernel, padding_mode=mode, **given, **own)
            grad_y, function = small(*spec.y_shape, seed=2).astype(dtype), f"{kind}_pool2d_grad_input"
            gradient = getattr(convlib, function)
            plain = gradient(grad_y, x_shape, kernel, **given, **own, backend="native")
            wide = gradient(grad_y, zero_padded(spec).x_shape, kernel, stride=1, **own, backend="native")
            expected = np.empty(x_shape, dtype)
            assert native_folding.folded(spec, wide, expected)
            np.testing.assert_array_equal(outside(spec, dtype, plain, grad_y, None, 2), expected)


@pytest.mark.parametrize("at", [(0, 0, 0, 0), (1, 0, 2, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_finite_meets_no_zeros(mode: str, at: tuple[int, ...]) -> None:
    """Beside a line lie zeros, over which such weights would make NaN."""
    w, grad_y, given = small(2, 1, 3, 3, seed=1), small(1, 2, 70, 80, seed=2), {"groups": 2, "padding": 1}
    w[at] = np.inf
    spec = make_conv(2, grad_y.shape, w.shape, padding_mode=mode, **given)
    assert native_folding.adds_outside("conv_grad_input", spec, grad_y.dtype)
    found, expected = (
        convlib.conv2d_grad_input(grad_y, w, grad_y.shape, padding_mode=mode, backend=backend, **given)
        for backend in ("native", "cython")
    )
    np.testing.assert_array_equal(found, expected)
    assert np.isinf(found).any()


@pytest.mark.parametrize("at", [(0, 0, 0, 0), (0, 1, 0, 900), (0, 1, 800, 5), (0, 1, 700, 1199)])
@pytest.mark.parametrize("mode", MODES)
def test_gradients_that_are_not_finite_meet_no_zeros(mode: str, at: tuple[int, ...]) -> None:
    """At an edge each tap has an element of the padding, which is never zero here."""
    grad_y, x = small(1, 2, 801, 1200, seed=1), 1 + abs(small(1, 2, 801, 1200, seed=2))
    grad_y[at] = np.inf
    given: dict[str, Any] = {"groups": 2, "padding": 1}
    spec = make_conv(2, x.shape, (2, 1, 3, 3), padding_mode=mode, **given)
    assert native_folding.adds_outside("conv_grad_weight", spec, x.dtype)
    border = native_folding._outside(spec, x.dtype)
    found = np.zeros((2, 1, 3, 3), "f4")
    border.add_weights(grad_y, x, found, 1)
    assert not np.isnan(found).any()


CALLS: tuple[tuple[str, tuple[int, ...], Any, dict[str, Any]], ...] = (
    ("conv2d_grad_input", (2, 3, 70, 80), (3, 1, 3, 3), {"groups": 3}),
    ("conv2d_grad_input", (1, 2, 120, 90), (3, 2, 3, 3), {}),
    ("conv2d_grad_input", (1, 17, 300, 310), (17, 17, 3, 3), {}),  # larger than what is copied in one piece
    ("conv2d_grad_weight", (2, 3, 500, 900), (3, 1, 3, 3), {"groups": 3}),
    ("conv2d_grad_weight", (1, 17, 300, 310), (17, 17, 3, 3), {}),
    ("avg_pool2d_grad_input", (2, 3, 70, 80), 3, {"stride": 1}),
    ("sum_pool2d_grad_input", (1, 1, 1100, 1300), 3, {"stride": 1}),
)


@pytest.mark.parametrize("isa", native.detected_isas())
@pytest.mark.parametrize(("function", "shape", "other", "options"), CALLS)
def test_nothing_is_copied(function: str, shape: Any, other: Any, options: dict[str, Any], isa: str) -> None:
    """What `explain` says of copies and scratch is so, and results are those of a gradient that is folded."""
    options = {"padding": 1, "padding_mode": "reflect", **options}
    conv = function.startswith("conv")
    rest, result = (small(*other, seed=1), shape) if conv else (shape, other), shape
    if function.endswith("weight"):
        rest, result = (small(*shape, seed=1), other), other
    y_shape, said_of = ((shape[0], other[0], *shape[2:]), (rest[0].shape, result)) if conv else (shape, (shape, other))
    grad_y = small(*y_shape, seed=2)
    gradient = getattr(convlib, function)
    with under_isa(isa):
        said = convlib.explain(function, grad_y.shape, *said_of, **options, backend="native")
        assert said.copies == ()
        for threads in (1, 2):
            with convlib.num_threads(threads):
                gradient(grad_y, *rest, **options, backend="native")  # makes a plan
                native.trace()
                tracemalloc.start()
                found = gradient(grad_y, *rest, **options, backend="native")
                most = tracemalloc.get_traced_memory()[1] - found.nbytes
                tracemalloc.stop()
                _, scratch = native.traced()
            assert scratch <= said.workspace_nbytes
            assert most <= (96 << 10)
            folded = gradient(np.asfortranarray(grad_y), *rest, **options, backend="native")
            np.testing.assert_allclose(found, folded, rtol=1e-5, atol=2e-3)


def test_where_a_copy_is_sooner_made() -> None:
    """Of small planes and many channels, and of weights of small images; of other types and more axes always."""
    for x_shape, w_shape, options in (
        ((1, 64, 7, 7), (64, 1, 3, 3), {"groups": 64}), ((1, 64, 64, 64), (64, 64, 3, 3), {}),
        ((1, 1, 9, 60, 60), (1, 1, 3, 3, 3), {}),
    ):  # fmt: skip
        spec = make_conv(len(x_shape) - 2, x_shape, w_shape, padding=1, padding_mode="edge", **options)
        assert not native_folding.adds_outside("conv_grad_input", spec, np.dtype("f4"))
    spec = make_conv(2, (1, 1, 90, 90), (1, 1, 3, 3), padding=1, padding_mode="edge")
    assert native_folding.adds_outside("conv_grad_input", spec, np.dtype("f8"))
    assert not native_folding.adds_outside("conv_grad_weight", spec, np.dtype("f8"))
    spec = make_conv(2, (1, 1, 900, 900), (1, 1, 3, 3), padding=1, padding_mode="edge")
    assert native_folding.adds_outside("conv_grad_weight", spec, np.dtype("f8"))
    assert not native_folding.adds_outside("conv_grad_input", spec, np.dtype("i8"))


def test_arrays_that_are_not_those_of_the_border_are_refused() -> None:
    spec = make_conv(2, (1, 2, 20, 30), (2, 1, 3, 3), groups=2, padding=1, padding_mode="wrap")
    border = native_folding._outside(spec, np.dtype("f4"))
    grad_y, w, x = small(*spec.y_shape), small(*spec.w_shape), small(*spec.x_shape)
    for given in (
        (grad_y[..., :-1], w, x), (grad_y.astype("f8"), w, x), (grad_y, w[:1], x), (grad_y, w, x[:, :, ::-1]),
        (grad_y, w, x[:, :1]), (np.asfortranarray(grad_y), w, x),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="border"):
            border.add(*given, 1)
        with pytest.raises(ValueError, match="border"):
            border.add_weights(given[0], given[2], given[1], 1)
    x.flags.writeable = w.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        border.add(grad_y, w, x, 1)
    with pytest.raises(ValueError, match="read-only"):
        border.add_weights(grad_y, x, w, 1)
