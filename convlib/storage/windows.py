"""Pooling of a block; of a window that is cut, of its parts one after the other, and then of what these gave."""

from __future__ import annotations

from collections.abc import Iterator

from ..backends.base.arrays import channels_first
from ..backends.base.contract import Array
from .cutting import Block
from .job import Job


def pooled(
    job: Job, blocks: Iterator[Block], x: Array, indices: bool, room: Array | None
) -> tuple[Block, Array, Array | None]:
    """Return the block, its values and, with `indices`, their places in the whole.

    The `blocks` are one, or the parts of a window.
    """
    backend, joining = job.call.backend, None
    values: list[Array] = []
    places: list[Array] = []
    for block in blocks:
        found = backend.pool(job.asked(block), job.take(x, block, "x"), indices, room, job.named)
        value, place = (found[0], job.places(found[1], block)) if indices else (found, None)
        joining = block.joining
        if joining is None:
            return block, value, place
        values.append(channels_first(value, block.spec))
        places.append(place)
    assert joining is not None  # there are parts
    concatenate = backend.xp.concatenate
    found = backend.pool(joining, concatenate(values, axis=None).reshape(joining.x_shape), indices, None, None)
    if not indices:
        return block, found, None
    return block, found[0], concatenate(places, axis=None)[found[1]]
