"""LeNet reads handwritten digits
=================================

It learns scikit-learn's 1797 digits within a minute, and is right on 98 of 100 that it has not seen.

The convolutions and poolings are convlib's layers; all else a network needs is written out below in NumPy: a fully
connected layer, the rectifier, softmax with its loss, and gradient descent with momentum.

Needs scikit-learn (for the images) and Pillow (for the picture).

Run:  python examples/lenet_digits.py [--epochs 30] [--seed 0] [--picture lenet_digits.png]
"""

import argparse
import os
import sys
import time
from pathlib import Path

# The matrices here are small: more BLAS threads than one cost more than they bring, on a busy machine far more.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from convlib.layers import AvgPool2d, Conv2d, MaxPool2d


# %%
# What convlib has no layers for.
class Linear:
    """A fully connected layer."""

    def __init__(self, inputs, outputs, rng):
        self.values = {
            "weight": (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32),
            "bias": np.zeros(outputs, np.float32),
        }
        self.grads = {}

    def forward(self, x):
        """Multiply with the weights."""
        self.x = x
        return x @ self.values["weight"] + self.values["bias"]

    def backward(self, grad_y):
        """Return the gradient of the input."""
        self.grads = {"weight": self.x.T @ grad_y, "bias": grad_y.sum(0)}
        return grad_y @ self.values["weight"].T


class ReLU:
    """The rectifier: negative becomes 0."""

    def forward(self, x):
        """Cut at 0."""
        self.open = x > 0
        return x * self.open

    def backward(self, grad_y):
        """Let gradients through where the input was positive."""
        return grad_y * self.open


class Flatten:
    """Images with channels to rows of numbers."""

    def forward(self, x):
        """Lay each image out as one row."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad_y):
        """Give gradients the images' shape."""
        return grad_y.reshape(self.shape)


class Network:
    """Layers one after the other."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        """Return the scores of each image."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad):
        """Compute every layer's gradients."""
        for layer in reversed(self.layers):
            grad = layer.backward(grad)

    def learned(self):
        """Return (array, its gradient) of everything that is learned."""
        pairs = []
        for layer in self.layers:
            if isinstance(layer, Linear):
                pairs += [(layer.values[name], layer.grads[name]) for name in layer.values]
            elif isinstance(layer, Conv2d):
                pairs += [(p.value, p.grad) for p in layer.parameters()]
        return pairs


def lenet(rng):
    """Return LeNet for images of 8×8: two convolutions, each pooled, then three fully connected layers."""
    return Network(
        Conv2d(16, 5, in_channels=1, padding=2, rng=rng), ReLU(), AvgPool2d(2),
        Conv2d(32, 3, in_channels=16, padding=1, rng=rng), ReLU(), MaxPool2d(2),
        Flatten(), Linear(128, 120, rng), ReLU(), Linear(120, 84, rng), ReLU(), Linear(84, 10, rng),
    )  # fmt: skip


def softmax(scores):
    """Return scores as probabilities."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def softmax_loss(scores, digits):
    """Return the mean cross-entropy and its gradient with respect to the scores."""
    likely = softmax(scores)
    rows = np.arange(len(digits))
    loss = -np.log(likely[rows, digits] + 1e-12).mean()
    likely[rows, digits] -= 1
    return loss, likely / len(digits)


def shifted(images, rng):
    """Return the images, half of them moved by up to one pixel: the same digits, other inputs."""
    wide = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, images.shape[2:], axis=(2, 3))
    rows, columns = rng.integers(0, 3, (2, len(images)))
    still = rng.random(len(images)) < 0.5
    rows[still] = columns[still] = 1
    return windows[np.arange(len(images)), :, rows, columns]


def digits():
    """Return 1797 images (n, 1, 8, 8) from 0 to 1 and the digits they show."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return (data.images[:, None] / 16).astype(np.float32), data.target


