"""What a user does first, on the installed package."""

import numpy as np

import convlib

x = np.arange(2 * 3 * 8 * 8, dtype="float32").reshape(2, 3, 8, 8) % 7
w = np.ones((4, 3, 3, 3), "float32")
y = convlib.conv2d(x, w, padding=1)
assert y.shape == (2, 4, 8, 8)
assert (y == convlib.conv2d(x, w, padding=1, backend="naive")).all()
pooled, places = convlib.max_pool2d(y, 2, return_indices=True)
assert (pooled == np.take_along_axis(y.reshape(2, 4, 64), places.reshape(2, 4, 16), -1).reshape(pooled.shape)).all()
assert convlib.explain("conv2d", x.shape, w.shape).backend in convlib.backends()
print("convlib", convlib.__version__, "from", convlib.__file__)
