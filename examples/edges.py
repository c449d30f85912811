"""Edges, blur and pooling of a photo
=====================================

Sobel, a Gaussian, sharpening and pooling on a photo, as one labelled picture with each kernel beside its result.

Needs Pillow.

Run:  python examples/edges.py PHOTO [--out edges.png]

PHOTO is a PNG or JPEG of yours.  Without one, a sample photo is taken from scikit-image, scikit-learn or matplotlib,
whichever is installed.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from sheet import draw, grey, signed

from convlib import avg_pool2d, filter2d, max_pool2d

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
SHARPEN = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32)
LARGEST = 640  # pixels of the longer side that are worked on
TILE, SMALL = 330, 110  # pixels of a result and of a kernel on the sheet

SAMPLES = (
    ("skimage", "data/astronaut.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)


def sample():
    """Return the path of a photo that an installed package brings along."""
    for package, path in SAMPLES:
        found = find_spec(package)
        if found is not None and found.origin is not None:
            photo = Path(found.origin).parent / path
            if photo.is_file():
                return photo
    sys.exit("no sample photo found: give a photo, as in  python examples/edges.py photo.jpg")


def load(path):
    """Return a photo as floats from 0 to 255, (H, W, 3)."""
    try:
        with Image.open(path) as photo:
            photo = photo.convert("RGB")
            photo.thumbnail((LARGEST, LARGEST))
            return np.asarray(photo, np.float32)
    except (OSError, UnidentifiedImageError) as error:
        sys.exit(f"cannot read {path} as a PNG or JPEG: {error}")


# %%
# A kernel whose numbers sum to 1 keeps the brightness.
def gauss(sigma):
    """Return a Gaussian window whose numbers sum to 1."""
    reach = round(3 * sigma)
    row = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    window = np.outer(row, row)
    return (window / window.sum()).astype(np.float32)


def pixels(a):
    """Return floats as pixels."""
    return np.clip(np.rint(a), 0, 255).astype(np.uint8)


# %%
# Filter the photo, and draw what came out.
def main(arguments=None):
    """Filter the photo and write the picture; return its path."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photo", nargs="?", help="a PNG or JPEG; by default a sample from an installed package")
    parser.add_argument("--out", default="edges.png", help="where to write the picture")
    options = parser.parse_args(arguments)
    path = options.photo or sample()
    photo = load(path)
    light = photo @ np.array([0.299, 0.587, 0.114], np.float32)  # how bright the eye finds red, green and blue

    vertical = filter2d(light, SOBEL)
    horizontal = filter2d(light, SOBEL.T)
    strength = np.hypot(vertical, horizontal)
    strong = np.percentile(strength, 97)  # what is stronger is drawn in full colour
    # Pools see each channel of an image on its own; layout="NHWC" takes (H, W, C) as it is.
    batch = photo[None]
    maxima = max_pool2d(batch, 8, layout="NHWC", ceil_mode=True)[0]
    averages = avg_pool2d(batch, 8, layout="NHWC", ceil_mode=True)[0]
    blur = gauss(3)
    draw(
        [
            [
                (f"photo {photo.shape[1]} x {photo.shape[0]}", pixels(photo)),
                ("Gaussian kernel", signed(blur), SMALL),
                ("blur, sigma 3", pixels(filter2d(photo, blur))),
                ("kernel", signed(SHARPEN), SMALL),
                ("sharpened", pixels(filter2d(photo, SHARPEN))),
            ],
            [
                ("edge strength", grey(strength)),
                ("Sobel kernel", signed(SOBEL), SMALL),
                ("vertical edges", signed(np.clip(vertical, -strong, strong))),
                ("turned", signed(SOBEL.T), SMALL),
                ("horizontal edges", signed(np.clip(horizontal, -strong, strong))),
            ],
            [
                ("max pooling 8 x 8", pixels(maxima)),
                ("average pooling 8 x 8", pixels(averages)),
                ("strongest edge per 8 x 8", grey(max_pool2d(strength[None], 8, ceil_mode=True)[0])),
            ],
        ],
        options.out, TILE, "convlib: filters and pools; of kernels and signed results red is positive, blue negative",
    )  # fmt: skip
    print("filtered", Path(path).name, "and wrote", Path(options.out).name)
    return options.out


if __name__ == "__main__":
    main()
