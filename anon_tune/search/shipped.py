"""Finds a search space by its name, if it comes with this package, or by its path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anon_tune
from anon_tune.errors import SpaceError, suggest

_FOLDER = "search_spaces"
_ENDING = ".toml"


def find_space(given: str | Path) -> Path:
    """Return the file of a search space.

    Args:
        given: A path, or the name of a search space that comes with this package, such as ``quickstart``. If both
            exist, the path is used.

    Raises:
        SpaceError: There is no such file and no search space of that name.
    """
    path = Path(given)
    if path.is_file():
        return path
    shipped = dict(shipped_spaces())
    if len(path.parts) == 1 and path.stem in shipped and path.suffix in ("", _ENDING):
        return shipped[path.stem]
    if len(path.parts) > 1 or path.suffix == _ENDING or path.exists():
        return path  # it was meant as a path; reading it raises the right error
    raise SpaceError(str(given), "no such file, and no search space of that name", remedy=suggest(str(given), shipped))


def shipped_spaces() -> Iterator[tuple[str, Path]]:
    """Yield name and file of every search space that comes with this package, sorted by name."""
    home = Path(anon_tune.__file__).parent
    # In an installed package the folder lies inside the package; in a checkout or an editable install, beside it.
    folders = [home / _FOLDER, home.parent / _FOLDER]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    for file in sorted(folder.glob(f"*{_ENDING}")) if folder else ():
        yield file.stem, file
