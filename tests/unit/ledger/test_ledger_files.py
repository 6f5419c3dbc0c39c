"""How the files of a ledger are merged, and that no crash, full disk or race loses or repeats a record."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from anon_tune.errors import StudyError
from anon_tune.folder import Folder
from anon_tune.folder import folder as folders
from anon_tune.ledger import Ledger, parts
from anon_tune.trial import Trial, TrialState

SIZES = (4, 16)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "_SIZES", SIZES)


def trial(number: int) -> Trial:
    return Trial(f"{number:04d}", number, "adversarial", {"penalty.weight": 0.5}, "f" * 16, TrialState.RUNNING)


def fill(folder: Path, num_records: int) -> Path:
    ledger = Ledger(folder)
    for number in range(len(read(folder)), num_records):
        ledger.append(trial(number))
    return folder


def read(folder: Path) -> list[int]:
    """Return the records as a reader counts them; each bears the number of its trial."""
    table = parts.read_parts(Folder.at(folder))
    assert table["number"].to_pylist() == table["record"].to_pylist()
    return table["record"].to_pylist()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_full_blocks_are_one_file_named_by_what_it_holds(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    assert names(tmp_path) == ["00000000.parquet", "00000001.parquet", "00000002.parquet"]
    fill(tmp_path, 9)
    assert names(tmp_path) == ["00000000-00000003.parquet", "00000004-00000007.parquet", "00000008.parquet"]
    fill(tmp_path, 21)
    assert names(tmp_path) == ["00000000-00000015.parquet", "00000016-00000019.parquet", "00000020.parquet"]
    assert read(tmp_path) == list(range(21))
    assert [t.number for t in Ledger(tmp_path).trials()] == list(range(21))
    assert pd.read_parquet(tmp_path)["record"].tolist() == list(range(21))


def test_blocks_of_a_ledger_that_was_never_merged_are_merged_by_its_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_SIZES", (64, 4096))
    fill(tmp_path, 18)
    monkeypatch.setattr(parts, "_SIZES", SIZES)
    fill(tmp_path, 19)
    wanted = ["00000000-00000015.parquet", "00000016.parquet", "00000017.parquet", "00000018.parquet"]
    assert names(tmp_path) == wanted


class Crash(BaseException):
    """Simulates the death of the process; no code catches it."""


class Mortal:
    """A system whose process dies at its k-th call, in the middle of a write if the call is one."""

    def __init__(self, patch: pytest.MonkeyPatch, calls_left: int, torn: float = 0.5) -> None:
        self.calls_left, self.torn = calls_left, torn
        self.states: list[set[str]] = []
        for name in ("replace", "unlink", "fsync"):
            patch.setattr(folders.os, name, self._counted(getattr(os, name)))
        patch.setattr(folders, "open", self._open, raising=False)

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.live()
            return call(*args)

        return counted

    def live(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise Crash

    def _open(self, path: Path, mode: str) -> Any:
        self.live()
        file = open(path, mode)  # noqa: SIM115
        write = file.write

        class File:
            def __enter__(inner) -> File:
                return inner

            def __exit__(inner, *args: object) -> None:
                file.close()

            flush, fileno = file.flush, file.fileno

            def write(inner, content: Any) -> None:
                try:
                    self.live()
                except Crash:
                    write(memoryview(content)[: int(self.torn * len(content))])
                    file.close()
                    raise
                write(content)

        return File()


def test_a_crash_at_any_call_loses_and_doubles_nothing(tmp_path: Path) -> None:
    before = fill(tmp_path / "before", 15)
    num_crashes = 0
    for calls in range(100):
        folder = shutil.copytree(before, tmp_path / "crashed", dirs_exist_ok=False)
        with pytest.MonkeyPatch.context() as patch:
            Mortal(patch, calls)
            try:
                Ledger(folder).append(trial(15))
            except Crash:
                num_crashes += 1
            else:
                break
        found = read(folder)
        assert found in (list(range(15)), list(range(16)))
        fill(folder, len(found) + 1)
        assert read(folder) == list(range(len(found) + 1))
        fill(folder, 17)
        assert names(folder) == ["00000000-00000015.parquet", "00000016.parquet"]
        assert pd.read_parquet(folder)["record"].tolist() == list(range(17))
        shutil.rmtree(folder)
    assert num_crashes > 20  # one record, a merge of 4, a merge of 16: each opens, writes, syncs, renames, removes
    assert names(tmp_path / "crashed") == ["00000000-00000015.parquet"]


@pytest.mark.parametrize("seed", range(3))
def test_crash_after_crash_every_record_counts_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    known = 0
    for _ in range(20):
        with pytest.MonkeyPatch.context() as patch:
            Mortal(patch, chance.randrange(60), torn=chance.random())
            ledger = Ledger(tmp_path)
            try:
                for _ in range(chance.randrange(8)):
                    ledger.append(trial(known))
                    known += 1
            except Crash:
                pass
        found = read(tmp_path)
        assert found == list(range(len(found)))
        assert known <= len(found) <= known + 1
        known = len(found)
    fill(tmp_path, known + 1)
    spans = [(part.first, part.last) for part in parts.list_parts(Folder.at(tmp_path))]
    assert [n for first, last in spans for n in range(first, last + 1)] == list(range(known + 1))
    assert len(names(tmp_path)) == len(spans)


@pytest.mark.parametrize("name", ["00000016.parquet", "00000000-00000015.parquet"])
def test_a_torn_hidden_file_of_any_length_is_nothing(tmp_path: Path, name: str) -> None:
    fill(tmp_path, 16)
    whole = (tmp_path / "00000000-00000015.parquet").read_bytes()
    hidden = tmp_path / f".{name}.4711"
    for length in {*range(9), *range(0, len(whole), len(whole) // 20), *range(len(whole) - 9, len(whole) + 1)}:
        hidden.write_bytes(whole[:length])
        assert read(tmp_path) == list(range(16))
    assert len(pd.read_parquet(tmp_path)) == 16
    fill(tmp_path, 17)
    assert read(tmp_path) == list(range(17))
    assert not hidden.exists()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let writes to files whose name contains a text run out of space half-way."""

    def fill_up(fragment: str) -> None:
        def full(path: Path, mode: str) -> Any:
            file = open(path, mode)  # noqa: SIM115
            if fragment in path.name:
                file.write(b"PAR1")
                file.close()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return file

        monkeypatch.setattr(folders, "open", full, raising=False)

    yield fill_up


