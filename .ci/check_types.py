"""Check the types that users see: stubs of the compiled parts, what mypy infers for calls, and how much has a type.

``python .ci/check_types.py`` looks at the package that is installed, so it must run where no checkout is imported.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import convlib

ROOT = Path(__file__).resolve().parent.parent
WANTED = 0.95  # of all names that are not private, as basedpyright counts, which is pyright in a wheel


def run(*arguments, cwd):
    """Run a module of this environment."""
    command = [sys.executable, "-P", "-m", *arguments]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # where basedpyright finds `python`
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )


def main() -> int:
    """Print what each tool says; return how many complain."""
    compiled = [f"convlib._ext.{path.stem}" for path in sorted(Path(convlib.__file__).parent.glob("_ext/*.pyi"))]
    with tempfile.TemporaryDirectory() as folder:
        allowed = f"--allowlist={ROOT / '.ci' / 'stubtest_allowlist.txt'}"
        stubs = run("mypy.stubtest", "--concise", allowed, *compiled, cwd=folder)
        print("stubtest:", stubs.stdout.strip() or f"{len(compiled)} stubs are as the compiled parts")
        cases = run("mypy", "--strict", "--config-file=", str(ROOT / "tests" / "typing_cases.py"), cwd=folder)
        print("mypy:", cases.stdout.strip())
        said = run("basedpyright", "--verifytypes", "convlib", "--ignoreexternal", "--outputjson", cwd=folder)
        score = json.loads(said.stdout)["typeCompleteness"]["completenessScore"]
        print(f"basedpyright: {score:.1%} of the names that are not private have a type")
    return (stubs.returncode != 0) + (cases.returncode != 0) + (score < WANTED)


if __name__ == "__main__":
    sys.exit(main())
