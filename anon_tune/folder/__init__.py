"""Folders and files with the same calls everywhere: at a path of this machine, or at a URI that pyarrow can open."""

from anon_tune.folder.file import File, is_gone, kind_of, reading_file, writing_file
from anon_tune.folder.filesystem import is_uri, open_filesystem, why
from anon_tune.folder.folder import Folder, Location, make_folder

__all__ = [
    "File",
    "Folder",
    "Location",
    "is_gone",
    "is_uri",
    "kind_of",
    "make_folder",
    "open_filesystem",
    "reading_file",
    "why",
    "writing_file",
]
