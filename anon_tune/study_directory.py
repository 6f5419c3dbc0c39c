"""The names of all files in a study directory. They are defined here and nowhere else.

study.toml            the frozen copy of search space and settings
ledger/               the records of all trials
trials/ID/            weights, previews and checkpoint of a trial; trials/ID/repeat-N/ those of a repeat
audits/ID.json        the certificate of a trial
baselines/            attackers that were trained on raw clips, a cache
clips/                the built-in clips, if the study uses them
report.html           the report page
ended.txt             exists once the study begins no more trials; names the stop rule that ended it, or is empty
optuna.journal        Optuna's storage, a cache
artifacts/            moving previews for Optuna's dashboard
tensorboard/          event files
privacy_check.json    the outcome of the last Monte Carlo check of the study's privacy claim
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
_PRIVACY_CHECK = "privacy_check.json"
_WEIGHTS = "anonymizer.safetensors"
_PREVIEW = "preview.png"
_MOVING_PREVIEW = "preview.webm"
_REPEAT = "repeat-"
_FETCHED = ".fetched"
_CERTIFICATE = ".json"

LEDGER_PART = re.compile(r"([0-9]+)(?:-([0-9]+))?\.parquet")
"""Matches the name of a file in the ledger: the number of its first record, and of its last if it has several."""

_OUTPUT_NAMES = (_WEIGHTS, _PREVIEW, _MOVING_PREVIEW)
_RESULTS = re.compile(
    rf"{re.escape(_FROZEN)}|{re.escape(_ENDED)}|{re.escape(_REPORT)}|{re.escape(_PRIVACY_CHECK)}|{_LEDGER}/{LEDGER_PART.pattern}|{_AUDITS}/[^/]+{re.escape(_CERTIFICATE)}"
)
_OUTPUTS = re.compile(rf"{_TRIALS}/[^/]+/([^/]+/)?({'|'.join(map(re.escape, _OUTPUT_NAMES))})")


class TrialDirectory:
    """The directory of a trial, or of a repeat of a trial, inside a study directory.

    Attributes:
        folder: The folder; it need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @staticmethod
    def at(location: Location) -> TrialDirectory:
        """Return the trial directory at a path or a URI."""
        return TrialDirectory(Folder.at(location))

    @property
    def weights(self) -> File:
        """The anonymizer's weights, with its recipe."""
        return File(self.folder, _WEIGHTS)

    @property
    def preview(self) -> File:
        """A picture of some frames, the original ones above the anonymized ones."""
        return File(self.folder, _PREVIEW)

    @property
    def moving_preview(self) -> File:
        """A short looping video of some clips, each original beside its anonymized version."""
        return File(self.folder, _MOVING_PREVIEW)

    @property
    def checkpoint(self) -> File:
        """The trainer's checkpoint, from which the next job goes on; not needed once the trial is over."""
        return File(self.folder, "trainer.safetensors")

    @property
    def begun(self) -> File:
        """Node and Unix time at which workers of Ray Train began a job; exists only while they do the job."""
        return File(self.folder, "begun.json")

    @property
    def hung(self) -> File:
        """The stack of a job that took too long."""
        return File(self.folder, "hung.txt")

    @property
    def ray_train(self) -> Folder:
        """The folder for Ray Train's own files about a job."""
        return self.folder / "ray_train"

    def repeat(self, number: int) -> TrialDirectory:
        """Return the directory of a repeat; numbers count from 1."""
        return TrialDirectory(self.folder / f"{_REPEAT}{number}")

    def tidy(self) -> None:
        """Remove the files that a finished trial no longer needs; checkpoints would be most of a study's bytes.

        Raises:
            OSError: The files cannot be removed.
        """
        self.checkpoint.remove()
        self.folder.remove(self.ray_train.name)


