import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anon_tune.clips import Clips, open_clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.node_cache import fetch_store, save_store, user_cache
from anon_tune.clips.store import StoreWriter
from anon_tune.errors import DataError, UnreachableError, UsageError
from anon_tune.folder import Folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANON_TUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "clips"


@pytest.fixture
def uri(coded_clips: Clips, s3: str) -> str:
    """Of the coded clips, on S3."""
    save_store(coded_clips.directory, s3.format("clips"))
    return s3.format("clips")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_store_is_copied_once_and_mapped_from_the_cache(coded_clips: Clips, cache: Path, uri: str) -> None:
    first = open_clips(uri)
    assert first.location == uri
    assert first.directory == cache / coded_clips.fingerprint
    assert first.fingerprint == coded_clips.fingerprint
    assert isinstance(first.split("test").frames, np.memmap)
    assert np.array_equal(first.split("test").frames, coded_clips.split("test").frames)
    Folder.at(uri).remove("frames.npy")  # never read again
    assert open_clips(uri).split("train").frames.tobytes() == coded_clips.split("train").frames.tobytes()
    assert names(cache) == {coded_clips.fingerprint, f"{coded_clips.fingerprint}.lock"}


def test_pickled_clips_are_fetched_where_they_arrive(coded_clips: Clips, cache: Path, uri: str) -> None:
    data = pickle.dumps(open_clips(uri))
    shutil.rmtree(cache)  # as on another node
    assert pickle.loads(data).directory == cache / coded_clips.fingerprint


def test_a_store_that_has_changed_is_copied_anew(coded_clips: Clips, cache: Path, uri: str) -> None:
    before = open_clips(uri)
    with StoreWriter(coded_clips.directory, (1, 2, 2, 3), force=True) as writer:
        writer.add(Labels("a", "", "train", "g", "walk", (True,)), np.zeros((1, 2, 2, 3), np.uint8))
        writer.finish(["p"], 1.0, "test")
    Folder.at(uri).remove("manifest.parquet")
    save_store(coded_clips.directory, uri)
    after = open_clips(uri)
    assert (before.num_clips, after.num_clips) == (10, 1)
    assert before.directory != after.directory
    assert before.split("val").frames[0, 0, 0, 0].tolist() != [0, 0, 0]


DAMAGES = {
    "cut": lambda data: data[:-9],
    "one pixel of the last clip": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_never_enters_the_cache(coded_clips: Clips, cache: Path, s3: str, damage: str) -> None:
    uri = s3.format("clips")
    save_store(coded_clips.directory, uri)
    far, whole = Folder.at(uri), (coded_clips.directory / "frames.npy").read_bytes()
    far.write("frames.npy", DAMAGES[damage](whole))
    with pytest.raises(DataError) as caught:
        fetch_store(uri)
    assert "\n" not in str(caught.value)
    assert names(cache) == {f"{coded_clips.fingerprint}.lock"}
    far.write("frames.npy", whole)
    assert open_clips(uri).num_clips == 10


@pytest.mark.parametrize("uri", ["nope://bucket/store", "s3://"])
def test_what_is_no_uri_of_a_store_is_one_line(uri: str) -> None:
    with pytest.raises(UsageError, match="must be a URI that pyarrow can open: ") as caught:
        open_clips(uri)
    assert str(caught.value).startswith(f"{uri}: ")
    assert "\n" not in str(caught.value)


def test_a_store_that_does_not_answer_is_one_line(s3: str, s3_server: str) -> None:
    dead = s3.format("clips").replace(s3_server.partition("&")[0], "endpoint_override=http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match="cannot be copied to this node: ") as caught:
        open_clips(dead)
    assert "\n" not in str(caught.value)


def test_a_file_uri_is_a_path(coded_clips: Clips, cache: Path) -> None:
    clips = open_clips(coded_clips.directory.as_uri())
    assert clips.location == str(clips.directory) == str(coded_clips.directory)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_one_line(coded_clips: Clips, cache: Path, uri: str) -> None:
    cache.parent.write_text("a file")
    with pytest.raises(DataError, match=r"cannot be copied to this node: .*, and the permissions of .*cache/clips"):
        open_clips(uri)


def test_processes_that_open_at_once_copy_once(coded_clips: Clips, cache: Path, uri: str) -> None:
    code = """
import json, sys
from pyarrow import fs
copied = []
copy = fs.copy_files
fs.copy_files = lambda source, *rest, **options: (copied.append(source), copy(source, *rest, **options))
from anon_tune.clips import open_clips
clips = open_clips(sys.argv[1])
print(json.dumps([sum(name.endswith("npy") for name in copied), int(clips.split("test").frames.sum())]))
"""
    command = [sys.executable, "-c", code, uri]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    results = [json.loads(process.communicate()[0]) for process in running]
    assert sorted(count for count, _ in results) == [0, 0, 1]
    assert {total for _, total in results} == {int(coded_clips.split("test").frames.sum())}


def test_a_copy_that_was_killed_is_made_again(coded_clips: Clips, cache: Path, uri: str) -> None:
    half = cache / coded_clips.fingerprint
    half.mkdir(parents=True)
    (half / "frames.npy").write_bytes(b"half")
    assert open_clips(uri).num_clips == 10


def test_where_a_node_keeps_copies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert user_cache() == tmp_path / "cache"
    monkeypatch.delenv("ANON_TUNE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert user_cache() == Path("/x/anon_tune")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/h")
    assert user_cache() == Path("/h/.cache/anon_tune")
    assert os.environ["HOME"] == "/h"


def test_a_store_on_s3(coded_clips: Clips, cache: Path, s3: str) -> None:
    uri = s3.format("deep/store")
    save_store(coded_clips.directory, uri)
    clips = open_clips(uri)
    assert (clips.location, clips.directory) == (uri, cache / coded_clips.fingerprint)
    assert clips.split("train").frames.tobytes() == coded_clips.split("train").frames.tobytes()
    with pytest.raises(DataError, match="already holds a clip store"):
        save_store(coded_clips.directory, uri)
    with pytest.raises(DataError, match=r"a clip store must hold 'manifest\.parquet'"):
        open_clips(s3.format("deep/other"))


def test_a_store_at_a_uri_is_shown_without_its_frames(
    say: Callable[..., Any], coded_clips: Clips, cache: Path, s3: str
) -> None:
    uri = s3.format("shown")
    said = say("clips", "copy", coded_clips.directory, uri)
    assert said.code == 0, said.err
    Folder.at(uri).remove("frames.npy")
    assert said.out == say("clips", "info", uri).out
    assert said.out.replace(uri, str(coded_clips.directory)) == say("clips", "info", coded_clips.directory).out
    assert not cache.exists()
    gone = say("clips", "info", s3.format("gone"))
    assert (gone.code, gone.out) == (2, "")
    assert f"{s3.format('gone')}: a clip store must hold 'manifest.parquet'" in gone.err
