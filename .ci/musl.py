"""Try the wheel for musl where the system's C library is another: in a Python that is compiled against musl for it.

    python .ci/musl.py WHEEL [BACKEND...]

Needs Debian (or what descends from it) on x86-64, GCC, make, automake, libtool, libltdl-dev and pip.  musl, the Python
of the wheel's version, and what Python needs come as sources from Debian and are compiled in build/musl, where they
serve again: some five minutes on two processors, once.  NumPy and SciPy are those of PyPI for musl, in a temporary
folder: nothing of the system changes.  Runs `.ci/smoke.py`, and ``convlib check`` of the backends (native and im2col if
none is named) with each instruction set that the processor has, and three threads.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from arm import modules

MADE = Path(__file__).resolve().parents[1] / "build/musl"
ROOT = MADE / "root"
#: GCC against musl.  To Python's build it must not say that it makes programs for glibc, as it does in general.
COMPILER = """#!/bin/sh
case $1 in *-print-multiarch) echo x86_64-linux-musl ;; *) exec {root}/bin/musl-gcc "$@" ;; esac
"""
#: How each source package is configured and made; each is told where musl and the others are.
RECIPES = {
    "musl": ("./configure --prefix={root} --syslibdir={root}/lib --disable-static", "make install"),
    "zlib": ("./configure --prefix={root} --static", "make install"),  # which SciPy unpacks by
    "libffi": (
        "autoreconf --install",  # its archive has no configure
        "./configure --prefix={root} --disable-shared --with-pic --disable-docs --disable-multi-os-directory "
        "--disable-exec-static-tramp",  # which needs headers of Linux
        "make install",
    ),
    "python": (
        "./configure --prefix={root} --build=x86_64-linux-musl --without-ensurepip --disable-test-modules",
        "make",
    ),
}  # fmt: skip


def fetch(packages):
    """Return the folders of Debian's source packages, unpacked, without Debian's changes."""
    lists = MADE / "lists"
    shutil.copytree("/etc/apt/sources.list.d", lists, ignore=lambda folder, names: [
        name for name in names if not name.endswith((".list", ".sources"))])  # fmt: skip
    if Path("/etc/apt/sources.list").exists():
        shutil.copy("/etc/apt/sources.list", lists / "all.list")
    for path in lists.iterdir():  # the same places, asked for sources
        said = re.sub(r"^Types:.*$", "Types: deb-src", path.read_text(), flags=re.MULTILINE)
        # Its musl is too old for NumPy's wheels, whose DT_RELR musl reads since 1.2.4; the next release has 1.2.5.
        said = re.sub(r"^Suites: bookworm .*$", "Suites: bookworm trixie", said, flags=re.MULTILINE)
        path.write_text(re.sub(r"^deb ", "deb-src ", said, flags=re.MULTILINE))
    (MADE / "state").mkdir()
    options = {
        "APT::Sandbox::User": "root", "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": lists,
        "Dir::State": MADE / "state", "Dir::Cache": MADE / "cache",
    }  # fmt: skip
    command = ["apt-get", "--quiet", *(f"-o={name}={value}" for name, value in options.items())]
    run([*command, "update"], MADE)
    folders = {}
    for package in packages:
        place = MADE / package
        place.mkdir()
        run([*command, "source", "--download-only", "--tar-only", package], place)
        (archive,) = place.glob("*.orig.tar.*[!c]")  # beside it may lie its signature, .asc
        with tarfile.open(archive) as content:
            content.extractall(place, filter="tar")
        (folders[package],) = (path for path in place.iterdir() if path.is_dir())
    return folders


def run(command, folder, **variables):
    """Run a command in a folder; show what it prints only if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          cwd=folder, env={**os.environ, **variables}, check=False)  # fmt: skip
    if done.returncode:
        sys.exit(f"$ {' '.join(map(str, command))}\n{done.stdout}\nexit status {done.returncode}")


def python(version):
    """Return the path of a Python of this version that is compiled against musl; it is made if it is not there."""
    mark = MADE / f"python{version}.path"  # written last: what is there is whole
    if not mark.exists():
        if lacking := [tool for tool in ("gcc", "make", "autoreconf", "libtoolize") if not shutil.which(tool)]:
            sys.exit(f"there is no {', no '.join(lacking)} here; Debian has them in gcc, make, automake and libtool")
        shutil.rmtree(MADE, ignore_errors=True)
        MADE.mkdir(parents=True)
        packages = {name if name != "python" else f"python{version}": recipe for name, recipe in RECIPES.items()}
        folders, compiler = fetch(packages), ROOT / "bin/cc"
        for package, recipe in packages.items():
            print(f"compiling {package}", flush=True)
            variables = {"CC": "gcc", "MAKEFLAGS": f"-j{os.cpu_count()}"}
            if package != "musl":
                variables |= {"CC": str(compiler), "OPT": "-O1 -DNDEBUG", "CFLAGS": "-O1 -fPIC",
                              "CPPFLAGS": f"-I{ROOT}/include",
                              "LDFLAGS": f"-L{ROOT}/lib", "LIBFFI_INCLUDEDIR": f"{ROOT}/include"}  # fmt: skip
            for command in recipe:
                run(command.format(root=ROOT).split(), folders[package], **variables)
            if package == "musl":
                compiler.write_text(COMPILER.format(root=ROOT))
                compiler.chmod(0o755)
        mark.write_text(str(folders[f"python{version}"] / "python"))
    return mark.read_text()


def main(wheel, backends):
    """Make Python if need be, unpack, and run."""
    version = re.sub(r"cp(\d)(\d+)", r"\1.\2", wheel.name.split("-")[2])
    program = python(version)
    with TemporaryDirectory(prefix="musl-") as name:
        place, _ = modules(wheel.resolve(), Path(name), ["musllinux_1_1_x86_64", "musllinux_1_2_x86_64"])
        environment = {**os.environ, "PYTHONPATH": str(place)}

        def attempt(*arguments, **variables):
            command = [program, "-P", *arguments]
            done = subprocess.run(command, env=environment | variables, cwd=name, stdout=subprocess.PIPE, text=True)
            print(done.stdout, end="", flush=True)
            if done.returncode:
                sys.exit(f"{' '.join(map(str, command))} {variables}: exit status {done.returncode}")
            return done.stdout

        attempt(Path(__file__).with_name("smoke.py").resolve())
        said = attempt("-m", "convlib", "info")
        sets = re.search(r"instruction_sets_of_the_processor: (.*)", said)[1].split(", ")
        for isa in sets:
            print(f"{isa}:", flush=True)
            attempt("-m", "convlib", "check", *backends, CONVLIB_ISA=isa, CONVLIB_NUM_THREADS="3")
    print(f"{wheel} works with musl and {', '.join(sets)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["native", "im2col"])