class StudyDirectory:
    """The locations of all files of a study. Asking for a location reads and creates nothing.

    Attributes:
        folder: The folder; it need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @staticmethod
    def at(location: StudyLocation) -> StudyDirectory:
        """Return the study directory at a path or a URI."""
        return location if isinstance(location, StudyDirectory) else StudyDirectory(Folder.at(location))

    def __str__(self) -> str:
        return str(self.folder)

    def __repr__(self) -> str:
        return f"StudyDirectory.at({self.folder.location!r})"

    @property
    def name(self) -> str:
        """The name of the study directory: the last part of its location."""
        return self.folder.name

    @property
    def frozen(self) -> File:
        """The frozen copy of search space and settings. A directory with this file is a study directory."""
        return File(self.folder, _FROZEN)

    @property
    def lock(self) -> File:
        """The lock, which the driver holds while it writes; there can be only one such driver."""
        return File(self.folder, ".lock")

    @property
    def ledger(self) -> Folder:
        """The records of all trials."""
        return self.folder / _LEDGER

    @property
    def trials(self) -> Folder:
        """The folder that holds a directory per trial."""
        return self.folder / _TRIALS

    @property
    def baselines(self) -> Folder:
        """Attackers that were trained on raw clips, from which those of every trial start; a cache."""
        return self.folder / "baselines"

    def trial(self, trial_id: str) -> TrialDirectory:
        """Return the directory of a trial."""
        return TrialDirectory(self.trials / trial_id)

    def weights(self, recorded: str) -> File:
        """Return the file of weights that a record names; see `recorded_weights`."""
        return File(self.folder, recorded)

    @property
    def audits(self) -> Folder:
        """The folder of the certificates of trials."""
        return self.folder / _AUDITS

    def certificate(self, trial_id: str) -> File:
        """Return the certificate of a trial."""
        return File(self.audits, f"{trial_id}{_CERTIFICATE}")

    def certificates(self) -> list[tuple[str, File]]:
        """Return trial id and file of every certificate that exists, sorted by trial id."""
        names = sorted(name for name in self.audits.names() if name.endswith(_CERTIFICATE))
        return [(name.removesuffix(_CERTIFICATE), File(self.audits, name)) for name in names]

    @property
    def privacy_check(self) -> File:
        """The outcome of the last Monte Carlo check of the study's privacy claim."""
        return File(self.folder, _PRIVACY_CHECK)

    @property
    def clips(self) -> Folder:
        """The store of the built-in clips, if the study uses them."""
        return self.folder / "clips"

    @property
    def report(self) -> File:
        """The report page."""
        return File(self.folder, _REPORT)

    @property
    def ended(self) -> File:
        """Exists once the study begins no more trials. It names the stop rule that ended the study, or is empty."""
        return File(self.folder, _ENDED)

    @property
    def journal(self) -> File:
        """The Optuna storage if the study names no other: a cache that can be rebuilt from the ledger."""
        return File(self.folder, "optuna.journal")

    @property
    def artifacts(self) -> Folder:
        """The folder of the moving previews for Optuna's dashboard; made again with the Optuna study."""
        return self.folder / "artifacts"

    @property
    def tensorboard(self) -> Folder:
        """The folder of the event files for TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def warm_start(self) -> File:
        """What the sampler knew from earlier studies before the first trial."""
        return File(self.folder, "warm_start.json")

    @property
    def tune(self) -> Folder:
        """Ray Tune's own files while a driver runs; removed when the driver ends."""
        return self.folder / "tune"

    @property
    def tune_log(self) -> File:
        """The log of Ray Tune."""
        return File(self.folder, "tune.log")

    @property
    def origin(self) -> str | None:
        """The study directory of which this one is a copy, made by ``fetch``; None if it is no copy."""
        mark = File(self.folder, _FETCHED)
        return str(json.loads(mark.read())["from"]) if mark.exists() else None

    def check_original(self) -> None:
        """Check, before a driver writes here, that this directory is no copy.

        Raises:
            StudyError: It is a copy, in which the next ``fetch`` would undo what is written.
        """
        if (origin := self.origin) is not None:
            rule = f"is a copy of {origin}, and the next fetch would delete what is added here"
            remedy = f"Give the original, or remove {_FETCHED} to make this copy a study of its own"
            raise StudyError(str(self), rule, remedy=remedy)

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
"""A study directory, given as a `StudyDirectory`, a `Folder`, a path or a URI."""


def recorded_weights(trial_id: str) -> str:
    """Return the path of a trial's weights relative to the study directory, as reports record it."""
    return f"{_TRIALS}/{trial_id}/{_WEIGHTS}"


def is_result(name: str) -> bool:
    """True for the relative path of the frozen copy, of a ledger file, of the report or of a certificate."""
    return ".." not in name.split("/") and _RESULTS.fullmatch(name) is not None


def is_output(name: str) -> bool:
    """True for the relative path of weights or a preview, of a trial or of a repeat."""
    return ".." not in name.split("/") and _OUTPUTS.fullmatch(name) is not None


def output_folders(study: StudyDirectory) -> list[str]:
    """Return the relative paths of all folders that can hold weights or previews: those of trials and of repeats."""
    found = []
    for trial in study.trials.names():
        inside = f"{_TRIALS}/{trial}"
        repeats = (name for name in (study.folder / inside).names() if name.startswith(_REPEAT))
        found += [inside, *(f"{inside}/{name}" for name in repeats)]
    return found
