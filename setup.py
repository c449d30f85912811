"""Compiled parts only; everything else about the package is in pyproject.toml."""

import os
from glob import glob

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0", "-pthread"]
FLAGS += os.environ.get("CONVLIB_CFLAGS", "").split()  # last, so that they win: CFLAGS come before the list
SOURCES = {
    "_loops": [],
    "_pool": ["threads.c"],
    "_im2col": [],
    "_probe": ["probe.c"],
    "_native": ["dispatch.c", "isa_scalar.c", "isa_avx2.c", "isa_avx512.c", "isa_neon.c"],
    "_native_arrays": [],
    "_native_pool": [],
}

extensions = [
    Extension(
        f"convlib._ext.{name}",
        [f"convlib/_ext/{name}.pyx", *(f"convlib/_ext/c/{source}" for source in sources)],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
        depends=[] if name in ("_loops", "_im2col") else glob("convlib/_ext/c/*.h"),
    )
    for name, sources in SOURCES.items()
]

setup(
    ext_modules=cythonize(extensions, language_level=3),
    options={"build_ext": {"parallel": os.cpu_count()}},
)
