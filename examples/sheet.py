"""Draw arrays as one picture of labelled tiles, with Pillow."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 10
INK, PAPER = (20, 20, 20), (255, 255, 255)


def grey(a):
    """Scale an array to grey: its least value black, its largest white."""
    a = np.asarray(a, np.float64)
    spread = a.max() - a.min()
    return ((a - a.min()) * (255 / spread if spread else 0)).astype(np.uint8)


def signed(a):
    """Colour an array: negative blue, zero white, positive red."""
    a = np.asarray(a, np.float64) / (np.abs(a).max() or 1)
    fade = 1 - np.abs(a)[..., None]
    colour = np.where(a[..., None] > 0, (0.80, 0.15, 0.10), (0.10, 0.30, 0.80))
    return ((fade + (1 - fade) * colour) * 255).astype(np.uint8)


def draw(rows, path, tile, title=""):
    """Write rows of (label, array of uint8) as a picture; every array is scaled to fit `tile` pixels, or its own size.

    An array's own size, in pixels, is a third entry behind it.
    """
    font, small = ImageFont.load_default(22), ImageFont.load_default(15)
    line = 24
    pictures = [[(label, _fit(a, *(own or (tile,)))) for label, a, *own in row] for row in rows]
    heights = [max(p.height for _, p in row) + line + GAP for row in pictures]
    head = 40 if title else 0
    # A tile is at least as wide as its label.
    widths = [[max(p.width, int(small.getlength(label))) + GAP for label, p in row] for row in pictures]
    page = Image.new("RGB", (max(map(sum, widths)) + GAP, sum(heights) + head + GAP), PAPER)
    pen = ImageDraw.Draw(page)
    pen.text((GAP, GAP), title, INK, font)
    top = head + GAP
    for row, width, height in zip(pictures, widths, heights, strict=True):
        left = GAP
        for (label, picture), step in zip(row, width, strict=True):
            pen.text((left, top), label, INK, small)
            page.paste(picture, (left, top + line))
            pen.rectangle((left - 1, top + line - 1, left + picture.width, top + line + picture.height), outline=INK)
            left += step
        top += height
    page.save(path)


def _fit(a, tile):
    picture = Image.fromarray(np.ascontiguousarray(a)).convert("RGB")
    scale = tile / max(picture.size)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    # Pixels of small arrays stay squares; photos are smoothed.
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
