"""Which files of a study are worth having elsewhere, read where it lies and written to a folder here."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from anon_tune.errors import LedgerError
from anon_tune.ledger import Ledger

_STUDY = "study.toml"
_RESULTS = re.compile(r"study\.toml|report\.html|ledger/[0-9]+(-[0-9]+)?\.parquet|audits/[^/]+\.json")
_WEIGHTS = re.compile(r"trials/[^/]+/([^/]+/)?(anonymizer\.safetensors|preview\.png)")
_MARK = ".fetched"  # in a copy: where from; only such a folder is ever written over
_MOST_READINGS = 10


def is_worth_having(name: str, everything: bool) -> bool:
    """True for study.toml, ledger, report and certificates, and for everything also weights and previews."""
    return bool(_RESULTS.fullmatch(name) or (everything and _WEIGHTS.fullmatch(name)))


def read_study(location: str, everything: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a study by their relative names, also while it runs.

    A driver merges files of its ledger: one that is gone when its turn comes is in another by then, so the ledger is
    listed again. Records twice in a copy are no harm, records missing would be.

    Raises:
        LedgerError: No study there, or a ledger that does not hold still.
    """
    folder = Path(location)
    if not (folder / _STUDY).is_file():
        raise LedgerError(location, "no study there", remedy="Give the directory that 'study --out' wrote")
    gone = ""
    for _ in range(_MOST_READINGS):
        try:
            ledger = [(name, _read(folder, name)) for name in _names(folder, "ledger")]
        except FileNotFoundError as error:
            gone = str(error.filename)
            continue
        yield from ledger
        break
    else:
        raise LedgerError(gone, "is listed and cannot be opened", remedy="Try again")
    for name in [*_names(folder, "."), *_names(folder, "audits"), *(_names(folder, "trials") if everything else ())]:
        if is_worth_having(name, everything):
            yield name, _read(folder, name)


def write_copy(files: Iterable[tuple[str, bytes]], folder: Path, origin: str) -> int:
    """Write files of a study into a folder that is new, empty, or an earlier copy of the same study.

    Each file is there whole or not at all, and files of the ledger that are no more are removed at the end.

    Returns:
        The number of trials in the copy's ledger, anchors not counted.

    Raises:
        LedgerError: The folder holds something else, or a file's name is not one of a study's.
    """
    mark = folder / _MARK
    if mark.exists():
        before = json.loads(mark.read_text(encoding="utf-8"))["from"]
        if before != origin:
            rule = f"holds a copy of {before}, which another one would be mixed with"
            raise LedgerError(str(folder), rule, origin, "Give another folder with -o")
    elif folder.is_dir() and any(folder.iterdir()):
        raise LedgerError(str(folder), "is not empty and no fetched study", remedy="Give another folder with -o")
    written: set[str] = set()
    for name, content in files:
        if not is_worth_having(name, everything=True):
            raise LedgerError(origin, "sent a file that no study has", name, "Fetch from a head that you trust")
        if not written:
            folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(json.dumps({"from": origin}), encoding="utf-8")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{file.name}.{os.getpid()}")
        hidden.write_bytes(content)
        os.replace(hidden, file)
        written.add(name)
    for name in _names(folder, "ledger"):
        if name not in written:
            (folder / name).unlink()
    return sum(not trial.is_anchor for trial in Ledger(folder / "ledger").trials())


def _names(folder: Path, part: str) -> list[str]:
    """Return the relative names of the files in a part of a study directory."""
    found = (folder / part).glob("*") if part != "trials" else (folder / part).rglob("*")
    names = (file.relative_to(folder).as_posix() for file in found if file.is_file())
    return sorted(name for name in names if is_worth_having(name, everything=True))


def _read(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()
