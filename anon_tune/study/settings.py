"""How a study is run, and the frozen copy of it in the study directory."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import shlex
import socket
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

import anon_tune
from anon_tune.address import refuse_secret
from anon_tune.errors import LedgerError
from anon_tune.study.parameters import Sampler, StopRules
from anon_tune.study.space import SearchSpace

_FILE = "study.toml"


class StudySettings(BaseModel):
    """What a study is run with. Clips, seed, sampler and rungs change its results and stay as they are.

    Attributes:
        num_trials: Trials to propose, anchors not counted.
        clips: What is anonymized: a built-in name or a directory.
        clips_fingerprint: Of the clips; a study is never continued on others.
        stills: What the privacy branch learns on, if not on the clips: a clip store.
        stills_fingerprint: As `clips_fingerprint`.
        seed: Of the sampler.
        sampler: ``auto`` takes a Gaussian process, in turns with TPE, where it fits, else TPE, and NSGA-II for many
            trials.
        storage: Any Optuna storage URL, without a password; None for a journal file in the study directory.
        record_name: Of the study in that storage; made by the first driver.
        rungs: Stop hopeless trials early, if the space says where.
        cpus_per_worker: CPUs of each worker of a trial.
        gpus_per_worker: GPUs of each worker of a trial.
        workers_per_trial: Processes that train one anonymizer together.
        max_concurrent: Trials at a time at most; None for what the cluster holds.
        max_failures: How often a trial whose worker died, hung or raised is started again; where trials wait to be
            promoted, this holds from rung to rung.
        job_limit_s: Seconds after which a rung job counts as hung; None for no limit.
        stop: When the study ends before its last trial.
        warm_start: Directory of an earlier study that the sampler learns from; None for none.
        tensorboard: Write event files for TensorBoard.
        mlflow: Tracking URI of an MLflow server or folder that is told of trials too; None for none.
        wandb: Project of Weights & Biases that is told of trials too; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_trials: Annotated[int, Field(ge=1)] = 32
    clips: str = ""
    clips_fingerprint: str = ""
    stills: str = ""
    stills_fingerprint: str = ""
    seed: Annotated[int, Field(ge=0)] = 0
    sampler: Sampler = "auto"
    storage: str | None = None
    record_name: str | None = None
    rungs: bool = True
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1
    gpus_per_worker: Annotated[float, Field(ge=0)] = 0
    workers_per_trial: Annotated[int, Field(ge=1)] = 1
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
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

    @property
    def runs_through_train(self) -> bool:
        """True if the trial body starts its own workers: with several of them, or with a GPU."""
        return self.workers_per_trial > 1 or self.gpus_per_worker > 0


def load_study(directory: Path | str) -> tuple[SearchSpace, StudySettings]:
    """Read the frozen copy of a study.

    Raises:
        LedgerError: The directory holds no study.
    """
    tables = _read(Path(directory) / _FILE)
    try:
        settings = StudySettings.model_validate(tables["settings"])
        return SearchSpace.from_tables(dict(tables["space"]), str(tables["where"])), settings
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        first = f"no table {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else first
        raise LedgerError(str(Path(directory) / _FILE), "not the frozen copy of a study", first) from None


def freeze_study(directory: Path, space: SearchSpace, settings: StudySettings) -> bool:
    """Write the frozen copy, or check it against the one that is there.

    Settings that do not change results (the number of trials, resources) may differ and are written anew.

    Returns:
        True if the study is continued.

    Raises:
        LedgerError: The directory belongs to another study.
    """
    file = directory / _FILE
    tables: dict[str, Any] = {
        "where": space.where,
        "fingerprint": space.fingerprint(),
        "settings": settings.model_dump(mode="json", exclude_none=True),
        "versions": _versions(),
        "space": space.tables(),
    }
    continued = file.exists()
    if continued:
        _check_same(file, _read(file), tables)
    elif any((directory / "ledger").glob("*.parquet")):
        raise LedgerError(str(directory), f"a ledger without its {_FILE}", remedy="Give an empty directory")
    write_whole(file, tomli_w.dumps(tables))
    return continued


def with_record_name(directory: Path, space: SearchSpace, settings: StudySettings) -> StudySettings:
    """Return settings with a name for the study in its Optuna storage: the one that it has there, else a new one."""
    if settings.storage is None or settings.record_name is not None:
        return settings
    before = load_study(directory)[1] if (directory / _FILE).exists() else settings
    same = before.record_name if before.storage == settings.storage else None
    name = f"{directory.name}-{space.fingerprint()}-{time.time_ns():x}"
    return settings.model_copy(update={"record_name": same or name})


def dashboard_command(directory: Path, settings: StudySettings) -> str:
    """Return the command line that shows a study's Optuna storage."""
    return shlex.join(["optuna-dashboard", settings.storage or str(directory / "optuna.journal")])


def write_whole(file: Path, text: str) -> None:
    """Write a file so that readers see the old one or the new one, never a part."""
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    hidden.write_text(text, encoding="utf-8")
    os.replace(hidden, file)


@contextmanager
def driver_lock(directory: Path) -> Iterator[None]:
    """Let one process at a time write a study directory; the system frees the lock of a dead one.

    Raises:
        LedgerError: Another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "unknown"
            rule = "another process is running this study"
            raise LedgerError(str(directory), rule, holder, "Stop it, or wait until it ends") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _check_same(file: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    was, wanted = before.get("settings", {}), now["settings"]
    pairs = [
        ("search space", before.get("fingerprint"), now["fingerprint"]),
        ("clips", was.get("clips_fingerprint"), wanted["clips_fingerprint"]),
        ("stills", was.get("stills_fingerprint", ""), wanted["stills_fingerprint"]),
        ("rungs", was.get("rungs"), wanted["rungs"]),
        ("seed", was.get("seed"), wanted["seed"]),
        ("sampler", was.get("sampler"), wanted["sampler"]),
        ("warm start", was.get("warm_start"), wanted.get("warm_start")),
    ]
    if wanted["sampler"] == "grid":  # of another number of trials it is another grid
        pairs.append(("number of trials on a grid", was.get("num_trials"), wanted["num_trials"]))
    for name, old, new in pairs:
        if old != new:
            raise LedgerError(
                str(file.parent),
                f"study directory of another recipe: its {name} was {old}",
                new,
                "Give another directory, or go on with 'anon-tune resume'",
            )


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LedgerError(str(file.parent), f"no {_FILE} there", remedy="Give the directory of a study") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LedgerError(str(file), f"not valid TOML: {error}") from None


def _versions() -> dict[str, str]:
    packages = {name: importlib.metadata.version(name) for name in ("ray", "optuna")}
    return {"anon_tune": anon_tune.__version__, "python": platform.python_version(), **packages}
