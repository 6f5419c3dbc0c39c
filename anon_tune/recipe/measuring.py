"""The effort of a measurement: in a study, and in an audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, field_validator, model_validator

from anon_tune.errors import RecipeError, suggest
from anon_tune.recipe.old_names import first_attackers, with_new_names
from anon_tune.recipe.part import Part, Positive, once_each, refusal, split_names

MEASURE_VERSION = 5
"""Version of the measurement: the attackers by name, how long each may train, and how leakage is computed.

It rises whenever the same anonymizer, clips and recipe would get another score, because scores of two versions cannot
be compared.
"""


def measured_before(version: int | str) -> str:
    """Return a warning to show with scores of another version of the measurement; empty for this version."""
    if str(version) == str(MEASURE_VERSION):
        return ""
    return (
        f"Measured with version {version} of the measurement. The current version is {MEASURE_VERSION}, and scores of "
        "two versions cannot be compared. To compare, audit the trials again, or run a new study."
    )


_ATTACKERS: tuple[str, ...] = ("frame", "clip", "motion", "pixels", "descriptors")


AttackerNames = Annotated[
    tuple[str, ...], Field(min_length=1), BeforeValidator(split_names), AfterValidator(once_each("an attacker"))
]
"""Names of attackers in `anon_tune.attackers`; a text is split at its commas."""


TaskName = Literal["action", "anomaly"]
TASK = "what must still be recognized in anonymized clips: actions, or anomalies and when they happen"
SEGMENTS = "for anomaly: number of equal parts of a clip, each with its own score; must divide the number of frames"
_OF_THE_TASK = ("utility.task", "utility.segments")


def is_measured_by(name: str) -> bool:
    """True if scores of two recipes that differ in this value, given by its flat dotted name, cannot be compared."""
    return name.startswith("evaluation.") or name in _OF_THE_TASK


SMALL_CLASSIFIER = "small"
"""The name of the action classifier that is built for the size of the clips."""

_WINDOWS = (
    "windows of a clip on which attackers and the classifier are trained, and over which their scores are averaged; "
    "all of them if the store holds fewer"
)
_CLASSIFIER = (
    "action classifier: 'small', or a network such as timm:resnet50; if not set, torchvision:r3d_18 for clips of at "
    "least 112 x 112 pixels"
)
_PRETRAINED = "files of pretrained weights of attackers and the classifier, for example timm:resnet50=FILE"


def files_by_name(pretrained: Iterable[str]) -> dict[str, str]:
    """Take ``NAME=FILE`` apart."""
    return {name: file for name, _, file in (one.partition("=") for one in pretrained)}


def _named_files(pretrained: tuple[str, ...]) -> tuple[str, ...]:
    for one in pretrained:
        name, equals, file = one.partition("=")
        if not (name and equals and file):
            raise ValueError(f"a file of pretrained weights must be written NAME=FILE, got {one}")
    return pretrained


FilesByName = Annotated[tuple[str, ...], BeforeValidator(split_names), AfterValidator(_named_files)]
"""Texts ``NAME=FILE``; a text is split at its commas."""


def _renamed(values: Any, old: str, to_names: Callable[[Any], Any]) -> Any:
    """Accept an old field as ``attackers``."""
    if not isinstance(values, Mapping) or old not in values:
        return values
    return {**{k: v for k, v in values.items() if k != old}, "attackers": to_names(values[old])}


class EffortRecipe(Part):
    """How long attackers and the classifier may train. It is the same for all trials, so that scores can be compared.

    Each attacker is trained once: from scratch if `fresh` names it or it has no raw-trained weights, else from
    raw-trained weights, which takes fewer steps.
    """

    attackers: AttackerNames = Field(_ATTACKERS, description="attackers by their names in `anon_tune.attackers`")
    fresh: tuple[str, ...] = Field(("frame",), description="attackers that are trained from scratch, by name")
    attacker_steps: Positive = Field(480, description="optimizer steps of an attacker that is trained from scratch")
    further_steps: Positive | None = Field(
        None,
        description="optimizer steps of an attacker that starts from raw-trained weights; "
        "None for a quarter of attacker_steps",
    )
    classifier_steps: Positive = Field(150, description="optimizer steps of the action classifier")

    _fresh_names = field_validator("fresh", mode="before")(split_names)

    @property
    def num_further_steps(self) -> int:
        """Optimizer steps of an attacker that starts from raw-trained weights."""
        return self.further_steps or max(1, self.attacker_steps // 4)

    @model_validator(mode="before")
    @classmethod
    def _first_so_many(cls, values: Any) -> Any:
        """Accept ``num_attackers`` from recipes that were written before attackers had names."""
        return _renamed(values, "num_attackers", first_attackers)


class EvaluationRecipe(Part):
    """How the trials of a study are measured. A search space may set these values but not search them."""

    version: ClassVar[int] = MEASURE_VERSION

    rung: EffortRecipe = EffortRecipe(
        attackers=("frame", "descriptors"), fresh=(), attacker_steps=120, further_steps=120, classifier_steps=75
    )
    full: EffortRecipe = EffortRecipe()
    attackers_learn_on: Literal["train", "outside"] = Field(
        "train",
        description="clips on which attackers and the classifier learn: the training split, or two thirds of the "
        "groups of the validation split; choose outside if private training protects the training split",
    )
    num_bootstraps: Positive = Field(
        200, description="resamples of the clips from which a confidence interval is computed"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    batch_clips: Positive = Field(16, le=4096, description="clips in a batch of an attacker or a classifier")
    lr: float = Field(3e-3, gt=0, le=1, description="learning rate of attackers and classifiers")
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    num_windows: Positive = Field(5, le=100, description=_WINDOWS)
    classifier: str = Field(SMALL_CLASSIFIER, description=_CLASSIFIER)
    pretrained: FilesByName = Field((), description=_PRETRAINED)
    seed: int = Field(0, ge=0)

    @property
    def files(self) -> dict[str, str]:
        """Files of pretrained weights, by the name of the network."""
        return files_by_name(self.pretrained)


class AuditRecipe(Part):
    """The effort of an audit. It is far larger than in a study, so that attackers train until they stop improving."""

    version: ClassVar[int] = MEASURE_VERSION

    task: TaskName = Field("action", description=TASK)
    segments: Positive = Field(8, description=SEGMENTS)
    attackers: AttackerNames = Field(_ATTACKERS, description="attackers by their names in `anon_tune.attackers`")
    num_seeds: Positive = Field(
        3, description="seeds with which every attacker is trained, from scratch and from raw-trained weights"
    )
    max_steps: Positive = Field(3200, description="largest number of optimizer steps of an attacker")
    check_steps: Positive = Field(40, description="optimizer steps between two measurements on the validation split")
    patience: Positive = Field(
        5, description="training ends after this number of measurements in a row that gained no more than 0.005"
    )
    classifier_steps: Positive = Field(600, description="largest number of optimizer steps of an action classifier")
    reconstruction_steps: Positive = Field(
        400, description="optimizer steps of the attacker that reconstructs raw frames from anonymized ones"
    )
    num_bootstraps: Positive = Field(
        1000, description="resamples of the clips from which a confidence interval is computed"
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence level of the intervals")
    batch_clips: Positive = Field(16, le=4096, description="clips in a batch of an attacker or a classifier")
    lr: float = Field(3e-3, gt=0, le=1, description="learning rate of attackers and classifiers")
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    codec: Literal["", "h264"] = Field(
        "", description="codec that compresses all clips before they are measured; empty for none"
    )
    crf: int = Field(
        23, ge=0, le=51, description="constant rate factor of the codec: 0 is lossless, larger values compress more"
    )
    num_windows: Positive = Field(5, le=100, description=_WINDOWS)
    classifier: str = Field(SMALL_CLASSIFIER, description=_CLASSIFIER)
    pretrained: FilesByName = Field((), description=_PRETRAINED)
    seed: int = Field(0, ge=0)

    @property
    def files(self) -> dict[str, str]:
        """Files of pretrained weights, by the name of the network."""
        return files_by_name(self.pretrained)

    def of_task(self, task: TaskName, segments: int) -> AuditRecipe:
        """Return this effort for the task of a recipe, unless that is ``action``, the default."""
        return self if task == "action" else self.model_copy(update={"task": task, "segments": segments})

    @model_validator(mode="before")
    @classmethod
    def _once_families(cls, values: Any) -> Any:
        """Accept ``families`` from recipes that were written before attackers had names."""
        return _renamed(values, "families", lambda names: names)

    @classmethod
    def from_params(cls, params: Mapping[str, Any], where: str = "audit") -> AuditRecipe:
        """Build an audit recipe from values by name; a field without a value keeps its default.

        Raises:
            RecipeError: A name is unknown, or a value is out of range.
        """
        params = with_new_names(params, where)
        for name in params:
            if name not in cls.model_fields:
                raise RecipeError(where, f"unknown name '{name}'", remedy=suggest(name, cls.model_fields))
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            raise refusal(error, where, "Change it") from None
