"""Race `predict` of ResNet50 and MobileNetV2: ``python race.py [resnet50 mobilenetv2] [--rounds N]``.

Random weights, batch 1, channels last, two threads.  Keras's NumPy backend with convlib against itself with JAX, each
in a process of its own; rounds alternate, and the medians are compared.  Needs JAX for the other side only.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from contenders import Contenders, median_seconds

THREADS = 2
ROUND_SECONDS = 1.0
MODELS = ("resnet50", "mobilenetv2")


def worker(contender, name):
    """Answer each line: the sum of squares of the outputs, or the median seconds of a round."""
    os.environ["KERAS_BACKEND"] = "numpy"
    if hasattr(os, "sched_setaffinity"):  # which is how JAX counts its threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    if contender == "convlib":
        import served  # noqa: F401  # before keras

        import convlib

        convlib.set_num_threads(THREADS)
    import keras
    import numpy as np

    make = {"resnet50": keras.applications.ResNet50, "mobilenetv2": keras.applications.MobileNetV2}[name]
    keras.utils.set_random_seed(0)
    model = make(weights=None)
    x = np.random.default_rng(0).standard_normal((1, 224, 224, 3)).astype(np.float32)
    y = model.predict(x, verbose=0)
    answers = {
        "sum": lambda: float(np.square(y).sum()),
        "round": lambda: median_seconds(lambda: model.predict(x, verbose=0), ROUND_SECONDS),
    }
    for line in sys.stdin:
        print(answers[line.strip()](), flush=True)


def race(name, rounds):
    """Time both contenders of a model and print a line."""
    contenders = Contenders(__file__, ("convlib", "jax"), name)
    sums = {contender: total for contender, (total,) in contenders.numbers("sum").items()}
    if abs(sums["convlib"] - sums["jax"]) > 1e-3 * abs(sums["jax"]):
        raise SystemExit(f"{name}: the contenders disagree: {sums}")
    times = contenders.numbers("round", rounds)
    contenders.end()
    ratios = sorted(b / a for a, b in zip(times["convlib"], times["jax"], strict=True))
    ours, theirs = (statistics.median(times[contender]) * 1e3 for contender in ("convlib", "jax"))
    print(f"{name}: convlib {ours:.1f} ms, JAX {theirs:.1f} ms; JAX / convlib {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", nargs=2)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(*arguments.worker)
    else:
        for chosen in arguments.models:
            race(chosen, arguments.rounds)
