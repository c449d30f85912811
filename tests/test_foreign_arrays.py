"""Arrays of other libraries: served in kind, or refused with the conversion named; never NumPy in silence.

One test per row of the table in docs/foreign_arrays.md.
"""

import array
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convlib
from convlib.backends.cupy_device import missing

IMAGE = np.arange(48.0).reshape(6, 8)
KERNEL = np.ones((3, 3))
PAGE = Path(__file__).parents[1] / "docs" / "foreign_arrays.md"


def need(name):
    return pytest.importorskip(name, reason=f"{name} is not installed")


def torch(a):
    return need("torch").from_numpy(a.copy())


def torch_parameter(a):
    return need("torch").nn.Parameter(torch(a))


def jax(a):
    return need("jax").numpy.asarray(a)


def quantity(a):
    return a * need("astropy.units").electron


def ccd(a):
    return need("astropy.nddata").CCDData(a, unit="adu", mask=a > 5)


def sparse(a):
    return need("scipy.sparse").csr_array(a)


def frame(a):
    return need("pandas").DataFrame(a)


def labelled(a):
    return need("xarray").DataArray(a)


def zarr(a):
    stored = need("zarr").create_array(store={}, shape=a.shape, dtype=a.dtype)
    stored[...] = a
    return stored


def hdf(a):
    file = need("h5py").File(f"memory-{a.shape}", "w", driver="core", backing_store=False)
    return file.create_dataset("a", data=a)


class Own:
    """An array of a library that nobody knows."""

    def __init__(self, a):
        self._a, self.shape = a, a.shape

    def __array__(self, dtype=None, copy=None):
        return self._a


class Subclass(np.ndarray):
    """A subclass of NumPy's array, made by somebody else."""


#: Row of the table, how to make one, the call that the error names, and what it says of the way back.
REFUSED = {
    "torch.Tensor": (torch, r"{0}.detach().cpu().numpy()", "torch.from_numpy(y)"),
    "torch.nn.Parameter": (torch_parameter, r"{0}.detach().cpu().numpy()", "torch.from_numpy(y)"),
    "jax.Array": (jax, "numpy.asarray({0})", "jax.numpy.asarray(y)"),
    "astropy.units.Quantity": (quantity, "{0}.value", ""),
    "astropy.nddata.CCDData": (ccd, "{0}.data", ""),
    "numpy.ma.MaskedArray": (np.ma.masked_array, "{0}.filled(0)", ""),
    "scipy.sparse": (sparse, "{0}.toarray()", ""),
    "pandas.DataFrame": (frame, "{0}.to_numpy()", ""),
    "xarray.DataArray": (labelled, "{0}.to_numpy()", ""),
    "zarr.Array": (zarr, "{0}[...]", "dask.array.from_zarr({0})"),
    "h5py.Dataset": (hdf, "{0}[...]", "dask.array.from_array({0})"),
    "any other array": (Own, "numpy.asarray({0})", ""),
    "any other subclass of numpy.ndarray": (lambda a: a.view(Subclass), "numpy.asarray({0})", ""),
}


@pytest.mark.parametrize("row", REFUSED)
def test_refused_with_the_conversion_named(row):
    make, conversion, back = REFUSED[row]
    calls = {
        "image": lambda image: convlib.filter2d(image, KERNEL),
        "kernel": lambda kernel: convlib.filter2d(IMAGE, kernel),
        "x": lambda x: convlib.max_pool1d(x, 2),
        "w": lambda w: convlib.plan_conv1d((6, 8), w),
    }
    for name, call in calls.items():
        if row in ("scipy.sparse", "pandas.DataFrame") and name == "w":
            continue  # they have two axes
        given = make({"kernel": KERNEL, "w": np.ones((2, 6, 3))}.get(name, IMAGE))
        with pytest.raises(TypeError) as caught:
            call(given)
        said = str(caught.value)
        assert re.match(rf"{name} is an? ", said), said
        assert conversion.format(name) in said, said
        assert back.format(name) in said, said
        # What the error says works, on the numbers that were meant.
        converted = eval(conversion.format(name), {"numpy": np, name: given})
        assert type(converted) is np.ndarray
        call(converted)


