"""Everything that one training run and its measurement depend on: frozen, checked, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anon_tune.errors import RecipeError, suggest
from anon_tune.method import TRAINED, parse_method
from anon_tune.schedule import Schedule, ScheduleField

Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with any number of the recipe."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class AnonymizerRecipe(_Part):
    """The network f_A that rewrites frames."""

    network: Literal["unet_small", "unet", "bdq"] = Field(
        "unet_small", description="unet is SPAct's, 64 to 512 channels; bdq is blur, difference, quantization"
    )
    base_channels: Positive = Field(16, le=128, description="channels of unet_small's first level")
    pretrain_steps: int = Field(40, ge=0, description="L1 steps towards the identity before the game")
    pretrain_lr: float = Field(3e-3, gt=0, le=1)
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local safetensors file to start from")


class UtilityRecipe(_Part):
    """The utility branch f_T: an action network on clips."""

    network: Literal["small3d", "r3d_18"] = "small3d"
    weight: ScheduleField = Field(Schedule(start=1.0), description="weight of L_T, at least 0")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local safetensors file to start from")


class PrivacyRecipe(_Part):
    """The co-trained privacy branch f_B on single frames."""

    network: Literal["small2d", "resnet18", "resnet50"] = "small2d"
    head: Literal["attributes", "nt_xent"] = Field("attributes", description="supervised BCE, or self-supervised")
    weight: ScheduleField = Field(Schedule(start=5.0), description="weight of the adversary term, at least 0")
    bound: Literal["cap", "tanh"] = Field("cap", description="how -L_B is bounded below")
    target: Literal["loss", "uniform"] = Field(
        "loss", description="what f_A drives at: the branch's largest loss, or its output to 0.5 (attributes only)"
    )
    num_branches: int = Field(1, ge=1, le=16, description="branches; the one that tells most drives f_A")
    restart_steps: int = Field(0, ge=0, description="steps between fresh starts of the branches; 0 never")
    cap: float = Field(1.0, gt=0, le=10, description="the bound, as a multiple of the loss of a blind branch")
    temperature: float = Field(0.1, gt=0, le=10, description="of NT-Xent")
    lr: ScheduleField = Schedule(start=2e-3)
    weights: str | None = Field(None, description="local safetensors file to start from")


class PenaltyRecipe(_Part):
    """The distortion penalty ``max(0, rms(x - f_A(x)) - threshold)`` per clip."""

    on: Literal["pixels", "features"] = "pixels"
    weight: ScheduleField = Field(Schedule(start=1.0), description="at least 0")
    threshold: ScheduleField = Field(Schedule(start=0.1), description="on pixels 0.02 to 0.3 can bind; at least 0")
    detached: bool = Field(False, description="without gradient, as in the released code of arXiv:2504.14301")


class TrainingRecipe(_Part):
    """The minimax loop."""

    num_steps: Positive = Field(240, description="one step is one move 1 and num_branch_updates moves 2")
    batch_clips: Positive = Field(8, description="clips in a batch, over all workers together")
    stills_per_clip: Positive = Field(2, description="frames of each clip that the privacy branch sees")
    num_branch_updates: Positive = Field(3, description="moves 2 after each move 1")
    warmup_steps: int = Field(20, ge=0, description="moves 2 on the pretrained anonymizer before the game")
    crop: float = Field(1.0, gt=0, le=1, description="smallest random crop as a fraction of height and width")
    flip: bool = Field(False, description="mirror half of the clips; off where an action has a direction")
    seed: int = Field(0, ge=0)


class EffortRecipe(_Part):
    """What one fresh attacker or classifier may spend; the same for every trial, or scores do not compare."""

    num_attackers: int = Field(3, ge=1, le=3, description="families, in the order frame, clip, motion")
    attacker_steps: Positive = Field(240, description="optimizer steps of each attacker")
    classifier_steps: Positive = Field(300, description="optimizer steps of the action classifier")


class EvaluationRecipe(_Part):
    """The measurement. None of it may be searched."""

    rung: EffortRecipe = EffortRecipe(num_attackers=1, attacker_steps=120, classifier_steps=150)
    full: EffortRecipe = EffortRecipe()
    num_bootstraps: Positive = Field(200, description="resamples behind an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    batch_clips: Positive = 16
    lr: float = Field(3e-3, gt=0, le=1)
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    seed: int = Field(0, ge=0)


class AuditRecipe(_Part):
    """What an audit may spend: far more than a study's measurement, until attackers stop to learn."""

    families: tuple[Literal["frame", "clip", "motion", "pixels"], ...] = Field(
        ("frame", "clip", "motion", "pixels"), min_length=1, description="attacker families"
    )
    num_seeds: Positive = Field(3, description="seeds of every family, fresh and from raw-trained weights")
    max_steps: Positive = Field(3200, description="optimizer steps of an attacker that does not stop to learn before")
    check_steps: Positive = Field(40, description="optimizer steps between two looks at the validation split")
    patience: Positive = Field(5, description="looks without a better value that make a plateau")
    classifier_steps: Positive = Field(600, description="as max_steps, of the action classifiers")
    reconstruction_steps: Positive = Field(400, description="optimizer steps of the reconstruction attacker")
    num_bootstraps: Positive = Field(1000, description="resamples behind an interval")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    batch_clips: Positive = 16
    lr: float = Field(3e-3, gt=0, le=1)
    width: Positive = Field(16, multiple_of=4, description="channels of the first layer of attackers and classifiers")
    codec: Literal["", "h264"] = Field("", description="round trip of all clips through this codec before any attack")
    crf: int = Field(23, ge=0, le=51, description="constant rate factor of the codec, 0 without loss")
    seed: int = Field(0, ge=0)

    @classmethod
    def from_params(cls, params: Mapping[str, Any], where: str = "audit") -> AuditRecipe:
        """Build one from names of its fields; what is not named keeps its default.

        Raises:
            RecipeError: On an unknown name or a value out of range.
        """
        for name in params:
            if name not in cls.model_fields:
                raise RecipeError(where, f"unknown name '{name}'", remedy=suggest(name, cls.model_fields))
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            raise _refusal(error, where, "Change it") from None


