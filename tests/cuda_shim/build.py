"""Compile the CUDA kernels for a processor: ``python build.py FOLDER [compiler flags]``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from convlib.backends.cupy_device import expressions, source

PARTS = 2
WAITING = ("conv_gemm<",)  # kernels with barriers


def build(folder: Path, flags: list[str]) -> None:
    """Write the kernels' text, their names and their library."""
    names = list(expressions())
    (folder / "source.cu").write_text(source(), "utf-8")
    (folder / "names").write_text("\n".join(names), "utf-8")
    shim = Path(__file__).with_name("grid.h")
    jobs, objects = [], []
    for part in range(PARTS):
        entries = "".join(
            f'extern "C" void kernel{i}(unsigned grid, unsigned block, void** args) '
            f"{{ launch({name}, {str(name.startswith(WAITING)).lower()}, grid, block, args); }}\n"
            for i, name in enumerate(names)
            if i % PARTS == part
        )
        text = folder / f"part{part}.cpp"
        text.write_text(f'#include "{shim}"\n#include "{folder / "source.cu"}"\n{entries}', "utf-8")
        objects.append(str(text.with_suffix(".o")))
        command = ["g++", "-std=c++17", "-O0", "-fPIC", "-w", *flags, "-c", str(text), "-o", objects[-1]]
        jobs.append(subprocess.Popen(command))
    if any(job.wait() for job in jobs):
        raise SystemExit("the kernels do not compile")
    subprocess.run(["g++", "-shared", *flags, "-o", str(folder / "kernels.so"), *objects], check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2:])
