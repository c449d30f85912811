"""Padding that is no zeros on the short ways: a few channels at a time, borders alone, gradients in one piece."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from expected import under_isa
from tools import padded, small

import convlib
from convlib._ext import _native as native, _native_pad
from convlib.backends import native_norms, native_padding
from convlib.backends.base import arrays
from convlib.backends.base.arrays import padding_sources
from convlib.spec import make_conv, make_pool
from convlib.storage import job

MODES = ("reflect", "symmetric", "edge", "wrap", "constant")
OPTIONS: tuple[dict[str, Any], ...] = (
    {"padding": 1}, {"padding": ((0, 2), (2, 1)), "stride": 2}, {"padding": ((3, 1), (0, 0)), "dilation": 2},
)  # fmt: skip


#: Kinds and threads that a small window is given in turn; those of float64 are the other way round.
TURNS = ((("sum", 1), ("max", 2)), (("min", 1), ("avg", 2)), (("max", 1), ("sum", 2)), (("avg", 1), ("min", 2)))


def mode_of(mode: str) -> dict[str, Any]:
    """Return the options of a mode; constant padding is not zero."""
    return {"pad_value": 3} if mode == "constant" else {"padding_mode": mode}


def wide(x: Any, options: dict[str, Any], mode: str) -> tuple[Any, dict[str, Any]]:
    """Return the input with its padding, and the options that are left."""
    rest = {key: value for key, value in options.items() if key != "padding"}
    return padded(x, options["padding"], mode), rest


@pytest.fixture(params=["a few channels", "borders"])
def served(request, monkeypatch):
    """Take one of two ways, whatever the size of the input."""
    if request.param == "borders":
        monkeypatch.setattr(native_padding, "PIECE", 0)
        monkeypatch.setattr(arrays, "SMALL_COPY", 0)
    else:
        monkeypatch.setattr(native_padding, "PIECE", 9 << 10)  # two or three planes of the tests
        monkeypatch.setattr(native_padding, "WORTH", 0)
    for cached in (convlib.functional.conv._quick, convlib.functional.pool._quick):
        cached.cache_clear()
    yield request.param
    for cached in (convlib.functional.conv._quick, convlib.functional.pool._quick):
        cached.cache_clear()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convolutions(served: str, dtype: str, mode: str, options: dict[str, Any]) -> None:
    for channels, each, outs in ((7, 1, 1), (10, 2, 3)):  # of a group: input and output channels
        groups = channels // each
        x, w = small(2, channels, 31, 33).astype(dtype), small(groups * outs, each, 3, 3, seed=1).astype(dtype)
        bias, (whole, rest) = small(groups * outs, seed=2).astype(dtype), wide(x, options, mode)
        expected = convlib.conv2d(whole, w, bias, groups=groups, backend="cython", **rest)
        for threads in (1, 2):
            out = np.empty_like(expected)
            with convlib.num_threads(threads):
                given = {"groups": groups, **options, **mode_of(mode)}
                np.testing.assert_array_equal(convlib.conv2d(x, w, bias, **given), expected)
                np.testing.assert_array_equal(convlib.conv2d(x[1], w, bias, **given), expected[1])
                assert convlib.conv2d(x, w, bias, out=out, **given) is out
            np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_poolings(served: str, dtype: str, mode: str, options: dict[str, Any]) -> None:
    kernel, options = 4, {"stride": 1, **options}
    x = small(2, 7, 31, 33).astype(dtype)
    whole, rest = wide(x, options, mode)
    own = np.broadcast_to(np.arange(31 * 33).reshape(31, 33), x.shape)
    origins, _ = wide(own, options, mode)
    if mode == "constant":
        origins = np.where(wide(np.ones_like(own), options, mode)[0] == 1, origins, -1)
    expected, at = convlib.max_pool2d(whole, kernel, return_indices=True, backend="cython", **rest)
    places = np.take_along_axis(origins.reshape(2, 7, -1), at.reshape(2, 7, -1), 2).reshape(at.shape)
    total = convlib.sum_pool2d(whole, kernel, backend="cython", **rest)
    for threads in (1, 2):
        with convlib.num_threads(threads):
            given = {**options, **mode_of(mode)}
            found, found_at = convlib.max_pool2d(x, kernel, return_indices=True, **given)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(found_at, places, strict=True)
            np.testing.assert_array_equal(convlib.max_pool2d(x, kernel, **given), expected)
            np.testing.assert_array_equal(convlib.max_pool2d(x[1], kernel, **given), expected[1])
            np.testing.assert_array_equal(convlib.sum_pool2d(x, kernel, **given), total)


@pytest.mark.parametrize("mode", MODES)
def test_gradients_go_the_short_way(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the long way would do is not asked."""
    x, w, grad_y = small(2, 3, 9, 11), small(4, 3, 3, 3, seed=1), small(2, 4, 9, 11, seed=2)
    options: dict[str, Any] = {"padding": 1, "backend": "native", **mode_of(mode)}
    (whole, _), inner = wide(x, {"padding": 1}, mode), {"backend": "cython"}
    expected = convlib.conv2d_grad_weight(grad_y, whole, w.shape, **inner)
    monkeypatch.setattr(job.Job, "__init__", None)
    np.testing.assert_array_equal(convlib.conv2d_grad_weight(grad_y, x, w.shape, **options), expected)
    if mode != "constant":
        grad_x = convlib.conv2d_grad_input(grad_y, w, x.shape, **options)
        assert np.vdot(grad_x, x) == np.vdot(grad_y, convlib.conv2d(x, w, **options))
        grad_y = grad_y[:, :3].copy()
        grad_x = convlib.sum_pool2d_grad_input(grad_y, x.shape, 3, stride=1, **options)
        assert np.vdot(grad_x, x) == np.vdot(grad_y, convlib.sum_pool2d(x, 3, stride=1, **options))


