"""An image larger than memory
==============================

It is blurred, edge-filtered and max-pooled from one Zarr store to another.

Needs Dask, Zarr and Pillow.

Run:  python examples/large_image.py [--size 20000] [--memory "2 GiB"] [--folder large_image] [--out large_image.png]

The image of SIZE x SIZE float32 pixels is made block by block, filtered block by block within MEMORY, and the result
is drawn downsampled.  Printed are the peak memory of this process, measured by the system, and the time of the blocks
against that of plain calls on an image that fits.
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import dask.array as da
import numpy as np
from dask.diagnostics import ProgressBar
from sheet import draw, grey

import convlib
from convlib.dask import plan_chunks

REACH = 9  # of the blur, in pixels to each side
ROW = np.exp(-(np.arange(-REACH, REACH + 1) ** 2) / (2 * 3.0**2))
BLUR = (np.outer(ROW, ROW) / ROW.sum() ** 2).astype(np.float32)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
POOL = 4  # pixels that become one, along each axis
TILE = 1000  # edge of the blocks in the stores
FITS = 6000  # edge of the image that both ways are timed on


def paint(block_info=None):
    """Return one block of the image: discs of many sizes on a slope, and noise."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    height, width = block_info[None]["shape"]
    y, x = np.arange(top, bottom, dtype=np.float32)[:, None] / height, np.arange(left, right, dtype=np.float32) / width
    image = 60 + 80 * y + 30 * x
    rng = np.random.default_rng(0)  # the same discs in every block
    for cy, cx, radius, light in zip(*rng.random((3, 60)), rng.integers(-60, 90, 60), strict=True):
        reach = 0.01 + 0.12 * radius**2
        if y[0] < cy + reach and cy - reach < y[-1] and x[0] < cx + reach and cx - reach < x[-1]:
            image[(y - cy) ** 2 + (x - cx) ** 2 < reach**2] += light
    noise = np.random.default_rng((top, left)).standard_normal(image.shape, np.float32)
    return image + 4 * noise


def edges(image):
    """Return the strength of the edges of a blurred image, the largest of each square; NumPy in, NumPy out, or Dask."""
    smooth = convlib.filter2d(image, BLUR)
    strength = np.hypot(convlib.filter2d(smooth, SOBEL), convlib.filter2d(smooth, SOBEL.T))
    return convlib.max_pool2d(strength[None], POOL)[0]


def chunks_for(size, memory):
    """Return chunks of the image, in whole tiles: three filters that follow each other share the memory."""
    planned = plan_chunks((size, size), "filter2d", BLUR.shape, memory=memory // 4, threads=convlib.get_num_threads())
    tile = min(TILE, size)
    return tuple(max(tile, chunk // tile * tile) for chunk in planned)


def peak():
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def small(image, edge=640):
    """Return an image downsampled by averaging, as pixels."""
    step = max(1, max(image.shape) // edge)
    return grey(np.asarray(convlib.avg_pool2d(image[None], step)[0]))


def timed(function):
    """Return the best time of three runs, in seconds."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def race(size, memory):
    """Time the plain calls and the blocks on an image in memory; return both times."""
    image = da.map_blocks(paint, chunks=da.core.normalize_chunks(TILE, (size, size)), dtype=np.float32).compute()
    lazy = da.from_array(image, chunks=chunks_for(size, memory))
    return timed(lambda: edges(image)), timed(lambda: edges(lazy).compute())


# %%
# Make the image, work on it, and draw the result.
def main(arguments=None):
    """Make the image, filter it, draw it, and say what it took; return the path of the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=20000, help="pixels along each edge, a multiple of 4")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that this process may use")
    parser.add_argument("--folder", default="large_image", help="where the stores go")
    parser.add_argument("--out", default="large_image.png", help="where to write the picture")
    options = parser.parse_args(arguments)
    size, folder, memory = options.size, Path(options.folder), options.memory << 20
    if size < 4 * REACH or size % POOL:
        sys.exit(f"--size {size} must be a multiple of {POOL} and at least {4 * REACH}")

    tiles = da.core.normalize_chunks(min(TILE, size), (size, size))
    with ProgressBar():
        print(f"making {size} x {size} float32 pixels, {4 * size * size / 2**30:.2f} GiB")
        da.map_blocks(paint, chunks=tiles, dtype=np.float32).to_zarr(folder / "image.zarr", overwrite=True)
        image = da.from_zarr(folder / "image.zarr", chunks=chunks_for(size, memory))
        print(f"blur {BLUR.shape}, edges, maxima of {POOL} x {POOL}; blocks of {image.chunksize}")
        start = time.perf_counter()
        edges(image).to_zarr(folder / "edges.zarr", overwrite=True)
    took, most = time.perf_counter() - start, peak()
    print(f"took {took:.1f} s; peak memory {most / 2**20:.0f} MiB of {options.memory}")

    result = da.from_zarr(folder / "edges.zarr")
    draw(
        [[(f"image, {size} x {size}", small(image)), (f"edges, {result.shape[0]} x {result.shape[1]}", small(result))]],
        options.out, 640, "convlib: an image larger than memory",
    )  # fmt: skip
    fits = min(size, FITS)
    plain, blocks = race(fits, memory)
    print(f"{fits} x {fits} in memory: plain calls {plain:.2f} s, blocks {blocks:.2f} s, {blocks / plain:.2f} times")
    print("wrote", Path(options.out).name)
    if most > memory:
        sys.exit(f"peak memory {most} is more than {memory}")
    return options.out


if __name__ == "__main__":
    main()
