"""Check what the sdist and the wheel hold: all sources in the one, no source of compiled parts in the other."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = (".c", ".h", ".pyx", ".pxd", ".def")
COMPILED = "convlib/_ext/c/"  # and what compiles it


def tracked():
    """Return the files that belong to the project, without those that only git needs."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        return set()
    return set(listed.stdout.split()) - {".gitignore"}


def check_sdist(path):
    """Return what is wrong with the sdist."""
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wrong = [f"lacks {name}" for name in sorted(tracked() - names)]
    return wrong + [f"holds the built file {name}" for name in sorted(names) if name.endswith((".so", ".pyc"))]


def check_wheel(path):
    """Return what is wrong with the wheel."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    wrong = [f"holds the source {name}" for name in names if name.endswith(SOURCES) or name.startswith(COMPILED)]
    wrong += [
        f"holds {name} outside the package" for name in names if name.split("/")[0].split("-")[0] != "convlib"
    ]
    package = ROOT / "convlib"
    kinds = (".py", ".pyi", ".txt", ".html")
    files = (f"convlib/{p.relative_to(package)}" for p in package.rglob("*") if p.suffix in kinds)
    expected = {name for name in files if not name.startswith(COMPILED)} | {"convlib/py.typed"}
    wrong += [f"lacks {name}" for name in sorted(expected) if name not in names]
    for pyx in (package / "_ext").glob("*.pyx"):
        if not any(name.startswith(f"convlib/_ext/{pyx.stem}.") and name.endswith((".so", ".pyd")) for name in names):
            wrong.append(f"lacks the compiled {pyx.stem}")
    return wrong


def main(folder):
    """Check the one sdist and the one wheel in `folder`; return how much is wrong."""
    found = 0
    for pattern, check in (("*.tar.gz", check_sdist), ("*.whl", check_wheel)):
        (path,) = Path(folder).glob(pattern)
        wrong = check(path)
        found += len(wrong)
        print(f"{path.name}, {path.stat().st_size // 1024} kB:", "; ".join(wrong) or "as it should be")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
