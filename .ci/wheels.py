"""The wheels of this Python for Linux, without a container: manylinux_2_28 and musllinux_1_2, for x86-64 and Arm.

    python .ci/wheels.py OUT [KIND...]

Builds from what the sdist holds, all of `TARGETS` if none is named.  For x86-64 the compiler that Python's own
extensions take makes the kernels, which for glibc are then those that are tested and raced, bit for bit, and zig, which
PyPI has, brings musl's headers and links; for Arm zig compiles, too.  Builds twice in two folders, compiling all anew
the second time, and compares the bits, checks the file, and tries the one for this machine in an environment without a
compiler; `.ci/arm.py` tries the one for Arm.  `nox -s wheels` installs what this needs.
"""

import hashlib
import importlib.util
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
#: What a wheel may need of the system, by the beginnings of their names.
LIBRARIES = ("libc.", "libm.", "libpthread.", "libdl.", "ld-linux")
MUSL = (1, 2)
#: What the parts may ask of musl, which has no versions of symbols: all of it is in musl 1.2.0.
MUSL_HAS = {
    "__sched_cpucount", "__tls_get_addr", "bcmp", "calloc", "clock_gettime", "free", "getenv", "malloc", "memcmp",
    "memcpy", "memmove", "memset", "posix_memalign", "pthread_atfork", "pthread_attr_destroy", "pthread_attr_init",
    "pthread_attr_setdetachstate", "pthread_attr_setstacksize", "pthread_cond_broadcast", "pthread_cond_init",
    "pthread_cond_wait", "pthread_create", "pthread_getaffinity_np", "pthread_join", "pthread_mutex_init",
    "pthread_mutex_lock", "pthread_mutex_trylock", "pthread_mutex_unlock", "pthread_once", "pthread_self",
    "pthread_setaffinity_np", "pthread_sigmask", "sched_getcpu", "sigfillset", "strcmp", "strlen", "strrchr",
    "syscall", "vsnprintf",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A kind of processor, as `os.uname` calls it, and a C library: gnu, which is glibc, or musl."""

    machine: str
    libc: str = "gnu"

    @property
    def tag(self):
        """The platform of its wheels."""
        return f"{self.policy[0]}_{self.policy[1]}_{self.policy[2]}_{self.machine}"

    @property
    def policy(self):
        """What a wheel must keep to, and the newest version of the C library."""
        return ("manylinux", *GLIBC) if self.libc == "gnu" else ("musllinux", *MUSL)

    @property
    def compiles_here(self):
        """Whether this machine's compiler can make it."""
        return self.machine == os.uname().machine

    @property
    def runs_here(self):
        """Whether this Python can load it."""
        return self.compiles_here and self.libc == "gnu"

    def variables(self):
        """Return what tells setup.py that it builds for this processor."""
        system = f"{self.machine}-linux-{self.libc}"
        version = f".{GLIBC[0]}.{GLIBC[1]}" if self.libc == "gnu" else ""
        zig = (sys.executable, "-m", "ziglang", "cc", "-target", system + version)
        # What zig would put in of its own are a slower memcpy and more bytes; of a compiler's library the loops need
        # the products of complex numbers.
        libraries = ["-nodefaultlibs", "-lc", "-lm", "-lpthread"]
        if self.libc == "musl":
            libraries = ["-nostdlib", "-Wl,--no-as-needed", musl_library(self.machine, zig)]
        if self.compiles_here:
            libraries.append(run("cc", "-print-libgcc-file-name").strip())
        elif self.libc == "musl":
            libraries += ["-lcompiler_rt", "-Wl,--gc-sections"]
        said = {"LDSHARED": shlex.join((*zig, "-shared", *libraries))}
        if not self.runs_here:
            # Python's headers say the same of all; the names of modules and the platform do not.
            python = f"{sys.version_info.major}{sys.version_info.minor}"
            said["CC"] = shlex.join(("cc", *musl_headers(self.machine)) if self.compiles_here else zig)
            said["SETUPTOOLS_EXT_SUFFIX"] = f".cpython-{python}-{system}.so"
            said["_PYTHON_HOST_PLATFORM"] = f"linux-{self.machine}"
        return said


TARGETS = {"x86_64": Target("x86_64"), "aarch64": Target("aarch64"),
           "x86_64-musl": Target("x86_64", "musl"), "aarch64-musl": Target("aarch64", "musl")}  # fmt: skip


def musl_library(machine, compiler):
    """Return what stands for musl while linking: it has the name by which Alpine and auditwheel call it.

    Whatever the name of the file, musl's loader knows all that begins with ``libc.`` as itself.
    """
    library = ROOT / f"build/libc.musl-{machine}.so.1"
    run(*compiler, "-shared", "-nostdlib", f"-Wl,-soname,{library.name}", "-x", "c", "/dev/null", "-o", library)
    return str(library)


def musl_headers(machine):
    """Return the options by which GCC takes the headers of musl that zig brings, and none of this system's."""
    (package,) = importlib.util.find_spec("ziglang").submodule_search_locations
    names = (f"{machine}-linux-musl", "generic-musl", f"{machine}-linux-any", "any-linux-any")
    folders = [run("cc", "-print-file-name=include").strip(), *(f"{package}/lib/libc/include/{name}" for name in names)]
    return ["-nostdinc", *(word for folder in folders for word in ("-isystem", folder))]


def run(*command, cwd=None, **variables):
    """Run a command; show what it prints only if it fails."""
    command = [*map(str, command)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **variables}, cwd=cwd
    )
    if done.returncode:
        sys.exit(f"$ {shlex.join(command)}\n{done.stdout}\nexit status {done.returncode}")
    return done.stdout


