"""Search spaces by name: those that come with this package, or a file of the user's."""

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
        given: A path, or the name of a search space that we ship, as ``quickstart``. A path that exists wins.

    Raises:
        SpaceError: There is neither.
    """
    path = Path(given)
    if path.is_file():
        return path
    shipped = dict(shipped_spaces())
    if len(path.parts) == 1 and path.stem in shipped and path.suffix in ("", _ENDING):
        return shipped[path.stem]
    if len(path.parts) > 1 or path.suffix == _ENDING or path.exists():
        return path  # reading it says what is wrong
    raise SpaceError(str(given), "no such file, and no search space of that name", remedy=suggest(str(given), shipped))


def shipped_spaces() -> Iterator[tuple[str, Path]]:
    """Yield the names of the search spaces that we ship, each with its file, in the order of names."""
    home = Path(anon_tune.__file__).parent
    # Installed, they lie inside the package; in a checkout, and where that is installed as editable, beside it.
    folders = [home / _FOLDER, home.parent / _FOLDER]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    for file in sorted(folder.glob(f"*{_ENDING}")) if folder else ():
        yield file.stem, file
