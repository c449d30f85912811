"""Compile the CUDA kernels with NVRTC, which needs no GPU: ``python nvrtc.py ARCHITECTURE``, such as 75, or list."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path

from convlib.backends.cupy_device import OPTIONS, expressions, source


def library() -> ctypes.CDLL | None:
    """Return NVRTC from its wheel, or None if it is not installed."""
    found = importlib.util.find_spec("nvidia.cuda_nvrtc") if importlib.util.find_spec("nvidia") else None
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted(Path(folder, "lib").glob("libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    return None


def architectures(nvrtc: ctypes.CDLL) -> list[int]:
    """Return those that this NVRTC knows."""
    count = ctypes.c_int()
    nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    known = (ctypes.c_int * count.value)()
    nvrtc.nvrtcGetSupportedArchs(known)
    return list(known)


def compile_all(nvrtc: ctypes.CDLL, architecture: int) -> tuple[int, str]:
    """Compile every kernel the backend can ask for; return how many, and the compiler's complaints."""
    names = list(expressions())
    program = ctypes.c_void_p()
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source().encode(), b"convlib.cu", 0, None, None)
    for name in names:
        nvrtc.nvrtcAddNameExpression(program, name.encode())
    options = [option.encode() for option in (*OPTIONS, f"--gpu-architecture=compute_{architecture}")]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    made = 0
    for name in names:
        lowered = ctypes.c_char_p()
        made += not nvrtc.nvrtcGetLoweredName(program, name.encode(), ctypes.byref(lowered))
    return made, log.value.decode() if failed else ""


if __name__ == "__main__":
    nvrtc = library()
    if nvrtc is None:
        raise SystemExit("NVRTC is not installed: pip install '.[nvrtc]'")
    if sys.argv[1] == "list":
        print(*architectures(nvrtc))
    else:
        count, log = compile_all(nvrtc, int(sys.argv[1]))
        print(count, log)