class Recipe(_Part):
    """One trial, wholly described.

    ``method`` names the anonymizer, as in `anon_tune.method`: ``adversarial`` is trained by the game with the
    values of the recipe, other trained ones fix some of these values, and a closed-form one, such as
    ``blur:4`` or the anchors ``identity`` and ``black-out``, is only measured.

    Example:
        >>> Recipe.from_params({"penalty.weight": 2.0}).penalty.weight.start
        2.0
    """

    method: str = "adversarial"
    anonymizer: AnonymizerRecipe = AnonymizerRecipe()
    utility: UtilityRecipe = UtilityRecipe()
    privacy: PrivacyRecipe = PrivacyRecipe()
    penalty: PenaltyRecipe = PenaltyRecipe()
    training: TrainingRecipe = TrainingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _weights_are_not_negative(self) -> Self:
        for name, schedule in self._schedules():
            if schedule.lowest < 0:
                raise ValueError(f"'{name}' must be at least 0 at every step, got {schedule.lowest}")
        return self

    @model_validator(mode="after")
    def _outputs_have_a_middle(self) -> Self:
        if self.privacy.target == "uniform" and self.privacy.head != "attributes":
            raise ValueError("'privacy.target' = 'uniform' needs 'privacy.head' = 'attributes'")
        return self

    @model_validator(mode="after")
    def _views_come_in_pairs(self) -> Self:
        training = self.training
        if self.privacy.head == "nt_xent" and (training.stills_per_clip != 2 or training.batch_clips < 2):
            raise ValueError("'nt_xent' needs 'training.stills_per_clip' = 2 and 'training.batch_clips' of at least 2")
        return self

    def _schedules(self) -> Iterator[tuple[str, Schedule]]:
        for part in ("anonymizer", "utility", "privacy", "penalty"):
            for key, value in getattr(self, part):
                if isinstance(value, Schedule):
                    yield f"{part}.{key}", value

    @classmethod
    def from_params(cls, params: Mapping[str, Any], where: str = "recipe") -> Recipe:
        """Build a recipe from flat dotted names; what is not named keeps its default.

        A schedule takes a number (``penalty.weight``) or its own fields (``penalty.weight.kind``).

        Args:
            params: Flat dotted names to plain values.
            where: The file or option named in an error.

        Raises:
            RecipeError: On an unknown name or a value out of range.
        """
        known = recipe_names()
        for name in params:
            if name not in known:
                raise RecipeError(where, f"unknown name '{name}'", remedy=suggest(name, known))
        tree = nest(_with_method(params, where), where)
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise _refusal(error, where, "Change it in the file or with --set") from None


def _refusal(error: ValidationError, where: str, remedy: str) -> RecipeError:
    first = error.errors()[0]
    at = ".".join(str(p) for p in first["loc"])
    got = first["input"] if at and not isinstance(first["input"], dict) else None
    rule = first["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    return RecipeError(where, f"'{at}': {rule}" if at else rule, got, remedy)


def _with_method(params: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Add the values that make a trained method what it is; refuse others in their place."""
    method = parse_method(str(params.get("method", "adversarial")), f"{where}: method")
    for key in params:
        if method.sets(key):
            rule = f"'{key}' is set by the method '{method.name}'"
            raise RecipeError(where, rule, params[key], "Leave it out, or choose the method 'adversarial'")
    return {**params, **TRAINED.get(method.name, {})}


def nest(params: Mapping[str, Any], where: str = "recipe") -> dict[str, Any]:
    """Turn flat dotted names into nested dicts; refuse a name that is both a value and a table."""
    tree: dict[str, Any] = {}
    for name in sorted(params):
        *path, leaf = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise RecipeError(where, f"'{name}' and one of its parents are both set", remedy="Keep one of the two")
        node[leaf] = params[name]
    return tree


def recipe_names() -> frozenset[str]:
    """Return every flat dotted name a recipe knows, schedules both whole and by field."""

    def walk(model: type[BaseModel], prefix: str) -> Iterator[str]:
        for key, info in model.model_fields.items():
            kind = info.annotation
            if kind is Schedule:
                yield prefix + key
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from walk(kind, f"{prefix}{key}.")
            else:
                yield prefix + key

    return frozenset(walk(Recipe, ""))
