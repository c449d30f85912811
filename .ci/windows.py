"""Make the wheel for Windows, and try it where no Windows is: under Wine, in Windows' own Python.

    python .ci/windows.py OUT [BACKEND...]

Needs Python 3.11 on Linux and Wine (Debian's package wine64); `nox -s windows` installs the rest.  setup.py compiles
and links by zig, as it does on Windows.  Of Python for Windows, Panda3D's wheel on PyPI holds the library and the
compiled modules; the modules in Python are those of the Python that runs this.  NumPy and SciPy are those for Windows.
All lies in a temporary folder, Wine's settings too.  Runs `.ci/smoke.py`, and ``convlib check`` of the backends (native
and im2col if none is named) with each instruction set that the processor has.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pefile

ROOT = Path(__file__).resolve().parents[1]
VERSION = "3.11"  # the newest that Panda3D and Wine 8 agree on
#: What Wine 8 declares and does not have, though NumPy and SciPy call it, and the library they take it from.
LACKING = ("creal", "cimag", "crealf", "cimagf")
MATH, OWN_MATH = "api-ms-win-crt-math-l1-1-0.dll", "own-ms-win-crt-math-l1-1-0.dll"
FUNCTIONS = """
typedef struct { double re, im; } wide;
typedef struct { float re, im; } narrow;
double creal(wide z) { return z.re; }
double cimag(wide z) { return z.im; }
float crealf(narrow z) { return z.re; }
float cimagf(narrow z) { return z.im; }
"""
PROGRAM = """
#include <wchar.h>
__declspec(dllimport) int Py_Main(int, wchar_t **);
int wmain(int argc, wchar_t **argv) { return Py_Main(argc, argv); }
"""
#: What Python's own pyconfig.h tells extensions on 64-bit Windows.
PYCONFIG = """
#define MS_WIN32
#define MS_WIN64
#define MS_WINDOWS
#define MS_COREDLL
#define NT_THREADS
#define WITH_THREAD
#define Py_ENABLE_SHARED 1
#define HAVE_DECLSPEC_DLL
#define PLATFORM "win32"
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FPOS_T 8
#define SIZEOF_FLOAT 4
#define SIZEOF_DOUBLE 8
#define SIZEOF_WCHAR_T 2
#define ALIGNOF_SIZE_T 8
#define ALIGNOF_MAX_ALIGN_T 8
#include <stddef.h>
#include <stdio.h>
"""


def run(*command, **variables):
    """Run a command."""
    subprocess.run([*map(str, command)], check=True, env={**os.environ, **variables}, stdin=subprocess.DEVNULL)


def zig(*arguments):
    """Run a tool of zig's."""
    run(sys.executable, "-m", "ziglang", *arguments)


def unpack(wheel, folder):
    """Unpack a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def packages(folder):
    """Put NumPy and SciPy for Windows into a folder, and return another that holds Python's library and modules."""
    wanted = ["--only-binary=:all:", "--platform=win_amd64", f"--python-version={VERSION}", "--no-deps", "--quiet"]
    names = ["numpy", "scipy", "panda3d==1.10.16"]
    run(sys.executable, "-m", "pip", "download", *wanted, f"--dest={folder}", *names)
    for wheel in folder.glob("*.whl"):
        unpack(wheel, folder / ("panda3d" if wheel.name.startswith("panda3d") else "modules"))
    return folder / "panda3d/deploy_libs"


def lend_functions(folder, python):
    """Let modules that call what Wine lacks take it from a library of our own, which passes on all else."""
    names = set(LACKING)
    for module in [*(folder / "modules").rglob("*.pyd"), *(folder / "modules").rglob("*.dll")]:
        wanted = {name.decode() for library in getattr(pefile.PE(module, fast_load=False), "DIRECTORY_ENTRY_IMPORT", ())
                  if library.dll.decode() == MATH for entry in library.imports if (name := entry.name)}  # fmt: skip
        if wanted & set(LACKING):
            names |= wanted
            module.write_bytes(module.read_bytes().replace(MATH.encode(), OWN_MATH.encode()))
    lines = [name if name in LACKING else f"{name} = ucrtbase.{name}" for name in sorted(names)]
    (folder / "math.def").write_text("\n".join((f"LIBRARY {OWN_MATH}", "EXPORTS", *lines, "")))
    (folder / "math.c").write_text(FUNCTIONS)
    options = ("-target", "x86_64-windows-gnu", "-O2", "-fno-builtin", "-shared")
    zig("cc", *options, folder / "math.c", folder / "math.def", "-o", python / OWN_MATH)


