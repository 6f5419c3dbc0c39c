"""The study directory, which holds all files of a study. Their names are defined here and nowhere else.

study.toml            the frozen copy of search space and settings
ledger/               the records of all trials
trials/ID/            weights, preview and checkpoint of a trial; trials/ID/repeat-N/ those of a repeat
audits/ID.json        the certificate of a trial
clips/                the built-in clips, if the study is on them
report.html           the page
ended.txt             there once the study hands out no more trials: the stop rule that ended it, or empty
optuna.journal        Optuna's storage, a cache
tensorboard/          event files
warm_start.json       what the sampler knew before the first trial
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from anon_tune.errors import StudyError
from anon_tune.folder import File, Folder, Location, kind_of, why

_FROZEN = "study.toml"
_LEDGER = "ledger"
_TRIALS = "trials"
_AUDITS = "audits"
_REPORT = "report.html"
_ENDED = "ended.txt"
_WEIGHTS = "anonymizer.safetensors"
_PREVIEW = "preview.png"
_REPEAT = "repeat-"
_FETCHED = ".fetched"
_CERTIFICATE = ".json"

LEDGER_PART = re.compile(r"([0-9]+)(?:-([0-9]+))?\.parquet")
"""Name of a file of the ledger: the first record in it, and the last one if there are several."""

_RESULTS = re.compile(
    rf"{re.escape(_FROZEN)}|{re.escape(_ENDED)}|{re.escape(_REPORT)}|{_LEDGER}/{LEDGER_PART.pattern}|{_AUDITS}/[^/]+{re.escape(_CERTIFICATE)}"
)
_OUTPUTS = re.compile(rf"{_TRIALS}/[^/]+/([^/]+/)?({re.escape(_WEIGHTS)}|{re.escape(_PREVIEW)})")


class TrialDirectory:
    """The directory of a trial, or of a repeat of a trial, inside a study directory.

    Attributes:
        folder: Its location; need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @staticmethod
    def at(location: Location) -> TrialDirectory:
        """Return the one at a path or a URI."""
        return TrialDirectory(Folder.at(location))

    @property
    def weights(self) -> File:
        """The anonymizer's weights, with its recipe."""
        return File(self.folder, _WEIGHTS)

    @property
    def preview(self) -> File:
        """Some frames, original in the upper half and anonymized below."""
        return File(self.folder, _PREVIEW)

    @property
    def checkpoint(self) -> File:
        """The trainer's checkpoint, from which the next job continues; not needed once the trial is over."""
        return File(self.folder, "trainer.safetensors")

    @property
    def begun(self) -> File:
        """Written by workers of Ray Train while they do a job: their node and the Unix time at which they began."""
        return File(self.folder, "begun.json")

    @property
    def hung(self) -> File:
        """Where a job stood when it took too long."""
        return File(self.folder, "hung.txt")

    @property
    def ray_train(self) -> Folder:
        """Where Ray Train keeps its own account of a job."""
        return self.folder / "ray_train"

    def repeat(self, number: int) -> TrialDirectory:
        """Return the directory of a repeat; numbers count from 1."""
        return TrialDirectory(self.folder / f"{_REPEAT}{number}")

    def tidy(self) -> None:
        """Remove the files that a finished trial no longer needs. Checkpoints would be most of a study's bytes.

        Raises:
            OSError: The place cannot be written.
        """
        self.checkpoint.remove()
        self.folder.remove(self.ray_train.name)


