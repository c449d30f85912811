"""The error of a node."""

from __future__ import annotations

from ..errors import SpecError


class NodeError(SpecError):
    """What a node of a model asks for breaks a rule of its operator, or is not served; the message names the node."""
