"""The table of networks: their specs and builders by name. Nothing here loads torch.

A name may have a family before a colon, as in ``timm:resnet50``, see `anon_tune.networks.families`. Our own networks
have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from anon_tune.entry_points import Table
from anon_tune.errors import RecipeError, suggest
from anon_tune.networks.families import family_of, spec_in_family
from anon_tune.networks.spec import Kind, NetworkSpec, on_call
from anon_tune.recipe import AnonymizerRecipe, PrivacyRecipe, UtilityRecipe

if TYPE_CHECKING:
    from anon_tune.networks.anonymizers import Anonymizer
    from anon_tune.networks.privacy import PrivacyNetwork
    from anon_tune.networks.utility import UtilityNetwork

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
                anonymizer=on_call("anonymizers", "build_unet_small"),
            ),
            NetworkSpec(
                "unet_temporal",
                "unet_small that also sees 'anonymizer.frames_before' earlier and 'frames_after' later frames",
                "ours",
                anonymizer=on_call("anonymizers", "build_unet_temporal"),
            ),
            NetworkSpec(
                "unet",
                "a five-level U-Net, 64 to 512 channels",
                f"{_SPACT}, with groups normalized in place of batches",
                anonymizer=on_call("anonymizers", "build_unet"),
            ),
            NetworkSpec(
                "bdq",
                "blur, difference and quantization",
                "BDQ (arXiv:2208.02459)",
                anonymizer=on_call("bdq", "build_bdq"),
            ),
            NetworkSpec(
                "small3d",
                "three 3D convolutions, fast on a CPU",
                "ours",
                utility=on_call("utility", "build_small3d"),
            ),
            NetworkSpec(
                "r3d_18",
                "torchvision's 3D ResNet-18",
                f"{_SPACT}; arXiv:2504.14301 has I3D with a ResNet-50",
                utility=on_call("utility", "build_r3d_18"),
            ),
            NetworkSpec(
                "i3d_r50",
                "I3D: a ResNet-50 inflated to 3D; a file of the 2D network is inflated too",
                "Carreira and Zisserman (arXiv:1705.07750), with the layers of Wang et al. (arXiv:1711.07971)",
                utility=on_call("backbones", "build_utility"),
            ),
            NetworkSpec(
                "small2d",
                "three 2D convolutions, fast on a CPU",
                "ours",
                privacy=on_call("privacy", "build_small2d"),
            ),
            NetworkSpec(
                "resnet18",
                "torchvision's ResNet-18",
                "He et al. (arXiv:1512.03385)",
                privacy=on_call("privacy", "build_resnet18"),
            ),
            NetworkSpec("resnet50", "torchvision's ResNet-50", _SPACT, privacy=on_call("privacy", "build_resnet50")),
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
    if family_of(name):
        spec = spec_in_family(name, at, where)
        if kind not in spec.kinds:
            rule = f"{at}: '{name}' must be a network for '{kind}', and is one for '{', '.join(spec.kinds)}'"
            raise RecipeError(where, rule, remedy=f"Choose another network of {name.partition(':')[0]}")
        return spec
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
