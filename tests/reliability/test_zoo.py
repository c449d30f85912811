"""Every kind of array in every place of every function: the numbers of a plain array, or a refusal; nothing changed."""

import inspect
import tempfile

import numpy as np
import pytest

import convlib
from convlib.testing.arrays import VARIANTS

from .test_rubbish import FUNCTIONS, OTHERS, sensible


class Plain(np.ndarray):
    """A subclass that somebody made."""


def memmap(a):
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, a.dtype, "w+", shape=a.shape)
    mapped[...] = a
    return mapped


SAME = {
    **VARIANTS,
    "memmap": memmap,
    "read-only map": lambda a: read_only(memmap(a)),
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "overlapping": lambda a: np.lib.stride_tricks.as_strided(np.ones(a.size, a.dtype), a.shape, [a.itemsize] * a.ndim),
    "a slice of a larger one": lambda a: np.pad(a, 3)[tuple(slice(3, -3) for _ in a.shape)],
    "a list": lambda a: a.tolist(),
    "of a buffer": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}
SAME.pop("stride-0")  # holds other numbers

REFUSED = {
    "0-d": lambda a: np.array(a.dtype.type(1)),
    "masked": np.ma.masked_array,
    "subclass": lambda a: a.view(Plain),
    "object": lambda a: a.astype(object),
    "text": lambda a: a.astype("U3"),
    "dates": lambda a: a.astype("i8").view("M8[s]"),
    "records": lambda a: np.zeros(a.shape, [("a", "f4")]),
    "void": lambda a: np.zeros(a.shape, "V4"),
    "one axis too many": lambda a: a[None, None, None, None],
    "long double": lambda a: a.astype(np.longdouble),
}


def read_only(a):
    a.flags.writeable = False
    return a


def places(name):
    """Return the places of the arrays among the arguments of a function."""
    args, _ = sensible(name)
    return [place for place, value in enumerate(args) if isinstance(value, np.ndarray) and value.ndim]


def filled(name):
    """Return arguments whose arrays hold different small integers."""
    args, options = sensible(name)
    rng = np.random.default_rng(len(name))
    args = [
        rng.integers(0, 4, a.shape).astype(a.dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for a in args
    ]  # fmt: skip
    return args, options


def numbers(result):
    """Return results, or what a plan computes, as NumPy arrays."""
    if isinstance(result, convlib.functional.ConvPlan):
        result = result(np.ones(result.spec.x_shape, result.dtype))
    return [np.asarray(a) for a in (result if isinstance(result, tuple) else (result,))]


def same(a, b):
    return all(p.shape == q.shape and np.array_equal(p, q) for p, q in zip(a, b, strict=True))


def faults(function, args, options, kinds):
    """Yield what goes wrong when arrays of other kinds take the places of plain ones."""
    expected = numbers(function(*args, **options))
    for place in [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.ndim]:
        for kind, make in kinds.items():
            changed = list(args)
            changed[place] = make(args[place])
            base = changed[place]
            answers = [] if kind == "overlapping" else [expected]
            if kind in ("overlapping", "a list"):  # which hold other numbers, or wider ones unless another array counts
                answers.append(numbers(function(*args[:place], np.array(base), *args[place + 1 :], **options)))
            before = base.copy() if isinstance(base, np.ndarray) else list(base)
            found = numbers(function(*changed, **options))
            if not any(same(found, wanted) for wanted in answers):
                yield f"argument {place}, {kind}: other numbers"
            if not (np.array_equal(base, before) if isinstance(base, np.ndarray) else base == before):
                yield f"argument {place}, {kind}: changed"


ARRAYS = [name for name in FUNCTIONS if name not in OTHERS and places(name)]


@pytest.mark.filterwarnings("ignore::numpy.exceptions.VisibleDeprecationWarning")
@pytest.mark.parametrize("name", ARRAYS)
def test_other_kinds_of_arrays_give_the_same_numbers(name):
    kinds = dict(SAME)
    if any(word in name for word in ("stream", "plan")):
        kinds.pop("overlapping")
    assert not list(faults(getattr(convlib, name), *filled(name), kinds))


def test_a_function_that_writes_its_input_would_be_noticed():
    def doubles(x):
        x *= 2
        return x.copy()

    found = list(faults(doubles, [np.ones((2, 3), "f4")], {}, {"fortran": np.asfortranarray}))
    assert "argument 0, fortran: changed" in found


def test_a_function_that_reads_memory_in_its_order_would_be_noticed():
    def flat(x):
        return x.ravel("K")

    found = list(faults(flat, [np.arange(6.0).reshape(2, 3)], {}, {"fortran": np.asfortranarray}))
    assert found == ["argument 0, fortran: other numbers"]


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", [name for name in ARRAYS if name != "requantize"])  # which takes any shape
def test_what_is_no_array_of_numbers_is_refused_by_name(name, kind):
    args, options = filled(name)
    names = list(inspect.signature(getattr(convlib, name)).parameters)
    for place in places(name):
        if kind == "long double" and not np.issubdtype(args[place].dtype, np.floating):
            continue
        changed = list(args)
        changed[place] = REFUSED[kind](args[place])
        with pytest.raises((TypeError, convlib.SpecError)) as caught:
            getattr(convlib, name)(*changed, **options)
        assert names[place] in str(caught.value) or "channel" in str(caught.value)
