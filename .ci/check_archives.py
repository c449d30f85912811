"""Check what sdists and wheels hold: all sources in the one, no source of compiled parts in the other.

    python .ci/check_archives.py FILE...

A wheel for any platform is that of a pure-Python build: it says so, and has no compiled part; any other has all.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = (".c", ".h", ".pyx", ".pxd", ".def")
COMPILED = "convlib/_ext/c/"  # and what compiles it
MOST = 3_000_000  # bytes of a wheel, and of the engine for Linux, stripped, with all instruction sets of a processor


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
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    size = path.stat().st_size
    wrong = [f"has {size} bytes, more than {MOST}"] if size > MOST else []
    wrong += [f"holds the source {name}" for name in names if name.endswith(SOURCES) or name.startswith(COMPILED)]
    wrong += [
        f"holds {name} outside the package" for name in names if name.split("/")[0].split("-")[0] != "convlib"
    ]
    if not any(name.endswith(".dist-info/sboms/convlib.cdx.json") for name in names):
        wrong.append("lacks the bill of materials")
    package = ROOT / "convlib"
    kinds = (".py", ".pyi", ".txt", ".html")
    files = (f"convlib/{p.relative_to(package)}" for p in package.rglob("*") if p.suffix in kinds)
    expected = {name for name in files if not name.startswith(COMPILED)} | {"convlib/py.typed"}
    expected -= {"convlib/_ext/_pure.py"}  # which a checkout may have
    wrong += [f"lacks {name}" for name in sorted(expected) if name not in names]
    pure, mark = path.name.endswith("-none-any.whl"), "convlib/_ext/_pure.py"
    if pure != (mark in names):
        wrong.append(f"lacks {mark}" if pure else f"holds {mark}")
    if pure:
        return wrong + [f"holds the compiled {name}" for name in names if name.endswith((".so", ".pyd"))]
    for pyx in (package / "_ext").glob("*.pyx"):
        if not any(name.startswith(f"convlib/_ext/{pyx.stem}.") and name.endswith((".so", ".pyd")) for name in names):
            wrong.append(f"lacks the compiled {pyx.stem}")
    large = {name: size for name, size in sizes.items() if "/_native." in name and name.endswith(".so") and size > MOST}
    return wrong + [f"holds {name} of {size} bytes, more than {MOST}" for name, size in large.items()]


def main(paths):
    """Check the files; return how much is wrong."""
    found = 0
    for path in map(Path, paths):
        wrong = (check_wheel if path.suffix == ".whl" else check_sdist)(path)
        found += len(wrong)
        print(f"{path.name}, {path.stat().st_size // 1024} kB:", "; ".join(wrong) or "as it should be")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0 or not sys.argv[1:])
