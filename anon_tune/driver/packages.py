"""Makes Python packages of other authors importable in the driver and, through Ray's runtime environment, in workers.

A package is given as a wheel, or as a folder that is built into a wheel. The wheel is unpacked here, its folder is put
on this process's import path, and Ray gets everything at the top of the folder, including the metadata. Ray itself
could install wheels, but would also install all their dependencies on every node. It could send plain folders, but
these have no entry points, which are in the metadata of a wheel. The dependencies of a package must already be
installed wherever it runs.
"""

from __future__ import annotations

import atexit
import importlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anon_tune.errors import UsageError

_WHERE = "--package"
_REMEDY = "Give the folder of a package with a pyproject.toml, or a wheel"


@dataclass(frozen=True, slots=True)
class BroughtPackage:
    """A package that this process and the workers of its studies can import.

    Attributes:
        wheel: The wheel that was given or built.
        folder: The folder into which the wheel is unpacked.
    """

    wheel: Path
    folder: Path

    @property
    def modules(self) -> list[str]:
        """Everything at the top of the folder: modules, packages, and the metadata with the entry points."""
        return [str(entry) for entry in sorted(self.folder.iterdir()) if entry.is_dir() or entry.suffix == ".py"]


_brought: dict[Path, BroughtPackage] = {}


def bring_packages(given: Sequence[str | Path]) -> list[BroughtPackage]:
    """Make packages importable in this process and in the workers of every study that it runs from now on.

    Args:
        given: Folders of packages, or wheels.

    Returns:
        The packages, in the order given.

    Raises:
        UsageError: A folder or file is no Python package, or cannot be built into a wheel.
    """
    packages = [_bring(Path(one).resolve()) for one in given]
    importlib.invalidate_caches()
    return packages


def brought_modules() -> list[str]:
    """Return what Ray's ``py_modules`` takes, so that workers can import every package brought so far."""
    return [module for package in _brought.values() for module in package.modules]


def _bring(given: Path) -> BroughtPackage:
    if given in _brought:
        return _brought[given]
    scratch = Path(tempfile.mkdtemp(prefix="anon-tune-package-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # not earlier, because modules may be imported any time
    wheel = _build(given, scratch / "wheel") if given.is_dir() else given
    package = BroughtPackage(wheel, scratch / "unpacked")
    _unpack(wheel, package.folder, str(given))
    sys.path.insert(0, str(package.folder))
    _brought[given] = package
    return package


def _build(folder: Path, output: Path) -> Path:
    """Build the wheel of a folder, with an installed build backend or, if that fails, with one that pip downloads."""
    if not any((folder / name).is_file() for name in ("pyproject.toml", "setup.py")):
        raise UsageError(_WHERE, "is no Python package, it has no pyproject.toml", str(folder), _REMEDY)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(output)]
    for how in (["--no-build-isolation"], []):
        done = subprocess.run([*command, *how, str(folder)], capture_output=True, text=True, check=False)
        wheels = sorted(output.glob("*.whl"))
        if done.returncode == 0 and wheels:
            return wheels[0]
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "nothing")
    raise UsageError(str(folder), "cannot be built into a wheel", said, "Build it yourself and give the wheel")


def _unpack(wheel: Path, folder: Path, where: str) -> None:
    """Unpack a wheel as an installer does, but without its scripts and data files."""
    if wheel.suffix != ".whl":
        raise UsageError(_WHERE, "must be the folder of a Python package, or a wheel", where, _REMEDY)
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    except OSError as error:
        raise UsageError(_WHERE, f"{where} cannot be read", error.strerror, _REMEDY) from None
    except zipfile.BadZipFile as error:
        raise UsageError(_WHERE, f"{where} is no wheel", str(error), _REMEDY) from None
    for library in [*folder.glob("*.data/purelib"), *folder.glob("*.data/platlib")]:
        shutil.copytree(library, folder, dirs_exist_ok=True)
    for data in folder.glob("*.data"):
        shutil.rmtree(data)
    if not list(folder.glob("*.dist-info/METADATA")):
        raise UsageError(_WHERE, f"{where} is no wheel, it holds no metadata", remedy=_REMEDY)
