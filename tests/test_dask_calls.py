"""Calls on Dask arrays: nothing is computed early, settings travel with the blocks, refusals come first."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib import config
from convlib.backends.naive import NaiveBackend

da = pytest.importorskip("dask.array", reason="Dask is not installed")


def values(shape):
    return np.random.default_rng(0).integers(-3, 4, shape).astype("f4")


# ------------------------------------------------------------------------------- lazy, and lean


class Counting:
    """An array whose reads are counted, as of a file."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        self.reads = []

    def __getitem__(self, where):
        self.reads.append(where)
        return self.array[where]


def test_nothing_is_computed_before_it_must_and_then_no_more_than_is_needed():
    source = Counting(values((1, 1, 40, 40)))
    x = da.from_array(source, chunks=(1, 1, 10, 10), meta=np.empty((0,) * 4, "f4"))
    y = convlib.conv2d(x, np.ones((1, 1, 3, 3), "f4"), padding=1)
    y = convlib.max_pool2d(y, 2)
    assert source.reads == []
    y[:, :, :5, :5].compute(scheduler="synchronous")  # the first block, and the halo of its neighbours
    assert len(source.reads) == 4


def test_chunks_of_the_result_are_those_of_the_input():
    x = da.zeros((1, 1, 40, 90), chunks=(1, 1, 10, 30), dtype="f4")
    w = np.ones((1, 1, 3, 3), "f4")
    assert convlib.conv2d(x, w, padding="same").chunks == x.chunks
    assert convlib.conv2d(x, w, padding="same", padding_mode="wrap").chunks == x.chunks
    assert convlib.conv2d_grad_input(x, w, x.shape, padding=1).chunks == x.chunks
    assert convlib.conv2d_grad_input(x, w, x.shape, padding=1, padding_mode="edge").chunks == x.chunks
    assert convlib.max_pool2d(x, 2).chunks == ((1,), (1,), (5,) * 4, (15,) * 3)
    assert convlib.conv_transpose2d(x, np.ones((1, 1, 2, 2), "f4"), stride=2).chunks[2:] == ((20,) * 4, (60,) * 3)


def test_zero_points_are_subtracted_lazily():
    """Of 8-bit arrays the types say that int32 holds the sums, and of a bias its numbers; else nobody knows yet."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(0, 256, (2, 4, 9, 8), "u1"), rng.integers(-128, 128, (6, 2, 3, 3), "i1")
    bias, zeros = np.arange(6), {"x_zero_point": 200, "w_zero_point": (0, 1, 2, -3, -4, 127)}
    options = {"groups": 2, "padding": 1, **zeros}
    expected = convlib.conv2d(x, w, bias, **options)
    lazy = da.from_array(x, chunks=(1, 2, 4, 4))
    for weights, added in ((w, bias), (da.from_array(w, chunks=2), da.from_array(bias.astype("i2"), chunks=2))):
        y = convlib.conv2d(lazy, weights, added, **options, out_dtype="int32")
        assert y.dtype == np.int32
        found = y.compute(scheduler="synchronous")
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(convlib.UnsupportedError, match="x_zero_point: differences of uint64 may leave int64"):
        convlib.conv2d(lazy.astype("u8"), w, x_zero_point=1, groups=2)
    for wide, added in ((lazy.astype("i4"), bias), (lazy, da.from_array(bias, chunks=6))):
        with pytest.raises(convlib.UnsupportedError, match=r"out_dtype='int32': by the types .* use out_dtype='int64'"):
            convlib.conv2d(wide, w, added, **options, out_dtype="int32")
        y = convlib.conv2d(wide, w, added, **options, out_dtype="int64")
        np.testing.assert_array_equal(y.compute(scheduler="synchronous"), expected)


def test_blocks_smaller_than_a_halo_are_joined():
    x = da.zeros((1, 1, 1000), chunks=(1, 1, 10), dtype="f4")
    y = convlib.conv1d(x, np.ones((1, 1, 101), "f4"), padding="same")
    assert min(y.chunks[2]) >= 100
    assert convlib.conv1d(x, np.ones((1, 1, 2), "f4"), stride=25).npartitions == 40


def test_weights_are_one_node_of_the_graph_and_a_copy():
    x, w = da.ones((1, 1, 64, 64), chunks=(1, 1, 8, 8), dtype="f4"), np.ones((1, 1, 3, 3), "f4")
    y = convlib.conv2d(x, w, np.zeros(1, "f4"))
    graph = dict(y.__dask_graph__())
    assert sum(isinstance(getattr(task, "value", task), np.ndarray) for task in graph.values()) == 2
    w[...] = 7
    assert y.compute().max() == 9


def test_the_same_call_has_the_same_name_and_another_has_not():
    x = da.ones((1, 1, 9, 9), chunks=3)
    w = np.ones((1, 1, 3, 3))
    names = [
        convlib.conv2d(x, w).name, convlib.conv2d(x, 2 * w).name, convlib.conv2d(x, w, padding=1).name,
        convlib.conv2d(x, w, backend="dask:naive").name, convlib.conv2d(x + 1, w).name,
        convlib.conv2d(x, w, accuracy="strict").name,
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert convlib.conv2d(x, w.copy()).name == names[0]
    code = """
