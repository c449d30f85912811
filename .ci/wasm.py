"""Try the engine as WebAssembly, without threads and with vectors of 16 bytes, in Node.js.

    python .ci/wasm.py

zig, which PyPI has, compiles it for WASI, with a program that runs problems (`.ci/wasm.c`).  The problems and their
answers, all of them exact, are those of `tests/native`: plain sums in NumPy.  Each goes to every implementation that
serves it, under each instruction set, with weights that come with the call and with packed ones.  `nox -s wasm`
installs what this needs, but Node.js (18 or later).
"""

import shutil
import struct
import subprocess
import sys
from glob import glob
from itertools import chain, cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "convlib/_ext/c")]

from building import OUT, identify, run, step  # noqa: E402
from expected import under_isa  # noqa: E402
from native import pools, shapes, test_grad_input, test_grad_weight, test_int8, test_pool_grad  # noqa: E402
from native.common import laid, posed, sizes  # noqa: E402

COMPILER = (sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi")
#: What setup.py says for WebAssembly.
FLAGS = ("-O2", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0", "-msimd128")
#: The engine has a function of the same name for each of the pool's, which calls it.
POOL = ("-Dcv_parallel=pool_parallel", "-Dcv_stopping=pool_stopping")
OPS = ("conv", "conv_int8", "grad_input", "grad_weight", "pool", "spread")
TYPES = ("f4", "f8", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")
NODE = """
const {openSync, readFileSync} = require("node:fs"), {WASI} = require("node:wasi");
const [program, problems] = process.argv.slice(1);
const wasi = new WASI({version: "preview1", stdin: openSync(problems), returnOnExit: true});
WebAssembly.instantiate(readFileSync(program), {wasi_snapshot_preview1: wasi.wasiImport})
    .then(({instance}) => process.exitCode = wasi.start(instance));
"""


def build(program):
    """Compile, and link."""
    said = identify(*COMPILER)
    sources = ("dispatch", "plan", "scratch", "threads", "probe")
    paths = [*(f"convlib/_ext/c/runtime/{name}.c" for name in sources), *sorted(glob("convlib/_ext/c/isa/*.c"))]
    chains = []
    for path in (*paths, ".ci/wasm.c"):
        flags = POOL if path.endswith("threads.c") else ()
        command = (*COMPILER, *FLAGS, *flags, "-MMD", "-MF", OUT + ".dep", "-c", path, "-o", OUT)
        chains.append([step(f"{Path(path).stem}.o", command, [path], [], said)])
    objects = [made.output for (made,) in chains]
    link = step("engine.wasm", (*COMPILER, *objects, "-s", "-o", OUT), objects, [], said)
    run(chains, [link], 2)
    shutil.copy(link.output, program)


def in_space(values, missing):
    """Return a value for each of three axes."""
    return [missing] * (3 - len(values)) + [int(value) for value in values]


def steps(n, c, size, last):
    """Return the strides over (n, c, d, h, w) of an array without gaps."""
    size = in_space(size, 1)
    plain = np.empty((n, *size, c) if last else (n, c, *size), "u1").strides
    return (plain[0], plain[4], *plain[1:4]) if last else plain


def record(op, dtype, sizes, pool, arrays, margin=0.0, zero=0, padding=0, **flags):
    """Return what the program reads: cv_problem as WebAssembly lays it out, and arrays."""
    asked = [flags.get(name, 0) for name in ("indices", "add", "shifted", "wide_y")]
    head = [OPS.index(op), TYPES.index(dtype), 1, *asked, 2, 64 << 20]  # so many threads, and bytes of scratch
    blocks = [np.ascontiguousarray(arrays[name]).tobytes() if arrays.get(name) is not None else b""
              for name in ("x", "w", "bias", "y", "indices", "zeros")]  # fmt: skip
    ints = [*head, *(sizes or [0] * 39), *(pool or ([0] * 36, 0.0))[0]]
    numbers = (*ints, (pool or (0, 0.0))[1], margin, zero, padding, *map(len, blocks))
    return struct.pack("<84i2d8i", *numbers) + b"".join(blocks)


def conv_sizes(p, last):
    """Return cv_conv."""
    shape = [in_space(values, least) for values, least in zip(p[4:], (1, 1, 1, 1, 1, 0), strict=True)]
    weights = np.empty((p.groups, p.ocg, p.icg, *shape[1]), "u1").strides
    strides = steps(p.n, p.groups * p.icg, p.size, last), steps(p.n, p.groups * p.ocg, p.out, last)
    return [*p[:4], *chain(*shape), *chain(*strides), *weights, int(last)]


def pool_sizes(p, last):
    """Return cv_pool."""
    shape = [in_space(values, least) for values, least in zip(p[2:9], (1, 1, 1, 1, 1, 0, 0), strict=True)]
    kind = ("max", "min", "sum", "avg").index(p.kind)
    ends = kind, int(p.count_include_pad), int(p.adaptive)
    return [p.n, p.c, *chain(*shape), *steps(p.n, p.c, p.size, last), *steps(p.n, p.c, p.out, last), *ends], p.divisor


def flat(array, last, dtype):
    """Return an array as it lies in memory."""
    array = np.asarray(array).astype(dtype)
    return np.moveaxis(laid(array, last), 1, -1) if last else array


def convolutions(dtype):
    """Yield convolutions, and their gradients."""
    name, turn = str(np.dtype(dtype)), cycle((False, True))
    for p in dict.fromkeys(chain(*(shapes.convolutions(family, name) for family in shapes.MORE))):
        if np.prod(shapes.shapes(p)[1]) * p.n * np.prod(p.out) > 1 << 20:
            continue  # a matrix unit in plain C takes its time
        x, w, bias, y = posed(p)
        y = y + bias.reshape(-1, *(1,) * len(p.size))
        margin = 2e-6 * 9 * p.icg * np.prod(p.kernel)
        for last in (False, True):
            arrays = {"x": flat(x, last, dtype), "w": w.astype(dtype), "bias": bias.astype(dtype)}
            yield record("conv", dtype, conv_sizes(p, last), None, {**arrays, "y": flat(y, last, dtype)}, margin)
    for p in test_grad_input.problems(name):
        w, y, x = test_grad_input.posed(p)
        arrays = {"x": x.astype(dtype), "w": w.astype(dtype), "y": y.astype(dtype)}
        yield record("grad_input", dtype, conv_sizes(p, False), None, arrays)
    for p in test_grad_weight.problems(name):
        last = next(turn)
        x, y, w = test_grad_weight.posed(p)
        arrays = {"x": flat(x, last, dtype), "w": w.astype(dtype), "y": flat(y, last, dtype)}
        yield record("grad_weight", dtype, conv_sizes(p, last), None, arrays)


def bytes_convolved():
    """Yield convolutions of 8-bit integers, anywhere in their range and at its ends."""
    both = (False, True)
    every = [*shapes.KINDS, *(sizes(1, 2, icg, 9, (9, 19), (3, 3), lo=1) for icg in (1, 2, 8, 15, 16, 17, 33))]
    for p, last, shifted, extreme in product(every, both, both, both):
        x_type, y_type = ("i1", "u1")[extreme], ("i4", "i8")[shifted == last]
        way = test_int8.Way(x=x_type, y=y_type, shifted=shifted, zero=3, padding=100, last=last)
        x, w, zeros, bias = test_int8.numbers(p, way, extreme)
        less = w - zeros.reshape(-1, *(1,) * (w.ndim - 1)) if shifted else w
        y = test_int8.answer(p, way, x, less, bias).astype("i4")  # modulo 2^32
        arrays = {"x": flat(x, last, x_type), "w": w, "bias": bias, "y": flat(y, last, y_type)}
        arrays["zeros"] = zeros if shifted else None
        said = {"zero": way.zero, "padding": way.padding, "shifted": shifted, "wide_y": y_type == "i8"}
        yield record("conv_int8", x_type, conv_sizes(p, last), None, arrays, **said)


def poolings(dtype):
    """Yield poolings, with places and without, and what spreads numbers over windows and to places."""
    name, turn = str(np.dtype(dtype)), cycle((False, True))
    for p in pools.poolings(name):
        last, rng = next(turn), np.random.default_rng(p.c)
        sized, x = pool_sizes(p, last), flat(pools.numbers(p, name), last, dtype)
        y, where = pools.answer(p, name)
        arrays = {"x": x, "y": flat(y, last, dtype)}
        yield record("pool", dtype, None, sized, arrays)
        if where is not None and dtype[0] == "f":
            yield record("pool", dtype, None, sized, {**arrays, "indices": flat(where, last, "i8")}, indices=1)
        if p.adaptive or p.kind == "min" or dtype not in ("f4", "f8", "i8"):
            continue
        grad = rng.integers(-9, 10, y.shape)
        if p.kind == "max":
            places = rng.integers(-1, np.prod(p.size), y.shape)
            found = test_pool_grad.scattered(p, grad, places, True)[0]
            arrays = {"x": flat(found, last, dtype), "y": flat(grad, last, dtype), "indices": flat(places, last, "i8")}
            yield record("spread", dtype, None, sized, arrays, indices=1, add=1)
        else:
            grad = grad * (np.int64(p.divisor) or p.counted()) if p.kind == "avg" else grad
            found = test_pool_grad.spread_out(p, grad)
            yield record("spread", dtype, None, sized, {"x": flat(found, last, dtype), "y": flat(grad, last, dtype)})


def main():
    """Build, run, and say what each implementation did."""
    if not shutil.which("node"):
        sys.exit("there is no node here; Debian and others have it in the package nodejs")
    with TemporaryDirectory(prefix="wasm-") as name:
        program, problems = Path(name, "engine.wasm"), Path(name, "problems")
        build(program)
        with under_isa("scalar"), problems.open("wb") as file:  # whose vectors are as wide
            file.writelines(chain(*map(convolutions, TYPES[:2]), bytes_convolved(), *map(poolings, TYPES)))
        command = ["node", "--no-warnings", "-e", NODE, program, problems]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    said = [line.split() for line in done.stdout.splitlines()]
    wrong = [f"{row} under {isa}" for isa, row, served, right in said if served != right or not int(served)]
    if done.returncode or wrong or not {"simd128", "scalar"} <= {isa for isa, *_ in said}:
        sys.exit(f"exit status {done.returncode}; wrong, or not run: {', '.join(wrong) or 'none'}")
    print(f"{program.name}: {sum(int(served) for *_, served, _ in said)} results are right")


if __name__ == "__main__":
    main()
