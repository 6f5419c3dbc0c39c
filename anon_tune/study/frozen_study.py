"""The frozen copy of a study in its directory: its search space, its settings, and the versions that ran it."""

from __future__ import annotations

import importlib.metadata
import platform
import secrets
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli_w
from pydantic import ValidationError

import anon_tune
from anon_tune.errors import StudyError, UsageError
from anon_tune.folder import kind_of, why
from anon_tune.methods import names
from anon_tune.recipe import MEASURE_VERSION
from anon_tune.recipe.old_names import OLD_NAMES, with_new_names
from anon_tune.search.space import SearchSpace
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import LEDGER_PART, StudyDirectory, StudyLocation

_RULE = "is not the frozen copy of a study"
_INSTALL = "Install the package; 'resume' and 'verify' also take it with --package"
_REMEDY = "Read it with the version of anon_tune that wrote it, see [versions] there"
_OTHER_RECIPE = "Give another directory, or go on with 'anon-tune resume'"
_MEASURE = "version of the measure"
_OTHER_MEASURE = (
    "Scores of two measures cannot be compared: start a new study in another directory. 'front', 'report' and 'export' "
    "go on working here"
)

Tables = Mapping[str, Any]
"""The tables of a frozen copy, as read from TOML."""


@dataclass(frozen=True, slots=True)
class FrozenFacts:
    """What the frozen copy of a study says, to be shown to a reader. It may be of any version and is not checked.

    Attributes:
        name: Name of the study; empty if it has none.
        settings: Settings by name, without the storage.
        storage: URL of the Optuna storage; None for the journal in the directory.
        versions: Versions, by name, of the packages that the last driver used.
        fingerprint: Fingerprint of the search space.
        space: The tables of the search space.
    """

    name: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    storage: object = None
    versions: Mapping[str, object] = field(default_factory=dict)
    fingerprint: str = ""
    space: Mapping[str, object] = field(default_factory=dict)

    @property
    def measure_version(self) -> str:
        """Version of the measure that its scores were measured with; 1 if the copy has none, because it is older."""
        return str(self.versions.get("measure", "1"))


def frozen_facts(directory: StudyLocation) -> FrozenFacts:
    """Read the frozen copy of a study, to show it to a reader.

    Raises:
        StudyError: The directory holds no study, or its frozen copy cannot be read.
        UnreachableError: The directory is on a store that does not answer.
    """
    return _facts(_read(StudyDirectory.at(directory)))


def _facts(tables: Tables) -> FrozenFacts:
    settings, space, versions = (_table(tables, name) for name in ("settings", "space", "versions"))
    # The storage of an earlier version may hold a password.
    shown = {name: value for name, value in settings.items() if name != "storage"}
    name = str(_table(space, "study").get("name", ""))
    return FrozenFacts(name, shown, settings.get("storage"), versions, str(tables.get("fingerprint", "")), space)


def _table(tables: Tables, name: str) -> Tables:
    found = tables.get(name)
    return found if isinstance(found, Mapping) else {}


def load_study(directory: StudyLocation) -> tuple[SearchSpace, StudySettings]:
    """Read and check the frozen copy of a study, to continue the study or to use its trials.

    Raises:
        StudyError: The directory holds no study, or one that this version cannot read.
        UnreachableError: The directory is on a store that does not answer.
    """
    study = StudyDirectory.at(directory)
    return _validated(_read(study), str(study.frozen))


def check_measure(directory: StudyLocation) -> None:
    """Check that a study was measured as this version measures, before anything is measured again.

    Raises:
        StudyError: It was measured with another version of the measure.
    """
    was, where = frozen_facts(directory).measure_version, str(StudyDirectory.at(directory))
    if was != str(MEASURE_VERSION):
        raise StudyError(where, f"its {_MEASURE} was {was}", str(MEASURE_VERSION), _OTHER_MEASURE)


def read_study(directory: StudyLocation) -> tuple[SearchSpace, StudySettings]:
    """Read the frozen copy of a study to look at. The packages that add its methods need not be installed.

    Raises:
        StudyError: The directory holds no study, or none that this version reads.
        UnreachableError: It is on a store that does not answer.
    """
    study = StudyDirectory.at(directory)
    return _validated(_read(study), str(study.frozen), _as_far_as_known)