def test_pieces_are_what_is_said() -> None:
    """So many copies as `explain` says, each by the implementation that it names."""
    x, w = np.ones((1, 64, 112, 112), "f4"), np.ones((64, 1, 3, 3), "f4")
    said = convlib.explain("conv2d", x.shape, w.shape, groups=64, padding=1, padding_mode="wrap")
    copy, = said.copies
    each = native_padding.groups_at_once(said.spec, x.dtype)
    assert copy.parts == -(-64 // each) > 1
    native.trace()
    convlib.conv2d(x, w, groups=64, padding=1, padding_mode="wrap")
    rows, most = native.traced()
    assert rows == (said.algorithm,)
    assert copy.nbytes <= most <= said.workspace_nbytes < x.nbytes / 4


@pytest.mark.parametrize("isa", native.detected_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_small_windows_copy_nothing(kernel: int, mode: str, dtype: str, isa: str) -> None:
    """They see to the rows and columns outside on their way; what `explain` says is what is taken."""
    most, paddings = kernel // 2, [1, ((1, 0), (0, 1)), ((0, 1), (1, 0)), ((0, 0), (1, 1)), ((1, 1), (0, 0))]
    if most > 1:
        paddings += [most, ((most, 1), (0, most)), ((0, most), (most, 1))]
    turns = itertools.cycle(TURNS if dtype == "float32" else TURNS[::-1])
    for rows, columns in ((2, 3), (7, 15), (5, 16), (9, 33), (20, 65), (70, 18), (3, 130)):
        for padding in paddings:
            ends = np.broadcast_to(padding, (2, 2)).sum(axis=1)
            beyond = mode in ("reflect", "symmetric") and most >= min(rows, columns)
            if beyond or (np.array((rows, columns)) + ends < kernel).any():
                continue
            options = {"stride": 1, "padding": padding, **mode_of(mode)}
            for kind, threads in next(turns):
                function = f"{kind}_pool2d"
                x = small(2, 3, rows, columns).astype(dtype)
                if kind == "max":
                    x[1, 0, rows // 2], x[0, 1, -1, 0], x[1, 2, 0, -1] = -np.inf, np.nan, np.nan
                expected = getattr(convlib, function)(padded(x, padding, mode), kernel, stride=1, backend="cython")
                with under_isa(isa), convlib.num_threads(threads):
                    said = convlib.explain(function, x.shape, kernel, dtype=dtype, backend="native", **options)
                    getattr(convlib, function)(x, kernel, backend="native", **options)  # makes a plan
                    native.trace()
                    found = getattr(convlib, function)(x, kernel, backend="native", **options)
                    rows_run, taken = native.traced()
                    np.testing.assert_array_equal(found, expected)
                    assert rows_run == (said.algorithm,)
                    assert taken <= said.workspace_nbytes
                    if kind in ("sum", "avg") or mode in ("wrap", "constant"):  # else no extreme needs the padding
                        assert (said.copies == ()) == (said.algorithm == "pool_strips")
                    assert (said.algorithm == "pool_strips") or isa == "scalar" or min(rows, columns) < 7
                    gaps = np.repeat(x, 2, axis=3)[..., ::2]
                    np.testing.assert_array_equal(getattr(convlib, function)(gaps, kernel, **options), expected)


@pytest.mark.parametrize("isa", native.detected_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_maxima_with_places_copy_nothing(mode: str, dtype: str, isa: str) -> None:
    """Of equals the first counts as padding lies, of NaN the last; places are those of what is repeated."""
    threads = itertools.cycle((1, 2))
    for rows, columns in ((2, 2), (7, 15), (5, 16), (9, 33), (20, 65), (3, 130)):
        own = np.broadcast_to(np.arange(rows * columns).reshape(rows, columns), (2, 3, rows, columns))
        for padding in (1, ((1, 0), (0, 1)), ((0, 1), (1, 0)), ((0, 0), (1, 1)), ((1, 1), (0, 0))):
            ends = np.broadcast_to(padding, (2, 2)).sum(axis=1)
            if (np.array((rows, columns)) + ends < 3).any():
                continue
            for values in ([2, 3], [-np.inf, 1], [0, 1, np.nan], [np.nan], [-np.inf]):
                x = np.random.default_rng(0).choice(np.array(values, dtype), own.shape)
                options = {"stride": 1, "padding": padding, "return_indices": True, **mode_of(mode)}
                origins, _ = wide(own, {"padding": padding}, mode)
                if mode == "constant":
                    origins = np.where(wide(np.ones_like(own), {"padding": padding}, mode)[0] == 1, origins, -1)
                whole, _ = wide(x, {"padding": padding}, mode)
                expected, at = convlib.max_pool2d(whole, 3, stride=1, return_indices=True, backend="cython")
                places = np.take_along_axis(origins.reshape(2, 3, -1), at.reshape(2, 3, -1), 2).reshape(at.shape)
                with under_isa(isa), convlib.num_threads(next(threads)):
                    said = convlib.explain("max_pool2d", x.shape, 3, dtype=dtype, backend="native", **options)
                    convlib.max_pool2d(x, 3, backend="native", **options)  # makes a plan
                    native.trace()
                    found, found_at = convlib.max_pool2d(x, 3, backend="native", **options)
                    rows_run, most = native.traced()
                    np.testing.assert_array_equal(found, expected)
                    np.testing.assert_array_equal(found_at, places)
                    assert rows_run == (said.algorithm,)
                    assert most <= said.workspace_nbytes
                    assert not (said.copies and said.algorithm == "pool_places")
                    assert not said.copies or isa == "scalar" or min(rows, columns) < 7


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_maxima_beside_padding_without_order(value: float) -> None:
    for columns in (5, 40):
        x = np.where(small(1, 2, 6, columns) > 0, 1, -np.inf).astype("f4")
        options: dict[str, Any] = {"stride": 1, "padding": 1, "pad_value": value, "return_indices": True}
        found, at = convlib.max_pool2d(x, 3, backend="native", **options)
        expected, places = convlib.max_pool2d(x, 3, backend="naive", **options)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(at, places)


@pytest.mark.parametrize("isa", native.detected_isas())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", MODES)
def test_norms_copy_nothing(mode: str, dtype: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are roots of the same sums, of some planes at a time, unless powers have too few digits."""
    plain = small(7, 1, 9, 33).astype(dtype)
    huge, nan = plain.copy(), plain.copy()
    huge[4, 0, 2, 3], nan[0, 0, 8, 32] = np.finfo(dtype).max / 4, np.nan
    for at_once in (1 << 20, 5000 * np.dtype(dtype).itemsize // 4):  # all planes; two at a time, and one
        monkeypatch.setattr(native_norms, "_BYTES", at_once)
        convlib.functional.pool._quick.cache_clear()
        for padding, powers in ((1, (1, 2.5, 4)), (((1, 0), (0, 1)), (2, 2.5, 3))):
            for p in powers:
                options = {"stride": 1, "padding": padding, "backend": "native", **mode_of(mode)}
                for x in (plain, plain[2], huge, nan):
                    whole, _ = wide(x.reshape(-1, 1, 9, 33), {"padding": padding}, mode)
                    expected = convlib.lp_pool2d(whole, p, 3, stride=1, backend="cython")
                    with under_isa(isa):
                        said = convlib.explain("lp_pool2d", x.shape, p, 3, dtype=dtype, **options)
                        convlib.lp_pool2d(x, p, 3, **options)
                        tracemalloc.start()
                        found = convlib.lp_pool2d(x, p, 3, **options)
                        most = tracemalloc.get_traced_memory()[1] - found.nbytes
                        tracemalloc.stop()
                        out = np.empty_like(found)
                        assert convlib.lp_pool2d(x, p, 3, out=out, **options) is out
                    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=4 * np.finfo(dtype).eps)
                    np.testing.assert_array_equal(out, found)
                    assert (said.copies == ()) == (said.algorithm == "pool_strips")
                    assert most <= said.workspace_nbytes + 4096  # and Python's own
    convlib.functional.pool._quick.cache_clear()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("nd", "options"),
    [(2, {"stride": 1, "padding": 1}), (2, {}), (2, {"stride": 2, "padding": 1}), (1, {}), (3, {"stride": 2})],
)
def test_norms_under_zeros_go_the_short_way(
    nd: int, options: dict[str, Any], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrays with gaps have, which go the long way, within the scratch that is said."""
    function = getattr(convlib, f"lp_pool{nd}d")
    plain = small(7, 3, *(9, 12, 14)[:nd]).astype(dtype)
    huge, nan = plain.copy(), plain.copy()
    huge.flat[40], nan.flat[-1] = np.finfo(dtype).max / 4, np.nan
    for at_once in (1 << 20, 4 * plain[0].nbytes, plain[0, 0].nbytes):  # all planes, some at a time, none
        monkeypatch.setattr(native_norms, "_BYTES", at_once)
        convlib.functional.pool._quick.cache_clear()
        for p in (1, 2, 2.5):
            said = convlib.explain(function.__name__, plain.shape, p, 3, dtype=dtype, **options)
            assert said.backend == "native"
            assert said.copies == ()
            for x in (plain, plain[2], huge, nan):
                expected = function(np.repeat(x, 2, axis=-1)[..., ::2], p, 3, **options)
                tracemalloc.start()
                found = function(x, p, 3, **options)
                most = tracemalloc.get_traced_memory()[1] - found.nbytes
                tracemalloc.stop()
                np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)
                assert most <= said.workspace_nbytes + (16 << 10)  # and Python's own
                out = np.empty_like(found)
                assert function(x, p, 3, out=out, **options) is out
                np.testing.assert_array_equal(out, found)
    convlib.functional.pool._quick.cache_clear()


def test_norms_whose_padding_has_no_power_are_copied() -> None:
    x = small(1, 3, 12, 40).astype("f4")
    for value in (1e-30, 1e30, np.inf):
        options: dict[str, Any] = {"padding": 1, "pad_value": value, "backend": "native"}
        assert convlib.explain("lp_pool2d", x.shape, 2, 3, stride=1, dtype="f4", **options).copies
        found = convlib.lp_pool2d(x * 0, 2, 3, stride=1, **options)
        np.testing.assert_allclose(found[0, 0, 0, 0], np.sqrt(5) * np.float64(np.float32(value)), rtol=1e-6)


def test_what_no_frame_can_say_is_copied() -> None:
    """More rows on a side, other windows, places, and an implementation that copies if it is named."""
    x = small(1, 3, 12, 40)
    given: dict[str, Any] = {"stride": 1, "padding_mode": "wrap", "backend": "native"}
    for kernel, padding in ((3, 2), (5, 3), (7, 1), ((3, 5), 1)):
        assert convlib.explain("sum_pool2d", x.shape, kernel, padding=padding, **given).copies
    assert not convlib.explain("sum_pool2d", x.shape, 3, padding=1, **given).copies
    named = {**given, "backend": "native:pool_windows"}
    assert convlib.explain("sum_pool2d", x.shape, 3, padding=1, **named).copies
    expected = convlib.sum_pool2d(padded(x, 1, "wrap"), 3, stride=1, backend="cython")
    np.testing.assert_array_equal(convlib.sum_pool2d(x, 3, padding=1, **named), expected)


def test_borders_are_those_of_what_padding_changes() -> None:
    spec = make_conv(2, (1, 1, 20, 30), (1, 1, 3, 5), padding=((1, 0), (2, 3)), padding_mode="edge")
    seen = np.zeros(spec.out_size, int)
    for box in spec.borders():
        seen[box] += 1
    changed = np.ones(spec.out_size, int)
    changed[2:, 2:-3] = 0  # two rows, of which padding changes one
    np.testing.assert_array_equal(seen, changed)


@pytest.mark.parametrize("isa", native.detected_isas())
def test_borders_are_served_by_the_implementation_of_the_whole(isa: str) -> None:
    """One that cuts planes into rows serves no single one."""
    x, w = small(1, 3, 300, 500), small(16, 3, 3, 3, seed=1)
    with under_isa(isa):
        said = convlib.explain("conv2d", x.shape, w.shape, padding=1, padding_mode="reflect", backend="native")
        copy, = said.copies
        assert copy.parts == 4
        assert copy.nbytes < x.nbytes / 4
        for threads in (1, 2):
            native.trace()
            with convlib.num_threads(threads):
                y = convlib.conv2d(x, w, padding=1, padding_mode="reflect", backend="native")
            rows, most = native.traced()
            assert rows == (said.algorithm,)
            assert most <= said.workspace_nbytes
    expected = convlib.conv2d(padded(x, 1, "reflect"), w, backend="cython")
    np.testing.assert_allclose(y, expected, atol=1e-3)  # scalar serves it by Winograd


def test_inputs_of_many_channels_are_copied_whole() -> None:
    """Their borders take longer than a copy."""
    for channels, size, parts in ((64, 64, 1), (256, 40, 1), (4, 300, 4)):
        shapes = (1, channels, size, size), (channels, channels, 3, 3)
        copy, = convlib.explain("conv2d", *shapes, padding=1, padding_mode="wrap", backend="native").copies
        assert copy.parts == parts


def test_a_part_of_a_padded_input() -> None:
    x, spec = small(2, 3, 9, 11), make_pool(2, "sum", (2, 3, 9, 11), 3, 1, 2, padding_mode="wrap")
    sources = [padding_sources(spec, axis) for axis in range(2)]
    whole = padded(x, 2, "wrap")
    for rows, columns in ((slice(0, 3), slice(0, 15)), (slice(2, 11), slice(12, 15)), (slice(1, 4), slice(0, 2))):
        part = whole[:, :, rows, columns]
        lo = [max(0, 2 - at.start) for at in (rows, columns)]
        border = _native_pad.Border(
            x.shape, part.shape, x.dtype, 6, 1, (9, 11), part.shape[2:],
            [min(a, size) for a, size in zip(lo, part.shape[2:], strict=True)],
            [sources[0][rows], sources[1][columns]], 0.0,
        )  # fmt: skip
        np.testing.assert_array_equal(border.wide(x, 2), part)
        assert border.wide(x[..., ::-1], 2) is None
        with pytest.raises(ValueError, match="part of the input"):
            border.fold(border.room(), x, 1)
