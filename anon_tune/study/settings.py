"""The settings of a study, and their frozen copy in the study directory."""

from __future__ import annotations

import importlib.metadata
import platform
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

import anon_tune
from anon_tune.address import refuse_secret
from anon_tune.errors import StudyError, UsageError
from anon_tune.folder import kind_of, why
from anon_tune.methods import names
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.recipe.old_names import OLD_NAMES
from anon_tune.search.parameters import Sampler, StopRules
from anon_tune.search.space import SearchSpace
from anon_tune.study_directory import LEDGER_PART, StudyDirectory, StudyLocation

_INSTALL = "Install the package; 'resume' and 'verify' also take it with --package"
_REMEDY = "Read it with the version of anon_tune that wrote it, see [versions] there"


class StudySettings(BaseModel):
    """The settings of a study. Clips, seed, sampler and rungs change its results, so they cannot be changed later.

    Attributes:
        num_trials: Trials to propose, anchors not counted.
        clips: What is anonymized: a built-in name or a directory.
        clips_fingerprint: Of the clips; a study is never continued on others.
        stills: What the privacy branch learns on, if not on the clips: a clip store.
        stills_fingerprint: As `clips_fingerprint`.
        seed: Of the sampler.
        sampler: ``auto`` takes a Gaussian process, in turns with TPE, where it fits, else TPE, and NSGA-II for many
            trials.
        sampler_class: Class of a sampler of the caller's, which then takes the place of `sampler`; empty for none.
        storage: Any Optuna storage URL, without a password; None for a journal file in the study directory.
        record_name: Of the study in that storage; made by the first driver.
        rungs: Stop hopeless trials early, if the space says where.
        cpus_per_worker: CPUs of each worker of a trial.
        gpus_per_worker: GPUs of each worker of a trial.
        workers_per_trial: Processes that train one anonymizer together.
        max_concurrent: Trials at a time at most; None for what the cluster holds.
        scale_to: Trials to have under way even if they do not fit yet: those that wait make an autoscaler start nodes.
        max_failures: How often a trial whose worker died, hung or raised is started again; where trials wait to be
            promoted, this holds from rung to rung.
        job_limit_s: Seconds after which a rung job counts as hung; None for no limit.
        stop: When the study ends before its last trial.
        warm_start: Directory of an earlier study that the sampler learns from; None for none.
        tensorboard: Write event files for TensorBoard.
        mlflow: Tracking URI of an MLflow server or folder to log trials to as well; None for none.
        wandb: Project of Weights & Biases to log trials to as well; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_trials: Annotated[int, Field(ge=1)] = 32
    clips: str = ""
    clips_fingerprint: str = ""
    stills: str = ""
    stills_fingerprint: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    sampler: Sampler = "auto"
    sampler_class: str = ""
    storage: str | None = None
    record_name: str | None = None
    rungs: bool = True
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    workers_per_trial: Annotated[int, Field(ge=1)] = 1
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    scale_to: Annotated[int, Field(ge=1)] | None = None
    max_failures: Annotated[int, Field(ge=0)] = 2
    job_limit_s: Annotated[float, Field(gt=0)] | None = None
    stop: StopRules = StopRules()
    warm_start: str | None = None
    tensorboard: bool = True
    mlflow: str | None = None
    wandb: str | None = None

    @field_validator("storage", "clips", "stills", "warm_start", "mlflow")
    @classmethod
    def _has_no_secret(cls, value: str | None, info: ValidationInfo) -> str | None:
        refuse_secret(f"--{info.field_name}".replace("_", "-"), value)  # no ValueError: it comes out as it is
        return value

    @field_validator("gpus_per_worker")
    @classmethod
    def _whole_cards_or_a_share_of_one(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise UsageError("--gpus", "must be a share of one GPU or a whole number of them", value, "Round it")
        return value

    @property
    def runs_through_train(self) -> bool:
        """True if the trial body starts its own workers: with several of them, or with a GPU."""
        return self.workers_per_trial > 1 or self.gpus_per_worker > 0

    def on_private_cluster(self) -> StudySettings:
        """Return settings that do not wait for more nodes, because no autoscaler runs on a private cluster."""
        return self.model_copy(update={"scale_to": None})


@dataclass(frozen=True, slots=True)
class FrozenFacts:
    """What stands in the frozen copy of a study, to be shown: of any version, and not checked.

    Attributes:
        name: Of the study; empty if it has none.
        settings: By name, without the storage.
        storage: Optuna's; None for the journal in the directory.
        versions: Of the packages that the last driver had, by name.
    """

    name: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    storage: object = None
    versions: Mapping[str, object] = field(default_factory=dict)

    @property
    def measure_version(self) -> str:
        """Version of the measure that its scores were taken with; 1 if it was frozen before there were versions."""
        return str(self.versions.get("measure", "1"))


def frozen_facts(directory: StudyLocation) -> FrozenFacts:
    """Read the frozen copy of a study for people to look at.

    Raises:
        StudyError: The directory holds no study, or its frozen copy cannot be read.
        UnreachableError: It is on a store that does not answer.
    """
    tables = _read(StudyDirectory.at(directory))
    settings, space, versions = (_table(tables, name) for name in ("settings", "space", "versions"))
    # The storage of an earlier version may hold a password.
    shown = {name: value for name, value in settings.items() if name != "storage"}
    return FrozenFacts(str(_table(space, "study").get("name", "")), shown, settings.get("storage"), versions)


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tables.get(name)
    return found if isinstance(found, Mapping) else {}


def load_study(directory: StudyLocation) -> tuple[SearchSpace, StudySettings]:
    """Read the frozen copy of a study, to go on with it or to work on its trials.

    Raises:
        StudyError: The directory holds no study, or none that this version reads.
        UnreachableError: It is on a store that does not answer.
    """
    study = StudyDirectory.at(directory)
    return _validated(_read(study), str(study.frozen), SearchSpace.from_tables)


def read_study(directory: StudyLocation) -> tuple[SearchSpace, StudySettings]:
    """Read the frozen copy of a study to look at. The packages that add its methods need not be installed.

    Raises:
        StudyError: The directory holds no study, or none that this version reads.
        UnreachableError: It is on a store that does not answer.
    """
    study = StudyDirectory.at(directory)
    return _validated(_read(study), str(study.frozen), _as_far_as_known)


def _as_far_as_known(tables: Mapping[str, Any], where: str) -> SearchSpace:
    try:
        return SearchSpace.from_tables(tables, where)
    except UsageError:
        return SearchSpace.unchecked(tables, where)


def _validated(
    tables: Mapping[str, Any], where: str, build: Callable[[Mapping[str, Any], str], SearchSpace]
) -> tuple[SearchSpace, StudySettings]:
    try:
        settings = StudySettings.model_validate(tables["settings"])
        return build({"defaults": {}, **tables["space"]}, str(tables["where"])), settings
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
        first = f"no table {error}" if isinstance(error, KeyError) else why(error)
        if isinstance(error, ValidationError):
            at = ".".join(map(str, error.errors()[0]["loc"]))
            first = f"{at}: {error.errors()[0]['msg']}" if at else error.errors()[0]["msg"]
        raise StudyError(where, "not the frozen copy of a study", first, _REMEDY) from None
    except UsageError as error:  # of a name or a value that an earlier version took
        if error.where.startswith("package "):  # that brings a method
            raise
        for name in _methods(tables["space"]):
            if name not in names():
                rule = f"the study uses the method '{name}', which is of a package that is not installed here"
                raise StudyError(where, rule, remedy=_INSTALL) from None
        rule = f"not the frozen copy of a study: {error.where}: {error.rule}"
        raise StudyError(where, rule, error.got, _REMEDY) from None


def _methods(space: Mapping[str, Any]) -> list[str]:
    """Return the names of the methods that a search space may take, without their arguments."""
    fixed, searched = (_table(space, table).get("method") for table in ("fixed", "search"))
    choices = searched.get("choices", ()) if isinstance(searched, Mapping) else ()
    return [str(text).partition(":")[0] for text in (fixed, *choices) if text is not None]


def freeze_study(directory: StudyLocation, space: SearchSpace, settings: StudySettings) -> bool:
    """Write the frozen copy, or check it against the one that is there.

    Settings that do not change results (the number of trials, resources) may differ and are written anew.

    Returns:
        True if the study is continued.

    Raises:
        StudyError: The directory belongs to another study.
    """
    study = StudyDirectory.at(directory)
    tables: dict[str, Any] = {
        "where": space.where,
        "fingerprint": space.fingerprint(),
        "settings": settings.model_dump(mode="json", exclude_none=True),
        "versions": _versions(),
        "space": space.tables(),
    }
    continued = study.frozen.exists()
    if continued:
        _check_same(study, tables)
    elif any(LEDGER_PART.fullmatch(name) for name in study.ledger.names()):
        raise StudyError(str(study), f"a ledger without its {study.frozen.name}", remedy="Give an empty directory")
    study.frozen.write(tomli_w.dumps(tables).encode())
    return continued


def with_record_name(study: StudyDirectory, space: SearchSpace, settings: StudySettings) -> StudySettings:
    """Return settings with a name for the study in its Optuna storage: the one that it has there, else a new one."""
    if settings.storage is None or settings.record_name is not None:
        return settings
    before = load_study(study)[1] if study.frozen.exists() else settings
    same = before.record_name if before.storage == settings.storage else None
    name = f"{study.name}-{space.fingerprint()}-{time.time_ns():x}"
    return settings.model_copy(update={"record_name": same or name})


def _check_same(study: StudyDirectory, now: dict[str, Any]) -> None:
    """Refuse to go on with a study that is not the one that is there."""
    where, before, (space, _) = str(study), _read(study), load_study(study)
    was, wanted = before.get("settings", {}), now["settings"]
    pairs = [
        ("search space", space.fingerprint() if _is_earlier(before) else before.get("fingerprint"), now["fingerprint"]),
        ("version of the measure", frozen_facts(study).measure_version, now["versions"]["measure"]),
        ("clips", was.get("clips_fingerprint"), wanted["clips_fingerprint"]),
        ("stills", was.get("stills_fingerprint", ""), wanted["stills_fingerprint"]),
        ("rungs", was.get("rungs"), wanted["rungs"]),
        ("seed", was.get("seed"), wanted["seed"]),
        ("sampler", was.get("sampler"), wanted["sampler"]),
        ("warm start", was.get("warm_start"), wanted.get("warm_start")),
    ]
    if wanted["sampler"] == "grid":  # of another number of trials it is another grid
        pairs.append(("number of trials on a grid", was.get("num_trials"), wanted["num_trials"]))
    defaults = before.get("space", {}).get("defaults", {}), now["space"]["defaults"]
    other = sorted(n for n in defaults[0].keys() & defaults[1].keys() if defaults[0][n] != defaults[1][n])
    pairs += [(f"recipe defaults, of another version of anon_tune: {n}", defaults[0][n], defaults[1][n]) for n in other]
    _check_sampler_class(where, was.get("sampler_class", ""), wanted["sampler_class"])
    for name, old, new in pairs:
        if old != new:
            raise StudyError(
                where,
                f"study directory of another recipe: its {name} was {old}",
                new,
                "Give another directory, or go on with 'anon-tune resume'",
            )


def _is_earlier(frozen: Mapping[str, Any]) -> bool:
    """True for a frozen copy whose fingerprint says nothing here: it has old names, or none of the defaults."""
    space = frozen.get("space", {})
    return "defaults" not in space or not OLD_NAMES.keys().isdisjoint(space.get("fixed", {}))


def _check_sampler_class(where: str, old: str, new: str) -> None:
    """Refuse another sampler of the caller's: no command can make one, and other proposals would follow."""
    if old == new:
        return
    if old:
        remedy = f"Go on in Python: anon_tune.open_study({where!r}).resume(sampler=...)"
        raise StudyError(where, f"its sampler is one of the caller's, {old}", new or "none", remedy)
    raise StudyError(where, "its sampler is one of ours", new, "Leave sampler out, or give another directory")


def _read(study: StudyDirectory) -> dict[str, Any]:
    study.check()
    try:
        return tomllib.loads(study.frozen.read().decode())
    except OSError as error:
        kind = kind_of(error, study.folder, StudyError)
        remedy = "Check permissions and connection, then try again"
        raise kind(str(study.frozen), "cannot be read", remedy=remedy, cause=why(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(str(study.frozen), "not valid TOML", cause=str(error)) from None


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in ("ray", "optuna")}
    ours = {"anon_tune": anon_tune.__version__, "measure": str(MEASURE_VERSION)}
    return {**ours, "python": platform.python_version(), **packages}
