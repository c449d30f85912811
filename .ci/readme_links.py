"""Make the README's links absolute, for a package index, which shows it without the files beside it.

``python .ci/readme_links.py https://HOST/OWNER/NAME REVISION`` changes README.md in place, before archives are built.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def absolute(text: str, address: str, revision: str) -> str:
    """Return Markdown whose relative links lead to a revision of the repository; pictures are its raw files."""

    def lead(link: re.Match[str]) -> str:
        kind = "raw" if link["words"].startswith("!") else "blob"
        return f"{link['words']}({address}/{kind}/{revision}/{link['target']})"

    return re.sub(r"(?P<words>!?\[[^\]]*\])\((?!\w+:|#)(?P<target>[^)]+)\)", lead, text)


if __name__ == "__main__":
    README.write_text(absolute(README.read_text("utf-8"), *sys.argv[1:]), "utf-8")