def build(sdist, folder, target, anew=False):
    """Return the wheel made from what the sdist holds, unpacked in a folder of its own; anew, all is compiled there."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    if not anew:
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
                    if target.libc != "gnu" or not numbers or tuple(map(int, numbers.groups()[:2])) > GLIBC:
                        wrong.append(f"needs {name}")
            elif isinstance(section, SymbolTableSection):
                wrong += symbols(elf, section, target)
    return [f"{path.name} {what}" for what in wrong]


def symbols(elf, section, target):
    """Return the symbols that nothing should show, and those of no known version that only Python should give."""
    versions = elf.get_section_by_name(".gnu.version")
    wrong = []
    for number, symbol in enumerate(section.iter_symbols()):
        name = symbol.name
        if target.libc == "gnu":
            unknown = versions.get_symbol(number)["ndx"] in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL")
        else:
            unknown = name not in MUSL_HAS
        if symbol["st_shndx"] != "SHN_UNDEF":
            if not name.startswith("PyInit_"):
                wrong.append(f"shows {name}")
        elif symbol["st_info"]["bind"] == "STB_GLOBAL" and unknown and not name.startswith(("Py", "_Py")):
            wrong.append(f"asks for {name}, which may not be there")
    return wrong


def check(wheel, target, secrets):
    """Check a wheel: its compiled parts, its tag, what it holds, its size, and its metadata."""
    wrong = []
    with TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        for part in sorted(Path(folder).rglob("*.so")):
            wrong += faults(part, target, secrets)
    said = run("auditwheel", "show", wheel)
    kind, *newest = target.policy
    earned = re.search(rf'"{kind}_(\d+)_(\d+)_{target.machine}"', said)
    if not earned or [*map(int, earned.groups())] > newest:
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
    wheels = [build(sdist, work / target.tag / place, target, place == "anew") for place in ("first", "anew")]
    digests = [hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels]
    if digests[0] != digests[1]:
        sys.exit(f"{wheels[0].name}: two builds differ: {digests}")
    check(wheels[0], target, (work.name, str(ROOT)))
    if target.runs_here:
        use(wheels[0], work / "clean")
    made = Path(shutil.copy(wheels[0], out))
    print(f"{made}, {made.stat().st_size // 1000} kB, sha256 {digests[0]}", flush=True)


def main(out, kinds):
    """Make the sdist, and these kinds of wheels."""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        sys.exit("this recipe makes wheels on Linux, x86-64; cibuildwheel makes them elsewhere")
    if unknown := set(kinds) - set(TARGETS):
        sys.exit(f"no such kind: {', '.join(sorted(unknown))}; valid: {', '.join(TARGETS)}")
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1735689600")  # of every file in a wheel
    (ROOT / "build/objects").mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="wheels-") as name:
        work = Path(name)
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", work / "sdist", ROOT)
        (sdist,) = (work / "sdist").iterdir()
        shutil.copy(sdist, out)
        for kind in kinds:
            make(TARGETS[kind], sdist, work, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(TARGETS))
