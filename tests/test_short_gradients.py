"""Gradients of plain arrays take a short way; it gives what the long way gives, and leaves to it what it must."""

import numpy as np
import pytest

import convlib
from convlib import SpecError
from convlib.functional import _short

RNG = np.random.default_rng(5)


def numbers(*shape, dtype="f4"):
    return RNG.integers(-4, 5, shape).astype(dtype)


#: Name of a function, the arguments after the gradient, and the shape of the gradient.
CALLS = {
    "input": ("conv2d_grad_input", (numbers(6, 2, 3, 3), (2, 4, 9, 8)), dict(groups=2, padding=1), (2, 6, 9, 8)),
    "input, stride": ("conv2d_grad_input", (numbers(6, 4, 3, 3), (2, 4, 9, 8)), dict(stride=2), (2, 6, 4, 3)),
    "weight": ("conv2d_grad_weight", (numbers(2, 4, 9, 8), (6, 4, 3, 3)), dict(padding=1), (2, 6, 9, 8)),
    "transposed": ("conv_transpose2d", (numbers(6, 4, 3, 3),), dict(stride=2), (2, 6, 4, 3)),
    "transposed, bias": ("conv_transpose2d", (numbers(6, 4, 3, 3), numbers(4)), dict(stride=2), (2, 6, 4, 3)),
    "average": ("avg_pool2d_grad_input", ((2, 6, 8, 8), 2), {}, (2, 6, 4, 4)),
    "sum": ("sum_pool2d_grad_input", ((2, 6, 8, 8), 3), dict(stride=1), (2, 6, 6, 6)),
}  # fmt: skip


@pytest.fixture
def served(monkeypatch):
    """Return a list of the results that short ways gave."""
    found = []
    short = _short.short_gradient

    def noting(*arguments, **options):
        result = short(*arguments, **options)
        if result is not None:
            found.append(result)
        return result

    for module in ("conv", "pool_grad"):
        monkeypatch.setattr(f"convlib.functional.{module}.short_gradient", noting)
    return found


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", CALLS)
def test_the_same_as_the_long_way(name, dtype, served):
    function, rest, options, shape = CALLS[name]
    rest = [a.astype(dtype) if isinstance(a, np.ndarray) else a for a in rest]
    grad = numbers(*shape, dtype=dtype)
    short = getattr(convlib, function)(grad, *rest, **options)
    assert len(served) == 1
    assert served[0] is short
    long = getattr(convlib, function)(np.asfortranarray(grad), *rest, **options)
    assert len(served) == 1
    assert short.dtype == long.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(short, long)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("given", ["float16", "integers", "byte order", "list", "channels last"])
