"""The instruction sets of this machine, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from expected import under_isa

from .common import ISAS


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with under_isa(request.param):
        yield request.param
