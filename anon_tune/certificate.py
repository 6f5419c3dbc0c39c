"""A leakage certificate: what an audit found about one anonymizer, as versioned JSON.

All fractions are in [0, 1]. A floor is what a blind attacker or classifier reaches. A ceiling is what the same effort
reaches on raw clips.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from anon_tune.errors import DataError

Interval = tuple[float, float]
Status = Literal["CERTIFIED", "LOWER_BOUND", "REFUSED"]

COMMITTEE = "committee"
"""The family of an attacker that combines the scores of attackers of all families."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_nan(cls, value: Any, info: ValidationInfo) -> Any:
        """Read null as NaN. JSON has no NaN, and only ``membership`` may be empty, so null means nothing else."""
        if info.field_name == "membership":
            return value
        if isinstance(value, list):
            return [math.nan if one is None else one for one in value]
        return math.nan if value is None else value


class Subject(_Part):
    """What was audited."""

    kind: Literal["method", "trial", "file", "folder"]
    name: str = Field(description="as a user names it: blur:4, the id of a trial, a file or a folder")
    method: str = Field(description="the recipe's method; 'unknown' for clips of another tool")
    fingerprint: str = Field("", description="fingerprint of the recipe; empty if there is none")


class Data(_Part):
    """The clips that were audited."""

    clips: str
    fingerprint: str = Field(description="fingerprint of the raw clip store")
    num_train_clips: int
    num_validation_clips: int
    num_test_clips: int
    attributes: tuple[str, ...]
    actions: tuple[str, ...]
    resampled: Literal["group", "video"] = Field(description="what the intervals resample")
    codec: str = Field("", description="codec that the clips passed before any attack; empty if none")
    num_windows: int = Field(1, description="windows of each clip over which scores are averaged")


class Attacker(_Part):
    """The result of one attacker: a family with a start and a seed."""

    family: str = Field(
        description="name of the attacker, or 'committee': all families with this start and seed, combined"
    )
    start: Literal["fresh", "raw", "frozen"] = Field(
        description="fresh weights; weights from raw clips, trained further; or weights from raw clips, frozen"
    )
    seed: int
    leakage: float = Field(description="cMAP on the test split")
    validation: float = Field(description="cMAP on the validation split, by which its step was chosen")
    step: int = Field(description="the step whose weights were kept; 0 for frozen attackers and committees")
    plateau: bool = Field(description="false if it, or a member of it, was still improving at the last step")
    curve: tuple[tuple[int, float], ...] = Field((), description="step and validation cMAP of every look")


class Attribute(_Part):
    """One private attribute, as predicted by the strongest attacker on the test split."""

    name: str
    ap: float
    ap_floor: float = Field(description="share of positive clips")
    auc: float
    balanced_accuracy: float = Field(description="at the threshold chosen on the validation split")
    f1: float
    f1_always_yes: float
    num_positives: int


class Reconstruction(_Part):
    """The result of a U-Net trained to reconstruct the raw clips."""

    psnr: float = Field(description="of the reconstruction, in dB")
    ssim: float
    psnr_before: float = Field(description="of the anonymized clips themselves, in dB")
    ssim_before: float
    leakage: float = Field(description="cMAP, on the reconstruction, of a recognizer trained on raw clips")


class Linkage(_Part):
    """How well a clip finds clips of other groups, or files, that have the same private labels."""

    rank1: float
    rank1_floor: float = Field(description="rank1 of a random order")
    mean_ap: float
    mean_ap_floor: float = Field(description="mean_ap of a random order")


class Beside(_Part):
    """Another reading of the utility task on the test split; see `anon_tune.utility_task`."""

    value: float
    floor: float
    ceiling: float
    interval: Interval


class Canary(_Part):
    """An anonymizer whose leakage is known beforehand, audited with the same effort."""

    name: Literal["identity", "constant", "negative", "shuffled"]
    leakage_normalized: float
    expected: str = Field(description="the rule in words, such as 'at least 0.9'")
    passed: bool


class Membership(_Part):
    """An attack on differentially private training: which of some canaries were among the training clips?"""

    epsilon: float = Field(description="claimed upper bound of one run")
    delta: float
    lower_bound: float = Field(description="epsilon that the guesses show at least")
    largest_bound: float = Field(description="lower_bound if every guess were right; larger claims cannot be refuted")
    confidence: float = Field(description="confidence of lower_bound")
    num_canaries: int
    num_guesses: int
    num_right: int

    @property
    def refutes(self) -> bool:
        """True if the attack shows that the claim is wrong."""
        return self.lower_bound > self.epsilon


class Certificate(_Part):
    """What an audit found; the strongest attacker's numbers are at the top."""

    schema_: Literal["anon_tune.certificate/1"] = Field("anon_tune.certificate/1", alias="schema")
    status: Status = Field(
        description="REFUSED if a canary failed or an attack refuted private training; LOWER_BOUND if, for example, an "
        "attacker was still improving"
    )
    reasons: tuple[str, ...] = Field((), description="why the status is not CERTIFIED")
    subject: Subject
    data: Data

    leakage: float = Field(description="cMAP of the strongest attacker on the test split")
    leakage_floor: float
    leakage_ceiling: float
    leakage_normalized: float = Field(
        description="(leakage - floor) / (ceiling - floor); NaN if raw clips leak nothing"
    )
    leakage_interval: Interval
    leakage_by_chance: float = Field(description="largest cMAP of the same attackers over 1000 permutations of labels")
    task: str = Field("action", description="the utility task")
    accuracy: float = Field(description="what a fresh network reaches in the task on the test split, by its metric")
    accuracy_floor: float
    accuracy_ceiling: float
    accuracy_interval: Interval

    accuracy_frozen: float = Field(description="the same of the network that was trained on raw clips only")
    leakage_frozen: float = Field(description="cMAP of the strongest attacker that was trained on raw clips only")
    distortion: float = Field(description="mean RMS difference to the raw clips, in [0, 1]")
    strongest: str = Field(description="family, start and seed of the strongest attacker")
    attackers: tuple[Attacker, ...]
    attributes: tuple[Attribute, ...]
    reconstruction: Reconstruction
    linkage: dict[Literal["raw to anonymized", "anonymized to anonymized"], Linkage]
    beside: dict[str, Beside] = Field({}, description="other readings of the task, by name")
    canaries: tuple[Canary, ...]
    membership: Membership | None = Field(None, description="if training was differentially private")

    confidence: float = Field(description="coverage of the intervals")
    effort: dict[str, float | int | str] = Field(
        description="the settings of the audit, such as how long attackers could train"
    )
    measure_version: int = Field(1, description="of the measurement; certificates of two versions cannot be compared")
    seconds: float
    versions: dict[str, str]
    created: str = Field(description="ISO 8601, UTC")

    def to_json(self) -> str:
        """Return indented JSON; a number that is not finite becomes null, and what is absent is left out."""
        return self.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"


def read_certificate(path: Path) -> Certificate:
    """Read a certificate.

    Raises:
        DataError: It cannot be read, or is no certificate of this schema.
    """
    remedy = "Write one with 'anon-tune audit -o FILE'"
    try:
        return Certificate.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(str(path), "cannot be read", remedy=remedy, cause=error.strerror) from None
    except UnicodeDecodeError:
        raise DataError(str(path), "is no certificate: not UTF-8 text", remedy=remedy) from None
    except ValidationError as error:
        first = error.errors()[0]
        at = "".join(f"'{part}' " for part in first["loc"][:1])
        raise DataError(str(path), f"is no certificate: {at}{first['msg'].lower()}", remedy=remedy) from None
