"""Whether a look at a tile tells that most of its outputs would be summed directly after all.

To find that out element by element, and to sum block by block, costs up to four times the sums of the whole call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spec import ConvSpec, effective_kernel
from . import fft_range
from .fft_plan import Ints, Plan, blocks, cut_out

Array = Any

_TILES = 4  # looked at, to judge a call
_ELEMENTS = 1 << 10  # looked at in each, about
SMALL_TILE = 1 << 15  # elements that are judged one and all as fast
_FEW = 4  # elements that chance may put anywhere


def call_spoilt(spec: ConvSpec, plan: Plan, x: Array) -> bool:
    """Return whether an image is spoilt as a whole, and three in four of some tiles are, by the first channels."""
    reach, few = effective_kernel(spec.kernel, spec.dilation), spec.icg * spec.taps_count
    if not tile_spoilt(x[len(x) // 2, : spec.icg], reach, few):
        return False
    every = list(blocks(spec, plan))
    some = every[:: -(-len(every) // _TILES)]
    spoilt = 0
    for n, first, _ in some:
        starts = [o * s - lo for o, s, lo in zip(first, spec.stride, spec.pad_lo, strict=True)]
        spoilt += tile_spoilt(cut_out(x[n, : spec.icg], starts, plan.length)[0], reach, few)
    return 4 * spoilt >= 3 * len(some)


def tile_spoilt(seen: Array, reach: Ints, few: int) -> bool:
    """Return whether windows of `reach` that meet what a transform would leave out fill most of what is `seen`."""
    # Odd, so that few patterns go unseen; roots of floats would clear errno.
    step = 1 << (max(0, (seen.size // _ELEMENTS).bit_length() - 1) // len(reach)) | 1
    sample = seen[(slice(None), *(slice(None, None, step) for _ in reach))]
    if not sample.size:
        return False
    limit = fft_range.judge(sample[None], few * sample.size // seen.size)[0].limit
    if limit is None:
        return False
    out = fft_range.left_out(sample, limit)
    if np.count_nonzero(out) < _FEW:
        return False
    for axis, (size, ke) in enumerate(zip(seen.shape[1:], reach, strict=True), 1):
        (places,) = np.nonzero(out.any(axis=tuple(a for a in range(out.ndim) if a != axis)))
        if 4 * ((places[-1] - places[0]) * step + ke) < 3 * size:
            return False
    return True
