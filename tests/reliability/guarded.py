"""Conformance cases on arrays between guard pages: ``python guarded.py NAME...`` dies at the first stray access.

Every array, inputs and `out` alike, lies in memory of its own, first flush to its end and then to its beginning; the
pages before and behind can be neither read nor written.  The last line on standard output names the call that died.
"""

from __future__ import annotations

import ctypes
import inspect
import mmap
import sys

import numpy as np

PAGE = mmap.PAGESIZE
_mprotect = ctypes.CDLL(None).mprotect
_mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


def guarded(shape, dtype, at_end):
    """Return an array whose memory ends where a guard page begins, or begins where one ends."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = max(1, -(-nbytes // PAGE)) * PAGE
    memory = mmap.mmap(-1, room + 2 * PAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (address, address + PAGE + room):
        if _mprotect(page, PAGE, 0):
            raise OSError("mprotect failed")
    offset = PAGE + (room - nbytes if at_end else 0)
    return np.ndarray(shape, dtype, memory, offset)


def placed(a, at_end):
    """Return a copy of an array between guard pages; None stays None."""
    if a is None:
        return None
    copy = guarded(a.shape, a.dtype, at_end)
    copy[...] = a
    return copy


def run(name, at_end):
    """Call every case that a backend serves; return how many it does."""
    import convlib
    from convlib import testing
    from convlib.testing.arrays import arrays_of

    served = 0
    for case in testing.cases():
        plain = arrays_of(case)
        if "large" in case.name and name == "naive":
            continue
        arrays = [placed(a, at_end) for a in plain]
        call = getattr(convlib, case.call)
        print(name, case.name, "at the end" if at_end else "at the beginning", flush=True)
        try:
            result = call(*arrays, *case.args, **case.options, backend=name)
        except convlib.UnsupportedError:
            continue
        served += 1
        if not isinstance(result, tuple) and "out" in inspect.signature(call).parameters:
            out = guarded(result.shape, result.dtype, at_end)
            call(*arrays, *case.args, **case.options, backend=name, out=out)
            assert np.array_equal(out, result, equal_nan=out.dtype.kind in "fc"), "another result in `out`"
        assert all(np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") for a, b in zip(arrays, plain, strict=True))
    return served


def stray(at_end, write):
    """Touch one byte outside an array: a kernel that is wrong by one."""
    a = guarded((1000,), "u1", at_end)
    address = a.ctypes.data + (1000 if at_end else -1)
    print("stray", flush=True)
    if write:
        ctypes.memset(address, 1, 1)
    else:
        ctypes.string_at(address, 1)


def main():
    """Do what the command line asks for."""
    names = sys.argv[1:]
    if names[0] == "stray":
        stray(names[1] == "end", names[2] == "write")
    else:
        counts = {name: run(name, True) + run(name, False) for name in names}
        print("served:", *(f"{name}={count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