def test_a_full_disk_is_told_and_what_was_there_stays(
    tmp_path: Path, full_disk: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(tmp_path / "ledger", 6)
    ledger = Ledger(folder)
    full_disk("")
    said = (
        r"ledger: a record could not be written: No space left on device\. "
        r"Free space there, then go on with 'resume' or 'verify'; all earlier"
    )
    for _ in range(2):
        with pytest.raises(StudyError, match=said):
            ledger.append(trial(6))
    assert read(folder) == list(range(6))
    assert len(names(folder)) == 3  # no half file is left
    monkeypatch.delattr(folders, "open")
    ledger.append(trial(6))
    assert read(folder) == list(range(7))


def test_a_disk_too_full_to_merge_takes_records_all_the_same(
    tmp_path: Path, full_disk: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk("-")
    fill(tmp_path, 10)
    assert len(names(tmp_path)) == 10
    assert read(tmp_path) == list(range(10))
    monkeypatch.delattr(folders, "open")
    ledger = Ledger(tmp_path)
    ledger.append(trial(10))  # the next writer catches up
    assert names(tmp_path)[:2] == ["00000000-00000003.parquet", "00000004-00000007.parquet"]
    assert read(tmp_path) == list(range(11))


def test_a_damaged_record_stays_by_itself_and_is_named(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    ledger = Ledger(tmp_path)
    ledger.append(trial(3))  # merged
    ledger.append(trial(4))
    (tmp_path / "00000004.parquet").write_bytes(b"PAR1 not really")
    for number in range(5, 8):
        ledger.append(trial(number))
    assert len(names(tmp_path)) == 5
    with pytest.raises(StudyError, match=r"00000004\.parquet: not a ledger file"):
        read(tmp_path)
    (tmp_path / "00000004.parquet").unlink()
    assert read(tmp_path) == [0, 1, 2, 3, 5, 6, 7]
    fill_up = Ledger(tmp_path)
    fill_up.append(trial(8))
    assert names(tmp_path) == ["00000000-00000003.parquet", "00000005-00000007.parquet", "00000008.parquet"]


def test_an_original_that_holds_more_than_the_merged_part_is_kept_until_it_is_in(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    merged = tmp_path / "00000000-00000003.parquet"
    lone = tmp_path / "00000002.parquet"
    whole = pq.read_table(merged, schema=parts.SCHEMA)
    pq.write_table(whole.slice(2, 1), lone)
    pq.write_table(whole.take([0, 1, 3]), merged)
    assert read(tmp_path) == [0, 1, 2, 3]
    fill(tmp_path, 5)
    assert names(tmp_path) == ["00000000-00000003.parquet", "00000004.parquet"]
    assert read(tmp_path) == list(range(5))


def test_a_listing_overtaken_by_a_merge_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 15)
    states = [set(names(tmp_path))]

    def watched(call: Callable[..., None]) -> Callable[..., None]:
        def called(*args: Any) -> None:
            call(*args)
            states.append({name for name in names(tmp_path) if not name.startswith(".")})

        return called

    for name in ("replace", "unlink"):
        monkeypatch.setattr(folders.os, name, watched(getattr(os, name)))
    fill(tmp_path, 16)
    assert len(states) > 10
    chance = random.Random(0)
    everything = sorted(set.union(*states))
    listdir = os.listdir
    for _ in range(60):
        # A listing is no snapshot: it may see the names in any order while the folder changes.
        order = chance.sample(everything, len(everything))
        times = sorted(chance.choices(range(len(states)), k=len(order)))
        torn = [name for name, time in zip(order, times, strict=True) if name in states[time]]
        listings = [torn]
        monkeypatch.setattr(
            folders.os, "listdir", lambda folder, left=listings: left.pop() if left else listdir(folder)
        )
        assert read(tmp_path) in (list(range(15)), list(range(16)))
    assert listings == []


def test_a_file_that_is_listed_and_never_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 2)
    (tmp_path / "00000002.parquet").symlink_to(tmp_path / "nowhere")
    waits: list[float] = []
    monkeypatch.setattr(parts.time, "sleep", waits.append)
    with pytest.raises(StudyError, match=r"00000002\.parquet: is listed but cannot be opened"):
        read(tmp_path)
    assert 10 < sum(waits) < 60


def test_a_ledger_under_a_file_or_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StudyError, match="a record could not be written: Not a directory"):
        Ledger(tmp_path / "file" / "ledger").append(trial(0))
