"""The privacy branches f_B of a game. Several can attack at the same time.

Shapes: B clips, T frames per clip, S stills per clip, N = B * S stills, C channels, H height, W width, A attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from anon_tune.attackers import AttackerSpec, Setting, find
from anon_tune.attackers.spec import MANY_CLIPS
from anon_tune.errors import RecipeError
from anon_tune.networks import build_network
from anon_tune.recipe import NETWORK_BRANCH, PrivacyRecipe
from anon_tune.training.collective import Collective
from anon_tune.training.losses import adversary, privacy_loss, uniform
from anon_tune.training.views import random_view


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the privacy branches see of a batch.

    Attributes:
        stills: (B,S,C,H,W), anonymized: what the network of the recipe sees.
        clips: (B,T,C,H,W), anonymized: what attackers see. They are the stills if those come from another store.
        private: Labels (B,A) in {0, 1}.
        seed: Seed of what attackers draw: a frame of each clip, and random views.
    """

    stills: Tensor
    clips: Tensor
    private: Tensor
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What the privacy branches learn to predict, and from what.

    Attributes:
        num_attributes: The number A of private attributes.
        categories: For each category, the columns of its values; see `anon_tune.clips.ClipSet`.
        clip_shape: T, H and W of what attackers see.
        positives: Mean number of clips per attribute that have it; attackers learn from random views of few clips.
    """

    num_attributes: int
    categories: Sequence[Sequence[int]] = ()
    clip_shape: tuple[int, int, int] = (8, 32, 32)
    positives: float = MANY_CLIPS


def branch_network(spec: AttackerSpec, setting: Setting, where: str) -> nn.Module:
    """Build the network of an attacker that is named as a branch.

    Raises:
        RecipeError: The attacker is no network, or needs more than frames.
    """
    network = spec.build(setting)
    if spec.inputs or not isinstance(network, nn.Module):
        needs = f"needs {', '.join(spec.inputs)} besides frames" if spec.inputs else "is not a network"
        remedy = "Leave it out; it may still be named in 'evaluation.full.attackers'"
        raise RecipeError(where, f"'privacy.branches': '{spec.name}' {needs}, so it cannot attack here", None, remedy)
    return network


class AttackerBranch(nn.Module):
    """An attacker of `anon_tune.attackers` that attacks inside the game. It maps clips (B,T,C,H,W) to logits (B,A).

    In both moves it works as in its own training: it normalizes over the batch, may look at one frame of each clip that
    is drawn anew, and sees random views. In eval mode, its statistics would be those of earlier outputs of f_A.

    Raises:
        RecipeError: The attacker is no network, or needs more than frames.
    """

    def __init__(self, name: str, width: int, target: Target) -> None:
        super().__init__()
        spec = find(name, "recipe: 'privacy.branches'")
        network = branch_network(spec, Setting(target.num_attributes, width, target.clip_shape), "recipe")
        few = target.positives < MANY_CLIPS
        self.network, self.mirrors = network, spec.mirrors and few
        self.shift = round(spec.max_shift * min(target.clip_shape[1:])) if few else 0

    def train(self, mode: bool = True) -> Self:
        """Stay as in training, whatever the mode."""
        return super().train(True)

    def forward(self, clips: Tensor) -> Tensor:
        """Map clips (B,T,C,H,W) in [0, 1] to logits (B,A)."""
        logits: Tensor = self.network(random_view(clips, self.shift, self.mirrors))
        return logits.to(clips.dtype)


class PrivacyBranches(nn.ModuleList):
    """The privacy branches that a recipe names, each in as many copies as it says, which differ in their weights.

    Args:
        recipe: The branches, the number of copies, and the target of f_A.
        target: What they predict.
        collective: The workers of the trial. A batch-normalizing branch normalizes over each worker's part of a batch.

    Source:
        VITA (arXiv:1807.08379, 1906.05675): the maximum of the adversary term over M models, and restarts of models.
        We differ: copies have one architecture, where VITA has M architectures; the attackers among our branches have
        several. A restart takes fresh weights, or those of the recipe's file with a fresh head.
    """

    def __init__(self, recipe: PrivacyRecipe, target: Target, collective: Collective) -> None:
        super().__init__(
            build_network(recipe, target.num_attributes)
            if name == NETWORK_BRANCH
            else AttackerBranch(name, recipe.width, target)
            for name in recipe.branches
            for _ in range(recipe.num_branches)
        )
        self.recipe, self.target, self.collective = recipe, target, collective

    def restart(self, seed: int, turn: int) -> list[nn.Parameter]:
        """Replace weights by fresh ones, drawn with a seed.

        Args:
            seed: Seed of the fresh weights.
            turn: Number of the restart. If the recipe restarts one branch at a time, it says whose turn it is.

        Returns:
            The parameters of the branches that were replaced.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = PrivacyBranches(self.recipe, self.target, self.collective)
        chosen = range(len(self)) if self.recipe.restart == "together" else [turn % len(self)]
        for at in chosen:
            self[at].load_state_dict(fresh[at].state_dict())
        return [parameter for at in chosen for parameter in self[at].parameters()]

    def networks(self) -> list[nn.Module]:
        """Return the branches that are no attackers. Attackers normalize over each worker's part of a batch."""
        return [branch for branch in self if not isinstance(branch, AttackerBranch)]

    def losses(self, seen: Seen) -> list[Tensor]:
        """Return L_B of every branch, for every element."""
        return [self._loss(outputs, labels)[0] for outputs, labels in self._told(seen)]

    def drive(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Return the term that f_A minimizes against the branches, and the mean L_B that belongs to it.

        For the target ``loss``, the term is the bounded ``-L_B`` of `adversary`; for ``uniform``, it is the
        cross-entropy of `uniform`. With ``driver = "all"``, it is the mean over the branches. Else it is that of the
        strongest branch, which has the largest term over the batches of all workers: the smallest bounded L_B, or the
        most confident outputs. Only this branch then passes a gradient to f_A.
        """
        terms: list[tuple[Tensor, Tensor]] = []
        for outputs, labels in self._told(seen):
            loss, blind = self._loss(outputs, labels)
            if self.recipe.target == "loss":
                term = adversary(loss, blind, self.recipe.bound, self.recipe.cap)
            else:
                term = uniform(outputs, self.target.categories)
            terms.append((term, loss.mean()))
        if len(terms) == 1:
            return terms[0]
        if self.recipe.driver == "all":
            return torch.stack([t for t, _ in terms]).mean(), torch.stack([loss for _, loss in terms]).mean()
        told = self.collective.mean(torch.stack([term.detach() for term, _ in terms]))
        return terms[int(told.argmax())]

    def _told(self, seen: Seen) -> list[tuple[Tensor, Tensor]]:
        """Return the outputs of every branch, and the labels that belong to them."""
        told = []
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seen.seed)  # all draws are made on the CPU
            for branch in self:
                if isinstance(branch, AttackerBranch):
                    told.append((branch(seen.clips), seen.private))
                    continue
                outputs: Tensor = branch(seen.stills.flatten(0, 1))
                labels = seen.private.repeat_interleave(seen.stills.shape[1], dim=0)
                told.append((self.collective.gather(outputs) if self.recipe.head == "nt_xent" else outputs, labels))
        return told

    def _loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float | Tensor]:
        return privacy_loss(outputs, labels, self.recipe.head, self.recipe.temperature, self.target.categories)