def program(folder, python):
    """Make python.exe, and what links against Python's library."""
    name = f"python{VERSION.replace('.', '')}"
    library = pefile.PE(python / f"{name}.dll")
    shown = [symbol.name.decode() for symbol in library.DIRECTORY_ENTRY_EXPORT.symbols if symbol.name]
    (folder / "python.def").write_text("\n".join((f"LIBRARY {name}.dll", "EXPORTS", *shown, "")))
    (folder / "libs").mkdir()
    zig("dlltool", "-m", "i386:x86-64", "-d", folder / "python.def", "-l", folder / f"libs/{name}.lib")
    (folder / "python.c").write_text(PROGRAM)
    options = ("-target", "x86_64-windows-gnu", "-municode", f"-L{folder / 'libs'}", f"-l{name}")
    zig("cc", folder / "python.c", *options, "-o", python / "python.exe")
    shutil.copytree(sysconfig.get_path("stdlib"), folder / "home/Lib",
                    ignore=shutil.ignore_patterns("site-packages", "test", "lib-dynload", "config-*"))  # fmt: skip
    return name


def build(folder, name, out):
    """Return the wheel of the checkout."""
    headers = Path("build/windows")  # always there, so that what was compiled serves again
    shutil.rmtree(headers, ignore_errors=True)
    shutil.copytree(sysconfig.get_path("include"), headers)
    shutil.copytree(folder / "modules/numpy/_core/include/numpy", headers / "numpy")
    (headers / "pyconfig.h").write_text(PYCONFIG)
    extra = folder / "build.cfg"  # where setup.py finds on Windows what it is told here
    extra.write_text(f"[build_ext]\ninclude_dirs = {headers}\nlibrary_dirs = {folder / 'libs'}\n")
    run(
        sys.executable, "setup.py", "--quiet", "bdist_wheel", "--dist-dir", out, DIST_EXTRA_CONFIG=str(extra),
        SETUPTOOLS_EXT_SUFFIX=f".cp{name.removeprefix('python')}-win_amd64.pyd", _PYTHON_HOST_PLATFORM="win-amd64",
    )  # fmt: skip
    return max(out.glob("convlib-*-win_amd64.whl"), key=os.path.getmtime)


def attempt(folder, python, *arguments, **variables):
    """Run Python under Wine, and return what it says."""
    command = ["wine", python / "python.exe", "-X", "utf8", *arguments]
    variables |= {
        "WINEPREFIX": str(folder / "wine"), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=",
        "PYTHONHOME": f"Z:{folder}/home", "PYTHONPATH": f"Z:{folder}/modules;Z:{python}",
    }  # fmt: skip
    done = subprocess.run(command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, cwd=folder)  # fmt: skip
    print(done.stdout, end="", flush=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}\nexit status {done.returncode}")
    return done.stdout


def main(out, backends):
    """Make the wheel, and try it."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" != VERSION or sys.platform != "linux":
        sys.exit(f"this runs with Python {VERSION} on Linux")
    if not shutil.which("wine"):
        sys.exit("there is no wine here; Debian has it in the package wine64")
    out = out.resolve()
    os.chdir(ROOT)
    with TemporaryDirectory(prefix="windows-") as name:
        folder = Path(name)
        python = packages(folder)
        lend_functions(folder, python)
        wheel = build(folder, program(folder, python), out)
        run(sys.executable, ".ci/check_archives.py", wheel)
        unpack(wheel, folder / "modules")
        attempt(folder, python, ROOT / ".ci/smoke.py")
        said = attempt(folder, python, "-m", "convlib", "info")
        sets = re.search(r"instruction_sets_of_the_processor: (.*)", said)[1].split(", ")
        for isa in sets:
            print(f"{isa}:", flush=True)
            attempt(folder, python, "-m", "convlib", "check", *backends, CONVLIB_ISA=isa, CONVLIB_NUM_THREADS="3")
    print(f"{wheel}, {wheel.stat().st_size // 1000} kB, works under Wine with {', '.join(sets)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["native", "im2col"])
