"""The table of networks: their specs and builders by name. Nothing here loads torch.

A name may have a family before a colon, as in ``family:name``; our own networks have none.
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


def _on_demand(module: str, name: str) -> Callable[..., Any]:
    """Return a builder that loads its module, and torch with it, only when it is called."""

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
                "unet_temporal",
                "unet_small that also sees 'anonymizer.frames_before' earlier and 'frames_after' later frames",
                "ours",
                anonymizer=_on_demand("anonymizers", "build_unet_temporal"),
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
    """Return the spec of a network that can have a role.

    Args:
        kind: The role.
        name: The network as a user writes it.
        where: The file or option that it came from, for error messages.

    Raises:
        RecipeError: No network of this kind has the name.
        UsageError: The package that adds it does not load or breaks the contract.
    """
    at = f"'{kind}.network'"
    known = [n for n, spec in NETWORKS.ours.items() if kind in spec.kinds]
    known += sorted(NETWORKS.names_of_packages())  # their roles are known only once a package is loaded
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
        section: The section of the recipe, whose type is the role of the network.
        num_outputs: Number of actions for f_T, or of private attributes for f_B.

    Raises:
        RecipeError: No network of this kind has the name.
        UsageError: The package that adds it does not load or breaks the contract.
        DataError: The file of weights does not fit the network.
    """
    kind = _KIND_OF[type(section)]
    build = getattr(check_network(kind, section.network, "recipe"), kind)
    return build(section) if kind == "anonymizer" else build(section, num_outputs)


_KIND_OF: dict[type, Kind] = {AnonymizerRecipe: "anonymizer", UtilityRecipe: "utility", PrivacyRecipe: "privacy"}
