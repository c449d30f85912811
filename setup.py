"""Compiled parts only; everything else about the package is in pyproject.toml."""

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=fast", "-fno-math-errno", "-fvisibility=hidden", "-g0"]

extensions = [
    Extension(f"convlib._ext.{name}", [f"convlib/_ext/{name}.pyx"], extra_compile_args=FLAGS)
    for name in ("_loops", "_im2col")
]

setup(ext_modules=cythonize(extensions, language_level=3))
