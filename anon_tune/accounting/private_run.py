"""What one private training run spends: which updates it makes, on what, with how much noise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from anon_tune.accounting.mechanism import Accountant, Phase, epsilon
from anon_tune.errors import DataError, RecipeError
from anon_tune.recipe import Recipe


@dataclass(frozen=True, slots=True)
class PrivateRun:
    """The account of one run of DP-SGD on the game.

    Attributes:
        unit: ``clips`` or ``groups``: what is added or removed.
        region: ``everything``: the whole unit is protected; ``persons``: what the pixels of persons add to it.
        num_units: Units in the training split.
        rate: Probability with which a unit is in a batch.
        clip_norm: Largest norm of the gradient of one unit.
        noise_multiplier: Standard deviation of the noise as a multiple of `clip_norm`.
        delta: Delta of the statement.
        updates: Number of noised updates by what they train. One update of several networks is one noised vector.
    """

    unit: str
    region: str
    num_units: int
    rate: float
    clip_norm: float
    noise_multiplier: float
    delta: float
    updates: Mapping[str, int]

    @property
    def num_updates(self) -> int:
        """Number of noised updates in all."""
        return sum(self.updates.values())

    @property
    def phase(self) -> Phase:
        """The run, as the accountants take it."""
        return Phase(self.rate, self.noise_multiplier, self.num_updates)

    def epsilon(self, accountant: Accountant = "pld") -> float:
        """Return an upper bound of the run's epsilon at its delta."""
        return epsilon([self.phase], self.delta, accountant)

    def after(self, recipe: Recipe, step: int) -> PrivateRun:
        """Return the account of the same run when a step of the game is reached."""
        return replace(self, updates=updates_until(recipe, step))

    def to_json(self) -> str:
        """Return the account as JSON, as checkpoints and files of weights carry it."""
        return json.dumps(asdict(self) | {"updates": dict(self.updates)})

    @classmethod
    def from_json(cls, text: str, where: str) -> PrivateRun:
        """Read an account back.

        Raises:
            DataError: The text is no account.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            return cls(**values)
        except (TypeError, ValueError) as error:
            rule = "holds an account of private training that cannot be read"
            raise DataError(where, rule, remedy="Restore the file from a copy", cause=str(error)) from None


def updates_until(recipe: Recipe, step: int) -> dict[str, int]:
    """Return the number of noised updates, by what they train, that a run has made when a step is reached."""
    training = recipe.training
    return {
        "pretraining of the anonymizer": recipe.anonymizer.pretrain_steps,
        "warm-up of utility network and privacy branch": training.warmup_steps,
        "anonymizer": step,
        "utility network and privacy branch": step * training.num_branch_updates,
    }


def private_run(recipe: Recipe, num_clips: int, num_groups: int, where: str = "recipe") -> PrivateRun:
    """Return the account of a whole run of a private recipe.

    Args:
        recipe: A recipe whose ``dp`` is on.
        num_clips: Clips in the training split.
        num_groups: Groups in the training split.
        where: The file that the recipe came from, for error messages.

    Raises:
        RecipeError: The batch is larger than the data, or delta is too large to mean anything.
    """
    dp, training = recipe.dp, recipe.training
    assert dp.clip_norm is not None and dp.noise_multiplier is not None
    num_units = num_clips if dp.unit == "clips" else num_groups
    if training.batch_clips > num_clips:
        rule = f"'training.batch_clips' must be at most the {num_clips} clips of the training split"
        raise RecipeError(where, rule, training.batch_clips, "Set a smaller batch")
    delta = 1 / (10 * num_units) if dp.delta is None else dp.delta
    if delta >= 1 / num_units:
        rule = f"'dp.delta' must be below 1/{num_units}, or one of the {num_units} {dp.unit} may be given away entirely"
        raise RecipeError(where, rule, delta, f"Leave it out for {1 / (10 * num_units):.2g}")
    return PrivateRun(
        dp.unit,
        dp.region,
        num_units,
        training.batch_clips / num_clips,
        dp.clip_norm,
        dp.noise_multiplier,
        delta,
        updates_until(recipe, training.num_steps),
    )
