"""What is sent along with a job: this package, the search space, and the files of the project's folder."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

import anon_tune
from anon_tune.errors import ClusterError
from anon_tune.search.space_file import space_files
from anon_tune.video.folder_files import check_names

_MOST_BYTES = 100 * 2**20  # Ray's dashboard takes no more, although Ray allows a package 512 MiB in other ways
_MOST_UNPACKED_BYTES = 10 * _MOST_BYTES  # every node unpacks it
_PIECE_BYTES = 2**20
_LEFT_OUT = (".venv", "venv", "runs")  # left out even if git does not ignore them
_ELSEWHERE = "search_space"  # folder of a job for files from outside the project's folder
_PACKAGE = anon_tune.__name__


def package_files() -> dict[str, Path]:
    """Return the files of this package by the names that they have in a job."""
    home = Path(anon_tune.__file__).parent
    files = (file for file in home.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {f"{_PACKAGE}/{file.relative_to(home).as_posix()}": file for file in files}


def project_files(folder: Path) -> dict[str, Path]:
    """Return a folder's files that git does not ignore, without virtual environments and studies; none without git.

    Raises:
        DataError: The name of a file is not UTF-8.
    """
    listing = ("git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    try:
        listed = subprocess.run(listing, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):  # no git or no repository tells which files belong
        return {}
    names = (os.fsdecode(name) for name in listed.split(b"\0") if name)
    files = {
        name: folder / name
        for name in names
        if name.partition("/")[0] not in (*_LEFT_OUT, _PACKAGE) and (folder / name).is_file()
    }
    check_names(folder, [*files])  # an archive takes no other
    return files


def space_parcel(space: Path, folder: Path) -> tuple[dict[str, Path], str]:
    """Return the files of a search space and of all that it extends, by their names in a job; and its own name.

    Raises:
        SpaceError: A file of it cannot be read.
    """
    files = [Path(os.path.abspath(file)) for file in space_files(space)]
    below = all(file.is_relative_to(folder) for file in files)
    root = folder if below else Path(os.path.commonpath([file.parent for file in files]))
    prefix = "" if below else f"{_ELSEWHERE}/"
    named = {prefix + file.relative_to(root).as_posix(): file for file in files}
    return named, next(iter(named))


def write_parcel(files: Mapping[str, Path], archive: Path) -> int:
    """Write files into an archive. The same files always give the same bytes, so that Ray keeps one copy of them.

    Returns:
        The size of the archive in bytes.

    Raises:
        ClusterError: The archive is larger than Ray takes.
    """
    sizes = {name: file.stat().st_size for name, file in files.items()}
    if sum(sizes.values()) >= _MOST_UNPACKED_BYTES:  # packing this much would take minutes
        raise _too_large(sizes, _MOST_UNPACKED_BYTES, "hold", sum(sizes.values()))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for name, file in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (file.stat().st_mode & 0o777) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            with open(file, "rb") as content, out.open(entry, "w") as packed:
                while piece := content.read(_PIECE_BYTES):
                    packed.write(piece)
                    if (size := archive.stat().st_size) >= _MOST_BYTES:
                        raise _too_large(sizes, _MOST_BYTES, "pack into", size)
    if (size := archive.stat().st_size) >= _MOST_BYTES:
        raise _too_large(sizes, _MOST_BYTES, "pack into", size)
    return size


def _too_large(sizes: Mapping[str, int], most: int, what: str, size: int) -> ClusterError:
    largest = ", ".join(sorted(sizes, key=lambda name: -sizes[name])[:3])
    rule = f"the files that git does not ignore must {what} less than {most >> 20} MiB"
    remedy = f"Add data to .gitignore, or submit from another folder; largest: {largest}"
    return ClusterError(str(Path.cwd()), rule, f"{size >> 20} MiB and more", remedy)
