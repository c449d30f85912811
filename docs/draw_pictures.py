"""Draw the pictures of the documentation from the scenes of `convlib.show`, in English and, in ru/, in Russian.

Run:  python docs/draw_pictures.py [NAME ...]

`pictures/scenes.json` keeps a digest of each scene, so that a test can tell, without drawing, whether a picture still
shows what the library computes.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from convlib import conv2d_grad_input, conv2d_grad_weight, filter2d, max_pool2d, show
from convlib.show import Frame, Panel, Scene
from convlib.textbook import Conv2D, corr2d, shift

HERE = Path(__file__).parent
FOLDER = HERE / "pictures"
DIGESTS = FOLDER / "scenes.json"
#: What titles and captions say, and the same in Russian.
WORDS: dict[str, str] = json.loads((HERE / "pictures.words.json").read_text(encoding="utf-8"))

X = np.arange(9).reshape(3, 3)
K = np.array([[0, 1], [2, 3]])
#: Name of a file to the function that returns its scene and the number of the frame, None for an animation.
PICTURES: dict[str, Callable[[], tuple[Scene, int | None]]] = {}


def picture(name: str) -> Callable[[Callable[[], tuple[Scene, int | None]]], Callable[[], tuple[Scene, int | None]]]:
    """Register the function below under the name of a file."""

    def register(make: Callable[[], tuple[Scene, int | None]]) -> Callable[[], tuple[Scene, int | None]]:
        PICTURES[name] = make
        return make

    return register


def beside(title: str, *scenes: Scene, signs: tuple[str, ...] = (), caption: str = "") -> Scene:
    """Put the first frames of scenes side by side."""
    frames = [scene.frame(0) for scene in scenes]
    between = signs or ("",) * (len(frames) - 1)
    columns = [column for frame in frames for column in frame.columns]
    inner = [part for frame, sign in zip(frames, (*between, ""), strict=True) for part in (*frame.signs, sign)]
    return Scene(title, 1, lambda _: Frame(columns=tuple(columns), signs=tuple(inner[:-1]), caption=caption))


def renamed(title: str, scene: Scene, step: int, *names: str) -> Scene:
    """Return one frame of a scene, whose columns have one panel each, under other names; the last is the result's."""
    frame = scene.frame(step)
    columns = tuple((replace(panel, title=name),) for (panel,), name in zip(frame.columns, names, strict=True))
    shown = replace(frame, columns=columns, caption=frame.caption.replace("y[", f"{names[-1]}["))
    return Scene(title, 1, lambda _: shown)


def cells(title: str, text: np.ndarray, role: np.ndarray) -> Panel:
    """Return a panel of arrays of words."""
    return Panel(title=title, text=tuple(map(tuple, text.tolist())), role=tuple(map(tuple, role.tolist())))


# ------------------------------------------------------------------------------- from dense to convolution


@picture("dense_and_shared.svg")
def dense_and_shared() -> tuple[Scene, int | None]:
    shared = show.toeplitz((4, 4), (3, 3), padding=1).frame(5).columns[0][0]
    size = shared.shape
    blank = (("",) * size[1],) * size[0]
    dense = Panel(
        title="fully connected: 256 weights", text=blank, role=(("kernel",) * size[1],) * size[0],
        hue=tuple(tuple((r * 7 + c * 5) % 9 for c in range(size[1])) for r in range(size[0])),
    )  # fmt: skip
    role = tuple(tuple("zero" if cell == "zero" else "kernel" for cell in row) for row in shared.role)
    local = Panel(title="3 x 3 convolution: 9 weights, one colour each", text=blank, role=role, hue=shared.hue)
    frame = Frame(columns=((dense,), (local,)), signs=("to",), caption="rows: outputs; columns: inputs; white: zero")
    return Scene("a layer from 4 x 4 pixels to 4 x 4 units as a matrix", 1, lambda _: frame), 0


