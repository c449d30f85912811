"""What every backend shares: its contract, arrays made ready for its hooks, checks, and the public operations."""

from .contract import OPERATIONS, Contract, Implementation
from .operations import Backend

__all__ = ["OPERATIONS", "Backend", "Contract", "Implementation"]
