"""Print the command of the README's N-th sh block (1 or 2), which holds exactly one line."""

import re
import sys
from pathlib import Path

text = (Path(__file__).parents[1] / "README.md").read_text()
blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
lines = blocks[int(sys.argv[1]) - 1].splitlines()
if len(lines) != 1:
    sys.exit(f"sh block {sys.argv[1]} of README.md holds {len(lines)} lines instead of one command")
print(lines[0])