def split(count, rng):
    """Return the indices to learn from and the held-out fifth."""
    order = rng.permutation(count)
    return order[count // 5 :], order[: count // 5]


def share_right(network, images, targets):
    """Return the share of images whose highest score is the right digit's."""
    return float((network.forward(images).argmax(1) == targets).mean())


def train(network, images, targets, test_images, test_targets, epochs, rng):
    """Descend the gradient with momentum, and report after each epoch."""
    speed = None
    batch, top_rate, momentum, decay = 32, 0.05, 0.9, 1e-4
    steps = epochs * (len(images) // batch)
    step, start = 0, time.perf_counter()
    for epoch in range(1, epochs + 1):
        order, losses = rng.permutation(len(images)), []
        for first in range(0, len(order) - batch + 1, batch):
            chosen = order[first : first + batch]
            loss, grad = softmax_loss(network.forward(shifted(images[chosen], rng)), targets[chosen])
            losses.append(loss)
            network.backward(grad)
            pairs = network.learned()
            speed = speed or [np.zeros_like(value) for value, _ in pairs]
            rate = top_rate * 0.5 * (1 + np.cos(np.pi * step / steps))  # slower and slower
            for (value, grad), v in zip(pairs, speed, strict=True):
                v *= momentum
                v -= rate * (grad + decay * value)
                value += v
            step += 1
        right = share_right(network, test_images, test_targets)
        bar = "#" * round(24 * epoch / epochs)
        print(
            f"\repoch {epoch:3}/{epochs} [{bar:24}] loss {np.mean(losses):.4f}  held-out right {right:6.2%}"
            f"  {time.perf_counter() - start:5.1f} s", end="" if sys.stdout.isatty() else "\n", flush=True,
        )  # fmt: skip
    if sys.stdout.isatty():
        print()
    return right


def picture(network, images, targets, path):
    """Draw what was learned: the kernels, what both convolutions make of one image, and what is said of ten.

    A mistake stands first, if there is one among the images.
    """
    from sheet import draw, grey, signed

    conv1, _, pool1, conv2 = (network.layers[i] for i in (0, 1, 2, 3))
    scores = network.forward(images)
    said = scores.argmax(1)
    order = np.argsort(said == targets, kind="stable")[:10]
    image, digit, guess = images[order[:1]], targets[order[0]], said[order[0]]
    likely = softmax(scores[order[0]])
    maps1 = np.maximum(conv1(image), 0)
    maps2 = np.maximum(conv2(pool1(maps1)), 0)
    count = 10
    draw(
        [
            [
                (f"input: a {digit}, read as {guess}", grey(image[0, 0])),
                ("how sure: 0 to 9", grey(np.kron(likely[None], np.ones((2, 1)))), 10 * 44),
            ],
            [(f"kernel {i}", signed(k[0])) for i, k in enumerate(conv1.weight[:count])],
            [(f"map {i}", grey(m)) for i, m in enumerate(maps1[0, :count])],
            [(f"map 2.{i}", grey(m)) for i, m in enumerate(maps2[0, :count])],
            [(f"{targets[i]}: read {said[i]}", grey(images[i, 0])) for i in order],
        ],
        path, 88, "LeNet: a digit, learned kernels (red +, blue -), feature maps, and what is read",
    )  # fmt: skip


# %%
# Train, test and draw.
def main(arguments=None):
    """Learn, report, draw; return the share of held-out digits that are right."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", default="lenet_digits.png", help="where to write the picture; '' for none")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    try:
        images, targets = digits()
    except ImportError:
        sys.exit("this example needs scikit-learn, which brings the images: pip install scikit-learn")
    learn, held_out = split(len(images), rng)
    network = lenet(rng)
    right = train(network, images[learn], targets[learn], images[held_out], targets[held_out], options.epochs, rng)
    print(f"{right:.2%} of {len(held_out)} held-out digits are right")
    if options.picture:
        picture(network, images[held_out], targets[held_out], options.picture)
        print("wrote", Path(options.picture).name)
    return right


if __name__ == "__main__":
    main()
