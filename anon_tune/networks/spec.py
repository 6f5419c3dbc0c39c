"""The spec of a network: what is known about it before it is built. Nothing here loads torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args

from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, UtilityRecipe

if TYPE_CHECKING:
    from anon_tune.networks.anonymizers import Anonymizer
    from anon_tune.networks.privacy import PrivacyNetwork
    from anon_tune.networks.utility import UtilityNetwork

Kind = Literal["anonymizer", "utility", "privacy"]
"""The role of a network: f_A, f_T or f_B. Each is also the name of the recipe section that names the network."""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class NetworkSpec:
    """A network and its builders: one for each role that it can have, and None for the others.

    A builder takes the section of the recipe that names the network. It returns the network with fresh weights drawn
    from torch's random generator, or with those of the section's local file.

    Attributes:
        name: The name that recipes use.
        summary: What the network is, in one line.
        source: The paper or code that it follows.
        anonymizer: Builds f_A, always with fresh weights; `anon_tune.methods` loads those of a file.
        utility: Builds f_T for a number K of actions.
        privacy: Builds f_B for a number A of private attributes.
    """

    name: str
    summary: str
    source: str
    anonymizer: Callable[[AnonymizerRecipe], Anonymizer] | None = None
    utility: Callable[[UtilityRecipe, int], UtilityNetwork] | None = None
    privacy: Callable[[PrivacyRecipe, int], PrivacyNetwork] | None = None

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError(f"a network has a builder for {', '.join(KINDS[:-1])} or {KINDS[-1]}")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The roles that the network can have."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)


def on_call(module: str, name: str) -> Callable[..., Any]:
    """Return a builder that loads its module of this room, and torch with it, only when it is called."""

    def build(*args: Any) -> Any:
        return getattr(import_module(f"anon_tune.networks.{module}"), name)(*args)

    return build