def _as_far_as_known(tables: Tables, where: str) -> SearchSpace:
    try:
        return SearchSpace.from_tables(tables, where)
    except UsageError:
        return SearchSpace.unchecked(tables, where)


def _validated(
    tables: Tables, where: str, build: Callable[[Tables, str], SearchSpace] = SearchSpace.from_tables
) -> tuple[SearchSpace, StudySettings]:
    try:
        settings = StudySettings.model_validate(tables["settings"])
        # Old names are said to stand here: the file that the study was begun with may have new ones by now.
        fixed = with_new_names(tables["space"].get("fixed", {}), where)
        return build({"defaults": {}, **tables["space"], "fixed": fixed}, str(tables["where"])), settings
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # pydantic's errors are ValueErrors
        first = f"no table {error}" if isinstance(error, KeyError) else why(error)
        if isinstance(error, ValidationError):
            at = ".".join(map(str, error.errors()[0]["loc"]))
            first = f"{at}: {error.errors()[0]['msg']}" if at else error.errors()[0]["msg"]
        raise StudyError(where, _RULE, remedy=_REMEDY, cause=first) from None
    except UsageError as error:  # for example a name or a value that only an earlier version accepted
        if error.where.startswith("package "):  # a package that adds a method is broken; the copy is not at fault
            raise
        for name in _methods(tables["space"]):
            if name not in names():
                rule = f"the study uses the method '{name}', which is of a package that is not installed here"
                raise StudyError(where, rule, remedy=_INSTALL) from None
        raise StudyError(where, _RULE, remedy=_REMEDY, cause=f"{error.where}: {error.reason}") from None


def _methods(space: Tables) -> list[str]:
    """Return the names of the methods that trials may have, without their arguments."""
    fixed, searched = (_table(space, table).get("method") for table in ("fixed", "search"))
    choices = searched.get("choices", ()) if isinstance(searched, Mapping) else ()
    return [str(text).partition(":")[0] for text in (fixed, *choices) if text is not None]


def freeze_study(directory: StudyLocation, space: SearchSpace, settings: StudySettings) -> StudySettings:
    """Write the frozen copy of a study. If there is one already, check first that it is of the same study.

    Settings that do not change results, such as the number of trials and the resources, may differ and are replaced.

    Returns:
        The settings as they are frozen, with the name of the study in the Optuna storage and the prefix of its runs
        in Weights & Biases, if the settings name these.

    Raises:
        StudyError: The directory belongs to another study.
    """
    study = StudyDirectory.at(directory)
    known: StudySettings | None = None
    if study.frozen.exists():
        before = _read(study)
        known_space, known = _validated(before, str(study.frozen))
        _check_same(str(study), before, known_space, space, settings)
    elif any(LEDGER_PART.fullmatch(name) for name in study.ledger.names()):
        raise StudyError(str(study), f"holds a ledger but no {study.frozen.name}", remedy="Give an empty directory")
    settings = _with_wandb_prefix(_with_record_name(study.name, space, settings, known), known)
    tables = {
        "where": space.where,
        "fingerprint": space.fingerprint(),
        "settings": _plain(settings),
        "versions": _versions(),
        "space": space.tables(),
    }
    study.frozen.write(tomli_w.dumps(tables).encode())
    return settings


def _with_record_name(
    name: str, space: SearchSpace, settings: StudySettings, known: StudySettings | None
) -> StudySettings:
    """Return settings with the name of the study in its Optuna storage, a new name if it has none there."""
    if settings.storage is None or settings.record_name is not None:
        return settings
    same = known.record_name if known is not None and known.storage == settings.storage else None
    new = f"{name}-{space.fingerprint()}-{time.time_ns():x}"
    return settings.model_copy(update={"record_name": same or new})


def _with_wandb_prefix(settings: StudySettings, known: StudySettings | None) -> StudySettings:
    """Return settings with a prefix that no other study has, not even one that was begun at the same place earlier.

    A study that began to log before prefixes were drawn has none, and keeps the ids that its runs have.
    """
    prefix = settings.wandb_prefix or (known.wandb_prefix if known is not None else None)
    if prefix is None and settings.wandb is not None and (known is None or known.wandb is None):
        prefix = secrets.token_hex(6)
    return settings.model_copy(update={"wandb_prefix": prefix})


