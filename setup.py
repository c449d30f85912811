"""Compiled parts only; everything else about the package is in pyproject.toml."""

import json
import os
import shutil
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError, SetupError

sys.path.insert(0, "convlib/_ext/c")
from building import OUT, PYTHON, BuildError, identify, run, source, step

SOURCES = {
    "_finish": [],
    "_loops": [],
    "_threads": ["convlib/_ext/c/runtime/threads.c"],
    "_im2col": [],
    "_probe": ["convlib/_ext/c/runtime/probe.c"],
    "_native": [
        *(f"convlib/_ext/c/runtime/{name}.c" for name in ("dispatch", "plan", "scratch")),
        *sorted(path.as_posix() for path in Path("convlib/_ext/c/isa").glob("*.c")),
    ],
    "_native_arrays": [],
    "_native_conv": [],
    "_native_frames": [],
    "_native_int8": [],
    "_native_pad": [],
    "_native_pieces": [],
    "_native_pool": [],
}

# How to optimise sources whose names, ended by a dot, hold these; the first that fits.  Raced over all suites, kernels
# are as fast at -O2 as at -O3, which takes gcc 12 nearly twice as long, with two exceptions: depthwise windows with
# lanes of channels take 1.4 (31x31) to 1.8 times (7x7) as long on AVX2, and pooling of integers with stride 2 1.4
# times, unless loops of unknown length are turned into vectors.  Cython's loops were not raced.  On x86-64, where few
# processors have neither AVX2 nor AVX-512, the kernels without them are made small: 0.18 MB less, and 0.8 (filters) to
# 1.0 (ResNet-50) times as fast.  So is the module that makes plans, a part of the engine's file: 24 KB less, and 0 to
# 5 % of the 1.3 us of a smallest call.  Functions of pooling and of weight gradients begin lines of the cache: where
# they began by chance, 5x5 windows took up to 1.5 times as long, gradients 1.1 times.
PLATFORM = sysconfig.get_platform()
X86, WINDOWS, WASM = PLATFORM.endswith(("x86_64", "amd64")), PLATFORM == "win-amd64", PLATFORM.endswith("wasm32")
OPTIMISE = {
    "_scalar": "-Os" if X86 else "-O2", "pool_integers": "-O2 -fvect-cost-model=dynamic",
    "pool_": "-O2 -falign-functions=64", "grad_weight": "-O2 -falign-functions=64", "depthwise_avx2": "-O3",
    "_native.": "-Os", "_loops": "-O3", "_im2col": "-O3", "_finish": "-O3", "_frames": "-O3", "": "-O2",
}  # fmt: skip
QUIET = ["-fno-asynchronous-unwind-tables"]  # nothing is ever thrown through C; a tenth less to ship
# For Windows clang compiles, which repeats loops at -O2, as GCC does not: a tenth of the kernels.
QUIET += ["-fno-unroll-loops"] if WINDOWS else []
# Nor do kernels gain where branches lead to begins of lines: a hundredth to ship.  Loops do begin there.
DENSE = ["-fno-align-jumps", "-fno-align-labels"]
# What takes longest to compile begins first, so that no processor waits for it at the end.
LONGEST = ("pool", "gemm", "int8", "direct", "depthwise", "grad_weight", "winograd", "_loops", "_im2col", "_native", "")

