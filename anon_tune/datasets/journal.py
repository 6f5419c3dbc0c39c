"""The journal of an import: the files decoded so far, kept beside the output until the clip store is complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from anon_tune.clips.locks import locked
from anon_tune.datasets.decode import BadFile, DecodedClip
from anon_tune.errors import DataError, UsageError
from anon_tune.folder import File

_STORE = "store"
_JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The result of decoding one file.

    Attributes:
        file: Path relative to the imported folder.
        stamp: Size and time of its last change, so that a file that was repaired counts as a new file.
        fps: Of its clip.
        repeats: The clip shows a frame twice.
        content_hash: Of the clip's frames; empty if it cannot be decoded.
        frame: As in `BadFile`.
        reason: As in `BadFile`.
        damage: As in `DecodedClip`.
    """

    file: str
    stamp: str
    fps: float = 0.0
    repeats: bool = False
    content_hash: str = ""
    frame: int = 0
    reason: str = ""
    damage: str = ""

    @classmethod
    def of(cls, root: Path, file: str, clip: DecodedClip | BadFile, content_hash: str) -> Self:
        """Make the record of a file that was just decoded."""
        if isinstance(clip, BadFile):
            return cls(file, stamp(root / file), frame=clip.frame, reason=clip.reason)
        repeats = len(set(clip.shown)) < len(clip.shown)
        return cls(file, stamp(root / file), clip.fps, repeats, content_hash, damage=clip.damage)


class Journal:
    """A text file with one line per decoded file, in a hidden directory beside the output.

    Use it as a context manager. If the block is interrupted, the directory stays, so that the same import
    can continue from it. It is removed when the block ends, or when the imported clips cannot be used.

    Args:
        output: The store that is made.
        key: All settings that affect decoding. A journal with another key is discarded.

    Attributes:
        frames: Directory for the store's unfinished files.
        records: Files that are done, in order.

    Raises:
        DataError: The directory cannot be written, or another import is at work in it.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._output, self._key = output, key
        self._place = output.with_name(f".{output.name}.partial")
        self.frames = self._place / _STORE
        self.records: list[FileRecord] = []
        self._held = ExitStack()

    def __enter__(self) -> Self:
        where = str(self._output)
        try:
            self.frames.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(locked(self._place / "lock", wait=False))
        except BlockingIOError:
            raise DataError(where, "is being imported by another process", remedy="Wait for its end") from None
        except OSError as error:
            raise DataError(where, "cannot be written", remedy="Name another directory", cause=error.strerror) from None
        self.records = self._read()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        with self._held:
            if kind is None or issubclass(kind, DataError | UsageError):
                shutil.rmtree(self._place, ignore_errors=True)

    def go_on(self, root: Path, files: Sequence[str], restore: Callable[[int, FileRecord], bool]) -> int:
        """Keep the records that still hold, and open the journal for more.

        Args:
            root: Folder of the files.
            files: To be imported, in order.
            restore: Given a place among the files and its record, says whether the clip's frames are there.

        Returns:
            How many of the first files are done.
        """
        done = 0
        for file, record in zip(files, self.records, strict=False):
            if (record.file, record.stamp) != (file, stamp(root / file)):
                break
            if not record.reason and not restore(done, record):
                break
            done += 1
        kept = self.records[:done]
        path = self._place / _JOURNAL
        lines = "".join(f"{json.dumps(line)}\n" for line in (self._key, *map(asdict, kept)))
        File.at(path).write(lines.encode())
        self._file = self._held.enter_context(open(path, "a", encoding="utf-8"))  # noqa: SIM115  closed by __exit__
        self.records = kept
        return done

    def append(self, record: FileRecord) -> None:
        """Note a file whose frames are on disk."""
        self.records.append(record)
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()

    def _read(self) -> list[FileRecord]:
        records: list[FileRecord] = []
        with suppress(FileNotFoundError, ValueError, TypeError):  # none yet, or a line was cut
            key, *lines = (self._place / _JOURNAL).read_text(encoding="utf-8").splitlines()
            if json.loads(key) == self._key:
                records.extend(FileRecord(**json.loads(line)) for line in lines)
        return records


def stamp(path: Path) -> str:
    """Return what tells a file from a changed one; empty if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"
