"""Which files a folder holds, and which of them are videos: one rule for importing, auditing and anonymizing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from anon_tune.errors import DataError

VIDEOS = {
    *(".264", ".265", ".3g2", ".3gp", ".amv", ".asf", ".avc", ".avi", ".divx", ".dv", ".f4v", ".flv"),
    *(".gif", ".gxf", ".h261", ".h263", ".h264", ".h265", ".hevc", ".insv", ".ivf", ".m1v", ".m2p", ".m2t"),
    *(".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mk3d", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg"),
    *(".mpg", ".mpv", ".mts", ".mxf", ".nut", ".nuv", ".obu", ".ogm", ".ogv", ".qt", ".rm", ".rmvb"),
    *(".tod", ".tp", ".trp", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"),
}
STILLS = {".bmp", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
# Folders in which operating systems and network drives keep copies and notes.
_OF_SYSTEMS = {"__MACOSX", "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"}
_MOST_NAMED = 5
# Control characters, line and paragraph separators, and marks that turn the direction of a text.
_UNSAFE = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSAFE}


def is_video(name: str) -> bool:
    """True if a file has the suffix of a video, in upper or lower case."""
    return PurePosixPath(name).suffix.lower() in VIDEOS


def is_still(name: str) -> bool:
    """True if a file has the suffix of a photograph, in upper or lower case."""
    return PurePosixPath(name).suffix.lower() in STILLS


def files_below(folder: Path) -> list[str]:
    """Return all files of a folder and of its subfolders, as sorted paths relative to it, with slashes.

    Hidden files and folders are left out, and so are folders that operating systems add. Links are followed. A folder
    that can be reached in two ways is listed once: where it lies, if that is below `folder`, else by its first link.

    Raises:
        DataError: The path is not a folder, or a folder below it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(str(folder), "must be a folder of videos", remedy="Name another folder")
    here = folder.resolve()
    seen = {here, *here.parents}  # a link to one of these is a loop
    found: list[str] = []
    links: list[Path] = []
    _list(folder, "", found, links, seen)
    while links:
        link = min(links)
        links.remove(link)
        if link.resolve() not in seen:
            seen.add(link.resolve())
            _list(link, f"{link.relative_to(folder).as_posix()}/", found, links, seen)
    return sorted(found)


def _list(folder: Path, prefix: str, found: list[str], links: list[Path], seen: set[Path]) -> None:
    """Add the files below a folder to `found`, and its links to other folders to `links`."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(str(folder), "cannot be read", remedy="Change its permissions", cause=error.strerror) from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _OF_SYSTEMS or _leads_nowhere(entry):
            continue
        if entry.is_dir(follow_symlinks=False):
            here = Path(entry.path).resolve()
            if here in seen:  # a link has led to it before
                continue
            seen.add(here)
            _list(Path(entry.path), f"{prefix}{entry.name}/", found, links, seen)
        elif entry.is_dir():
            links.append(Path(entry.path))
        elif entry.is_file():
            found.append(f"{prefix}{entry.name}")


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    """True for a link to what does not exist, or to itself."""
    try:
        return entry.is_symlink() and not entry.stat()
    except OSError:
        return True


def left_out(files: Iterable[str]) -> str:
    """Return a phrase that counts files without the suffix of a video, by suffix; empty if there are none.

    Reports beside anonymized videos are not counted.
    """
    others = [file for file in files if not (file.endswith(".json") and is_video(file.removesuffix(".json")))]
    if not others:
        return ""
    counts = Counter(PurePosixPath(file).suffix.lower() or "no suffix" for file in others).most_common()
    named = ", ".join(f"{ending} {count}" for ending, count in counts[:_MOST_NAMED])
    more = ", ..." if len(counts) > _MOST_NAMED else ""
    do = "file does" if len(others) == 1 else "files do"
    return f"{len(others)} {do} not have the suffix of a video: {named}{more}"


def check_names(folder: Path, files: Sequence[str]) -> None:
    """Refuse names that are not UTF-8, because labels, stores and archives are UTF-8.

    Raises:
        DataError: A name is not UTF-8.
    """
    for file in files:
        if not is_text(file):
            raise DataError(printable(folder / file), "its name must be UTF-8", remedy="Rename the file")


def check_path(folder: Path) -> None:
    """Refuse the path of a clip store that is not UTF-8, because settings, Parquet and Ray take no other.

    Raises:
        DataError: The path is not UTF-8.
    """
    if not is_text(str(folder)):
        raise DataError(printable(folder), "its path must be UTF-8", remedy="Rename the folder")


def is_text(name: str) -> bool:
    """True if a name is UTF-8. Python keeps other bytes as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: Path | str) -> str:
    r"""Return a path as text for any terminal or file.

    Bytes that are not UTF-8 and characters that move the cursor or turn a text around become escapes such as ``\xe9``.
    """
    return os.fsencode(path).decode(errors="backslashreplace").translate(_ESCAPES)
