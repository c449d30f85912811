"""The wheels of this Python for Linux, without a container: manylinux_2_28, for x86-64 and Arm.

    python .ci/wheels.py OUT [MACHINE...]

Builds from what the sdist holds, for x86_64 and aarch64 if none is named.  For x86-64 the compiler that Python's own
extensions take makes the kernels, which are then those that are tested and raced, bit for bit, and zig, which PyPI has,
links them against glibc 2.28; for Arm zig compiles, too.  Builds twice in two folders and compares the bits, checks the
file, and tries the one for x86-64 in an environment without a compiler; `.ci/arm.py` tries the one for Arm.  `nox -s
wheels` installs what this needs.
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
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parents[1]
GLIBC = (2, 28)
MOST_BYTES = 3_000_000
#: What a wheel may need of the system, by the beginnings of their names.
LIBRARIES = ("libc.", "libm.", "libpthread.", "libdl.", "ld-linux")


@dataclass(frozen=True)
class Target:
    """A kind of processor, as `os.uname` calls it."""

    machine: str

    @property
    def tag(self):
        """The platform of its wheels."""
        return f"manylinux_{GLIBC[0]}_{GLIBC[1]}_{self.machine}"

    @property
    def runs_here(self):
        """Whether this Python can load what is made for it, and this machine's compiler can make it."""
        return self.machine == os.uname().machine

    def variables(self):
        """Return what tells setup.py that it builds for this processor."""
        libc = f"{self.machine}-linux-gnu.{GLIBC[0]}.{GLIBC[1]}"
        zig = (sys.executable, "-m", "ziglang", "cc", "-target", libc)
        # What zig would put in of its own are a slower memcpy and more bytes; of GCC's library the x86-64 kernels need
        # what tells processors apart.
        libraries = ["-nodefaultlibs", "-lc", "-lm", "-lpthread"]
        if self.runs_here:
            libraries.append(run("cc", "-print-libgcc-file-name").strip())
        said = {"LDSHARED": shlex.join((*zig, "-shared", *libraries))}
        if not self.runs_here:
            # Python's headers say the same of both; the names of modules and the platform do not.
            said["CC"] = shlex.join(zig)
            python = f"{sys.version_info.major}{sys.version_info.minor}"
            said["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{python}-{self.machine}-linux-gnu.so"
            said["_PYTHON_HOST_PLATFORM"] = f"linux-{self.machine}"
        return said


def run(*command, cwd=None, **variables):
    """Run a command; show what it prints only if it fails."""
    command = [*map(str, command)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}, cwd=cwd
    )
    if done.returncode:
        sys.exit(f"$ {shlex.join(command)}\n{done.stdout}\nexit status {done.returncode}")
    return done.stdout


def build(sdist, folder, target):
    """Return the wheel made from what the sdist holds, unpacked in a folder of its own."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    (tree / "build").mkdir()
    (tree / "build/objects").symlink_to(ROOT / "build/objects")  # what was compiled before serves again
    command = (sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", folder / "made")
    run(*command, cwd=tree, **target.variables())
    (wheel,) = (folder / "made").iterdir()
    run(sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", target.tag, wheel)
    (named,) = (folder / "made").iterdir()
    return named


def faults(path, target, secrets):
    """Return what is wrong with a compiled part: what it needs, what it shows, what it tells."""
    wrong = [f"holds the path {secret}" for secret in secrets if secret.encode() in path.read_bytes()]
    with path.open("rb") as file:
        elf = ELFFile(file)
        if elf["e_machine"] != f"EM_{target.machine.upper()}":
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


def check(wheel, target, secrets):
    """Check a wheel: what it holds, its size, its compiled parts, its metadata, and its tag."""
    wrong = []
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for part in sorted(Path(folder).rglob("*.so")):
            wrong += faults(part, target, secrets)
    if wheel.stat().st_size > MOST_BYTES:
        wrong.append(f"{wheel.stat().st_size} bytes, more than {MOST_BYTES}")
    said = run("auditwheel", "show", wheel)
    earned = re.search(rf'"manylinux_(\d+)_(\d+)_{target.machine}"', said)
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


def make(target, sdist, work, out):
    """Build a wheel twice, compare, check, use, and put it into a folder."""
    wheels = [build(sdist, work / target.tag / place, target) for place in ("first", "second")]
    digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    if digests[0] != digests[1]:
        sys.exit(f"{wheels[0].name}: two builds differ: {digests}")
    check(wheels[0], target, (work.name, str(ROOT)))
    if target.runs_here:
        use(wheels[0], work / "clean")
    made = Path(shutil.copy(wheels[0], out))
    print(f"{made}, {made.stat().st_size // 1000} kB, sha256 {digests[0]}", flush=True)


def main(out, machines):
    """Make the sdist, and the wheels for these machines."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        sys.exit("this recipe makes wheels on Linux, x86-64; cibuildwheel makes them elsewhere")
    if unknown := set(machines) - {"x86_64", "aarch64"}:
        sys.exit(f"no such machine: {', '.join(sorted(unknown))}; valid: x86_64, aarch64")
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1735689600")  # of every file in a wheel
    (ROOT / "build/objects").mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="wheels-") as name:
        work = Path(name)
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", work / "sdist", ROOT)
        (sdist,) = (work / "sdist").iterdir()
        shutil.copy(sdist, out)
        for machine in machines:
            make(Target(machine), sdist, work, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["x86_64", "aarch64"])
