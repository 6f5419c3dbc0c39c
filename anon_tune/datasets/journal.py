"""The journal of an import: the files decoded so far, kept beside the output until the clip store is complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from anon_tune.clips.locks import locked
from anon_tune.datasets.decode import BadFile, DecodedClip
from anon_tune.errors import AnonTuneError, DataError
from anon_tune.folder import File

_STORE = "store"
_JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The result of decoding one file.

    Attributes:
        file: Path relative to the imported folder.
        stamp: Size and time of its last change, so that a file that was repaired counts as a new file.
        fps: Frame rate of its clip.
        repeats: True if the clip shows a frame twice.
        content_hash: Hash of the clip's frames; empty if the file cannot be decoded.
        frame: As in `BadFile`.
        reason: As in `BadFile`.
        damage: As in `DecodedClip`.
        begin: As in `ClipEntry`.
        end: As in `ClipEntry`.
        shown: As in `DecodedClip`.
        size: As in `DecodedClip`.
    """

    file: str
    stamp: str
    fps: float = 0.0
    repeats: bool = False
    content_hash: str = ""
    frame: int = 0
    reason: str = ""
    damage: str = ""
    begin: int = 0
    end: int = 0
    shown: tuple[int, ...] = ()
    size: tuple[int, int] = (0, 0)

    @property
    def kept(self) -> tuple[int, int]:
        """As in `DecodedClip`."""
        return self.begin, self.end

    @classmethod
    def of(cls, root: Path, file: str, clip: DecodedClip | BadFile, content_hash: str) -> Self:
        """Make the record of a file that was just decoded."""
        if isinstance(clip, BadFile):
            return cls(file, stamp(root / file), frame=clip.frame, reason=clip.reason)
        (begin, end), where = clip.kept, stamp(root / file)
        facts = (0, "", clip.damage, begin, end, clip.shown, clip.size)
        return cls(file, where, clip.fps, clip.repeats, content_hash, *facts)


class Journal:
    """A text file with one line per decoded file, in a hidden directory beside the output.

    Use it as a context manager. If the block is interrupted or fails, the directory stays, so that the same import
    can continue from it. It is removed when the block ends, or when `judging` finds that the files cannot be used.

    Args:
        output: The clip store to make.
        key: All settings that affect decoding. A journal with another key is discarded.

    Attributes:
        frames: Directory for the store's unfinished files.
        records: Records of the files that are done, in order.

    Raises:
        DataError: The directory cannot be written, or another import is using it.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._output, self._key = output, key
        self._place = output.with_name(f".{output.name}.partial")
        self.frames = self._place / _STORE
        self.records: list[FileRecord] = []
        self._held = ExitStack()
        self._are_useless = False

    def __enter__(self) -> Self:
        where = str(self._output)
        try:
            self.frames.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(locked(self._place / "lock", wait=False))
        except BlockingIOError:
            raise DataError(where, "is being imported by another process", remedy="Wait until it has ended") from None
        except OSError as error:
            raise DataError(where, "cannot be written", remedy="Name another directory", cause=error.strerror) from None
        self.records = self._read()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        with self._held:
            if kind is None or self._are_useless:
                shutil.rmtree(self._place, ignore_errors=True)

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Let a block find out whether the files can be used. If it raises an error, the journal is removed."""
        try:
            yield
        except AnonTuneError:
            self._are_useless = True
            raise

    def go_on(self, root: Path, files: Sequence[str], restore: Callable[[int, FileRecord], bool]) -> int:
        """Keep the records that are still valid, and open the journal for more.

        Args:
            root: Folder of the files.
            files: Files to import, in order.
            restore: Called with the index of a file and its record; returns whether the clip's frames are there.

        Returns:
            The number of files that are done; these are the first ones.
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
        """Add the record of a file. The frames of its clip must be on disk."""
        self.records.append(record)
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()

    def _read(self) -> list[FileRecord]:
        records: list[FileRecord] = []
        with suppress(FileNotFoundError, ValueError, TypeError):  # no journal yet, or a line is incomplete
            key, *lines = (self._place / _JOURNAL).read_text(encoding="utf-8").splitlines()
            if json.loads(key) == self._key:
                records.extend(FileRecord(**json.loads(line)) for line in lines)
        return records


def stamp(path: Path) -> str:
    """Return size and time of the last change of a file; empty if it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"
