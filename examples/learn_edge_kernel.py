"""Learn an edge detector
=========================

Ten steps of gradient descent find the kernel [1, -1] from an image and its edges.

Run:  python examples/learn_edge_kernel.py [SEED]
"""

# sphinx_gallery_thumbnail_path = "docs/pictures/learned_kernels.svg"

import sys

import numpy as np

import convlib
from convlib.layers import Conv2d

LEARNING_RATE = 3e-2


# %%
# Ten steps, each against the gradient.
def main(seed=0):
    """Print the loss on the way and return the first loss, the last, and the kernel."""
    # A 6 by 8 image, white with a black block, as a batch of one image with one channel.
    x = np.ones((1, 1, 6, 8), np.float32)
    x[..., 2:6] = 0
    # Its vertical edges: 1 from white to black, -1 from black to white.
    y = convlib.conv2d(x, np.array([[[[1, -1]]]], np.float32))
    print("image\n", x[0, 0].astype(int), "\nedges\n", y[0, 0].astype(int), sep="")

    layer = Conv2d(1, (1, 2), bias=False, rng=np.random.default_rng(seed))
    losses = []
    for step in range(1, 11):
        error = layer(x) - y
        losses.append(float((error**2).sum()))
        layer.backward(2 * error)  # the gradient of the squared loss
        for parameter in layer.parameters():
            parameter.value -= LEARNING_RATE * parameter.grad
        if step % 2 == 0:
            print(f"step {step:2}, loss {losses[-1]:.3f}")

    losses.append(float(((layer(x) - y) ** 2).sum()))
    kernel = layer.weight.reshape(1, 2)
    print("loss before", round(losses[0], 3), "and after", round(losses[-1], 3))
    print("learned kernel", kernel, "; the one that made the edges [[1, -1]]")
    return losses[0], losses[-1], kernel


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
