"""`convlib compare`: check contenders against float64 truth, then time them side by side.

The command line is in `convlib.commands.compare`; `run.compare` does the work, one process per contender.
"""
