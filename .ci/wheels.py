"""The wheel of this Python for Linux on x86-64, without a container: manylinux_2_28.

    python .ci/wheels.py OUT

Compiles with the compiler that Python's own extensions take, from what the sdist holds, and links by zig, which PyPI
has, against glibc 2.28: the kernels are the ones that are tested and raced, bit for bit.  Builds twice in two folders
and compares the bits, checks the file, and tries it in an environment without a compiler.  `nox -s wheels` installs
what this needs.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parents[1]
GLIBC, TAG = (2, 28), "manylinux_2_28_x86_64"
MOST_BYTES = 3_000_000
#: What a wheel may need of the system, by the beginnings of their names.
LIBRARIES = ("libc.", "libm.", "libpthread.", "libdl.", "ld-linux")


def run(*command, cwd=None, **variables):
    """Run a command; show what it prints only if it fails."""
    command = [*map(str, command)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}, cwd=cwd
    )
    if done.returncode:
        sys.exit(f"$ {shlex.join(command)}\n{done.stdout}\nexit status {done.returncode}")
    return done.stdout


def build(sdist, folder):
    """Return the wheel made from what the sdist holds, unpacked in a folder of its own."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    (tree / "build").mkdir()
    (tree / "build/objects").symlink_to(ROOT / "build/objects")  # what was compiled before serves again
    zig = (sys.executable, "-m", "ziglang", "cc", "-target", f"x86_64-linux-gnu.{GLIBC[0]}.{GLIBC[1]}")
    # What zig would put in of its own are a slower memcpy and more bytes.
    libraries = ("-nodefaultlibs", "-lc", "-lm", "-lpthread", run("cc", "-print-libgcc-file-name").strip())
    command = (sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", folder / "made")
    run(*command, cwd=tree, LDSHARED=shlex.join((*zig, "-shared", *libraries)))
    (wheel,) = (folder / "made").iterdir()
    run(sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", TAG, wheel)
    (named,) = (folder / "made").iterdir()
    return named


def faults(path, secrets):
    """Return what is wrong with a compiled part: what it needs, what it shows, what it tells."""
    wrong = [f"holds the path {secret}" for secret in secrets if secret.encode() in path.read_bytes()]
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf["e_machine"] != "EM_X86_64":
            wrong.append(f"is for {elf['e_machine']}")
        for section in elf.iter_sections():
            if section.name.startswith(".debug") or section.name == ".symtab":
                wrong.append(f"is not stripped: {section.name}")
            elif isinstance(section, DynamicSection):
                wrong += [f"needs {tag.needed}" for tag in section.iter_tags("DT_NEEDED")
                          if not tag.needed.startswith(LIBRARIES)]  # fmt: skip
                wrong += [f"has {tag.entry.d_tag}" for tag in section.iter_tags()
                          if tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH")]  # fmt: skip
            elif isinstance(section, GNUVerNeedSection):
                for name in (version.name for _, versions in section.iter_versions() for version in versions):
                    numbers = re.fullmatch(r"GLIBC_(\d+)\.(\d+)(\.\d+)?", name)
                    if not numbers or tuple(map(int, numbers.groups()[:2])) > GLIBC:
                        wrong.append(f"needs {name}")
            elif isinstance(section, SymbolTableSection):
                wrong += symbols(elf, section)
    return [f"{path.name} {what}" for what in wrong]


def symbols(elf, section):
    """Return the symbols that nothing should show, and those of no known version that only Python should give."""
    versions = elf.get_section_by_name(".gnu.version")
    wrong = []
    for number, symbol in enumerate(section.iter_symbols()):
        name, unknown = symbol.name, versions.get_symbol(number)["ndx"] in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL")
        if symbol["st_shndx"] != "SHN_UNDEF":
            if not name.startswith("PyInit_"):
                wrong.append(f"shows {name}")
        elif symbol["st_info"]["bind"] == "STB_GLOBAL" and unknown and not name.startswith(("Py", "_Py")):
            wrong.append(f"asks for {name}, which glibc {GLIBC} may not have")
    return wrong


def check(wheel, secrets):
    """Check a wheel: what it holds, its size, its compiled parts, its metadata, and its tag."""
    wrong = []
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for part in sorted(Path(folder).rglob("*.so")):
            wrong += faults(part, secrets)
    if wheel.stat().st_size > MOST_BYTES:
        wrong.append(f"{wheel.stat().st_size} bytes, more than {MOST_BYTES}")
    said = run("auditwheel", "show", wheel)
    earned = re.search(r'"manylinux_(\d+)_(\d+)_x86_64"', said)
    if not earned or tuple(map(int, earned.groups())) > GLIBC:
        wrong.append(f"auditwheel says\n{said}")
    if wrong:
        sys.exit(f"{wheel.name}: {'; '.join(wrong)}")
    run(sys.executable, ROOT / ".ci/check_archives.py", wheel)
    run("check-wheel-contents", wheel)
    run("twine", "check", "--strict", wheel)


def use(wheel, folder):
    """Install a wheel where nothing can be compiled, and use it."""
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin/python", "-m", "pip", "install", "--only-binary", ":all:", wheel)
    clean = {"PATH": str(folder / "bin"), "CC": "false", "PYTHONPATH": ""}  # no compiler, and no sources
    run(folder / "bin/python", ROOT / ".ci/smoke.py", cwd=folder, **clean)
    print(run(folder / "bin/convlib", "check", "native", "im2col", cwd=folder, **clean), end="")


def main(out):
    """Build twice, compare, check, use; put the wheel and its sdist into a folder."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        sys.exit("this recipe makes wheels on Linux, x86-64, for it; others are made by cibuildwheel")
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1735689600")  # of every file in a wheel
    (ROOT / "build/objects").mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="wheels-") as name:
        work = Path(name)
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", work / "sdist", ROOT)
        (sdist,) = (work / "sdist").iterdir()
        wheels = [build(sdist, work / place) for place in ("first", "second")]
        digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
        if digests[0] != digests[1]:
            sys.exit(f"{wheels[0].name}: two builds differ: {digests}")
        check(wheels[0], (name, str(ROOT)))
        use(wheels[0], work / "clean")
        made = [Path(shutil.copy(path, out)) for path in (wheels[0], sdist)]
        print(f"{made[0]}, {made[0].stat().st_size // 1000} kB, sha256 {digests[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
