"""Properties of every folder: at a path of this machine, at a URI of this machine, and on S3."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyarrow import NativeFile
from pyarrow.fs import FileSystem

import anon_tune.folder.folder
from anon_tune.errors import AnonTuneError
from anon_tune.folder import File, Folder, is_uri, reading_file
from anon_tune.folder.filesystem import open_filesystem, why


@pytest.fixture(params=["path", "file", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    match request.param:
        case "path":
            return Folder.at(tmp_path / "deep" / "study")
        case "file":
            return Folder.at((tmp_path / "deep" / "study").as_uri())
    uri: str = request.getfixturevalue("s3")
    return Folder.at(uri.format("deep/study"))


def test_what_is_written_is_read(folder: Folder) -> None:
    assert folder.names() == [] and not folder.has("a")
    folder.write("a", b"one")
    folder.write("a", b"two")
    (folder / "below").write("b", b"")
    folder.write("below/deeper/c", b"three")
    assert folder.read("a") == b"two"
    assert (folder / "below/deeper").read("c") == folder.read("below/deeper/c") == b"three"
    assert sorted(folder.names()) == ["a", "below"]
    assert sorted((folder / "below").names()) == ["b", "deeper"]
    assert folder.folders() == ["below"] and (folder / "none").folders() == []
    assert folder.has("a") and folder.has("below/b") and not folder.has("below") and not folder.has("b")
    assert (folder / "below").name == "below" and folder.name == "study"


def test_a_file_that_is_not_there(folder: Folder) -> None:
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            folder.read("a")
        folder.remove("a")
        folder.write("b", b"")


def test_removing_takes_a_file_or_a_whole_folder(folder: Folder) -> None:
    for name in ("a", "below/b", "below/deeper/c", "beside/d"):
        folder.write(name, b"x")
    folder.remove("a")
    folder.remove("below")
    assert folder.names() == ["beside"]
    assert not folder.has("below/deeper/c")


class Overtaken:
    """A file system on which others replace a file by its next version each time it is opened, before it is read."""

    def __init__(self, filesystem: FileSystem, versions: list[bytes]) -> None:
        self.filesystem, self.versions = filesystem, versions
        self.get_file_info = filesystem.get_file_info

    def open_input_file(self, file: str) -> NativeFile:
        stream = self.filesystem.open_input_file(file)
        if self.versions:
            with self.filesystem.open_output_stream(file) as output:
                output.write(self.versions.pop(0))
        return stream


@pytest.mark.parametrize(
    ("versions", "read"),
    [
        ([b"longer"], b"longer"),
        ([b"longer", b"and longer"], b"and longer"),
        ([b"tiny"], b"tiny"),
        ([b"longer", b"s"], b"s"),
        ([b"x" * size for size in range(10, 30)], None),
    ],
)
def test_a_reader_sees_the_old_file_or_the_new_one_never_a_part(
    s3: str, monkeypatch: pytest.MonkeyPatch, versions: list[bytes], read: bytes | None
) -> None:
    folder = Folder.at(s3.format("study"))
    folder.write("a", b"short")
    filesystem, path = open_filesystem(folder.location)
    overtaken = Overtaken(filesystem, [*versions])
    monkeypatch.setattr(anon_tune.folder.folder, "open_filesystem", lambda location: (overtaken, path))
    if read is not None:
        assert folder.read("a") == read and not overtaken.versions
        return
    with pytest.raises(OSError, match="written faster than it can be read"):
        folder.read("a")


def test_a_store_that_tells_a_wrong_size_is_believed_once_a_file_was_read_twice(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder.at(s3.format("study"))
    folder.write("a", b"whole")
    filesystem, path = open_filesystem(folder.location)
    wrong = Overtaken(filesystem, [])
    monkeypatch.setattr(wrong, "get_file_info", lambda file: SimpleNamespace(size=None))
    monkeypatch.setattr(anon_tune.folder.folder, "open_filesystem", lambda location: (wrong, path))
    assert folder.read("a") == b"whole"


def test_a_file_is_written_whole_or_not_at_all(folder: Folder) -> None:
    large = random.Random(0).randbytes(6 << 20)  # more than one part of an upload
    with folder.writing("below/a") as path:
        path.write_bytes(large)
        assert not folder.has("below/a")
    assert folder.read("below/a") == large
    with pytest.raises(ZeroDivisionError), folder.writing("below/a") as path:
        path.write_bytes(b"half")
        raise ZeroDivisionError
    with folder.reading("below/a") as path, reading_file((folder / "below/a").location) as same:
        assert path.read_bytes() == same.read_bytes() == large
    assert (folder / "below").names() == ["a"]


def test_a_folder_travels(folder: Folder) -> None:
    folder.write("a", b"x")
    assert pickle.loads(pickle.dumps(folder)).read("a") == b"x"
    assert Folder.at(folder.location).read("a") == Folder.at(folder).read("a") == b"x"


def test_what_needs_a_directory_of_this_machine_says_so(folder: Folder, tmp_path: Path) -> None:
    if not folder.is_remote:
        assert folder.path == tmp_path / "deep" / "study"
        return
    with pytest.raises(AnonTuneError, match="must be a directory on this machine for this command"):
        _ = folder.path


@pytest.mark.parametrize("location", ["nowhere://x/y", "s3:///x"])
def test_a_uri_that_nobody_opens_is_named(location: str) -> None:
    with pytest.raises(AnonTuneError, match="must be a URI that pyarrow can open"):
        Folder.at(location).names()


def test_a_path_is_no_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_uri(tmp_path) and not is_uri("runs/first") and is_uri("gs://bucket/first")
    monkeypatch.chdir(tmp_path)
    assert Folder.at("runs/first").location == str(tmp_path / "runs" / "first")


def test_a_file_uri_is_a_path_with_all_that_paths_have(tmp_path: Path) -> None:
    folder = Folder.at((tmp_path / "a study").as_uri())
    assert folder.location == str(tmp_path / "a study") and not folder.is_remote


def test_a_file_that_is_missing_far_away_is_named(s3: str) -> None:
    with pytest.raises(AnonTuneError, match="no such file"), reading_file(s3.format("study/x.safetensors")):
        pass


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    replaced: Callable[..., None] = full
    monkeypatch.setattr("os.fsync", replaced)
    with pytest.raises(OSError, match="No space"):
        Folder.at(tmp_path).write("a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_the_cause_of_an_error_is_its_first_line() -> None:
    assert why(ValueError("no such bucket\nstack of the store\nmore of it")) == "no such bucket"
    assert why(FileNotFoundError(2, "No such file or directory", "a")) == "No such file or directory"
    assert why(OSError()) == "OSError"


def test_a_file_uri_is_unquoted_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    file = File.at(f"{tmp_path.as_uri()}/a%20b/c%20d.csv")
    file.write(b"1")
    assert (tmp_path / "a b" / "c d.csv").read_bytes() == b"1"
    assert File.at(file.location).read() == b"1"
    plain = File.at(tmp_path / "c%20d.csv")  # a path is taken as it is
    plain.write(b"2")
    assert (tmp_path / "c%20d.csv").read_bytes() == b"2"


def test_a_file_on_s3_is_unquoted_as_a_whole(s3: str) -> None:
    file = File.at(s3.format("a%20b/c%20d.csv"))
    file.write(b"1")
    assert Folder.at(s3.format("a b")).read("c d.csv") == b"1"
    assert File.at(file.location).read() == b"1"