class StudyDirectory:
    """The locations of a study's files, which all commands share. Asking for a location reads and creates nothing.

    Attributes:
        folder: Its location; need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @staticmethod
    def at(location: StudyLocation) -> StudyDirectory:
        """Return the one at a path or a URI."""
        return location if isinstance(location, StudyDirectory) else StudyDirectory(Folder.at(location))

    def __str__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"StudyDirectory.at({self.folder.location!r})"

    @property
    def name(self) -> str:
        """Its own name, the last part of its location."""
        return self.folder.name

    @property
    def frozen(self) -> File:
        """The frozen copy of search space and settings. A directory is a study if it has this file."""
        return File(self.folder, _FROZEN)

    @property
    def lock(self) -> File:
        """The lock that is held by the one driver that writes."""
        return File(self.folder, ".lock")

    @property
    def ledger(self) -> Folder:
        """The records of all trials."""
        return self.folder / _LEDGER

    @property
    def trials(self) -> Folder:
        """Holds a directory for each trial."""
        return self.folder / _TRIALS

    def trial(self, trial_id: str) -> TrialDirectory:
        """Return the directory of a trial."""
        return TrialDirectory(self.trials / trial_id)

    def weights(self, recorded: str) -> File:
        """Return the weights that a record names, see `recorded_weights`."""
        return File(self.folder, recorded)

    @property
    def audits(self) -> Folder:
        """The certificates of trials."""
        return self.folder / _AUDITS

    def certificate(self, trial_id: str) -> File:
        """Return the certificate of a trial."""
        return File(self.audits, f"{trial_id}{_CERTIFICATE}")

    def certificates(self) -> list[tuple[str, File]]:
        """Return the names and files of all certificates that are there, in the order of their names."""
        names = sorted(name for name in self.audits.names() if name.endswith(_CERTIFICATE))
        return [(name.removesuffix(_CERTIFICATE), File(self.audits, name)) for name in names]

    @property
    def clips(self) -> Folder:
        """The built-in clips, where the study is on them."""
        return self.folder / "clips"

    @property
    def report(self) -> File:
        """The page."""
        return File(self.folder, _REPORT)

    @property
    def ended(self) -> File:
        """Exists once the study hands out no more trials. It holds the stop rule that ended the study, or is empty."""
        return File(self.folder, _ENDED)

    @property
    def journal(self) -> File:
        """Optuna's storage, where the study names no other: a cache, rebuilt from the ledger."""
        return File(self.folder, "optuna.journal")

    @property
    def tensorboard(self) -> Folder:
        """Event files for TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def warm_start(self) -> File:
        """What the sampler knew before the first trial."""
        return File(self.folder, "warm_start.json")

    @property
    def tune(self) -> Folder:
        """Ray Tune's own files while a driver runs; removed when the driver ends."""
        return self.folder / "tune"

    @property
    def tune_log(self) -> File:
        """What Ray Tune logs."""
        return File(self.folder, "tune.log")

    @property
    def origin(self) -> str | None:
        """The study directory of which this one is a copy, made by ``fetch``; None if it is no copy."""
        mark = File(self.folder, _FETCHED)
        return str(json.loads(mark.read())["from"]) if mark.exists() else None

    def mark_as_copy(self, origin: str) -> None:
        """Let `origin` say where this copy is from. Only a directory with this mark is ever written over."""
        self.folder.write(_FETCHED, json.dumps({"from": origin}).encode())

    def check(self) -> None:
        """Check that this directory holds a study.

        Raises:
            StudyError: There is no study.
            UnreachableError: The directory is on a store that does not answer.
        """
        try:
            if self.frozen.exists():
                return
        except OSError as error:
            kind = kind_of(error, self.folder, StudyError)
            remedy = "Check permissions and connection, then try again"
            raise kind(str(self), "cannot be read", remedy=remedy, cause=why(error)) from None
        raise StudyError(str(self), "no study there", remedy="Give the directory that 'study --out' wrote")


StudyLocation: TypeAlias = "StudyDirectory | Location"
"""Names a study directory: as itself, by a folder, a path, or a URI."""


def recorded_weights(trial_id: str) -> str:
    """Return the name of a trial's weights as a report has it, relative to the study directory."""
    return f"{_TRIALS}/{trial_id}/{_WEIGHTS}"


def is_result(name: str) -> bool:
    """True for the relative name of the frozen copy, of a file of the ledger, of the report or of a certificate."""
    return ".." not in name.split("/") and _RESULTS.fullmatch(name) is not None


def is_output(name: str) -> bool:
    """True for the relative name of weights or of a preview, of a trial or of a repeat."""
    return ".." not in name.split("/") and _OUTPUTS.fullmatch(name) is not None


def output_folders(study: StudyDirectory) -> list[str]:
    """Return the relative names of the folders that hold weights or previews, repeats among them."""
    found = []
    for trial in study.trials.names():
        inside = f"{_TRIALS}/{trial}"
        repeats = (name for name in (study.folder / inside).names() if name.startswith(_REPEAT))
        found += [inside, *(f"{inside}/{name}" for name in repeats)]
    return found
