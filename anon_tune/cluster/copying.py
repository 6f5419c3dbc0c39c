"""Copies a study: chooses the files that are useful elsewhere, reads them, and writes them to a local folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from anon_tune.errors import StudyError
from anon_tune.folder import Folder, is_gone, kind_of, why
from anon_tune.ledger import Ledger
from anon_tune.study_directory import StudyDirectory, StudyLocation, is_output, is_result, output_folders

_MOST_READINGS = 10


def is_worth_having(name: str, everything: bool) -> bool:
    """True for frozen copy, ledger, report and certificates; with ``everything``, also for weights and previews."""
    return is_result(name) or (everything and is_output(name))


def read_study(location: StudyLocation, everything: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the relative name and the content of each file of a study, even while the study runs.

    A running driver merges files of its ledger. If a listed file has gone, its records are already in another file, so
    the ledger is listed again. Duplicate records in a copy do no harm; missing records would. Outputs of trials that
    are removed meanwhile, as those of repeats are, are left out.

    Raises:
        StudyError: There is no study, a file cannot be read, or the ledger keeps changing while it is read.
    """
    study = StudyDirectory.at(location)
    study.check()
    try:
        # Read first: a study that ends during the copy then looks unfinished, and not complete without its last trials.
        ended = _read_if_there(study, study.ended.name)
        yield from _held_still(study)
        yield from ended
        for inside in ["", study.audits.name, *(output_folders(study) if everything else ())]:
            for name in _names(study.folder, inside):
                if inside and name != study.ended.name:
                    yield from _read_if_there(study, name)
                elif name != study.ended.name:
                    yield name, study.folder.read(name)
    except OSError as error:
        kind = kind_of(error, study.folder, StudyError)
        remedy = "Check permissions and connection, then try again"
        raise kind(str(study), "cannot be read", remedy=remedy, cause=why(error)) from None


def _read_if_there(study: StudyDirectory, name: str) -> list[tuple[str, bytes]]:
    with _unless_gone():
        return [(name, study.folder.read(name))]
    return []


def _held_still(study: StudyDirectory) -> list[tuple[str, bytes]]:
    for _ in range(_MOST_READINGS):
        with _unless_gone():
            return [(name, study.folder.read(name)) for name in _names(study.folder, study.ledger.name)]
    raise StudyError(str(study.ledger), "changes faster than it can be read", remedy="Try again")


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_gone(error):
            raise


def _names(folder: Folder, part: str) -> list[str]:
    """Return the names, relative to the study, of the files to copy from one of its folders."""
    inside = folder / part if part else folder
    names = (f"{part}/{name}" if part else name for name in inside.names())
    return sorted(name for name in names if is_worth_having(name, everything=True))


def write_copy(files: Iterable[tuple[str, bytes]], folder: Path, origin: str) -> int:
    """Write files of a study into a folder that is new, empty, or an earlier copy of the same study.

    Each file is written completely or not at all. At the end, ledger files that the study no longer has are removed,
    and so is the mark that it has ended, if it goes on now.

    Returns:
        The number of trials in the copy's ledger, without the anchors.

    Raises:
        StudyError: The folder holds something else, or a file has a name that no file of a study has.
    """
    copy, written = StudyDirectory.at(folder), set[str]()
    if (before := copy.origin) is not None:
        if before != origin:
            rule = f"holds a copy of {before}, and must not be mixed with a copy of another study"
            raise StudyError(str(folder), rule, origin, "Give another folder with -o")
    elif folder.is_dir() and any(folder.iterdir()):
        raise StudyError(str(folder), "must be empty or hold a fetched study", remedy="Give another folder with -o")
    for name, content in files:
        if not is_worth_having(name, everything=True):
            raise StudyError(origin, "sent a file that no study has", name, "Fetch from a head that you trust")
        if not written:
            folder.mkdir(parents=True, exist_ok=True)
            copy.mark_as_copy(origin)
        copy.folder.write(name, content)
        written.add(name)
    for name in (*_names(copy.folder, copy.ledger.name), copy.ended.name):
        if name not in written:
            copy.folder.remove(name)
    return sum(not trial.is_anchor for trial in Ledger(copy.ledger).trials())
