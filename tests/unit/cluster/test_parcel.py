from __future__ import annotations

import os
import random
import subprocess
import zipfile
from pathlib import Path

import pytest

from anon_tune.cluster import parcel
from anon_tune.cluster.parcel import package_files, project_files, space_parcel, write_parcel
from anon_tune.errors import ClusterError, DataError, SpaceError

SEARCH = '[search]\n"penalty.weight" = { low = 0.1, high = 10.0 }\n'


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / name.replace("__", "/").replace("_toml", ".toml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_a_project_is_what_git_does_not_ignore(tmp_path: Path) -> None:
    write(tmp_path, kept="1", code__kept="1", secret="1", runs__first="1", data__clip="1", anon_tune__old="1")
    write(tmp_path, **{".venv__python": "1", ".gitignore": "secret\n"})
    outside = tmp_path.parent / f"{tmp_path.name}-data"
    outside.mkdir()
    (outside / "huge").write_text("1")
    os.symlink(outside, tmp_path / "link")
    assert project_files(tmp_path) == {}  # no repository: nobody says what belongs to it
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "code" / ".gitignore").write_text("*.log\n")
    (tmp_path / "code" / "x.log").write_text("1")
    names = {".gitignore", "kept", "code/kept", "code/.gitignore", "data/clip"}
    assert project_files(tmp_path) == {name: tmp_path / name for name in names}


def test_a_name_that_no_archive_takes_is_named(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("1")
    with pytest.raises(DataError, match=r"caf\\xe9\.txt: its name must be UTF-8\. Rename the file"):
        project_files(tmp_path)


def test_a_search_space_takes_along_what_it_extends(tmp_path: Path) -> None:
    write(tmp_path, spaces__mine__a_toml='extends = "../b.toml"\n', spaces__b_toml='extends = "c.toml"\n')
    write(tmp_path, spaces__c_toml=SEARCH)
    space, spaces = tmp_path / "spaces" / "mine" / "a.toml", tmp_path / "spaces"
    files = {"mine/a.toml": space, "b.toml": spaces / "b.toml", "c.toml": spaces / "c.toml"}
    below, name = space_parcel(space, tmp_path)
    assert (below, name) == ({f"spaces/{n}": file for n, file in files.items()}, "spaces/mine/a.toml")
    beside, name = space_parcel(space, tmp_path / "spaces" / "mine")
    assert (beside, name) == ({f"search_space/{n}": file for n, file in files.items()}, "search_space/mine/a.toml")
    (spaces / "c.toml").unlink()
    with pytest.raises(SpaceError, match=r"c\.toml: cannot be read"):
        space_parcel(space, tmp_path)


def test_a_parcel_holds_the_whole_package_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    files = package_files()
    assert {"anon_tune/__main__.py", "anon_tune/cluster/parcel.py", "anon_tune/report/page.css"} <= files.keys()
    assert not [name for name in files if name.endswith(".pyc")]
    sizes = [write_parcel(files, tmp_path / name) for name in ("one.zip", "two.zip")]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert sizes[0] == sizes[1] == (tmp_path / "one.zip").stat().st_size
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert sorted(files) == archive.namelist()
        assert archive.read("anon_tune/cluster/parcel.py") == Path(parcel.__file__).read_bytes()


def test_a_file_beyond_what_nodes_should_unpack_is_refused_without_reading_it(tmp_path: Path) -> None:
    with open(tmp_path / "video.raw", "wb") as sparse:
        sparse.truncate(12 * 2**30)
    with pytest.raises(ClusterError, match=r"hold less than 1000 MiB, got 12288 MiB and more\. .*largest: video"):
        write_parcel({"video.raw": tmp_path / "video.raw"}, tmp_path / "parcel.zip")
    assert not (tmp_path / "parcel.zip").exists()


def test_a_parcel_that_is_too_large_names_what_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parcel, "_MOST_BYTES", 2 * 2**20)
    (tmp_path / "small").write_text("1")
    (tmp_path / "large").write_bytes(random.Random(0).randbytes(3 * 2**20))
    files = {name: tmp_path / name for name in ("small", "large")}
    with pytest.raises(ClusterError, match=r"less than 2 MiB, got [23] MiB and more\. .*largest: large, small\."):
        write_parcel(files, tmp_path / "parcel.zip")
