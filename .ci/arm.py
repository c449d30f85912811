"""Try the wheel for Arm where no such processor is: under QEMU, in Debian's Python for it.

    python .ci/arm.py WHEEL [BACKEND...]

Needs Debian with the package qemu-user, and pip.  Debian's Python and what it needs, and NumPy and SciPy from PyPI, are
unpacked into a temporary folder: nothing of the system changes.  Runs `.ci/smoke.py` and ``convlib check`` of the
backends (native and im2col if none is named), which takes some minutes, as QEMU translates every instruction.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGES = ("python3", "libstdc++6")


def debian(folder):
    """Return a folder that holds what Debian for Arm has in its root folder, as far as Python needs it."""
    (folder / "state").mkdir()
    (folder / "archives/partial").mkdir(parents=True)
    (folder / "status").touch()  # nothing is installed there
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Sandbox::User": "root",
        "Dir::State": folder / "state", "Dir::State::status": folder / "status", "Dir::Cache": folder,
    }  # fmt: skip
    command = ["apt-get", "--quiet", *(f"-o={name}={value}" for name, value in options.items())]
    subprocess.run([*command, "update"], check=True, stdout=subprocess.DEVNULL)
    install = [*command, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    for package in (folder / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", package, folder / "root"], check=True)
    return folder / "root"


def modules(wheel, folder, systems):
    """Return a folder of modules, the wheel, NumPy and SciPy for one of these systems, and the name of their Python."""
    version = wheel.name.split("-")[2].removeprefix("cp")
    platforms = [f"--platform={system}" for system in systems]
    wanted = ["--only-binary=:all:", *platforms, f"--python-version={version[0]}.{version[1:]}"]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *wanted]
    subprocess.run([*pip, f"--dest={folder}", "numpy", "scipy"], check=True)
    for file in (wheel, *folder.glob("*.whl")):
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder / "modules")
    return folder / "modules", f"python{version[0]}.{version[1:]}"


def main(wheel, backends):
    """Unpack, and run."""
    with TemporaryDirectory(prefix="arm-") as name:
        folder = Path(name)
        root = debian(folder)
        place, python = modules(wheel.resolve(), folder, [f"manylinux_2_{minor}_aarch64" for minor in (17, 27, 28)])
        if not (root / "usr/bin" / python).exists():
            found = ", ".join(sorted(path.name for path in (root / "usr/bin").glob("python3.*")))
            sys.exit(f"the wheel is for {python}; this Debian has {found}")
        run = ["qemu-aarch64", "-L", root, root / "usr/bin" / python, "-P"]
        environment = {**os.environ, "PYTHONPATH": str(place)}
        smoke = Path(__file__).with_name("smoke.py").resolve()
        for arguments in ([smoke], ["-m", "convlib", "check", *backends]):
            subprocess.run([*run, *arguments], check=True, env=environment, cwd=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["native", "im2col"])