@pytest.mark.parametrize("row", [*REFUSED, "Dask", "Delayed"])
def test_refused_within_a_list(row):
    make, conversion, _ = REFUSED.get(row, (None, "{0}.compute()", ""))
    if row == "Dask":
        make = need("dask.array").from_array
    elif row == "Delayed":
        make = need("dask").delayed
    given = make(IMAGE)
    with pytest.raises(TypeError) as caught:
        convlib.max_pool2d([given], 2)
    said = str(caught.value)
    assert said.startswith("x[0] is a"), said
    assert conversion.format("x[0]") in said, said
    convlib.max_pool2d([eval(conversion.format("given"), {"numpy": np, "given": given})], 2)


def test_dask_arrays_are_served_in_kind():
    da = need("dask.array")
    y = convlib.filter2d(da.from_array(IMAGE, chunks=3), KERNEL)
    assert isinstance(y, da.Array)
    np.testing.assert_array_equal(y, convlib.filter2d(IMAGE, KERNEL))


def test_other_collections_of_dask_are_refused():
    delayed = need("dask").delayed(IMAGE)
    with pytest.raises(TypeError, match=r"image is a Dask .*dask\.array\.from_delayed\(image, shape, dtype\)"):
        convlib.filter2d(delayed, KERNEL)


def test_dask_arrays_of_other_blocks_are_refused():
    da = need("dask.array")
    masked = da.ma.masked_greater(da.from_array(IMAGE, chunks=3), 5)
    with pytest.raises(TypeError, match=r"numpy\.ma.*MaskedArray blocks.*map_blocks"):
        convlib.filter2d(masked, KERNEL)


QUERY = """
import dask
dask.config.set({"array.query-planning": True})
import convlib, dask.array as da
try:
    convlib.max_pool1d(da.ones((2, 6)), 2)
except TypeError as error:
    print(error)
else:
    print("query-planning: served")
"""


def test_experimental_arrays_of_dask_are_refused():
    need("dask.array")
    done = subprocess.run([sys.executable, "-P", "-c", QUERY], capture_output=True, text=True, check=True)
    assert "query-planning" in done.stdout


class Cupy:
    """An array that says it is CuPy's, for machines without a GPU."""

    shape, ndim, dtype = (6, 8), 2, np.dtype(float)


Cupy.__module__ = "cupy"


def test_cupy_arrays_are_served_in_kind_or_refused():
    """On a GPU they stay there, which test_cupy.py shows; without one the error says what is missing."""
    if missing() is None:
        pytest.skip("CuPy runs here: test_cupy.py serves its arrays")
    with pytest.raises(convlib.BackendError, match=r"cupy arrays for pool \(.*CuPy .*\); convert them to NumPy"):
        convlib.max_pool1d(Cupy(), 2)


def test_numbers_lists_and_buffers_become_numpy_arrays():
    for given in (IMAGE.tolist(), tuple(map(tuple, IMAGE)), np.float64(3).repeat(48).reshape(6, 8)):
        assert type(convlib.filter2d(given, [[1.0]])) is np.ndarray
    assert convlib.max_pool1d([array.array("d", [1, 2, 3, 4])], 2).tolist() == [[2, 4]]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_numpys_own_subclasses_are_numpy_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "image", float, "w+", shape=IMAGE.shape)
    mapped[...] = IMAGE
    for given in (mapped, np.asmatrix(IMAGE)):
        found = convlib.filter2d(given, KERNEL)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, convlib.filter2d(IMAGE, KERNEL))


def test_every_row_of_the_table_has_a_test_and_every_test_a_row():
    rows = re.findall(r"^\| ([^|]+) \| refused", PAGE.read_text(), re.MULTILINE)
    assert [row.partition(",")[0].strip("`") for row in rows] == [*REFUSED, "other collections of Dask"]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i4"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_types_that_spell_their_byte_order(dtype, layout):
    """Files give such dtypes; the native one may be spelled, too, and then compares equal to the plain one."""
    spelled = np.dtype(dtype[1:]).newbyteorder(dtype[0])
    x, w = np.ones((2, 8, 9, 7), spelled), np.ones((4, 8 if layout == "NCHW" else 7, 3, 3), spelled)
    plain, weights = x.astype(dtype[1:]), w.astype(dtype[1:])
    np.testing.assert_array_equal(
        convlib.conv2d(x, w, layout=layout), convlib.conv2d(plain, weights, layout=layout)
    )
    np.testing.assert_array_equal(convlib.max_pool2d(x, 2, layout=layout), convlib.max_pool2d(plain, 2, layout=layout))