@picture("where_is_it.png")
def where_is_it() -> tuple[Scene, int | None]:
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    # A portrait in the public domain, which comes with Matplotlib.
    with get_sample_data("grace_hopper.jpg", asfileobj=True) as file:
        photo = np.asarray(Image.open(file).convert("L").resize((205, 240)), np.float64) / 255
    badge = photo[8:34, 90:120]
    kernel = badge - badge.mean()

    def answer(image: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        found = np.maximum(filter2d(image, kernel, mode="valid"), 0)
        # By how much the window varies: else a bright collar would answer loudest.
        mean = filter2d(image, np.full(kernel.shape, 1 / kernel.size), mode="valid")
        square = filter2d(image**2, np.full(kernel.shape, 1 / kernel.size), mode="valid")
        found /= np.sqrt(np.maximum(square - mean**2, 1e-3))
        row, column = np.unravel_index(found.argmax(), found.shape)
        found = (found / found.max()) ** 4  # the power keeps what is nearly as large dark
        return max_pool2d(found[None], 9, stride=1, padding=4)[0], (int(row), int(column))  # a point that can be seen

    moved = shift(photo, (40, -30))
    (first, here), (second, there) = answer(photo), answer(moved)
    rows = beside(
        "where is the badge?",
        *(show.feature_maps(a, titles=[title]) for a, title in (
            (photo, "photo"), (badge, "what to look for"), (first, f"answer, largest at {here}"),
            (moved, "moved by (40, -30)"), (second, f"answer, largest at {there}"),
        )), caption="bright: the window looks like the badge; the answer moves by as much as the photo",
    )  # fmt: skip
    return rows, 0


# ------------------------------------------------------------------------------- operators


@picture("correlation.svg")
def correlation() -> tuple[Scene, int | None]:
    return show.conv2d(X, K), 0


@picture("correlation.gif")
def correlation_moving() -> tuple[Scene, int | None]:
    return show.conv2d(np.arange(20).reshape(4, 5) % 7, K), None


@picture("flipped.svg")
def flipped() -> tuple[Scene, int | None]:
    spike = np.zeros((3, 3), int)
    spike[1, 1] = 1
    plain = show.conv2d(spike, [[1, 2], [3, 4]], padding="full")
    turned = show.conv2d(spike, [[1, 2], [3, 4]], padding="full", flip=True)
    first, second = plain.frame(5).columns, turned.frame(5).columns
    frame = Frame(
        columns=(first[0], first[1], first[2], second[2]), signs=("*", "=", "but"),
        caption="left: cross-correlation turns the kernel round; right: convolution, flip=True, keeps it",
    )  # fmt: skip
    return Scene("one pixel, and what becomes of it", 1, lambda _: frame), 0


@picture("channels_in.svg")
def channels_in() -> tuple[Scene, int | None]:
    return show.conv2d(np.stack([X, X + 1]), np.stack([K, K + 1])), 0


@picture("channels_out.svg")
def channels_out() -> tuple[Scene, int | None]:
    kernel = np.stack([K, K + 1])
    return show.conv2d(np.stack([X, X + 1]), np.stack([kernel, kernel + 1, kernel + 2])), 5


@picture("groups.svg")
def groups() -> tuple[Scene, int | None]:
    x = np.stack([X + channel for channel in range(4)])
    w = np.stack([np.stack([K + kernel, K - kernel]) for kernel in range(4)])
    return show.conv2d(x, w, groups=2), 8


@picture("one_by_one.svg")
def one_by_one() -> tuple[Scene, int | None]:
    x = np.arange(12).reshape(3, 2, 2)
    return show.conv2d(x, np.array([[1, 0, -1], [1, 1, 1]]).reshape(2, 3, 1, 1)), 3


@picture("why_padding.svg")
def why_padding() -> tuple[Scene, int | None]:
    ones = np.ones((1, 1, 3, 3), int)

    def used(layers: int) -> np.ndarray:
        grad = np.ones((1, 8 - 2 * layers, 8 - 2 * layers), int)
        for _ in range(layers):
            size = grad.shape[-1] + 2
            grad = conv2d_grad_input(grad, ones, (1, size, size))
        return grad[0]

    scenes = [show.feature_maps(used(n), titles=[f"{n} layer{'s' * (n > 1)} of 3 x 3"]) for n in (1, 2, 3)]
    return beside("in how many sums each pixel of 8 x 8 takes part", *scenes), 0


@picture("padding.svg")
def padding() -> tuple[Scene, int | None]:
    return show.conv2d(X, K, padding=1), 0


@picture("stride.svg")
def stride() -> tuple[Scene, int | None]:
    return show.conv2d(X, K, padding=1, stride=(3, 2)), 1


@picture("stride.gif")
def stride_moving() -> tuple[Scene, int | None]:
    return show.conv2d((5, 6), (3, 3), padding=1, stride=2), None


@picture("dilation.svg")
def dilation() -> tuple[Scene, int | None]:
    return show.conv2d((7, 7), (3, 3), dilation=2), 4


@picture("transposed.gif")
def transposed() -> tuple[Scene, int | None]:
    scene = show.conv_transpose2d([[1, 2], [3, 4]], [[1, 1, 1], [1, 2, 1], [1, 1, 1]], stride=2, padding=1,
                                  output_padding=1)  # fmt: skip
    return scene, None


@picture("pooling.svg")
def pooling() -> tuple[Scene, int | None]:
    return show.max_pool2d(X, 2, stride=1), 0


@picture("pooling_shift.svg")
def pooling_shift() -> tuple[Scene, int | None]:
    x = np.zeros((6, 8), int)
    x[1:5, 2] = 9
    scenes = []
    for by in (0, 1):
        moved = shift(x, (0, by))
        pooled = max_pool2d(moved[None], 2)[0]
        scenes += [show.feature_maps(moved, titles=[f"line, moved by {by}"]),
                   show.feature_maps(pooled, titles=["max pooled, 2 x 2"])]  # fmt: skip
    return beside("a shift by one pixel that pooling does not see", *scenes, signs=("max", "", "max")), 0


@picture("receptive_field.svg")
def receptive_field() -> tuple[Scene, int | None]:
    return show.receptive_field([{"kernel_size": 3}] * 3, 9), 3


# ------------------------------------------------------------------------------- learning


def learned(steps: int = 10) -> tuple[list[float], list[np.ndarray]]:
    """Return the loss before each step, and the kernels."""
    image = np.ones((6, 8))
    image[:, 2:6] = 0
    edges = corr2d(image, np.array([[1.0, -1.0]]))
    layer = Conv2D((1, 2), bias=False, rng=np.random.default_rng(0))
    losses, kernels = [], [layer.weight.copy()]
    for _ in range(steps):
        losses.append(layer.learn(image, edges, lr=0.03))
        kernels.append(layer.weight.copy())
    return losses, kernels


@picture("learned_kernels.svg")
def learned_kernels() -> tuple[Scene, int | None]:
    _, kernels = learned()
    return show.kernels(np.round(kernels, 2), titles=[f"step {k}" for k in range(11)], columns=4), 0


@picture("loss.svg")
def loss() -> tuple[Scene, int | None]:
    losses, _ = learned()
    rows = 12
    heights = np.round(np.array(losses) / losses[0] * rows).astype(int)
    on = np.arange(rows)[::-1, None] < heights
    bars = cells("loss before steps 1 to 10", np.full(on.shape, ""), np.where(on, "window", "zero"))
    numbers = cells("", np.array([[f"{value:.1f}" for value in losses]]), np.full((1, len(losses)), "output"))
    frame = Frame(columns=((bars, numbers),), signs=(), caption="a full column is the first loss")
    return Scene("the squared loss falls at every step", 1, lambda _: frame), 0


# ------------------------------------------------------------------------------- algorithms


@picture("im2col.svg")
def columns() -> tuple[Scene, int | None]:
    return show.im2col(X, 2), 3


@picture("im2col.gif")
def columns_moving() -> tuple[Scene, int | None]:
    return show.im2col(np.arange(16).reshape(4, 4), 3, padding=0), None


@picture("toeplitz.svg")
def toeplitz() -> tuple[Scene, int | None]:
    return show.toeplitz(X, K + 1), 1


@picture("winograd.svg")
def winograd() -> tuple[Scene, int | None]:
    BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
    AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    scenes = [show.kernels(m, titles=[name]) for m, name in ((BT, "Bᵀ, for inputs"), (G, "G, for weights"),
                                                              (AT, "Aᵀ, for outputs"))]  # fmt: skip
    return beside("the three matrices of F(2, 3): nothing but 0, ±1 and ±1/2", *scenes), 0


@picture("blocking.svg")
def blocking() -> tuple[Scene, int | None]:
    def panel(title: str, shape: tuple[int, int], rows: slice, columns: slice, role: str) -> Panel:
        marks = np.full(shape, "input", object)
        marks[rows, columns] = role
        return cells(title, np.full(shape, ""), marks)

    weights = panel("weights: OC x K", (6, 8), slice(2, 4), slice(4, 8), "window")
    patches = panel("columns: K x pixels", (8, 9), slice(4, 8), slice(3, 6), "window")
    result = panel("result: OC x pixels", (6, 9), slice(2, 4), slice(3, 6), "now")
    frame = Frame(
        columns=((weights,), (patches,), (result,)), signs=("@", "="),
        caption="one block: 2 x 4 weights meet 4 x 3 elements and give 2 x 3 sums that never leave the registers",
    )  # fmt: skip
    return Scene("a blocked matrix product", 1, lambda _: frame), 0


@picture("gradient_input.svg")
def gradient_input() -> tuple[Scene, int | None]:
    scene = show.conv2d([[1, 2], [3, 4]], K, padding="full", flip=True)
    return renamed("gradient of the input: G, padded, convolved with K", scene, 4, "G", "K", "∂X"), 0


@picture("gradient_weight.svg")
def gradient_weight() -> tuple[Scene, int | None]:
    grad_y = np.array([[1, 0], [0, -1]])
    scene = show.conv2d(X, grad_y)
    expected = conv2d_grad_weight(grad_y[None], X[None], (1, 1, 2, 2))[0, 0]
    shown = scene.frame(0).columns[2][0].text
    assert shown == tuple(tuple(map(str, row)) for row in expected), shown
    return renamed("gradient of the kernel: X correlated with G", scene, 0, "X", "G", "∂K"), 0


# ------------------------------------------------------------------------------- files

#: The longest phrase first; what has no word, as the names of functions, stays.
PHRASE = re.compile("|".join(rf"(?<!\w){re.escape(words)}(?!\w)" for words in sorted(WORDS, key=len, reverse=True)))


def translated(text: str) -> str:
    """Put a title or a caption into Russian."""
    return PHRASE.sub(lambda found: WORDS[found[0]], text)


def in_russian(scene: Scene) -> Scene:
    """Return the same scene with its words in Russian."""

    def frame(step: int) -> Frame:
        shown = scene.frame(step)
        return Frame(
            columns=tuple(tuple(replace(p, title=translated(p.title)) for p in column) for column in shown.columns),
            signs=tuple(map(translated, shown.signs)), caption=translated(shown.caption),
        )  # fmt: skip

    return Scene(translated(scene.title), len(scene), frame)


def twin(make: Callable[[], tuple[Scene, int | None]]) -> Callable[[], tuple[Scene, int | None]]:
    """Return a function that makes the same picture in Russian."""

    def made() -> tuple[Scene, int | None]:
        scene, step = make()
        return in_russian(scene), step

    return made


PICTURES |= {f"ru/{name}": twin(make) for name, make in PICTURES.items()}


def digest(name: str) -> str:
    """Return a digest of all that a picture shows."""
    scene, step = PICTURES[name]()
    frames = list(scene) if step is None else [scene.frame(step)]
    text = json.dumps([scene.title, *map(asdict, frames)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def main(names: list[str]) -> None:
    """Draw the pictures that are named, all by default."""
    digests = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    for name in names or PICTURES:
        scene, step = PICTURES[name]()
        scene.save(FOLDER / name, step, **({"seconds": 1.0} if step is None else {}))
        digests[name] = digest(name)
        print(f"{name}: {(FOLDER / name).stat().st_size / 1024:.0f} kB")
    kept = {name: digests[name] for name in sorted(PICTURES) if name in digests}
    DIGESTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
