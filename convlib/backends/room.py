"""Whether there is room for SciPy's BLAS, where a process has a bound on its addresses.

OpenBLAS takes a buffer for each of its threads when it is loaded, and without memory for one it tries for ever, ends
the process, or interrupts it, by its version: so there is a look beforehand.
"""

import mmap
import os
import sys

#: What it takes with one thread: code and tables of all libraries, of which one buffer.
LIBRARIES = 96 << 20
#: The buffer and the stack of each further thread.
THREAD = (32 + 8) << 20
MOST_THREADS = 64  # that SciPy's has


def ensure_room() -> None:
    """Raise MemoryError if SciPy's BLAS, which is not there yet, has no room.

    Without a bound nothing is looked at.
    """
    if not sys.platform.startswith("linux") or {"scipy.linalg", "scipy.special"} & sys.modules.keys():
        return
    import resource  # which other systems lack

    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    size = LIBRARIES + (_threads() - 1) * THREAD
    try:
        mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ).close()
    except OSError:
        raise MemoryError(
            f"no memory to load the BLAS of SciPy, some {size >> 20} MiB of addresses; raise the bound of the process "
            "(ulimit -v), or let it have fewer threads (OPENBLAS_NUM_THREADS)"
        ) from None


def _threads() -> int:
    """Return how many threads OpenBLAS will have."""
    asked = (os.environ.get(f"{who}_NUM_THREADS", "") for who in ("OPENBLAS", "GOTO", "OMP"))
    wanted = next((int(text) for text in asked if text.isdecimal() and int(text)), MOST_THREADS)
    return min(wanted, len(os.sched_getaffinity(0)), MOST_THREADS)
