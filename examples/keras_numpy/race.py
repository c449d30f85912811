"""Race `predict` of ResNet50 and MobileNetV2: ``python race.py [resnet50 mobilenetv2] [--rounds N]``.

Random weights, batch 1, channels last, two threads.  Keras's NumPy backend with convlib against itself with JAX, each
in a process of its own; rounds alternate, and the medians are compared.  Needs JAX for the other side only.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

THREADS = 2
ROUND_SECONDS = 1.0
MODELS = ("resnet50", "mobilenetv2")


def worker(contender, name):
    """Answer each line of standard input with the median seconds of a round."""
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
    print(float(np.square(y).sum()), flush=True)
    for _ in sys.stdin:
        times = []
        while sum(times) < ROUND_SECONDS or len(times) < 3:
            start = time.perf_counter()
            model.predict(x, verbose=0)
            times.append(time.perf_counter() - start)
        print(statistics.median(times), flush=True)


def race(name, rounds):
    """Time both contenders of a model and print a line."""
    workers = {
        contender: subprocess.Popen(
            [sys.executable, __file__, "--worker", contender, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for contender in ("convlib", "jax")
    }  # fmt: skip
    sums = {contender: float(process.stdout.readline()) for contender, process in workers.items()}
    if abs(sums["convlib"] - sums["jax"]) > 1e-3 * abs(sums["jax"]):
        raise SystemExit(f"{name}: the contenders disagree: {sums}")
    times = {contender: [] for contender in workers}
    for turn in range(rounds):
        for contender in sorted(workers, reverse=bool(turn % 2)):
            print("go", file=workers[contender].stdin, flush=True)
            times[contender].append(float(workers[contender].stdout.readline()))
    for process in workers.values():
        process.communicate()
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