EXTRA = os.environ.get("CONVLIB_CFLAGS", "").split()
FLAGS = ["-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
LINK = [] if WASM else ["-pthread"]
FLAGS += ["-msimd128"] if WASM else LINK
FLAGS += EXTRA  # last, so that they win
STRIPS = WINDOWS or (sys.platform == "linux" and not WASM)
if STRIPS and not any(flag.startswith(("-g", "-fsanitize")) for flag in EXTRA):
    LINK += ["-s"]  # the names of what is hidden are of use to a debugger only


def rank(chain):
    """Return the place of a source in the order of compiling."""
    return next(i for i, name in enumerate(LONGEST) if source(chain).startswith(name))


class BuildExt(build_ext):
    """`build_ext`, where every source is compiled on its own, side by side, and only if it changed."""

    def build_extensions(self):
        """Compile and link, and put the compiled parts where setuptools looks for them."""
        self.compiles, self.links = self.tools()
        try:
            chains, links = {}, {}
            for extension in self.extensions:
                made = {chain[-1].output: chain for chain in map(self.compile, extension.sources)}
                chains.update(made)
                links[extension.name] = self.link(extension.name, list(made))
            workers = self.parallel or os.cpu_count()
            run(sorted(chains.values(), key=rank), list(links.values()), workers, force=bool(self.force))
        except BuildError as error:
            raise CompileError(str(error)) from None
        for name, link in links.items():
            place = Path(self.get_ext_fullpath(name))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(link.output, place)

    def tools(self):
        """Return the commands that compile and link: setuptools' or, for Windows, zig, as MSVC has no vectors."""
        if not WINDOWS:
            return self.compiler.compiler_so, self.compiler.linker_so
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu"]
        macros = [f"-D{name}={value}" for name, value in self.compiler.macros]
        folders = [f"-L{folder}" for folder in self.compiler.library_dirs]
        threading = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
        library = f"-lpython{sys.version_info.major}{sys.version_info.minor}{threading}"
        # pyconfig.h defines MS_WIN64 for other compilers than Microsoft's only since Python 3.12
        # -Oz is of what zig puts in of its own, into each part
        return [*zig, "-DMS_WIN64=", *macros], [*zig, "-Oz", "-shared", *folders, library]

    def compile(self, path):
        """Return the steps that make the object of one source."""
        name, suffix = os.path.splitext(os.path.basename(path))
        if suffix == ".c":
            return [self.compile_c(name, path)]
        import numpy  # here, as the metadata is made without it

        versions = [sys.version, *(f"{package} {version(package)}" for package in ("Cython", "numpy", "scipy"))]
        folders = [f"-I{folder}" for folder in (*self.compiler.include_dirs, numpy.get_include())]
        command = [PYTHON, "-m", "cython", "-3", "--depfile", path, "-o", OUT]
        translated = step(f"{name}.c", command, [path], [], *versions)
        # -w: nobody can do anything about a warning in generated code
        flags = ["-w", "-DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION", "-Iconvlib/_ext"]
        return [translated, self.compile_c(name, translated.output, flags, folders, versions)]

    def compile_c(self, name, path, flags=(), outside=(), versions=()):
        """Return the step that compiles one C file."""
        level = next(level for part, level in OPTIMISE.items() if part in f"{name}.").split()
        said = identify(*self.compiles)
        dense = DENSE if "/isa/" in path else []
        if "clang" in said:  # which has one model of costs, aligns loops alone, and refuses the names of GCC's ways
            level, dense = [option for option in level if not option.startswith("-fvect-cost-model")], []
        kernel = [*dense, *QUIET] if "/isa/" in path or not WINDOWS else []
        options = [*level, *kernel, *FLAGS, *flags]
        command = [*self.compiles, *options, "-MMD", "-MF", OUT + ".dep", "-c", path, "-o", OUT]
        return step(f"{name}.o", command, [path], outside, said, *versions)

    def link(self, name, objects):
        """Return the step that links one extension."""
        command = [*self.links, *objects, *LINK, "-o", OUT]
        return step(os.path.basename(self.get_ext_filename(name)), command, objects, [], identify(*self.links))


def wants_pure():
    """Say whether ``CONVLIB_PURE`` asks for a build without compiled parts; nothing else makes one."""
    wanted = os.environ.get("CONVLIB_PURE") or "0"
    if wanted not in ("0", "1"):
        raise SetupError(f"CONVLIB_PURE={wanted!r} must be 1, for a build without compiled parts, or 0")
    return wanted == "1"


PURE = wants_pure()


class BuildPy(build_py):
    """`build_py`, which in a pure-Python build adds the module by which it is known."""

    def run(self):
        """Copy the modules."""
        super().run()
        mark = Path("" if self.editable_mode else self.build_lib, "convlib/_ext/_pure.py")
        if PURE:
            mark.write_text('"""This build was asked for without compiled parts."""\n')
        elif self.editable_mode:
            mark.unlink(missing_ok=True)


class BdistWheel(bdist_wheel):
    """`bdist_wheel`, which adds a bill of materials (PEP 770, CycloneDX): what of others is inside, or needed."""

    def write_wheelfile(self, wheelfile_base, *args, **kwargs):
        """Write the bill beside the file WHEEL."""
        super().write_wheelfile(wheelfile_base, *args, **kwargs)
        about = self.distribution
        links = WINDOWS or "ziglang" in os.environ.get("LDSHARED", "")
        inside = [] if PURE else ["Cython", *(["ziglang"] if links else [])]  # both put code of their own in
        parts = [{"type": "library", "name": name, "version": version(name), "scope": "required",
                  "purl": f"pkg:pypi/{name.lower()}@{version(name)}"} for name in inside]  # fmt: skip
        parts += [{"type": "library", "name": name, "purl": f"pkg:pypi/{name}", "scope": "required", "isExternal": True}
                  for name in ("numpy", "scipy")]  # fmt: skip
        bill = {
            "bomFormat": "CycloneDX", "specVersion": "1.7", "version": 1,
            "metadata": {"component": {
                "type": "library", "bom-ref": "convlib", "name": "convlib", "version": about.get_version(),
                "licenses": [{"license": {"id": "BSD-3-Clause"}}],
                "purl": f"pkg:pypi/convlib@{about.get_version()}",
            }},
            "components": parts,
        }  # fmt: skip
        folder = Path(wheelfile_base, "sboms")
        folder.mkdir(exist_ok=True)
        (folder / "convlib.cdx.json").write_text(json.dumps(bill, indent=1) + "\n")


# A folder for this build alone: what an earlier one left in build/lib would be packed with the rest.
build = tempfile.TemporaryDirectory()

setup(
    ext_modules=[]
    if PURE
    else [
        Extension(f"convlib._ext.{name}", [f"convlib/_ext/{name}.pyx", *sources]) for name, sources in SOURCES.items()
    ],
    cmdclass={"bdist_wheel": BdistWheel, "build_ext": BuildExt, "build_py": BuildPy},
    options={"build": {"build_base": build.name}},
)