import convlib, numpy as np, dask.array as da
print(convlib.conv2d(da.ones((1, 1, 9, 9), chunks=3), np.ones((1, 1, 3, 3))).name)
"""
    paths = os.pathsep.join([str(Path(convlib.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == names[0]


class Marked(NaiveBackend):
    """Naive, but its results say who made them."""

    name = "marked"

    def _mark(self, *arrays):
        next(a for a in reversed(arrays) if isinstance(a, np.ndarray))[...] = 77

    _conv = _conv_grad_input = _conv_grad_weight = _pool_grad_input = _mark

    def _pool(self, spec, x, y, indices, algorithm):
        y[...] = 77

    def _unpool(self, spec, x, indices, y, add):
        y[...] = 77


def test_the_backend_that_is_named_serves_the_blocks_of_every_operator(register):
    register(Marked)
    x, y, w = (da.ones(shape, chunks=3) for shape in ((1, 1, 6, 6), (1, 1, 5, 5), (1, 1, 2, 2)))
    indices = da.zeros((1, 1, 3, 3), chunks=2, dtype=int)
    for made in (
        lambda **b: convlib.conv2d(x, w, **b), lambda **b: convlib.conv_transpose2d(x, w, **b),
        lambda **b: convlib.conv2d_grad_input(y, w, x.shape, **b), lambda **b: convlib.avg_pool2d(x, 2, **b),
        lambda **b: convlib.conv2d_grad_weight(y[:, :, :3, :3], x[:, :, :4, :4], w.shape, **b) / 1.0,
        lambda **b: convlib.avg_pool2d_grad_input(y, x.shape, 2, stride=1, **b),
        lambda **b: convlib.max_unpool2d(x[:, :, :3, :3], indices, 2, **b),
        lambda **b: convlib.max_pool2d_grad_input(x[:, :, :3, :3], indices, x.shape, **b),
    ):  # fmt: skip
        found = made(backend="dask:marked").compute()
        assert (found % 77 == 0).all()
        assert found.max() >= 77


def test_settings_of_the_call_hold_and_those_around_the_computation_do_not(register, environment):
    seen = []

    class Spy(NaiveBackend):
        name = "spy"

        def _conv(self, *args):
            seen.append((config.get_accuracy(), config.get_max_workspace()))
            super()._conv(*args)

    register(Spy)
    x, w = da.ones((1, 1, 6, 6), chunks=3), np.ones((1, 1, 2, 2))
    with convlib.accuracy("strict"), convlib.max_workspace(3 << 20), convlib.use_backend("dask:spy"):
        y = convlib.conv2d(x, w)
    with convlib.accuracy("fast"), convlib.max_workspace(5 << 20), convlib.use_backend("im2col"):
        y.compute()
    assert set(seen) == {("strict", 3 << 20)}
    with convlib.use_backend("dask"):  # which no block could be served by
        convlib.conv2d(x, w).compute(scheduler="synchronous")
    environment(CONVLIB_BACKEND="dask:spy")
    seen.clear()
    convlib.conv2d(x, w).compute()
    assert seen


# ------------------------------------------------------------------------------- refusals, before anything is computed


def bad():
    x = da.ones((1, 2, 12, 12), chunks=(1, 2, 4, 4), dtype="f4")
    w = np.ones((3, 2, 3, 3), "f4")
    unknown = x[:, :, x[0, 0, :, 0] > 0]
    empty = da.from_array(np.ones((1, 2, 12, 12), "f4"), chunks=(1, 2, (0, 4, 4, 4), 12))
    y = np.ones((1, 3, 10, 10), "f4")
    return {
        "unknown chunks": (convlib.SpecError, r"x has chunks of unknown size.*x\.compute_chunk_sizes\(\)",
                           lambda: convlib.conv2d(unknown, w)),
        "zero-size blocks": (convlib.SpecError, r"x has blocks of size 0.*\(0, 4, 4, 4\).*x\.rechunk\(\{2: \(4, 4, 4\)",
                             lambda: convlib.max_pool2d(empty, 2)),
        "weights of another dtype": (TypeError, r"x is a Dask array of float32 and w a NumPy array of float64.*"
                                     r"w\.astype\('float32'\), or x\.astype\('float64'\)",
                                     lambda: convlib.conv2d(x, w.astype("f8"))),
        "float weights of integers": (TypeError, r"x is a Dask array of uint8 and kernel a NumPy array of float32"
                                      r".*|image is a Dask array of uint8 and kernel a NumPy array of float32.*"
                                      r"image\.astype\('float32'\)",
                                      lambda: convlib.filter2d(x[0, 0].astype("u1"), w[0, 0])),
        "bias of another dtype": (TypeError, "bias a NumPy array of complex128",
                                  lambda: convlib.conv2d(x, w, np.ones(3, complex))),
        "a NumPy input and Dask weights": (TypeError, r"x: numpy, w: dask.*dask\.array\.from_array\(x\), or w\.compute",
                                           lambda: convlib.conv2d(y, da.from_array(w))),
        "a NumPy gradient": (TypeError, r"grad_y: numpy, x: dask.*from_array\(grad_y\)",
                             lambda: convlib.conv2d_grad_weight(y, x, w.shape)),
        "a shape": (convlib.SpecError, "channel mismatch", lambda: convlib.conv2d(x, w[:, :1])),
        "a bias of another shape": (convlib.SpecError, "bias has the shape", lambda: convlib.conv2d(x, w, w[0, 0])),
        "an element type": (TypeError, "no order", lambda: convlib.max_pool2d(x.astype("c8"), 2)),
        "indices of another shape": (convlib.SpecError, "indices has the shape",
                                     lambda: convlib.max_unpool2d(x, x[:, :, 1:].astype(int), 2)),
        "indices that are none": (TypeError, "indices must be integers", lambda: convlib.max_unpool2d(x, x, 2)),
        "out": (convlib.UnsupportedError, r"lazy Dask array; store it with y\.store\(out\)",
                lambda: convlib.conv2d(x, w, out=np.empty((1, 3, 10, 10), "f4"))),
        "columns": (convlib.BackendError, r"x\.compute\(\)", lambda: convlib.im2col(x, (3, 3))),
        "a plan": (convlib.UnsupportedError, r"w\.compute\(\)", lambda: convlib.plan_conv2d(x.shape, da.from_array(w))),
        "a plan of NumPy weights": (TypeError, "x is a dask array", lambda: convlib.plan_conv2d(x.shape, w)(x)),
        "another backend": (convlib.UnsupportedError, "takes numpy arrays, not dask",
                            lambda: convlib.conv2d(x, w, backend="native")),
        "an unknown backend of blocks": (convlib.UnsupportedError, "no algorithm 'imcol' for conv; valid: .*native",
                                         lambda: convlib.conv2d(x, w, backend="dask:imcol")),
        "a backend of blocks that cannot": (convlib.UnsupportedError, "exact",
                                            lambda: convlib.conv2d(x.astype(int), w.astype(int), backend="dask:fft")),
        "strict": (convlib.UnsupportedError, "strict",
                   lambda: convlib.conv2d(x, w, backend="dask:native:winograd", accuracy="strict")),
    }  # fmt: skip


@pytest.mark.parametrize("name", bad())
def test_refusals(name, monkeypatch):
    error, words, call = bad()[name]
    monkeypatch.setattr("dask.base.collections_to_expr", None, raising=False)  # whoever computed would fail otherwise
    with pytest.raises(error, match=words):
        call()


def test_the_environment_cannot_name_dask_alone(environment):
    environment(CONVLIB_BACKEND="dask")
    with pytest.raises(convlib.UnsupportedError, match='set CONVLIB_BACKEND to "dask:native"'):
        convlib.conv2d(da.ones((1, 1, 6, 6), chunks=3), np.ones((1, 1, 2, 2)))


def test_blocks_that_are_not_what_they_say():
    wrong = da.ones((1, 1, 8, 8), chunks=4).map_blocks(lambda block: block[..., 1:], dtype=float)
    with pytest.raises(convlib.SpecError, match=r"a block of x is ndarray \(1, 1, 4, 3\).*says ndarray \(1, 1, 4, 4\)"):
        convlib.max_pool2d(wrong, 2).compute()
    wrong = da.ones((1, 1, 8, 8), chunks=4).map_blocks(lambda block: block.astype("f4"), dtype=float)
    with pytest.raises(convlib.SpecError, match=r"of float32, but its Dask array says .* of float64"):
        convlib.max_pool2d(wrong, 2).compute()


def test_integer_sums_over_blocks_are_exact_or_refused():
    x = da.full((1, 1, 2**12), 2**26, chunks=(1, 1, 2**10), dtype=np.int64)
    assert convlib.conv1d_grad_weight(x[..., :2], x[..., :2], (1, 1, 1)).compute().item() == 2**53
    with pytest.raises(convlib.SpecError, match="the blocks of this gradient can add up to"):
        convlib.conv1d_grad_weight(x, x, (1, 1, 1)).compute()


def test_without_dask_its_name_says_what_to_install(monkeypatch):
    monkeypatch.setattr(sys.modules["convlib.backends.dask"], "find_spec", lambda name: None)
    with pytest.raises(convlib.BackendError, match=r"'dask' is not available: .*pip install"):
        convlib.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), backend="dask")


# ------------------------------------------------------------------------------- weights in any order, what follows


def test_weights_in_other_orders_and_endings_give_the_bits_of_one_call():
    x, w, residual = values((2, 3, 12, 12)), values((3, 3, 3, 4)), values((2, 4, 12, 12))
    lazy, added = da.from_array(x, chunks=(1, 3, 5, 12)), da.from_array(residual, chunks=(2, 4, 6, 6))
    options = {"padding": 1, "w_layout": "HWIO"}
    y = convlib.conv2d(lazy, w, residual=added, activation="hardswish", **options)
    assert isinstance(y, da.Array)
    expected = convlib.conv2d(x, w, residual=residual, activation="hardswish", **options)
    np.testing.assert_array_equal(y.compute(), expected)
    got = convlib.conv2d_grad_weight(da.from_array(residual, chunks=(1, 4, 5, 12)), lazy, w.shape, **options)
    np.testing.assert_array_equal(got.compute(), convlib.conv2d_grad_weight(residual, x, w.shape, **options))
    with pytest.raises(TypeError, match=r"from_array\(residual\)"):
        convlib.conv2d(lazy, w, residual=residual, **options)
