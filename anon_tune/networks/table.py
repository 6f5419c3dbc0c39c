"""Networks by name: their specs and builders. Nothing here loads torch.

A name may have a family before a colon, as in ``family:name``; those in this table have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from anon_tune.entry_points import Table
from anon_tune.errors import RecipeError, suggest
from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, UtilityRecipe

if TYPE_CHECKING:
    from anon_tune.networks.anonymizers import Anonymizer
    from anon_tune.networks.privacy import PrivacyNetwork
    from anon_tune.networks.utility import UtilityNetwork

Kind = Literal["anonymizer", "utility", "privacy"]
"""What a network can serve as: f_A, f_T or f_B; each is the section of the recipe that names it."""

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class NetworkSpec:
    """A network and what it can serve as: one builder for each use, and None where it has no such use.

    A builder takes the section of the recipe that names the network, and returns it with fresh weights drawn from
    torch's generator, or with those of the section's local file.

    Attributes:
        name: As a recipe names it.
        summary: One line.
        source: Paper or code that it follows.
        anonymizer: Builds f_A with fresh weights; those of a file are loaded by who builds the method.
        utility: Builds f_T for a number of actions, K.
        privacy: Builds f_B for a number of private attributes, A.
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
        """What it can serve as."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)


def _on_demand(module: str, name: str) -> Callable[..., Any]:
    """Return a builder whose module, and torch with it, is loaded when something is built."""

    def build(*args: Any) -> Any:
        return getattr(import_module(f"anon_tune.networks.{module}"), name)(*args)

    return build


_SPACT = "SPAct (arXiv:2203.15205)"

NETWORKS: Table[NetworkSpec] = Table(
    what="network",
    group="anon_tune.networks",
    kind=NetworkSpec,
    ours={
        spec.name: spec
        for spec in (
            NetworkSpec(
                "unet_small",
                "a two-level U-Net on blocks of 2x2 pixels, fast on a CPU",
                "ours, after Ronneberger et al. (arXiv:1505.04597)",
                anonymizer=_on_demand("anonymizers", "build_unet_small"),
            ),
            NetworkSpec(
                "unet",
                "a five-level U-Net, 64 to 512 channels",
                f"{_SPACT}, with groups normalized in place of batches",
                anonymizer=_on_demand("anonymizers", "build_unet"),
            ),
            NetworkSpec(
                "bdq",
                "blur, difference and quantization",
                "BDQ (arXiv:2208.02459)",
                anonymizer=_on_demand("bdq", "build_bdq"),
            ),
            NetworkSpec(
                "small3d",
                "three 3D convolutions, fast on a CPU",
                "ours",
                utility=_on_demand("utility", "build_small3d"),
            ),
            NetworkSpec(
                "r3d_18",
                "torchvision's 3D ResNet-18",
                f"{_SPACT}; arXiv:2504.14301 has I3D with a ResNet-50",
                utility=_on_demand("utility", "build_r3d_18"),
            ),
            NetworkSpec(
                "small2d",
                "three 2D convolutions, fast on a CPU",
                "ours",
                privacy=_on_demand("privacy", "build_small2d"),
            ),
            NetworkSpec(
                "resnet18",
                "torchvision's ResNet-18",
                "He et al. (arXiv:1512.03385)",
                privacy=_on_demand("privacy", "build_resnet18"),
            ),
            NetworkSpec("resnet50", "torchvision's ResNet-50", _SPACT, privacy=_on_demand("privacy", "build_resnet50")),
        )
    },
)


def check_network(kind: Kind, name: str, where: str) -> NetworkSpec:
    """Return the spec of a network that can serve as a kind.

    Args:
        kind: What it is to serve as.
        name: As a user writes it.
        where: The file or option named in an error.

    Raises:
        RecipeError: No network of this kind has the name.
        UsageError: The package that adds it does not load or breaks the contract.
    """
    at = f"'{kind}.network'"
    known = [n for n, spec in NETWORKS.ours.items() if kind in spec.kinds]
    known += sorted(NETWORKS.names_of_packages())  # of what kind, only its package knows
    if name not in known and name not in NETWORKS.ours:
        raise RecipeError(where, f"{at}: unknown network '{name}'", remedy=suggest(name, known))
    spec = NETWORKS.find(name, where)
    if kind not in spec.kinds:
        rule = f"{at}: '{name}' must be a network for '{kind}', and is one for '{', '.join(spec.kinds)}'"
        raise RecipeError(where, rule, remedy=suggest(name, known))
    return spec


@overload
def build_network(section: AnonymizerRecipe) -> Anonymizer: ...
@overload
def build_network(section: UtilityRecipe, num_outputs: int) -> UtilityNetwork: ...
@overload
def build_network(section: PrivacyRecipe, num_outputs: int) -> PrivacyNetwork: ...
def build_network(section: AnonymizerRecipe | UtilityRecipe | PrivacyRecipe, num_outputs: int = 0) -> Any:
    """Build the network that a section of a recipe names: f_A with fresh weights, f_T or f_B also with those of a file.

    Args:
        section: Of the recipe; says what the network serves as.
        num_outputs: Number of actions for f_T, of private attributes for f_B.

    Raises:
        RecipeError: No network of this kind has the name.
        UsageError: The package that adds it does not load or breaks the contract.
        DataError: The file of weights does not fit the network.
    """
    kind = _KIND_OF[type(section)]
    build = getattr(check_network(kind, section.network, "recipe"), kind)
    return build(section) if kind == "anonymizer" else build(section, num_outputs)


_KIND_OF: dict[type, Kind] = {AnonymizerRecipe: "anonymizer", UtilityRecipe: "utility", PrivacyRecipe: "privacy"}