def test_what_is_left_to_the_long_way(name, given, served):
    function, rest, options, shape = CALLS[name]
    grad, rest, options = numbers(*shape), list(rest), dict(options)
    expected = getattr(convlib, function)(grad, *rest, **options)
    served.clear()
    cast = {"float16": "f2", "integers": "i4", "byte order": ">f4"}.get(given)
    if cast == "i4" and name == "average":
        pytest.skip("averages of integers round")
    if cast:
        grad, *rest = (a.astype(cast) if isinstance(a, np.ndarray) else a for a in (grad, *rest))
    elif given == "list":
        grad = grad.tolist()
    elif given == "channels last":
        options["layout"], turn = "NHWC", (0, 2, 3, 1)
        grad, expected = np.ascontiguousarray(grad.transpose(turn)), expected if name == "weight" else (
            expected.transpose(turn)
        )  # fmt: skip
        if name == "weight":
            rest[0] = np.ascontiguousarray(rest[0].transpose(turn))
        else:
            rest = [tuple(a[t] for t in turn) if isinstance(a, tuple) else a for a in rest]
    found = getattr(convlib, function)(grad, *rest, **options)
    assert not served
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", ["constant", "edge"])
@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("transposed")])
def test_images_and_given_results_take_it_too(name, mode, served):
    function, rest, options, shape = CALLS[name]
    if mode == "edge":
        options = {**options, "padding_mode": mode}
    grad, call = numbers(*shape), getattr(convlib, function)
    expected = call(grad, *rest, **options)
    out = np.full_like(expected, 7)
    assert call(grad, *rest, **options, out=out) is out
    np.testing.assert_array_equal(out, expected)
    first, *others = rest
    if name == "weight":
        alone, whole = call(grad[0], first[0], *others, **options), call(grad[:1], first[:1], *others, **options)
    else:
        one = [tuple(a[1:]) if isinstance(a, tuple) else a for a in rest]
        alone, whole = call(grad[0], *one, **options), expected[0]
    np.testing.assert_array_equal(alone, whole)
    assert len(served) >= 3
    gaps = np.empty((*out.shape, 2), out.dtype)[..., 0]
    count = len(served)
    assert call(grad, *rest, **options, out=gaps) is gaps
    assert len(served) == count
    np.testing.assert_array_equal(gaps, expected)
    for wrong, kind in ((out[..., 1:], SpecError), (out.astype("f8"), TypeError), (None, None)):
        if kind is not None:
            with pytest.raises(kind, match="out has"):
                call(grad, *rest, **options, out=wrong)
    if grad.shape == out.shape:
        with pytest.raises(SpecError, match="overlaps"):
            call(grad, *rest, **options, out=grad)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda g, x, w: convlib.conv2d_grad_input(g[:, :, 1:], w, x.shape), SpecError, "grad_y"),
        (lambda g, x, w: convlib.conv2d_grad_input(g, w, (1, 2, 5.0, 5)), TypeError, "an entry of"),
        (lambda g, x, w: convlib.conv2d_grad_input(g, w, (1, 2, 5, True)), TypeError, "an entry of"),
        (lambda g, x, w: convlib.conv2d_grad_input(g, w, x.shape, stride=True), TypeError, "stride"),
        (lambda g, x, w: convlib.conv2d_grad_input(g, w, x.shape, stride={}), TypeError, "stride"),
        (lambda g, x, w: convlib.conv2d_grad_weight(g, x, (3, 2, 3, 4)), SpecError, "grad_y"),
        (lambda g, x, w: convlib.conv_transpose2d(g, w[:2]), SpecError, "w "),
        (lambda g, x, w: convlib.conv_transpose2d(g, w, np.ones(3, "f4")), SpecError, "bias"),
        (lambda g, x, w: convlib.avg_pool2d_grad_input(g, x.shape, 2), SpecError, "grad_y"),
    ],
)
def test_errors_are_those_of_the_long_way(call, kind, words):
    grad, x, w = np.ones((1, 3, 3, 3), "f4"), np.ones((1, 2, 5, 5), "f4"), np.ones((3, 2, 3, 3), "f4")
    for _ in range(2):  # the second time, what was settled before may be asked
        with pytest.raises(kind, match=words) as short:
            call(grad, x, w)
        with pytest.raises(kind) as long:
            call(np.asfortranarray(grad), x, w)
        assert str(short.value) == str(long.value)


def test_settings_are_part_of_what_is_settled(served):
    grad, w = np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 3, 3), "f4")
    convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5))
    assert len(served) == 1
    with convlib.use_backend("naive"):
        convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5))
    assert len(served) == 1
    convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5))
    assert len(served) == 2


def test_weights_that_are_not_finite_spoil_what_they_reach(served):
    grad, w = np.ones((1, 1, 3, 3), "f4"), np.ones((1, 1, 3, 3), "f4")
    w[0, 0, 0, 0] = np.inf
    short = convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5))
    assert len(served) == 1
    np.testing.assert_array_equal(short, convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5), backend="naive"))
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(short, convlib.conv2d_grad_input(grad, w, (1, 1, 5, 5)))