def _check_same(
    where: str, before: Tables, known_space: SearchSpace, space: SearchSpace, settings: StudySettings
) -> None:
    """Refuse to continue a study with other settings or another search space that would change its results.

    Args:
        where: The study directory, for error messages.
        before: The frozen copy in the directory.
        known_space: The search space of the frozen copy.
        space: The search space to continue with.
        settings: The settings to continue with.

    Raises:
        StudyError: Something that changes results differs.
    """
    was, wanted = _table(before, "settings"), _plain(settings)
    fingerprint = known_space.fingerprint() if _is_earlier(before) else before.get("fingerprint")
    pairs = [
        ("search space", fingerprint, space.fingerprint()),
        (_MEASURE, _facts(before).measure_version, str(MEASURE_VERSION)),
        ("clips", was.get("clips_fingerprint"), wanted["clips_fingerprint"]),
        ("stills", was.get("stills_fingerprint", ""), wanted["stills_fingerprint"]),
        ("rungs", was.get("rungs"), wanted["rungs"]),
        ("seed", was.get("seed"), wanted["seed"]),
        ("sampler", was.get("sampler"), wanted["sampler"]),
        ("law of the number of trials", was.get("drawn", ""), wanted["drawn"]),
        ("warm start", was.get("warm_start"), wanted.get("warm_start")),
    ]
    if wanted["drawn"]:
        pairs.append(("drawn number of trials", was.get("num_trials"), wanted["num_trials"]))
    if wanted["sampler"] == "grid":  # another number of trials makes another grid
        pairs.append(("number of trials on a grid", was.get("num_trials"), wanted["num_trials"]))
    old_defaults, defaults = _table(_table(before, "space"), "defaults"), space.tables()["defaults"]
    pairs += [
        (f"recipe defaults, of another version of anon_tune: {name}", old_defaults[name], defaults[name])
        for name in sorted(old_defaults.keys() & defaults.keys())
    ]
    _check_sampler_class(where, was.get("sampler_class", ""), wanted["sampler_class"])
    for name, old, new in pairs:
        if old != new:
            rule = f"study directory of another recipe: its {name} was {old}"
            raise StudyError(where, rule, new, _OTHER_MEASURE if name == _MEASURE else _OTHER_RECIPE)


def _plain(settings: StudySettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_none=True)


def _is_earlier(frozen: Tables) -> bool:
    """True for a frozen copy of an earlier version, whose fingerprint cannot be compared: old names or no defaults."""
    space = frozen.get("space", {})
    return "defaults" not in space or not OLD_NAMES.keys().isdisjoint(space.get("fixed", {}))


def _check_sampler_class(where: str, old: str, new: str) -> None:
    """Refuse to continue with another kind of sampler, because it would make other proposals.

    Raises:
        StudyError: One of the two is a caller's sampler and the other is not of the same class.
    """
    if old == new:
        return
    if old:
        remedy = f"Go on in Python: anon_tune.open_study({where!r}).resume(sampler=...)"
        raise StudyError(where, f"must go on with the caller's sampler, {old}", new or "none", remedy)
    remedy = "Leave sampler out, or give another directory"
    raise StudyError(where, "must go on without a caller's sampler, as it began", new, remedy)


def _read(study: StudyDirectory) -> dict[str, Any]:
    study.check()
    try:
        return tomllib.loads(study.frozen.read().decode())
    except OSError as error:
        kind = kind_of(error, study.folder, StudyError)
        remedy = "Check permissions and connection, then try again"
        raise kind(str(study.frozen), "cannot be read", remedy=remedy, cause=why(error)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        remedy = "Restore it from a copy"
        raise StudyError(str(study.frozen), "is not valid TOML", remedy=remedy, cause=str(error)) from None


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in ("ray", "optuna")}
    ours = {"anon_tune": anon_tune.__version__, "measure": str(MEASURE_VERSION)}
    return {**ours, "python": platform.python_version(), **packages}
