"""The privacy branches f_B of a game. Several can attack at the same time; f_A learns from the strongest.

Shapes: B clips, S stills per clip, N = B * S stills, C channels, H height, W width, A attributes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anon_tune.networks import build_network
from anon_tune.recipe import PrivacyRecipe
from anon_tune.training.collective import Collective
from anon_tune.training.losses import adversary, privacy_loss, uniform


class PrivacyBranches(nn.ModuleList):
    """M privacy branches of one architecture that differ in their fresh weights.

    Args:
        recipe: The number M of branches, their network, and the target of f_A.
        num_attributes: The number A of private attributes.
        collective: The workers of the trial.

    Source:
        VITA (arXiv:1807.08379, 1906.05675): the maximum of the adversary term over M models, and restarts of models.
        We differ: the M networks have one architecture, where VITA has M architectures. A restart takes fresh weights,
        or those of the recipe's file with a fresh head.
    """

    def __init__(self, recipe: PrivacyRecipe, num_attributes: int, collective: Collective) -> None:
        super().__init__(build_network(recipe, num_attributes) for _ in range(recipe.num_branches))
        self.recipe, self.num_attributes, self.collective = recipe, num_attributes, collective

    def restart(self, seed: int) -> None:
        """Replace the weights of all branches by fresh ones, drawn with a seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = PrivacyBranches(self.recipe, self.num_attributes, self.collective)
        self.load_state_dict(fresh.state_dict())

    def losses(self, frames: Tensor, private: Tensor) -> list[Tensor]:
        """Return L_B of every branch, for every element.

        Args:
            frames: Stills (B,S,C,H,W) of anonymized clips.
            private: Labels (B,A) in {0, 1}.
        """
        labels = self._labels(frames, private)
        return [self._loss(outputs, labels)[0] for outputs in self._outputs(frames)]

    def drive(self, frames: Tensor, private: Tensor) -> tuple[Tensor, Tensor]:
        """Return the term that f_A minimizes against the strongest branch, and that branch's mean L_B.

        For the target ``loss``, the term is the bounded ``-L_B`` of `adversary`; for ``uniform``, it is the
        cross-entropy of `uniform`. The strongest branch has the largest term over the batches of all workers: the
        smallest bounded L_B, or the most confident outputs. Only this branch passes a gradient to f_A.

        Args:
            frames: Stills (B,S,C,H,W) of anonymized clips.
            private: Labels (B,A) in {0, 1}.
        """
        labels = self._labels(frames, private)
        terms: list[tuple[Tensor, Tensor]] = []
        for outputs in self._outputs(frames):
            loss, blind = self._loss(outputs, labels)
            uses_labels = self.recipe.target == "loss"
            term = adversary(loss, blind, self.recipe.bound, self.recipe.cap) if uses_labels else uniform(outputs)
            terms.append((term, loss.mean()))
        told = self.collective.mean(torch.stack([term.detach() for term, _ in terms]))
        return terms[int(told.argmax())]

    def _outputs(self, frames: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = [branch(frames.flatten(0, 1)) for branch in self]
        return [self.collective.gather(x) for x in outputs] if self.recipe.head == "nt_xent" else outputs

    def _loss(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        return privacy_loss(outputs, labels, self.recipe.head, self.recipe.temperature)

    def _labels(self, frames: Tensor, private: Tensor) -> Tensor:
        return private.repeat_interleave(frames.shape[1], dim=0)
