"""Calls with sizes around 2**16, 2**31, 2**32 and 2**62, each run in a process of its own.

``python size_cases.py SEED COUNT`` prints one JSON line per call that neither answered nor raised what it may raise,
and a last line that counts the outcomes.
"""

import json
import math
import os
import random
import resource
import select
import signal
import sys
import traceback

SECONDS = 5  # of processor time: a call with little work answers long before
PATIENCE = 120  # of time, for a machine with much else to do
MEMORY = 3 << 30  # bytes of address space that a call may take in all
WORK = {"naive": 20_000}  # outputs that honest work may have, lest it take long

#: What sizes are drawn from, and how far they lie from it.
LARGE = (2**15, 2**16, 2**30, 2**31, 2**32, 2**46, 2**60, 2**61, 2**62, 274176, 67280421310720)
POOLS = ("max", "min", "avg", "sum", "lp")


def size(rng, smallest=1):
    """Draw a size that is mostly small, else near one at which an integer type ends."""
    if rng.random() < 0.45:
        return rng.choice((smallest, 1, 2, 3, 4))
    return max(smallest, rng.choice(LARGE) // rng.choice((1, 1, 2, 3)) + rng.choice((-1, 0, 1)))


def windows(rng, nd, kernel=None):
    """Draw kernel, stride, padding and dilation of which many are valid together."""
    k = kernel or tuple(size(rng) for _ in range(nd))
    d = tuple(size(rng) if rng.random() < 0.5 else 1 for _ in range(nd))
    reach = [(a - 1) * b + 1 for a, b in zip(k, d, strict=True)]
    p = tuple(rng.choice((0, 0, e // 2, max(0, e - 1), e // 2 + 1, size(rng, 0))) for e in reach)
    s = tuple(rng.choice((1, 2, e, e + 1, size(rng))) for e in reach)
    return k, {"stride": s, "padding": p, "dilation": d}


def case(rng):
    """Return (name of a public function, positional arguments, keywords); an array is {"shape": ..., "dtype": ...}."""
    nd = rng.choice((1, 2, 2, 3))
    n, c = rng.choice((1, 2, 0)), rng.choice((1, 2, 3, 16, 0))
    last = rng.random() < 0.3
    dtype = rng.choice(("f4", "f4", "f8", "f2", "i1", "i8", "c8"))
    space = tuple(rng.choice((1, 2, 5, 8, 0)) for _ in range(nd))

    def image(channels, spatial=space):
        return {"shape": (n, *spatial, channels) if last else (n, channels, *spatial), "dtype": dtype}

    def array(*shape):
        return {"shape": shape, "dtype": dtype}

    layout = {"layout": "NHWC" if last else "NCHW"}
    family = rng.choice(("conv", "transpose", "pool", "pool", "pool_grad", "unpool", "adaptive", "columns", "filter"))
    backend = {"backend": rng.choice((None, None, "native", "native", "cython", "im2col", "naive", "fft"))}
    if family == "conv":
        k, options = windows(rng, nd, tuple(rng.choice((1, 2, 3)) for _ in range(nd)))
        groups = rng.choice([g for g in (1, c) if g])
        w = array(rng.choice((1, 2, 4)) * groups, c // groups, *k)
        return f"conv{nd}d", [image(c), w], {**options, **layout, **backend, "groups": groups}
    if family == "transpose":
        k, options = windows(rng, nd, tuple(rng.choice((1, 2, 3)) for _ in range(nd)))
        options["output_padding"] = rng.choice((0, 0, size(rng, 0)))
        if rng.random() < 0.2:
            options["output_size"] = size(rng)
        return f"conv_transpose{nd}d", [image(c), array(c, rng.choice((1, 2, 4)), *k)], {**options, **layout, **backend}
    if family == "filter":
        options = {"mode": rng.choice(("same", "full")), "boundary": rng.choice(("constant", "reflect", "edge"))}
        return "filter2d", [array(*(space * 2)[:2]), array(rng.choice((1, 2, 3)), 3)], {**options, **backend}
    if family == "adaptive":
        return f"adaptive_{rng.choice(('max', 'avg'))}_pool{nd}d", [image(c), size(rng)], {**layout, **backend}
    k, options = windows(rng, nd)
    if family == "columns":
        if rng.random() < 0.5:
            return "im2col", [array(n, c, *space), k], {**options, **backend}
        cols = array(n, rng.choice((1, 4, 9)) * c, rng.choice((1, 2, 9)))
        return "col2im", [cols, tuple(size(rng) for _ in range(nd)), k], {**options, **backend}
    if family == "unpool":
        del options["dilation"]
        if rng.random() < 0.3:
            options["output_size"] = size(rng)
        return f"max_unpool{nd}d", [image(c), {**image(c), "dtype": "i8"}, k], {**options, **layout, **backend}
    kind = rng.choice(POOLS)
    options.update(layout, ceil_mode=rng.random() < 0.5, **backend)
    if family == "pool":
        if kind in ("max", "min"):
            options["return_indices"] = rng.random() < 0.5
        return f"{kind}_pool{nd}d", [image(c), *([3] if kind == "lp" else []), k], options
    kind = rng.choice(("avg", "sum"))
    out = image(c, tuple(rng.choice((1, 2)) for _ in range(nd)))
    return f"{kind}_pool{nd}d_grad_input", [out, image(c)["shape"], k], options


def gradient(rng, convlib, name, args, options):
    """Return the call of a gradient that belongs to a convolution, whose shapes fit together."""
    transposed = name.startswith("conv_transpose")
    x, w = args
    explained = convlib.explain(name, x["shape"], w["shape"], **{**options, "backend": "naive"}).spec
    y = {"shape": explained.x_shape if transposed else explained.y_shape, "dtype": x["dtype"]}
    if rng.random() < 0.5:
        return f"{name}_grad_input", [y, w, x["shape"]], options
    return f"{name}_grad_weight", [y, x, w["shape"]], options


def run(rng):
    """Draw a case and run it; return what became of it."""
    import numpy as np

    import convlib

    name, args, options = case(rng)
    allowed = (convlib.SpecError, TypeError, convlib.BackendError, MemoryError)
    try:
        if name.startswith("conv") and rng.random() < 0.4:
            name, args, options = gradient(rng, convlib, name, args, options)
        shapes = [a["shape"] if isinstance(a, dict) else a for a in args]
        dtype = next(a["dtype"] for a in args if isinstance(a, dict))
        bare = {k: v for k, v in options.items() if k != "backend"}
        spec = convlib.explain(name, *shapes, dtype=dtype, **bare).spec
        convlib.cost(name, *shapes, dtype=dtype, **bare)
        columns = spec.taps_count if name == "im2col" else 1
        elements = math.prod(spec.x_shape) + spec.n * spec.c * spec.out_count * columns
        if elements > WORK.get(options["backend"], 2_000_000):
            return "large"
        str(convlib.explain(name, *shapes, dtype=dtype, **options))
    except allowed:
        if name.endswith(("_grad_input", "_grad_weight")) and name.startswith("conv"):
            return "refused"  # the shape of an argument is not known
    arrays = [np.ones(a["shape"], a["dtype"]) if isinstance(a, dict) else a for a in args]
    if "unpool" in name:
        arrays[1][...] = 0
    try:
        getattr(convlib, name)(*arrays, **options)
    except MemoryError:
        return "no memory"
    except allowed:
        return "refused"
    return "answered"


def isolated(seed):
    """Run the case of a seed in a child process; return its outcome."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        try:
            said = run(random.Random(seed))
        except BaseException:
            said = "fault: " + traceback.format_exc()[-600:]
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], PATIENCE)
    said = os.read(reader, 10_000).decode() if ready else ""
    os.close(reader)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):  # SIGXCPU or SIGKILL: no answer in time
        return f"fault: {signal.Signals(os.WTERMSIG(status)).name}"
    return said


def main():
    """Run the cases that the command line asks for."""
    import convlib

    convlib.explain("conv2d", (1, 1, 3, 3), (1, 1, 1, 1))  # imports every backend once, before the children
    first, count = int(sys.argv[1]), int(sys.argv[2])
    outcomes = {}
    for seed in range(first, first + count):
        said = isolated(seed)
        outcomes[said.partition(":")[0]] = outcomes.get(said.partition(":")[0], 0) + 1
        if said.startswith("fault"):
            print(json.dumps({"seed": seed, "fault": said, "case": case(random.Random(seed))}), flush=True)
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
